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
# # A volume, slice by slice
#
# NIfTI volumes and DICOM files are read as they are; each slice is an image. Here normal volumes are generated, a detector learns
# from their slices, and a volume with a lesion is scored slice by slice.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np
from PIL import Image

import aberra

WORK = Path(tempfile.mkdtemp())
SLICES, VOLUMES = 8, 30
phantoms = aberra.phantoms(WORK / "phantoms", size=96, train_normals=VOLUMES * SLICES, test_normals=SLICES, anomalies_per_kind=4)
pictures = [np.asarray(Image.open(path)) for path in sorted((phantoms / "train" / "good").glob("*.png"))]

# %% [markdown]
# Thirty volumes of eight slices each, as `.nii.gz`. (Slices of a generated volume are different heads; for the way of the data
# that does not matter.)

# %%
(WORK / "volumes").mkdir()


def save(slices, path):
    """Axial slices, as one looks at them, as a NIfTI volume: its first axis goes to the right, its second to the front."""
    stack = np.stack([np.flipud(one).T for one in slices], axis=-1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stack, np.diag([1, 1, 3, 1])), path)


for number in range(VOLUMES):
    save(pictures[number * SLICES : (number + 1) * SLICES], WORK / "volumes" / f"{number:02}.nii.gz")

# %% [markdown]
# `volumes=True` learns from the slices and calibrates whole volumes as well: a volume's score is the mean of its highest slices.

# %%
detector = aberra.Detector.train(
    WORK / "volumes", normal="*", volumes=True, family="features", size=96, rate=0.25, progress=False
)
detector

# %% [markdown]
# A new volume: normal slices, and a lesion in two of them.

# %%
new = [np.asarray(Image.open(path)) for path in sorted((phantoms / "test" / "good").glob("*.png"))]
lesions = [np.asarray(Image.open(path)) for path in sorted(phantoms.glob("test/resection/*.png"))]
new[4:6] = lesions[:2]
path = WORK / "new.nii.gz"
save(new, path)

verdicts = detector.score(path, pages=True, maps=True)
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), dpi=70, width_ratios=[2, 1, 1])
axes[0].bar(range(len(verdicts)), verdicts.scores, color=["orangered" if flagged else "teal" for flagged in verdicts.anomalous])
axes[0].axhline(detector.threshold, color="black", linewidth=1)
axes[0].set_xlabel("slice")
axes[0].set_ylabel("score")
worst = int(np.argmax(verdicts.scores))
axes[1].imshow(detector.explain((str(path), worst)).input, cmap="gray")
axes[1].set_title(f"slice {worst}", fontsize=8)
axes[2].imshow(verdicts[worst].map, cmap="inferno")
axes[2].set_title("map", fontsize=8)
for axis in axes[1:]:
    axis.axis("off")

# %% [markdown]
# The worst slice is one of those with the lesion; whether the volume is flagged is another matter: thirty small volumes and one
# family make a weak detector. Slices of one volume are alike, so that a promise about *slices* would not be one about *volumes*. The verdict on the volume is by
# a threshold from one score a normal volume.

# %%
(volume,) = detector.score_volumes(path)
print(detector.volumes["promise"]["text"])
volume

# %%
verdicts.to_pandas()[["name", "score", "p_value", "anomalous"]]
