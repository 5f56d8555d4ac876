"""Makes detector files of version 3, images, and what the program that wrote them says of those images.

    python3 crates/aberra/tests/version_3/make.py PROGRAM

PROGRAM is the program `aberra` of the last commit that wrote version 3 (5442b1b). Needs nothing beside Python. Numbers are
those of the kernels without instruction sets (ABERRA_KERNELS=portable), which any machine can compute.
"""

import csv
import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).parent

SMALL = ["--size", "32", "--rate", "0.2", "--batch-size", "8", "--epochs", "60"]
SMALL += ["model.channels=[4,6,8]", "model.hidden=12", "train.variance_warmup_epochs=4"]
FEW = ["--rate", "0.5", "--batch-size", "4", "split.test_share=0.0"]

# Name, training images, flags and settings.
DETECTORS = {
    "fusion": (40, SMALL + ["--precision", "f32"]),
    "typicality_rgb_bf16": (
        40,
        SMALL + ["--precision", "bf16", "--scorer", "typicality", "preprocessing.color=rgb"],
    ),
    "residual_laplace": (
        40,
        SMALL
        + ["--precision", "f32", "--scorer", "residual", 'model.likelihood={kind="laplace",scale=0.1}']
        + ["model.activation=leaky-relu", "model.normalization=none"],
    ),
    "mse_gaussian_thumbnails": (
        23,
        FEW
        + ["--size", "16", "--epochs", "60", "--precision", "f32", "--scorer", "mse", "--keep-thumbnails"]
        + ["model.channels=[4,8]", "model.hidden=0", 'model.likelihood={kind="gaussian",variance=0.5}'],
    ),
    "peak_bernoulli_residual_network": (
        23,
        FEW
        + ["--size", "256", "--epochs", "12", "--precision", "f32", "--scorer", "peak"]
        + ["model.architecture=residual", "model.channels=[8,8,8]", 'model.likelihood={kind="bernoulli"}'],
    ),
}

IMAGES = ["good/000", "good/001", "good/002", "meningioma/000", "metastases/000", "texture_patch/000"]


def main():
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(program, "demo", "--out", work / "demo", "--epochs", "1", "--normals", "40", "--seed", "7")
        phantoms = work / "demo" / "phantoms"
        images = HERE / "images"
        shutil.rmtree(images, ignore_errors=True)
        for name in IMAGES:
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(phantoms / "test" / f"{name}.png", images / f"{name}.png")
        write_png(images / "good" / "wide.png", wide())

        expected = {}
        for name, (count, settings) in DETECTORS.items():
            train = work / f"train-{count}"
            if not train.exists():
                train.mkdir()
                for source in sorted((phantoms / "train" / "good").iterdir())[:count]:
                    shutil.copy(source, train)
            arguments = ["--normal", "*", "--group", "none", "--seed", "5", "--preset", "small"]
            for setting in settings + ["model.latent=4", "train.beta_warmup_epochs=2", "train.learning_rate=0.01"]:
                is_setting = "." in setting and not setting[0].isdigit()
                arguments += ["--set", setting] if is_setting else [setting]
            run(program, "train", train, "--out", work / name, *arguments)
            detector = work / name / "detector.aberra"
            with open(HERE / f"{name}.aberra.gz", "wb") as file:
                file.write(gzip.compress(detector.read_bytes(), 9, mtime=0))
            expected[name] = expectation(program, detector, images, work / "evaluation")
        (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def expectation(program, detector, images, evaluation):
    """What the program says of a detector and of each image."""
    info = json.loads(run(program, "info", detector, "--json"))
    run(program, "evaluate", detector, images, "--no-masks", "--out", evaluation)
    rows = {}
    with open(evaluation / "scores.csv", newline="") as file:
        for row in csv.DictReader(file):
            explained = json.loads(run(program, "explain", detector, images / row["name"], "--json"))
            evidence = {name: value["value"] for name, value in explained["evidence"].items()}
            assert evidence == {name: float(row[name]) for name in evidence}
            scores = {name: float(value) for name, value in row.items() if name.startswith("score_")}
            rows[row["name"]] = {
                "score": float(row["score"]),
                "p_value": float(row["p_value"]),
                "anomalous": row["anomalous"] == "true",
                "anomalous_share": explained["anomalous_share"],
                "scores": {name.removeprefix("score_"): value for name, value in scores.items()},
                "evidence": evidence,
                "nearest": [near["normal"] for near in explained["nearest"]],
            }
    return {
        "hash": info["hash"],
        "scorer": info["scorer"],
        "threshold": info["calibration"]["threshold"],
        "pixel_threshold": info["pixel_threshold"],
        "images": rows,
    }


def run(program, *arguments):
    environment = {**os.environ, "ABERRA_KERNELS": "portable"}
    done = subprocess.run([program, *map(str, arguments)], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def wide():
    """A picture that is not square and has no frame: 24 rows of 56 grey values."""
    return [bytes(40 + (row * 7 + column * 3 + (row * column) % 11 * 5) % 200 for column in range(56)) for row in range(24)]


def write_png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


if __name__ == "__main__":
    main()
