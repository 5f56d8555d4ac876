"""Volumes: verdicts on NIfTI files as a whole, as the command line gives them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import aberra
import numpy as np
import pytest

SLICES = 6


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty volumes of six slices each, and a new one with a lesion in one slice."""
    nibabel = pytest.importorskip("nibabel")
    from PIL import Image

    folder = tmp_path_factory.mktemp("volumes")
    data = aberra.phantoms(folder / "p", size=32, train_normals=30 * SLICES, test_normals=SLICES, anomalies_per_kind=1)

    def save(name: str, files: list[Path]) -> None:
        stack = np.stack([np.asarray(Image.open(file)) for file in files], axis=-1).astype(np.int16)
        (folder / name).parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(stack, np.diag([1, 1, 3, 1])), folder / name)

    normals = sorted((data / "train" / "good").glob("*.png"))
    for number in range(30):
        save(f"normal/{number:02}.nii.gz", normals[number * SLICES : (number + 1) * SLICES])
    new = sorted((data / "test" / "good").glob("*.png"))
    new[3] = next(data.glob("test/enhancing_tumour/*.png"))
    save("new.nii.gz", new)
    return folder


@pytest.fixture(scope="module")
def of_volumes(volumes: Path) -> aberra.Detector:
    settings = {"family": "vae", "size": 32, "epochs": 2, "rate": 0.25, "progress": False}
    return aberra.Detector.train(volumes / "normal", normal="*", volumes=True, **settings)


def test_a_volume_has_one_verdict_which_is_that_of_the_command_line(
    of_volumes: aberra.Detector, volumes: Path, tmp_path: Path
) -> None:
    new = volumes / "new.nii.gz"
    (verdict,) = of_volumes.score_volumes(new, maps=True)
    assert verdict.scores.shape == (SLICES,) and len(verdict.slices) == SLICES
    assert verdict.score == np.nanmax(verdict.scores) and verdict.worst == int(np.nanargmax(verdict.scores))
    assert verdict.map is not None and verdict.map.shape == (SLICES, 32, 32)
    assert verdict.anomalous == (verdict.score > verdict.threshold)
    assert of_volumes.volumes is not None and of_volumes.volumes["threshold"] == verdict.threshold
    of_volumes.save(tmp_path / "detector.aberra")
    command = [sys.executable, "-m", "aberra", "score", str(tmp_path / "detector.aberra"), str(new), "--json"]
    row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (row["score"], row["p_value"], row["threshold"]) == (verdict.score, verdict.p_value, verdict.threshold)
    page = verdict._repr_html_()
    assert "<svg" in page and "nan" not in page


def test_slices_and_volumes_are_calibrated_apart(of_volumes: aberra.Detector, volumes: Path) -> None:
    strict = of_volumes.calibrate(rate=0.5, volumes=True)
    assert strict.volumes is not None and of_volumes.volumes is not None
    assert strict.volumes["threshold"] <= of_volumes.volumes["threshold"]
    assert strict.threshold == of_volumes.threshold
    slices = of_volumes.score(volumes / "new.nii.gz", pages=True)
    assert len(slices) == SLICES


def test_what_is_no_volume_is_refused(of_volumes: aberra.Detector, volumes: Path) -> None:
    with pytest.raises(aberra.DataError, match="expected volumes"):
        of_volumes.score_volumes(next((volumes / "p").rglob("*.png")))
    dataset = aberra.Dataset(volumes / "normal", normal="*", volumes=True)
    assert len(dataset) == 30 * SLICES
