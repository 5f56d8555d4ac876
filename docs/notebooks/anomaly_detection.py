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
# # Anomaly detection from normal images
#
# Aberra learns from normal images alone. This notebook goes the whole way on generated brain slices, whose lesions are known:
# look at the data, train, look at curves and reconstructions, at the latent space, choose a threshold with a guarantee,
# measure, and explain single images. The default detector has four members; one of them is a variational autoencoder.
#
# **With images of your own** change one line: `DATA = Path("my-images")`, a folder of normal images, class folders
# (`good/`, `scratch/`), or the MVTec layout.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import aberra

WORK = Path(tempfile.mkdtemp())
DATA = aberra.phantoms(WORK / "phantoms", size=128, train_normals=300, test_normals=40, anomalies_per_kind=8)
SETTINGS = {"size": 128}

# %% [markdown]
# ## The data
# `doctor` finds what makes results look better than they are: unreadable files, duplicates, leakage between training and test
# images, and file properties that give the label away.

# %%
dataset = aberra.Dataset(DATA)
print(dataset)
print(aberra.doctor(DATA))

# %%
kinds = sorted({sample.kind for sample in dataset if sample.kind})
examples = [next(sample for sample in dataset if sample.kind == kind) for kind in (None, *kinds)]
figure, axes = plt.subplots(1, len(examples), figsize=(10, 2.4), dpi=70)
for axis, sample in zip(axes, examples):
    axis.imshow(Image.open(sample.path), cmap="gray")
    axis.set_title((sample.kind or "normal").replace("_", "\n"), fontsize=8)
    axis.axis("off")

# %% [markdown]
# ## Training
# The normals are divided by group into training images, images that fit the scorer, calibration images, and test images. With
# `out`, Ctrl-C keeps what is finished and `resume=True` goes on.

# %%
detector = aberra.Detector.train(DATA, out=WORK / "run", progress=False, **SETTINGS)
detector

# %%
members = list(dict.fromkeys(row["member"] for row in detector.history))
figure, axes = plt.subplots(1, len(members), figsize=(3.2 * len(members), 2.6), dpi=70, layout="constrained")
for axis, member in zip(np.atleast_1d(axes), members):
    rows = [row for row in detector.history if row["member"] == member]
    for key, name in [("train", "training images"), ("held_out", "held-out normals")]:
        axis.plot([row["epoch"] for row in rows], [row[key]["total"] for row in rows], label=name)
    axis.set_title(member, fontsize=9)
    axis.set_xlabel("epoch")
    if rows[0]["train"]["total"] > 100:
        axis.set_yscale("symlog")
np.atleast_1d(axes)[0].set_ylabel("loss per image")
np.atleast_1d(axes)[0].legend(fontsize=7);

# %% [markdown]
# ## Reconstructions
# What the network sees, what it makes of it, and the map of what surprises it, at the size of the image.

# %%
shown = [next(sample for sample in dataset if sample.kind == kind and sample.part == "test") for kind in [None, *kinds[:2]]]
figure, axes = plt.subplots(len(shown), 3, figsize=(6, 2 * len(shown)), dpi=70)
for row, sample in zip(axes, shown):
    explanation = detector.explain(sample.path)
    verdict = detector.score(sample.path, maps=True)[0]
    pictures = [explanation.input, explanation.reconstruction, verdict.map]
    for axis, picture, name in zip(row, pictures, ["input", "reconstruction", "map"]):
        axis.imshow(picture, cmap="gray" if name != "map" else "inferno", vmin=0, vmax=1 if name != "map" else 2 * detector.pixel_threshold)
        axis.set_title(f"{sample.kind or 'normal'}: {name}", fontsize=8)
        axis.axis("off")

# %% [markdown]
# ## The latent space
# Principal components of the training normals' embeddings, in two and in three dimensions, with the test images in them.

# %%
normals, parts = detector.embeddings
test = [sample for sample in dataset if sample.part == "test"]
verdicts = detector.score([sample.path for sample in test])
truth = np.array([sample.anomalous for sample in test])
mean = normals.mean(axis=0)
components = np.linalg.svd(normals - mean, full_matrices=False)[2][:3]
of_normals, of_test = ((points - mean) @ components.T for points in (normals, verdicts.embeddings))

figure = plt.figure(figsize=(9, 3.6), dpi=70)
flat, deep = figure.add_subplot(121), figure.add_subplot(122, projection="3d")
for points, name, color in [
    (of_normals, "normals it was made from", "lightgray"),
    (of_test[~truth], "normal test images", "teal"),
    (of_test[truth], "anomalous test images", "orangered"),
]:
    flat.scatter(*points[:, :2].T, s=8, label=name, color=color)
    deep.scatter(*points.T, s=6, color=color)
flat.legend(fontsize=7)
flat.set_xlabel("component 1")
flat.set_ylabel("component 2");

# %% [markdown]
# ## The threshold
# It is one of the calibration images' scores: at most 5 % of exchangeable normal images score higher, on average. No anomaly
# was needed for it, and none of the test images.

# %%
print(detector.promise)
figure, axis = plt.subplots(figsize=(6, 2.6), dpi=70)
bins = np.linspace(verdicts.scores.min(), np.quantile(verdicts.scores, 0.98), 30)
for chosen, name, color in [(~truth, "normal", "teal"), (truth, "anomalous", "orangered")]:
    axis.hist(verdicts.scores[chosen], bins, alpha=0.6, label=name, color=color)
axis.axvline(detector.threshold, color="black", linewidth=1, label="threshold")
axis.set_xlabel("score")
axis.legend();

# %% [markdown]
# ## Measuring
# With intervals over groups of images, on images that the detector was not made from.

# %%
evaluation = detector.evaluate(DATA, split=WORK / "run" / "split.json", progress=False)
evaluation

# %% [markdown]
# ## Explaining one image

# %%
worst = max((row for row, sample in zip(verdicts, test) if sample.anomalous), key=lambda row: row.score)
detector.explain(worst.name)

# %% [markdown]
# ## What next
# `detector.report("report.html", DATA)` writes all of this as one page, and `aberra.serve(detector)` opens the app. Without
# `size` and `epochs`, `Detector.train(DATA)` looks at 256 x 256 pixels and trains longer, which takes minutes and finds more.

# %%
report = detector.report(WORK / "report.html", DATA, evaluation=evaluation, progress=False)
print(f"{report.name}: {report.stat().st_size // 1024} kB")
