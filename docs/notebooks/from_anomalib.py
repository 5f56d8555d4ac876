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
# # From anomalib
#
# The folder layouts of anomalib's `MVTecAD` and `Folder` data modules are read as they are. This notebook shows what corresponds
# to what.
#
# | anomalib | Aberra |
# |---|---|
# | `MVTecAD(root=...)` | the folder: `Detector.train("bottle")` |
# | `Folder(normal_dir="good", abnormal_dir="bad", mask_dir=...)` | class folders: `Detector.train(data, normal="good")`; masks in `ground_truth/<kind>/` or a manifest |
# | `Engine.fit`, `Engine.test`, `Engine.predict` | `Detector.train`, `.evaluate`, `.score` |
# | `Patchcore`, `Padim`, `EfficientAd`, ... | `family="features"` (patches and global statistics of frozen features), `"discriminator"`, `"vae"`, ...; by default four at once |
# | `image_AUROC`, `pixel_AUROC`, `AUPRO`, `F1Max` | `evaluation.anomalib()` gives these names |
# | `F1AdaptiveThreshold`: chosen with labelled test or validation images | a conformal threshold from normal images alone; `calibrate(labelled="f1")` chooses as anomalib does |
# | min-max normalised scores, 0.5 is the threshold | raw scores, p-values and the threshold itself |
# | `export(export_type="openvino")` | one detector file, read by the program, the server and Python |
#
# What differs most: figures here count each group of near-duplicates once and have intervals, and a threshold never sees the
# test images.

# %%
import tempfile
from pathlib import Path

import aberra

WORK = Path(tempfile.mkdtemp())
# The MVTec layout: train/good, test/<kind>, ground_truth/<kind>.
DATA = aberra.phantoms(WORK / "phantoms", size=128, train_normals=150, test_normals=30, anomalies_per_kind=8)
print(*sorted(path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_dir()), sep="\n")

# %% [markdown]
# anomalib keeps the layout's split: `train/good` trains, `test` tests. `split="layout"` does the same, and says where images of
# the two sides are near-duplicates.

# %%
detector = aberra.Detector.train(
    DATA, out=WORK / "run", split="layout", family="features", size=128, progress=False
)
evaluation = detector.evaluate(DATA, split=WORK / "run" / "split.json", progress=False)
evaluation.anomalib()

# %% [markdown]
# What anomalib does not tell: how sure these figures are, and how many normal images will be called anomalous.

# %%
print(evaluation)

# %% [markdown]
# anomalib's threshold, chosen on labelled images, for comparison. It promises nothing, and says so.

# %%
oracle = detector.calibrate(labelled="f1", data=DATA, split=WORK / "run" / "split.json")
print(detector.promise, "|", detector.threshold)
print(oracle.promise, "|", oracle.threshold)
