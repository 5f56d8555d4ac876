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
# # Comparing detectors honestly
#
# Aberra, detectors of PyOD and of scikit-learn, on the same grouped split, with intervals. Three rules make the numbers mean
# something: near-duplicates stay on one side of the split; nothing is chosen by the test images; and every number has an
# interval over groups, so that a difference smaller than it is not called one.

# %%
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pyod.models.ecod import ECOD
from pyod.models.knn import KNN
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import aberra
from aberra.pyod import AberraDetector

WORK = Path(tempfile.mkdtemp())
DATA = aberra.phantoms(WORK / "phantoms", size=128, train_normals=150, test_normals=40, anomalies_per_kind=10)

# %% [markdown]
# ## One split for all
# Aberra finds the groups and divides them. `rows` then say which images belong to the test part.

# %%
# One family alone trains in seconds; the default detector has three more members, takes minutes, and finds more.
detector = aberra.Detector.train(DATA, out=WORK / "run", family="features", size=128, progress=False)
evaluation = detector.evaluate(DATA, split=WORK / "run" / "split.json", progress=False)
test = [row for row in evaluation.rows if row["state"] == "scored"]
truth = np.array([row["label"] == "anomalous" for row in test])
groups = np.array([row["group"] for row in test])
names = {row["name"] for row in test}
train = [sample for sample in aberra.Dataset(DATA) if not sample.anomalous and sample.name not in names]


def pixels(paths):
    return np.stack([np.asarray(Image.open(path).resize((32, 32)), np.float32).ravel() / 255 for path in paths])


train_pixels, test_pixels = pixels([sample.path for sample in train]), pixels([DATA / row["name"] for row in test])
print(f"{len(train)} normal images to learn from, {len(test)} to test on, {truth.sum()} of them anomalous")

# %% [markdown]
# ## Scores
# Every detector sees the same training images; those of PyOD and scikit-learn get pixels, reduced by PCA where they need it.

# %%
scores, seconds = {}, {}


def measure(name, fit_and_score):
    start = time.perf_counter()
    scores[name] = fit_and_score()
    seconds[name] = time.perf_counter() - start


measure("Aberra", lambda: np.array([float(row["score"]) for row in test]))
for name, model in [("PyOD KNN", KNN()), ("PyOD ECOD", ECOD())]:
    reduce = PCA(16, random_state=0)
    measure(name, lambda: model.fit(reduce.fit_transform(train_pixels)).decision_function(reduce.transform(test_pixels)))
forest = make_pipeline(PCA(16, random_state=0), IsolationForest(random_state=0))
measure("sklearn IsolationForest", lambda: -forest.fit(train_pixels).score_samples(test_pixels))
paths = [sample.path for sample in train], [DATA / row["name"] for row in test]
in_pyod = AberraDetector(family="features", size=128)
measure("Aberra's features in PyOD", lambda: in_pyod.fit(paths[0]).decision_function(paths[1]))

# %% [markdown]
# ## Intervals
# Groups are drawn with replacement, the same ones for every detector, so that differences are paired.

# %%
unique = np.unique(groups)
members = {group: np.flatnonzero(groups == group) for group in unique}
random = np.random.default_rng(0)
draws = [np.concatenate([members[group] for group in random.choice(unique, len(unique))]) for _ in range(300)]
draws = [draw for draw in draws if 0 < truth[draw].sum() < len(draw)]
table = []
for name, score in scores.items():
    resampled = np.array([roc_auc_score(truth[draw], score[draw]) for draw in draws])
    low, high = np.quantile(resampled, [0.025, 0.975])
    better = np.array([roc_auc_score(truth[draw], scores["Aberra"][draw]) for draw in draws]) - resampled
    table.append(
        {
            "detector": name,
            "AUROC": round(roc_auc_score(truth, score), 3),
            "95 % interval": f"{low:.3f} to {high:.3f}",
            "Aberra better by": f"{better.mean():+.3f} ({np.quantile(better, 0.025):+.3f} to {np.quantile(better, 0.975):+.3f})",
        }
    )
pd.DataFrame(table).set_index("detector")

# %% [markdown]
# ## A threshold is part of a detector
# PyOD's `threshold_` is a percentile of the *training* scores. Aberra's is a score of calibration images that nothing was fitted
# to, so that it guarantees a rate of false alarms; the realised rate has an interval as well.

# %%
print("promised:", evaluation.promised_false_alarms, " realised:", evaluation.false_alarms)
normal = [path for path, anomalous in zip(paths[1], truth) if not anomalous]
print("by PyOD's threshold_, from training scores:", float(np.mean(in_pyod.predict(normal))))
print("by the conformal threshold of the same detector:", float(np.mean(in_pyod.predict_conformal(normal))))
