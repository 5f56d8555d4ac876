"""Exported models in onnxruntime and OpenVINO, beside the detector: every family with every scorer that it can have."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aberra
import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install -r tests/onnx-requirements.txt")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install -r tests/onnx-requirements.txt")
openvino = pytest.importorskip("openvino", reason="openvino is missing: pip install -r tests/onnx-requirements.txt")

Outputs = dict[str, NDArray[Any]]

EXAMPLES = Path(__file__).parents[3] / "docs" / "onnx"

# Of each family the scorers that it can have, and settings by which it trains in a moment. The variance has to warm up before the
# end: what evidence varies by is rounding else.
RECONSTRUCTION = ["mse", "ssim", "peak", "latent", "residual", "fusion", "combined"]
NETWORK = {"channels": [8, 16], "precision": "f32"}
FAMILIES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "vae": (
        [*RECONSTRUCTION, "uncertainty", "typicality"],
        {**NETWORK, "variance_warmup_epochs": 1, "beta_warmup_epochs": 1},
    ),
    "autoencoder": (RECONSTRUCTION, NETWORK),
    "vqvae": (RECONSTRUCTION, NETWORK),
    "features": (["combined"], {"bank": 64}),
    "feature-vae": (["peak", "combined"], {"images": 64}),
    "discriminator": (["combined"], {"images": 64}),
}
TRAINING = {"size": 32, "epochs": 20, "rate": 0.1, "group": "none", "progress": False, "train__least_steps": 0}


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The example of the docs."""
    spec = importlib.util.spec_from_file_location("reference", EXAMPLES / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bright(data: Path) -> NDArray[np.uint8]:
    """17 images without a dark border: nothing is cut off, and maps have the size of the network input."""
    from PIL import Image

    files = sorted((data / "test").rglob("*.png"))[::2][:17]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files]).astype(np.float64)
    return (70 + 0.7 * pixels).astype(np.uint8)


