"""Makes statistics.json: what other programs compute for the cases of tests/statistics.rs.

Both sides draw the same cases from the same integer generator, so that the file holds results only.

    python -m venv venv && venv/bin/pip install numpy scipy scikit-learn scikit-image statsmodels
    venv/bin/python crates/aberra-metrics/tests/golden/statistics.py
"""

import json
from bisect import bisect
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.optimize
import scipy.stats
import sklearn.covariance
import sklearn.linear_model
import sklearn.metrics
import sklearn.neighbors
import statsmodels.api
from skimage.metrics import structural_similarity


class Draws:
    """Knuth's 64-bit linear congruential generator; the upper 31 bits are used."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33

    def uniform(self):
        """From 0 to 1 in steps of 2^-24: exact in 32 and 64 bits."""
        return (self.next() >> 7) / 2**24

    def array(self, *shape):
        return np.array([self.uniform() for _ in range(int(np.prod(shape)))]).reshape(shape)


def ranking(seed):
    draws = Draws(seed)
    count = 2 + draws.next() % 60
    levels = (3, 10, 1000)[draws.next() % 3]
    anomalous = np.array([draws.next() % 3 == 0 for _ in range(count)])
    scores = np.array([draws.next() % levels for _ in range(count)]) / 8 - 1
    if anomalous.all() or not anomalous.any():
        return None
    auroc = sklearn.metrics.roc_auc_score(anomalous, scores)
    precision = sklearn.metrics.average_precision_score(anomalous, scores)
    if seed >= 200:
        return [auroc, precision]
    fpr, tpr, _ = sklearn.metrics.roc_curve(anomalous, scores, drop_intermediate=False)
    f1 = max(sklearn.metrics.f1_score(anomalous, scores >= score) for score in scores)
    return [auroc, precision, f1, tpr[fpr <= 0.05].max(), tpr[fpr <= 0.1].max(), fpr[tpr >= 0.95].min()]


def weights_of(draws, count):
    """Weights from 1/8 to 2 in eighths: their sums are exact, and rounding decides nothing."""
    return np.array([1 + draws.next() % 16 for _ in range(count)]) / 8


def weighted_ranking(seed):
    draws = Draws(seed)
    count = 20 + draws.next() % 60
    levels = (3, 10, 1000)[draws.next() % 3]
    anomalous = np.array([draws.next() % 3 == 0 for _ in range(count)])
    scores = np.array([draws.next() % levels for _ in range(count)]) / 8 - 1
    weight = weights_of(draws, count)
    if anomalous.all() or not anomalous.any():
        return None
    given = {"sample_weight": weight}
    fpr, tpr, _ = sklearn.metrics.roc_curve(anomalous, scores, drop_intermediate=False, **given)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(anomalous, scores, **given)
    verdict = scores > 0
    return {
        "numbers": [
            sklearn.metrics.roc_auc_score(anomalous, scores, **given),
            sklearn.metrics.average_precision_score(anomalous, scores, **given),
            max(sklearn.metrics.f1_score(anomalous, scores >= score, **given) for score in scores),
            tpr[fpr <= 0.05].max(),
            tpr[fpr <= 0.1].max(),
            fpr[tpr >= 0.95].min(),
        ],
        "roc": [fpr.tolist(), tpr.tolist()],
        # From nothing called anomalous to everything; the first, without a precision, is made up by scikit-learn.
        "precision_recall": [precision[::-1][1:].tolist(), recall[::-1][1:].tolist()],
        "confusion": sklearn.metrics.confusion_matrix(anomalous, verdict, labels=[False, True], **given).ravel().tolist(),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(anomalous, verdict, **given),
    }


def clopper_pearson():
    rows = []
    for successes, trials in [(0, 20), (1, 20), (3, 60), (20, 20), (17, 405), (500, 10_000), (99_999, 100_000)]:
        for confidence in (0.9, 0.95):
            found = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, "exact")
            rows.append([successes, trials, confidence, found.low, found.high])
    return rows


def grouped_rates():
    """Clopper and Pearson's interval at the effective sample size of Korn and Graubard (1998), with weights and groups."""
    rows = []
    for case, (images, group_count, one_in) in enumerate([(60, 17, 3), (40, 40, 2), (200, 9, 5), (30, 30, 30), (12, 4, 1)]):
        draws = Draws(100 + case)
        groups = np.array([draws.next() % group_count for _ in range(images)])
        hits = np.array([draws.next() % one_in == 0 for _ in range(images)])
        weights = weights_of(draws, images)
        total, rate = weights.sum(), (weights * hits).sum() / weights.sum()
        present = np.unique(groups)
        if hits.all() or not hits.any():
            observations = len(present)
        else:
            # The linearised variance of a ratio of sums over clusters.
            residuals = np.bincount(groups, weights * (hits - rate), group_count)[present] / total
            variance = len(present) * np.var(residuals, ddof=1)
            observations = min(images, rate * (1 - rate) / variance)
        x, n = rate * observations, observations
        low = 0.0 if x == 0 else scipy.stats.beta.ppf(0.025, x, n - x + 1)
        high = 1.0 if x == n else scipy.stats.beta.ppf(0.975, x + 1, n - x)
        rows.append([images, group_count, one_in, rate, low, high])
    return rows


