"""The verbs of the detector, against the command line and against each other."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import urllib.request
from pathlib import Path

import aberra
import numpy as np
import pytest
import torch_stand_in
from numpy.typing import NDArray

from conftest import SMALL


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aberra", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_scores_are_those_of_the_command_line_and_the_server(detector: aberra.Detector, run: Path, data: Path) -> None:
    path = run / "detector.aberra"
    printed = program("score", path, data / "test", "--json")
    assert printed.returncode == 0, printed.stderr
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    verdicts = detector.score(data / "test")
    assert verdicts.names == [row["path"] for row in rows]
    assert verdicts.scores.tolist() == [row["score"] for row in rows]
    assert verdicts.p_values.tolist() == [row["p_value"] for row in rows]
    single = detector.score(data / "test", batch=1)
    with aberra.serve(path) as server:
        served = []
        for name in verdicts.names[:8]:
            request = urllib.request.Request(
                f"{server.url}/api/v1/detectors/first/score", Path(name).read_bytes(), {"content-type": "image/png"}
            )
            with urllib.request.urlopen(request) as response:
                served.append(json.load(response)["images"][0]["verdict"]["score"])
    assert served == single.scores[:8].tolist()


def test_images_are_the_same_however_they_are_given(
    detector: aberra.Detector, data: Path, images: NDArray[np.uint8]
) -> None:
    from PIL import Image

    files = sorted((data / "test").rglob("*.png"))
    expected = detector.score(files, batch=1).scores
    forms = {
        "array": images,
        "wide integers": images.astype(np.uint16) * 257,
        "with a channel": images[..., None],
        "list of arrays": list(images),
        "pictures": [Image.open(file) for file in files],
        "bytes": [file.read_bytes() for file in files],
        "iterator": iter(images),
        "tensors": [torch_stand_in.Tensor(one) for one in images],
        "names": [str(file) for file in files],
    }
    for name, form in forms.items():
        assert detector.score(form, batch=1).scores.tolist() == expected.tolist(), name
    floats = detector.score(images.astype(np.float32) / 255, batch=1).scores
    assert np.allclose(floats, expected, rtol=1e-5)


def test_arrays_whose_meaning_is_not_clear_are_refused(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    color = np.stack([images[0]] * 3, axis=-1)
    with pytest.raises(aberra.InputError, match=r"32, 32, 3.*channels"):
        detector.score(color)
    with pytest.raises(aberra.InputError, match=r"3, 32, 32.*channels"):
        detector.score(torch_stand_in.Tensor(color.transpose(2, 0, 1)))
    assert len(detector.score(color.transpose(2, 0, 1))) == 3
    assert len(detector.score(color, channels="last")) == 1
    assert len(detector.score(color.transpose(2, 0, 1), channels="first")) == 1
    assert len(detector.score(color.transpose(2, 0, 1), channels="none")) == 3
    same = detector.score(color, channels="last", batch=1).scores[0]
    assert same == detector.score(images[:1], batch=1).scores[0]
    for wrong in (np.zeros((2, 2, 2, 2, 2)), np.zeros(4), np.zeros((0, 4)), np.array([["a", "b"]] * 2), 3, {"a": 1}):
        with pytest.raises(ValueError, match="expected"):
            detector.score(wrong)
    with pytest.raises(ValueError, match="finite|NaN"):
        detector.score(np.full((32, 32), np.nan, np.float32))


def test_one_bad_image_is_an_error_or_a_row(detector: aberra.Detector, data: Path, tmp_path: Path) -> None:
    good = next((data / "test").rglob("*.png"))
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:60])
    with pytest.raises(aberra.InputError, match=r"bad\.png"):
        detector.score([good, bad])
    with pytest.warns(aberra.AberraWarning, match=r"1 images were not scored, like .*bad\.png"):
        verdicts = detector.score([good, bad, good], errors="skip")
    assert np.isnan(verdicts.scores).tolist() == [False, True, False]
    assert list(verdicts.errors) == [str(bad)] and verdicts[1].error is not None
    with pytest.raises(aberra.FileError, match=r"nothing\.png"):
        detector.score(tmp_path / "nothing.png")


def test_maps_lie_over_the_images(several: aberra.Detector) -> None:
    wide = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (24, 1))
    verdict = several.score(wide, maps=True)[0]
    assert verdict.map is not None and verdict.map.shape == (24, 48) and verdict.map.dtype == np.float32
    assert 0 <= verdict.anomalous_share <= 1
    assert several.score(wide)[0].map is None
    assert several.pixel_threshold > 0
    assert verdict.embedding.size > 0 and several.embeddings is not None
    assert verdict.embedding.size == several.embeddings[0].shape[1]


def test_pages_are_images_of_their_own(detector: aberra.Detector, images: NDArray[np.uint8], tmp_path: Path) -> None:
    from PIL import Image

    pages = [Image.fromarray(one) for one in images[:3]]
    pages[0].save(tmp_path / "three.tif", save_all=True, append_images=pages[1:])
    path = tmp_path / "three.tif"
    expected = detector.score(images[:3], batch=1).scores.tolist()
    assert detector.score(path, pages=True, batch=1).scores.tolist() == expected
    assert detector.score([(path, 2), (str(path), 0)], batch=1).scores.tolist() == [expected[2], expected[0]]
    assert detector.explain((path, 1)).score == expected[1]
    assert detector.score(path, pages=True).names[2] == f"{path}[2]"
    with pytest.raises(aberra.InputError, match="page"):
        detector.score((path, 3))
    with pytest.raises(aberra.InputError, match="page"):
        detector.score((path, -1))


def test_a_detector_pickles_as_its_file(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    pickled = pickle.dumps(detector)
    again = pickle.loads(pickled)
    assert again.hash == detector.hash
    assert again.score(images[:2]).scores.tolist() == detector.score(images[:2]).scores.tolist()
    damaged = bytearray(pickled)
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(aberra.DetectorError, match="hash|changed"):
        pickle.loads(bytes(damaged))


def test_training_is_that_of_the_command_line(run: Path, data: Path, tmp_path: Path) -> None:
    flags = ["--family", "vae", "--size", "32", "--epochs", "2", "--rate", "0.1", "--group", "none"]
    done = program("train", data, "--out", tmp_path / "cli", *flags)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cli" / "detector.aberra").read_bytes() == (run / "detector.aberra").read_bytes()
    detector = aberra.Detector.load(run / "detector.aberra")
    assert [(row["member"], row["epoch"]) for row in detector.history] == [("vae", 1), ("vae", 2)]


def test_training_takes_arrays_and_says_what_is_wrong(data: Path, tmp_path: Path, images: NDArray[np.uint8]) -> None:
    from PIL import Image

    files = sorted((data / "train" / "good").rglob("*.png"))
    arrays = [np.asarray(Image.open(file)) for file in files]
    from_arrays = aberra.Detector.train(arrays, **SMALL)
    from_files = aberra.Detector.train(files, **SMALL)
    assert from_arrays.threshold == from_files.threshold
    with pytest.raises(aberra.DataError, match="needs 30 groups"):
        aberra.Detector.train(arrays[:6], **SMALL)
    with pytest.raises(aberra.SettingsError, match="lerning_rate"):
        aberra.Detector.train(arrays, train__lerning_rate=0.1, **SMALL)
    with pytest.raises(aberra.SettingsError, match="family"):
        aberra.Detector.train(arrays, **{**SMALL, "family": "gan"})
    with pytest.raises(aberra.SettingsError, match="out"):
        aberra.Detector.train(arrays, resume=True, **SMALL)
    with pytest.raises(aberra.FileError):
        aberra.Detector.train(tmp_path / "nowhere", **SMALL)


def test_calibration_moves_the_threshold_alone(detector: aberra.Detector, data: Path, images: NDArray[np.uint8]) -> None:
    strict = detector.calibrate(rate=0.2)
    assert strict.threshold < detector.threshold and "20" in strict.promise
    assert strict.score(images[:3]).scores.tolist() == detector.score(images[:3]).scores.tolist()
    fixed = detector.calibrate(threshold=1.5)
    assert fixed.threshold == 1.5
    assert detector.calibrate(percentile=70).threshold < detector.threshold
    labelled = detector.calibrate(labelled="f1", data=data)
    assert labelled.threshold != detector.threshold
    fresh = detector.calibrate(rate=0.2, data=list(images[-12:]))
    assert fresh.info["calibration"]["images"] > 0
    with pytest.warns(aberra.AberraWarning, match="that the detector learnt from"):
        others = detector.calibrate(percentile=90, data=data / "train")
    assert 0 < others.info["calibration"]["images"] < len(list((data / "train").rglob("*.png")))
    corner = [(0.0, 0.0, 0.25, 0.25)]
    without = detector.calibrate(rate=0.2, data=list(images[-12:]), ignore=corner)
    changed = images[:3].copy()
    changed[:, : changed.shape[1] // 4, : changed.shape[2] // 4] = 255
    assert without.score(changed).scores.tolist() == without.score(images[:3]).scores.tolist()
    assert fresh.score(changed).scores.tolist() != fresh.score(images[:3]).scores.tolist()
    with pytest.raises(aberra.SettingsError, match="ignore: expected normal images as `data`"):
        detector.calibrate(rate=0.2, ignore=corner)
    unused = ({"rate": 0.1, "cost_miss": 5.0}, {"percentile": 5, "confidence": 0.9}, {"rate": 0.1, "split": "s.json"})
    for wrong in (*unused, {}, {"rate": 0.1, "percentile": 5}, {"labelled": "f1"}, {"rate": 2.0}, {"rate": 0.0001}):
        with pytest.raises(ValueError):
            detector.calibrate(**wrong)


def test_evaluation_is_that_of_the_command_line(detector: aberra.Detector, run: Path, data: Path, tmp_path: Path) -> None:
    done = program("evaluate", run / "detector.aberra", data, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation = detector.evaluate(data)
    assert evaluation.details == json.loads((tmp_path / "evaluation.json").read_text())["evaluation"]
    assert str(evaluation).strip() == done.stdout.strip()
    assert [row["score"] for row in evaluation.rows if row["score"]]
    pixels = evaluation.details["pixels"]
    assert evaluation.pixel_average_precision == pixels["average_precision"]["value"] and evaluation.aupro > 0
    loaded = aberra.Evaluation.load(tmp_path / "evaluation.json")
    assert loaded.auroc == evaluation.auroc
    roc = evaluation.roc
    assert roc is not None and (roc.x[0], roc.y[-1]) == (0, 1)
    assert abs(np.trapezoid(roc.y, roc.x) - evaluation.auroc.value) < 1e-9
    assert set(evaluation.anomalib()) == {"image_AUROC", "image_F1Score", "image_F1Max", "pixel_AUROC", "pixel_AUPRO"}


def test_figures_agree_with_scikit_learn(detector: aberra.Detector, data: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    evaluation = detector.evaluate(data)
    rows = [row for row in evaluation.rows if row["state"] == "scored"]
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row["group"], row["label"]] = counts.get((row["group"], row["label"]), 0) + 1
    weights = [1 / counts[row["group"], row["label"]] for row in rows]
    truth = [row["label"] == "anomalous" for row in rows]
    scores = [float(row["score"]) for row in rows]
    assert abs(metrics.roc_auc_score(truth, scores, sample_weight=weights) - evaluation.auroc.value) < 1e-9


def test_an_explanation_holds_pictures_and_percentiles(several: aberra.Detector, images: NDArray[np.uint8]) -> None:
    explanation = several.explain(images[0])
    assert explanation.figure.startswith(b"\x89PNG")
    assert explanation.input.shape == (32, 32)
    assert explanation.reconstruction is not None and explanation.reconstruction.shape == (32, 32)
    assert set(explanation.percentiles) <= set(explanation.evidence)
    assert explanation.score == several.score(images[:1], batch=1).scores[0]
    with pytest.raises(aberra.InputError, match="several"):
        several.explain(images)


def test_a_report_is_written(detector: aberra.Detector, data: Path, tmp_path: Path) -> None:
    page = detector.report(tmp_path / "report.html", data).read_text()
    assert page.startswith("<!doctype html>") or "<html" in page[:200]


def test_results_show_themselves(several: aberra.Detector, data: Path, images: NDArray[np.uint8]) -> None:
    pandas = pytest.importorskip("pandas")
    verdicts = several.score(images)
    frame = verdicts.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == len(images)
    assert frame["score"].tolist() == verdicts.scores.tolist()
    evaluation = several.evaluate(data)
    assert len(evaluation.to_pandas()) == len(evaluation.rows)
    shown = [several, verdicts, verdicts[0], several.explain(images[0]), evaluation]
    for one in shown:
        page = one._repr_html_()
        assert "<script" not in page and "http" not in page.replace("http://www.w3.org", "")
        assert ">nan<" not in page and "nan%" not in page


def test_the_doctor_says_what_the_command_line_says(data: Path) -> None:
    done = program("doctor", data, "--json")
    found = json.loads(done.stdout)
    report = aberra.doctor(data)
    assert {key: found[key] for key in report} == dict(report)
    dataset = aberra.Dataset(data)
    assert len(dataset) == 80 + 12 + 24 and dataset[0].path.is_file()
    assert {one.kind for one in dataset} > {None}


def test_the_program_is_the_same_one() -> None:
    done = program("--version")
    assert done.stdout.split() == ["aberra", aberra.__version__]
    assert program("score").returncode == 1


def test_detector_files_that_do_not_verify_are_refused(run: Path, tmp_path: Path) -> None:
    whole = (run / "detector.aberra").read_bytes()
    for damaged in (whole[:100], whole[:-1], b"", b"\x80\x04K\x01."):
        with pytest.raises(aberra.DetectorError):
            aberra.Detector.from_bytes(damaged)
    with pytest.raises(aberra.FileError):
        aberra.Detector.load(tmp_path / "none.aberra")


def test_a_model_of_pytorch_is_calibrated_and_then_gives_verdicts(data: Path, tmp_path: Path, images: NDArray[np.uint8]) -> None:
    model = Path(__file__).parents[2] / "aberra-models" / "tests" / "golden" / "residual.pth"
    imported = aberra.Detector.import_pth(model, data / "train" / "good", rate=0.2, progress=False)
    assert imported.name == "residual"
    scored = imported.score(images[:3], progress=False)
    assert np.isfinite(scored.scores).all()
    imported.save(tmp_path / "d.aberra")
    again = aberra.Detector.load(tmp_path / "d.aberra").score(images[:3], progress=False)
    assert (again.scores == scored.scores).all()
    (tmp_path / "bad.pth").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(aberra.DetectorError, match="state dictionary"):
        aberra.Detector.import_pth(tmp_path / "bad.pth", data, progress=False)


def test_images_of_several_files_are_cases(tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(3)
    good = tmp_path / "good"
    good.mkdir()
    for case in range(70):
        shade = random.integers(60, 120)
        for number in range(2):
            pixels = random.integers(0, 40, (32, 32)) + shade + 60 * number
            Image.fromarray(pixels.astype(np.uint8)).save(good / f"case{case:03}_{number:04}.png")
    assert len(aberra.Dataset(tmp_path, normal="*")) == 140
    assert len(aberra.Dataset(tmp_path, normal="*", cases=True)) == 70
    detector = aberra.Detector.train(tmp_path, normal="*", cases=True, **SMALL)
    # A folder by its cases, a manifest by its columns, one case by its first file, and an array: the same scores.
    verdicts = detector.score(good, batch=1)
    assert len(verdicts) == 70
    manifest = tmp_path / "list.csv"
    manifest.write_text("path_0000,path_0001\ngood/case003_0000.png,good/case003_0001.png\n")
    channels = [np.asarray(Image.open(good / f"case003_{number:04}.png")) for number in range(2)]
    array = np.stack(channels, axis=-1)
    first = good / "case003_0000.png"
    scores = {detector.score(one, batch=1, channels="last").scores[0] for one in (manifest, first, array)}
    assert scores == {verdicts.scores[3]}
    # Data for it are read so, unasked.
    assert len(detector.evaluate(tmp_path, normal="*", progress=False)._native.csv().splitlines()) <= 71
    with pytest.raises(aberra.InputError, match="2 channels, or 32 grey images"):
        detector.score(array)


def test_phantoms_of_parts(tmp_path: Path) -> None:
    folder = aberra.phantoms(tmp_path / "pills", of="pills", train_normals=2, test_normals=1, anomalies_per_kind=1)
    kinds = sorted(sample.kind or "normal" for sample in aberra.Dataset(folder))
    assert kinds == ["chip", "misprint", "normal", "normal", "normal", "scratch", "stain", "wrong_hue"]
    with pytest.raises(aberra.SettingsError, match="size of their own, found 64"):
        aberra.phantoms(tmp_path, of="screws", size=64)
    with pytest.raises(aberra.SettingsError, match="expected one of brains, screws, pills, surfaces, found 'nuts'"):
        aberra.phantoms(tmp_path, of="nuts")  # type: ignore[arg-type]