def runtimes(path: Path) -> dict[str, Callable[[NDArray[np.float32]], Outputs]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # OpenVINO computes in bfloat16 where the processor can, unless it is asked not to.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [output.name for output in session.get_outputs()]

    def with_onnxruntime(inputs: NDArray[np.float32]) -> Outputs:
        return dict(zip(names, session.run(None, {"input": inputs}), strict=True))

    def with_openvino(inputs: NDArray[np.float32]) -> Outputs:
        found = compiled({"input": inputs})
        return {name: found[name] for name in names}

    return {"onnxruntime": with_onnxruntime, "openvino": with_openvino}


def agrees(detector: aberra.Detector, folder: Path, images: NDArray[np.uint8]) -> None:
    """Exports a detector and compares what both runtimes give, for one image and for all at once."""
    path = folder / "model.onnx"
    description = detector.export(path, evidence=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert json.loads(path.with_suffix(".json").read_text()) == description
    tolerance = description["proof"]["tolerance"]
    shape = description["input"]["shape"][1:]
    explained = [detector.explain(image) for image in images]
    inputs = np.stack([one.input.reshape(shape) for one in explained])
    verdicts = detector.score(images, maps=True, channels="none")
    size = np.maximum(np.abs(verdicts.scores), np.abs(detector.calibration_scores).mean())
    evidence = np.array([[one.evidence[name] for name in description["measurements"]] for one in explained])
    usual = np.maximum(np.abs(evidence), np.abs(evidence).mean(axis=0))
    near = np.abs(verdicts.scores - detector.threshold) <= tolerance * size
    for name, run in runtimes(path).items():
        for count in (1, len(images)):
            found = run(inputs[:count])
            assert found["score"].shape == (count,), name
            assert np.all(np.abs(found["score"] - verdicts.scores[:count]) <= tolerance * size[:count]), name
            assert np.all((found["anomalous"] == verdicts.anomalous[:count]) | near[:count]), name
            step = 1 / (len(detector.calibration_scores) + 1)
            assert np.mean(np.abs(found["p_value"] - verdicts.p_values[:count]) < 0.1 * step) > 0.8, name
            differences = np.abs(found["evidence"] - evidence[:count]) / usual[:count]
            worst = description["measurements"][int(differences.max(axis=0).argmax())]
            assert differences.max() <= 10 * tolerance, (name, worst)
            maps = np.stack([verdicts[at].map for at in range(count)])
            assert np.abs(found["map"] - maps).max() <= tolerance, name
            expected = [one.reconstruction for one in explained[:count]]
            assert ("reconstruction" in found) == (expected[0] is not None), name
            if expected[0] is not None:
                differences = np.abs(found["reconstruction"].reshape(count, -1) - np.stack(expected).reshape(count, -1))
                assert differences.max() <= tolerance, name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_with_every_scorer_agrees(
    family: str, data: Path, bright: NDArray[np.uint8], tmp_path: Path
) -> None:
    scorers, settings = FAMILIES[family]
    own = {f"model__{name}": value for name, value in settings.items()}
    for scorer in scorers:
        detector = aberra.Detector.train(data, family=family, scorer=scorer, **TRAINING, **own)
        agrees(detector, tmp_path, bright)


def test_the_default_detector_agrees(several: aberra.Detector, bright: NDArray[np.uint8], tmp_path: Path) -> None:
    agrees(several, tmp_path, bright)


def test_the_reference_preprocesses_and_scores_as_aberra_does(
    several: aberra.Detector, data: Path, tmp_path: Path, reference: ModuleType
) -> None:
    from PIL import Image

    small = {f"model__{name}": value for name, value in FAMILIES["vae"][1].items()}
    single = aberra.Detector.train(data, family="vae", scorer="fusion", **TRAINING, **small)
    coloured_one = aberra.Detector.train(data, family="autoencoder", preprocessing__color="rgb", **TRAINING, model__channels=[8])

    part = {"left": 0.1, "top": 0.05, "width": 0.8, "height": 0.9}
    areas = [{"left": 0.4, "top": 0.3, "width": 0.25, "height": 0.11}, {"left": 0.0, "top": 0.8, "width": 1.0, "height": 0.2}]
    parted = aberra.Detector.train(
        data, family="autoencoder", preprocessing__region=part, preprocessing__ignore=areas, **TRAINING, model__channels=[8]
    )

    files = sorted((data / "test").rglob("*.png"))[:12]
    # Wide, high, in colour, with 16 bits, with alpha.
    first = np.asarray(Image.open(files[0]))
    coloured = np.stack([first, first.T, first[::-1]], axis=-1)
    others = {
        "wide.png": Image.fromarray(np.hstack([first, first[:, ::-1]])),
        "high.png": Image.fromarray(np.vstack([first, first[:9]])),
        "colour.png": Image.fromarray(coloured),
        "deep.png": Image.fromarray(first.astype(np.uint16) * 255),
        "clear.png": Image.fromarray(np.dstack([coloured, 255 - first // 2])),
        "large.png": Image.fromarray(first).resize((150, 101), Image.Resampling.BICUBIC),
    }
    for name, image in others.items():
        image.save(tmp_path / name)
    files += [tmp_path / name for name in others]
    for which in (single, several, coloured_one, parted):
        path = tmp_path / "model.onnx"
        which.export(path, images=files[:2])
        exported = reference.Detector(path)
        assert exported.check() <= exported.description["proof"]["tolerance"]
        inputs = np.stack([exported.preprocess(reference.decode(file)) for file in files])
        expected = np.stack([which.explain(file).input for file in files]).reshape(inputs.shape)
        assert np.abs(inputs - expected).max() < 2e-5
        scores, verdicts = exported.run(inputs)["score"], which.score(files)
        size = np.maximum(np.abs(verdicts.scores), np.abs(which.calibration_scores).mean())
        assert np.abs((scores - verdicts.scores) / size).max() < max(1e-3, exported.description["proof"]["tolerance"])


def test_a_window_over_values_with_a_unit_is_part_of_the_model(tmp_path: Path, reference: ModuleType) -> None:
    """Whole numbers such as Hounsfield units, of which two of twelve images have an outlier that percentiles would follow."""
    generator = np.random.default_rng(5)
    files = []
    for number in range(90):
        rows, columns = np.indices((36, 44))
        body = (rows - 18) ** 2 + (columns - 22) ** 2 < generator.integers(180, 220)
        units = np.where(body, 40 + generator.normal(0, 25, body.shape), -1000).astype(np.int16)
        if number % 6 == 0:
            units[0, 0] = 3000
        files.append(tmp_path / "good" / f"{number:02}.npy")
        files[-1].parent.mkdir(exist_ok=True)
        np.save(files[-1], units)
    detector = aberra.Detector.train(
        tmp_path / "good", family="autoencoder", preprocessing__window={"center": 40, "width": 400}, **TRAINING, model__channels=[8]
    )
    path = tmp_path / "model.onnx"
    detector.export(path)
    exported = reference.Detector(path)
    assert "Hounsfield" in exported.description["steps"][0]
    inputs = np.stack([exported.preprocess(np.load(file)) for file in files[:8]])
    expected = np.stack([detector.explain(file).input for file in files[:8]]).reshape(inputs.shape)
    assert np.abs(inputs - expected).max() < 2e-5
    # Tissue is as bright beside an outlier as without one.
    assert abs(np.median(inputs[0][inputs[0] > 0]) - 0.5) < 0.05 and abs(np.median(inputs[1][inputs[1] > 0]) - 0.5) < 0.05
    scores, verdicts = exported.run(inputs)["score"], detector.score(files[:8])
    assert np.abs(scores / verdicts.scores - 1).max() < max(1e-3, exported.description["proof"]["tolerance"])
    # The same values as floating-point numbers are the same image.
    assert detector.score(np.load(files[1]).astype(np.float32)[None]).scores[0] == verdicts.scores[1]
    with pytest.raises(aberra.InputError, match="found a NumPy array of 8 bits"):
        detector.score(np.zeros((1, 36, 44), np.uint8) + np.arange(44, dtype=np.uint8))


def test_what_was_not_measured_is_filled_as_the_reference_fills_it(tmp_path: Path, reference: ModuleType) -> None:
    """Depths with holes of NaN and of 0, which are filled alike: the same network inputs, and nothing in the maps."""
    generator = np.random.default_rng(6)
    (tmp_path / "good").mkdir()
    files, inside = [], []
    for number in range(90):
        rows, columns = np.indices((40, 40))
        depth = (500 + rows * generator.normal(1, 0.2) - columns * generator.normal(2, 0.2)).astype(np.float32)
        y, x, radius = generator.integers(4, 36), generator.integers(4, 36), generator.integers(3, 7)
        distance = np.hypot(rows - y, columns - x)
        depth[distance < radius] = np.nan if number % 2 else 0
        inside.append(distance < radius - 2)
        files.append(tmp_path / "good" / f"{number:02}.npy")
        np.save(files[-1], depth)
    detector = aberra.Detector.train(
        tmp_path / "good",
        family="autoencoder",
        preprocessing__invalid=[{"value": 0}],
        limits__not_finite=True,
        **TRAINING,
        model__channels=[8],
    )
    path = tmp_path / "model.onnx"
    detector.export(path)
    exported = reference.Detector(path)
    assert "which were not measured" in exported.description["steps"][0]
    inputs = np.stack([exported.preprocess(np.load(file)) for file in files[:8]])
    expected = np.stack([detector.explain(file).input for file in files[:8]]).reshape(inputs.shape)
    assert np.abs(inputs - expected).max() < 2e-5
    verdicts = detector.score(files[:8], maps=True)
    for verdict, hole in zip(verdicts, inside, strict=False):
        assert verdict.map[hole].max() == 0 < verdict.map.max()
    # Arrays in memory are the same images.
    assert list(detector.score(np.stack([np.load(file) for file in files[:8]])).scores) == list(verdicts.scores)


@pytest.mark.parametrize("family", ["autoencoder", "features"])
def test_images_of_several_files_are_exported(family: str, tmp_path: Path, reference: ModuleType) -> None:
    """Two modalities of a head, of different units, one of them with holes; a bright border, so that maps have the size of the input."""
    from PIL import Image

    generator = np.random.default_rng(7)
    rows, columns = np.indices((48, 40))
    files = []
    for number in range(90):
        body = np.hypot((rows - 24) / 18, (columns - 20) / 15) < generator.uniform(0.9, 1.1)
        t1 = np.where(body, 120 + generator.normal(0, 12, body.shape), 30).astype(np.uint8)
        depth = np.where(body, 20000 + 300 * columns, 9000 + generator.normal(0, 400, body.shape)).astype(np.uint16)
        y, x = generator.integers(8, 40), generator.integers(8, 32)
        depth[np.hypot(rows - y, columns - x) < 3] = 0
        for name, pixels in [("t1", t1), ("depth", depth)]:
            (tmp_path / "good" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "good" / name / f"{number:02}.png")
        files.append([tmp_path / "good" / name / f"{number:02}.png" for name in ("t1", "depth")])
    (tmp_path / "list.csv").write_text(
        "path_t1,path_depth,label\n" + "".join(f"{t1.relative_to(tmp_path)},{depth.relative_to(tmp_path)},normal\n" for t1, depth in files)
    )
    small = {"autoencoder": {"model__channels": [8], "model__precision": "f32"}, "features": {"model__bank": 64}}[family]
    invalid = [{"channel": "depth", "value": 0}]
    detector = aberra.Detector.train(tmp_path / "list.csv", family=family, preprocessing__invalid=invalid, **TRAINING, **small)
    path = tmp_path / "model.onnx"
    description = detector.export(path, evidence=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    exported = reference.Detector(path)
    assert exported.check() <= description["proof"]["tolerance"]
    assert description["preprocessing"]["channels"] == ["t1", "depth"]
    pixels = [np.dstack([reference.decode(file) for file in pair]) for pair in files[:17]]
    inputs = np.stack([exported.preprocess(one) for one in pixels])
    explained = [detector.explain(one, channels="last") for one in pixels]
    assert np.abs(inputs - np.stack([one.input for one in explained]).reshape(inputs.shape)).max() < 2e-5
    exact = np.stack([one.input for one in explained]).reshape(inputs.shape)
    verdicts = detector.score(np.stack(pixels), channels="last", maps=True)
    evidence = np.array([[one.evidence[name] for name in description["measurements"]] for one in explained])
    peaks = [description["measurements"].index(f"channel.{name}") for name in ("t1", "depth")]
    for name, run in runtimes(path).items():
        found = run(exact)
        size = np.maximum(np.abs(verdicts.scores), np.abs(detector.calibration_scores).mean())
        assert np.abs((found["score"] - verdicts.scores) / size).max() <= 1e-4, name
        assert found["channel_maps"].shape == (17, 32, 32, 2)
        share = np.abs(found["evidence"][:, peaks] / evidence[:, peaks] - 1)
        assert share.max() <= 1e-3 and evidence[:, peaks].std(axis=0).min() > 0, name
        # The measurement of a channel is the mean of the highest hundredth of its map.
        highest = np.sort(found["channel_maps"].reshape(17, -1, 2), axis=1)[:, -10:].mean(axis=1)
        assert np.abs(found["evidence"][:, peaks] - highest).max() <= 1e-4, name


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: the page's preprocessing was not run")
@pytest.mark.parametrize("color", ["grey", "rgb"])
@pytest.mark.parametrize("shape", [(32, 32), (40, 101), (90, 33)])
@pytest.mark.parametrize("parts", [False, True])
def test_the_page_preprocesses_as_the_reference(
    color: str, shape: tuple[int, int], parts: bool, reference: ModuleType, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "size_px": 32,
        "color": color,
        "tiles": "none",
        "foreground_crop": {"threshold": 0.08, "margin": 0.02},
        "square_pad": True,
        "intensity": {"low_percentile": 1.0, "high_percentile": 99.5},
    }
    if parts:
        settings["region"] = {"left": 0.2, "top": 0.1, "width": 0.75, "height": 0.8}
        settings["ignore"] = [{"left": 0.5, "top": 0.4, "width": 0.2, "height": 0.25}]
    # An object with lettering beside it, on a dark ground.
    rows, columns = np.indices(shape)
    red = np.where((rows > 5) & (columns > 9) & (columns < shape[1] - 3), 60 + (rows * 7 + columns * 13) % 190, 3)
    red[2:4, 1:3] = 255
    pixels = np.stack([red, red[::-1], 255 - red // 2], axis=-1).astype(np.uint8)
    for image in (pixels, np.repeat(pixels[..., :1], 3, axis=-1)):
        data = np.dstack([image, np.full(shape, 255, np.uint8)])
        told = {"settings": settings, "image": {"height": shape[0], "width": shape[1], "data": data.reshape(-1).tolist()}}
        (tmp_path / "told.json").write_text(json.dumps(told))
        script = (
            f"import {{ preprocess, pattern }} from {json.dumps((EXAMPLES / 'preprocess.mjs').as_uri())};"
            "import { readFileSync } from 'node:fs';"
            f"const {{ image, settings }} = JSON.parse(readFileSync({json.dumps(str(tmp_path / 'told.json'))}));"
            "console.log(JSON.stringify([[...preprocess(image, settings)], [...pattern(2, 5, 7, 3)]]))"
        )
        run = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
        found, pattern = (np.array(values, np.float32) for values in json.loads(run.stdout))
        assert np.array_equal(pattern, reference.pattern(2, 5, 7, 3).reshape(-1))
        grey = (image == image[..., :1]).all()
        expected = reference.preprocess((image[..., 0] if grey else image).astype(np.float32) / np.float32(255), settings)
        assert expected.std() > 0.1 and np.abs(found - expected.reshape(-1)).max() < 2e-5


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: the page's preprocessing was not run")
def test_the_page_refuses_a_window_that_pictures_have_no_values_for() -> None:
    script = (
        f"import {{ preprocess }} from {json.dumps((EXAMPLES / 'preprocess.mjs').as_uri())};"
        "preprocess({ width: 8, height: 8, data: [] }, { tiles: 'none', window: { center: 40, width: 400 } })"
    )
    run = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True)
    assert run.returncode != 0 and "found a window over values with a unit" in run.stderr
    for setting, said in [
        ("invalid: [{ value: 0 }]", "found settings for values that were not measured"),
        ("channels: ['t1', 'flair']", "found a model of images of the channels t1, flair"),
    ]:
        other = script.replace("window: { center: 40, width: 400 }", setting)
        run = subprocess.run(["node", "--input-type=module", "-e", other], capture_output=True, text=True)
        assert run.returncode != 0 and said in run.stderr


def test_what_cannot_be_exported_is_an_error_with_a_hint(data: Path, tmp_path: Path) -> None:
    tiled = aberra.Detector.train(data, family="autoencoder", tiles="2x2", model__channels=[8], **TRAINING)
    with pytest.raises(aberra.SettingsError, match="tiles") as raised:
        tiled.export(tmp_path / "tiled.onnx")
    assert raised.value.hint and not list(tmp_path.iterdir())