def order_statistics():
    """Largest m with P(Binomial(n, rate) >= m) >= confidence; 0 where there is none."""
    rows = []
    for groups in (1, 10, 44, 45, 59, 100, 229, 230, 1000, 5000):
        for rate in (0.01, 0.05, 0.1, 0.3):
            for confidence in (0.8, 0.9, 0.95):
                tails = scipy.stats.binom.sf(np.arange(groups), groups, rate)
                rows.append([groups, rate, confidence, int((tails >= confidence).sum())])
    return rows


def covariance(seed, count, dimensions):
    draws = Draws(seed)
    points = draws.array(count, dimensions)
    points[:, 0] += points[:, -1]
    fit = sklearn.covariance.LedoitWolf().fit(points)
    assert np.isclose(fit.shrinkage_, sklearn.covariance.ledoit_wolf(points)[1])
    return {
        "shrinkage": fit.shrinkage_,
        "covariance": fit.covariance_[0, :4].tolist() + [fit.covariance_[-1, -1]],
        "distances": np.sqrt(fit.mahalanobis(points[:5])).tolist(),
    }


def weighted_covariance(seed, count, dimensions):
    """NumPy's weighted covariance, shrunk as by Ledoit and Wolf: each mean over points is a weighted one, and the number
    of points is the effective number. scikit-learn knows no weights here."""
    draws = Draws(seed)
    points = draws.array(count, dimensions)
    points[:, 0] += points[:, -1]
    weight = weights_of(draws, count)
    mean = np.average(points, axis=0, weights=weight)
    sample = np.cov(points.T, aweights=weight, ddof=0)
    identity = np.eye(dimensions) * np.trace(sample) / dimensions
    outer = [np.outer(point, point) for point in points - mean]
    squared = np.average([np.sum((one - sample) ** 2) for one in outer], weights=weight)
    noise = squared / (weight.sum() ** 2 / np.sum(weight**2))
    shrinkage = min(noise / np.sum((sample - identity) ** 2), 1.0)
    covariance = (1 - shrinkage) * sample + shrinkage * identity
    inverse = np.linalg.inv(covariance)
    return {
        "mean": mean[:4].tolist(),
        "shrinkage": shrinkage,
        "covariance": covariance[0, :4].tolist() + [covariance[-1, -1]],
        "distances": [float(np.sqrt((point - mean) @ inverse @ (point - mean))) for point in points[:5]],
    }


def neighbours(seed, count, dimensions, nearest):
    points = Draws(seed).array(count, dimensions)
    search = sklearn.neighbors.NearestNeighbors(n_neighbors=nearest, algorithm="brute").fit(points)
    distances, _ = search.kneighbors()  # without the point itself
    return distances.mean(axis=1).tolist()


def huber(seed, count, features):
    x, y = lines(Draws(seed), count, features)
    fit = statsmodels.api.RLM(y, statsmodels.api.add_constant(x), M=statsmodels.api.robust.norms.HuberT(1.345))
    result = fit.fit(scale_est="mad", maxiter=1000, tol=1e-14, conv="coefs")
    return {"line": result.params.tolist(), "scale": result.scale}


def lines(draws, count, features):
    x = draws.array(count, features)
    y = x @ np.arange(1, features + 1) + draws.array(count)
    y[::7] += 5 * draws.uniform()
    return x, y


def repeated_huber(seed, count, features):
    """Whole weights: each image as often as its weight says."""
    draws = Draws(seed)
    x, y = lines(draws, count, features)
    times = [1 + draws.next() % 4 for _ in range(count)]
    x, y = np.repeat(x, times, axis=0), np.repeat(y, times)
    fit = statsmodels.api.RLM(y, statsmodels.api.add_constant(x), M=statsmodels.api.robust.norms.HuberT(1.345))
    result = fit.fit(scale_est="mad", maxiter=1000, tol=1e-14, conv="coefs")
    return {"line": result.params.tolist(), "scale": result.scale}


def weighted_median(values, weight):
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)])


def weighted_huber(seed, count, features):
    """scikit-learn's scale is another than the median absolute residual. What bends the line is where residuals begin to
    lose weight, epsilon times the scale: epsilon is chosen so that it is 1.345 times the weighted median's scale."""
    draws = Draws(seed)
    x, y = lines(draws, count, features)
    weight = weights_of(draws, count) * 0.7

    def fit(epsilon):
        found = sklearn.linear_model.HuberRegressor(epsilon=epsilon, alpha=0.0, max_iter=100_000, tol=1e-12)
        found.fit(x, y, sample_weight=weight)
        return found, weighted_median(np.abs(y - found.predict(x)), weight) / scipy.stats.norm.ppf(0.75)

    def excess(epsilon):
        found, scale = fit(epsilon)
        return epsilon * found.scale_ - 1.345 * scale

    found, scale = fit(scipy.optimize.brentq(excess, 1.0, 5.0, xtol=1e-12))
    return {"line": [found.intercept_, *found.coef_], "scale": scale}


