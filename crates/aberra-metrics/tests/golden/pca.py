"""Makes pca.json: what scikit-learn computes for the cases of tests/pca.rs.

Both sides draw the same cases from the same integer generator, so that the file holds results only.

    python -m venv venv && venv/bin/pip install numpy scikit-learn
    venv/bin/python crates/aberra-metrics/tests/golden/pca.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA


class Draws:
    """Knuth's 64-bit linear congruential generator; the upper 31 bits are used."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        """From 0 to 1 in steps of 2^-24: exact in 32 and 64 bits."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 40) / 2**24


def principal_components(seed, count, dimensions):
    """Points whose columns differ in width; every third column follows the one before it."""
    draws = Draws(seed)
    points = np.zeros((count, dimensions))
    for row in range(count):
        for column in range(dimensions):
            value = draws.uniform() * (1 + column)
            if column % 3 == 2:
                value = value / 8 + points[row, column - 1]
            points[row, column] = np.float32(value)
    most = min(count - 1, dimensions, 4)
    found = PCA(n_components=most, svd_solver="full").fit(points)
    return {
        "mean": found.mean_.tolist(),
        "components": found.components_.tolist(),
        "variances": found.explained_variance_.tolist(),
        "explained": found.explained_variance_ratio_.tolist(),
        "first": found.transform(points[:1])[0].tolist(),
    }


CASES = [(1, 40, 5), (2, 200, 12), (3, 6, 9), (4, 30, 1), (5, 25, 2)]

golden = {"pca": [{"case": case, **principal_components(*case)} for case in CASES]}
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, indent=1) + "\n")
