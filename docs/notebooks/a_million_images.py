# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Scoring a million images
#
# What changes with a million images is not the detector but everything around it: nothing may be held in memory, work must be
# divided, an interruption must not start it anew, and at the end nothing may be missing. This notebook does it small, and computes
# what a million would take from the rate that it measures.

# %%
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aberra

WORK = Path(tempfile.mkdtemp())
DATA = aberra.phantoms(WORK / "phantoms", size=64, train_normals=120, test_normals=20, anomalies_per_kind=2)
detector = aberra.Detector.train(DATA, family="vae", size=64, epochs=5, progress=False)
detector.save(WORK / "detector.aberra")

IMAGES = WORK / "images"
IMAGES.mkdir()
files = sorted(DATA.rglob("*.png"))
for number in range(1_000):
    shutil.copyfile(files[number % len(files)], IMAGES / f"{number:07}.png")

# %% [markdown]
# ## One process, constant memory
# `score_iter` takes any iterable and holds two batches at most.

# %%
start = time.perf_counter()
flagged = sum(verdict.anomalous for verdict in detector.score_iter(IMAGES, progress=False))
rate = 1_000 / (time.perf_counter() - start)
print(f"{flagged} of 1000 flagged; {rate:.0f} images a second, a million in {1e6 / rate / 3600:.1f} hours on this machine")

# %% [markdown]
# ## Several processes or machines: shards
# Each takes the images whose paths hash to it, and writes its rows atomically, with a record of what it has done. `merge` refuses
# shards of which one is missing, or that saw other images. Files for Slurm and Kubernetes are in `docs/scale/`.

# %%
def program(*words):
    done = subprocess.run([sys.executable, "-m", "aberra", *map(str, words)], capture_output=True, text=True)
    print(done.stderr.strip().splitlines()[-1])
    return done.returncode


for number in (1, 2, 4):
    program("score", WORK / "detector.aberra", IMAGES, "--shard", f"{number}/4", "--out", WORK / f"rows-{number}.csv")
rows = [WORK / f"rows-{number}.csv" for number in (1, 2, 4)]
assert program("merge", *rows, "--out", WORK / "rows.csv") == 1

# %%
program("score", WORK / "detector.aberra", IMAGES, "--shard", "3/4", "--out", WORK / "rows-3.csv")
assert program("merge", *rows, WORK / "rows-3.csv", "--out", WORK / "rows.csv") == 0

# %% [markdown]
# ## Ray Data
# Where there is a Ray cluster already: `aberra.ray.score(dataset, detector, actors=8)` gives the rows new columns; lost actors lose
# no row.

# %%
print((WORK / "rows.csv").read_text().splitlines()[0])
print(sum(1 for _ in (WORK / "rows.csv").open()) - 1, "rows")