def ssim(seed, height, width, sigma):
    draws = Draws(seed)
    first = draws.array(height, width)
    second = (first + draws.array(height, width)) / 2
    _, similarity = structural_similarity(
        first,
        second,
        gaussian_weights=True,
        sigma=sigma,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    return similarity.ravel()[::7].tolist()


def median(seed, height, width):
    plane = Draws(seed).array(height, width)
    return (scipy.ndimage.median_filter(plane, size=5, mode="reflect").ravel()[::7] * 2**24).astype(int).tolist()


def pixels(seed, levels):
    """Four images of 40 x 30: rectangles as regions, brighter on average; few levels give ties."""
    draws = Draws(seed)
    maps, masks = [], []
    for image in range(4):
        mask = np.zeros((40, 30), dtype=bool)
        for _ in range(image):
            row, column = draws.next() % 36, draws.next() % 26
            mask[row : row + 1 + draws.next() % 5, column : column + 1 + draws.next() % 5] = True
        noise = np.array([draws.next() % levels for _ in range(1200)]).reshape(40, 30)
        maps.append((noise + mask * (levels // 4)) / 2**20)
        masks.append(mask)
    scores, truth = np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])
    precision, recall, _ = sklearn.metrics.precision_recall_curve(truth, scores)
    return {
        "auroc": sklearn.metrics.roc_auc_score(truth, scores),
        "average_precision": sklearn.metrics.average_precision_score(truth, scores),
        "dice": float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-30))),
        "aupro": [aupro(maps, masks, limit) for limit in (0.05, 0.3, 1.0)],
    }


def aupro(maps, masks, limit):
    """The definition of MVTec AD's own evaluation code, pixel by pixel."""
    scores, alarms, overlaps, regions, normals = [], [], [], 0, 0
    for plane, mask in zip(maps, masks):
        labels, count = scipy.ndimage.label(mask, structure=np.ones((3, 3)))
        overlap = np.zeros(mask.shape)
        for region in range(1, count + 1):
            overlap[labels == region] = 1 / (labels == region).sum()
        regions += count
        normals += (~mask).sum()
        scores.append(plane.ravel())
        alarms.append(~mask.ravel())
        overlaps.append(overlap.ravel())
    scores, alarms, overlaps = map(np.concatenate, (scores, alarms, overlaps))
    order = np.argsort(-scores, kind="stable")
    keep = np.append(np.diff(scores[order]) != 0, True)
    x = np.concatenate([[0], (np.cumsum(alarms[order]) / normals)[keep], [1]])
    y = np.concatenate([[0], (np.cumsum(overlaps[order]) / regions)[keep], [1]])
    correction = 0.0
    if limit not in x:
        after = bisect(x, limit)
        height = y[after - 1] + (y[after] - y[after - 1]) * (limit - x[after - 1]) / (x[after] - x[after - 1])
        correction = 0.5 * (height + y[after - 1]) * (limit - x[after - 1])
    x, y = x[x <= limit], y[: (x <= limit).sum()]
    return float((np.sum(0.5 * (y[1:] + y[:-1]) * np.diff(x)) + correction) / limit)


golden = {
    "ranking": [ranking(seed) for seed in range(1000)],
    "weighted_ranking": [weighted_ranking(seed) for seed in range(2000, 2012)],
    "clopper_pearson": clopper_pearson(),
    "grouped_rates": grouped_rates(),
    "order_statistics": order_statistics(),
    "covariance": [covariance(1, 50, 4), covariance(2, 30, 40), covariance(3, 300, 20)],
    "weighted_covariance": [weighted_covariance(21, 50, 4), weighted_covariance(22, 30, 40)],
    "neighbours": neighbours(4, 40, 9, 5),
    "huber": [huber(5, 40, 3), huber(6, 101, 1), huber(7, 300, 5)],
    "repeated_huber": [repeated_huber(23, 40, 3), repeated_huber(24, 100, 1)],
    "weighted_huber": [weighted_huber(25, 60, 3), weighted_huber(26, 101, 1), weighted_huber(27, 300, 5)],
    "ssim": [ssim(8, 24, 31, 1.5), ssim(9, 33, 40, 3.0), ssim(10, 24, 31, 0.6)],
    "median": [median(11, 23, 31), median(12, 6, 64)],
    "pixels": [pixels(13, 2**20), pixels(14, 40), pixels(15, 1000)],
}
lines = ",\n".join(f'"{name}": {json.dumps(values, separators=(",", ":"))}' for name, values in golden.items())
Path(__file__).with_name("statistics.json").write_text("{\n" + lines + "\n}\n")
