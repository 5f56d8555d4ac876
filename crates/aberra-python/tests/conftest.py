"""Data and detectors that the tests share: generated images, and detectors that train in a second."""

from __future__ import annotations

from pathlib import Path

import aberra
import numpy as np
import pytest
from numpy.typing import NDArray

SMALL = {"family": "vae", "size": 32, "epochs": 2, "rate": 0.1, "group": "none", "progress": False}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms in the MVTec layout."""
    return aberra.phantoms(tmp_path_factory.mktemp("data"), size=32, train_normals=80, test_normals=12, anomalies_per_kind=3)


@pytest.fixture(scope="session")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a detector of the phantoms."""
    out = tmp_path_factory.mktemp("runs") / "first"
    aberra.Detector.train(data, out=out, **SMALL)
    return out


@pytest.fixture(scope="session")
def detector(run: Path) -> aberra.Detector:
    return aberra.Detector.load(run / "detector.aberra")


@pytest.fixture(scope="session")
def several(data: Path) -> aberra.Detector:
    """A detector of several members, with maps, embeddings and evidence of all kinds."""
    return aberra.Detector.train(
        data, size=32, epochs=1, rate=0.1, group="none", backbone="none", progress=False
    )


@pytest.fixture(scope="session")
def images(data: Path) -> NDArray[np.uint8]:
    """The test images as an array, (images, height, width)."""
    from PIL import Image

    files = sorted((data / "test").rglob("*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files])
