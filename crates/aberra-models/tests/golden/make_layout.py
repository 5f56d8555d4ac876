"""Makes `layout.json`: what the principal components of layouts leave of another one, whitened by what they leave of their own,
by scikit-learn.

    pip install numpy scikit-learn
    python crates/aberra-models/tests/golden/make_layout.py

The layouts themselves are those that `families/features/layout.rs` makes in its test, from the same whole numbers.
"""

import json
import pathlib

import numpy as np
from sklearn.decomposition import PCA

CHANNELS, CELLS = 112, 4
EXPLAINED = 0.95
LEAST_VARIANCE = 0.03


def layout(image):
    at = np.arange(CELLS * CHANNELS)
    part = lambda step: (at * step % 101 - 50) / 50
    first, second = (image * 7 % 13) / 13, (image * 5 % 11) / 11
    own = ((at * 31 + image * 17 + at * image) % 89 - 44) / 440
    return (1 + at % CHANNELS / 50) * (first * part(37) + second * part(53) + own)


def main():
    layouts = np.stack([layout(image) for image in range(24)])
    new = layout(40)
    new[CHANNELS : 2 * CHANNELS] += 0.5
    mean = layouts.mean(0)
    factor = np.tile(1 / layouts.reshape(-1, CHANNELS).std(0), CELLS)
    components = PCA(svd_solver="full").fit((layouts - mean) * factor)
    count = int(np.searchsorted(np.cumsum(components.explained_variance_ratio_), EXPLAINED) + 1)
    # As they are kept.
    directions = components.components_[:count].astype(np.float16).astype(float)

    def left(layout):
        scaled = (layout - mean) * factor
        return (scaled - directions.T @ (directions @ scaled)).reshape(CELLS, CHANNELS)

    rests = np.concatenate([left(layout) for layout in layouts])
    deviation = rests.std(0)
    # More channels than cells: the directions beyond them have no variance.
    whitening = PCA(svd_solver="full").fit(rests / deviation)
    variance = whitening.explained_variance_ * (len(rests) - 1) / len(rests)
    kept = variance > 1e-14 * variance.sum()
    along = (left(new) / deviation - whitening.mean_) @ whitening.components_[kept].T
    cells = np.sort((along**2 / (variance[kept] + LEAST_VARIANCE)).sum(1) / CHANNELS)
    found = {"components": count, "largest": cells[-1], "mean": cells.mean()}
    pathlib.Path(__file__).with_name("layout.json").write_text(json.dumps(found) + "\n")


main()
