"""The contracts of PyOD and scikit-learn, restated for images: their own checks pass feature matrices, or skip."""

from __future__ import annotations

import pickle

import aberra
import numpy as np
import pytest
from numpy.typing import NDArray

SETTINGS = {"train": {"epochs": 1}, "split__by": "none"}
KEYWORDS = {"family": "vae", "size": 32, "rate": 0.1, "settings": SETTINGS}


@pytest.fixture(scope="module")
def train(data: object) -> NDArray[np.uint8]:
    from pathlib import Path

    from PIL import Image

    return np.stack([np.asarray(Image.open(file)) for file in sorted((Path(str(data)) / "train").rglob("*.png"))])


@pytest.fixture(scope="module")
def in_pyod(train: NDArray[np.uint8]) -> object:
    module = pytest.importorskip("aberra.pyod")
    return module.AberraDetector(contamination=0.1, **KEYWORDS).fit(train)


@pytest.fixture(scope="module")
def in_sklearn(train: NDArray[np.uint8]) -> object:
    module = pytest.importorskip("aberra.sklearn")
    return module.AberraOutlierDetector(contamination=0.1, **KEYWORDS).fit(train)


class TestPyOD:
    """As PyOD's own tests of IForest."""

    def test_parameters_are_fitted(self, in_pyod, train) -> None:
        for name in ("decision_scores_", "labels_", "threshold_", "_mu", "_sigma", "detector_"):
            assert getattr(in_pyod, name) is not None
        assert len(in_pyod.decision_scores_) == len(in_pyod.labels_) == len(train)
        assert in_pyod.labels_.sum() == pytest.approx(0.1 * len(train), abs=1)
        expected = np.percentile(in_pyod.decision_scores_, 90)
        assert in_pyod.threshold_ == pytest.approx(expected)

    def test_predictions(self, in_pyod, images) -> None:
        scores = in_pyod.decision_function(images)
        assert scores.shape == (len(images),) and np.isfinite(scores).all()
        assert scores.tolist() == in_pyod.detector_.score(images).scores.tolist()
        labels = in_pyod.predict(images)
        assert labels.tolist() == (scores > in_pyod.threshold_).astype(int).tolist()
        labels, confidence = in_pyod.predict(images, return_confidence=True)
        assert ((confidence >= 0) & (confidence <= 1)).all()
        alarms = in_pyod.predict_conformal(images)
        assert alarms.tolist() == (scores > in_pyod.conformal_threshold_).astype(int).tolist()
        assert in_pyod.conformal_threshold_ == in_pyod.detector_.threshold != in_pyod.threshold_

    @pytest.mark.parametrize("method", ["linear", "unify"])
    def test_probabilities(self, in_pyod, images, method) -> None:
        probabilities = in_pyod.predict_proba(list(images), method=method)
        assert probabilities.shape == (len(images), 2)
        assert probabilities.min() >= 0 and probabilities.max() <= 1
        assert np.allclose(probabilities.sum(axis=1), 1)
        with pytest.raises(ValueError):
            in_pyod.predict_proba(images, method="something")

    def test_rejection(self, in_pyod, images) -> None:
        assert set(np.unique(in_pyod.predict_with_rejection(images))) <= {-2, 0, 1}

    def test_fit_predict_score_parameters_clone_and_pickle(self, in_pyod, images) -> None:
        from sklearn.base import clone

        copy = clone(in_pyod)
        assert copy.get_params() == in_pyod.get_params() and not hasattr(copy, "detector_")
        assert copy.set_params(size=48).size == 48
        again = pickle.loads(pickle.dumps(in_pyod))
        assert again.decision_function(images).tolist() == in_pyod.decision_function(images).tolist()
        assert again.threshold_ == in_pyod.threshold_

    def test_what_it_refuses(self, train) -> None:
        from aberra.pyod import AberraDetector

        for contamination in (0, -0.1, 0.6, 1):
            with pytest.raises(ValueError):
                AberraDetector(contamination=contamination)
        with pytest.raises(ValueError, match="image_shape"):
            AberraDetector(**KEYWORDS).fit(train.reshape(len(train), -1))


class TestScikitLearn:
    """As `check_outliers_train` and its kin."""

    def test_the_contract_of_outlier_detectors(self, in_sklearn, train, images) -> None:
        predicted = in_sklearn.predict(images)
        assert predicted.dtype.kind == "i" and set(predicted) <= {-1, 1}
        decision = in_sklearn.decision_function(images)
        scores = in_sklearn.score_samples(images)
        assert decision.shape == scores.shape == (len(images),) and decision.dtype == np.float64
        assert predicted.tolist() == np.where(decision >= 0, 1, -1).tolist()
        assert np.allclose(decision, scores - in_sklearn.offset_)
        on_training = in_sklearn.predict(train)
        assert (on_training == -1).sum() == pytest.approx(0.1 * len(train), abs=1)

    def test_contamination_auto_is_the_conformal_threshold(self, train, images) -> None:
        from aberra.sklearn import AberraOutlierDetector

        fitted = AberraOutlierDetector(**KEYWORDS).fit(train)
        verdicts = fitted.detector_.score(images)
        assert (fitted.predict(images) == -1).tolist() == verdicts.anomalous.tolist()
        predicted = AberraOutlierDetector(**KEYWORDS).fit_predict(train)
        assert predicted.tolist() == fitted.predict(train).tolist()
        for wrong in (0.0, 0.7, -1):
            with pytest.raises(ValueError, match="contamination"):
                AberraOutlierDetector(contamination=wrong, **KEYWORDS).fit(train)

    def test_rows_of_pixels(self, in_sklearn, train, images) -> None:
        from aberra.sklearn import AberraOutlierDetector
        from sklearn.exceptions import NotFittedError

        rows = train.reshape(len(train), -1)
        flat = AberraOutlierDetector(contamination=0.1, image_shape=(32, 32), **KEYWORDS).fit(rows)
        assert flat.n_features_in_ == 1024
        assert flat.score_samples(images.reshape(len(images), -1)).tolist() == in_sklearn.score_samples(images).tolist()
        with pytest.raises(ValueError, match="1024"):
            flat.predict(rows[:, :100])
        with pytest.raises(NotFittedError):
            AberraOutlierDetector().predict(images)

    def test_clone_pickle_pipeline_and_grid_search(self, in_sklearn, train, images) -> None:
        from sklearn.base import clone
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        assert clone(in_sklearn).get_params() == in_sklearn.get_params()
        again = pickle.loads(pickle.dumps(in_sklearn))
        assert again.predict(images).tolist() == in_sklearn.predict(images).tolist()
        pipeline = make_pipeline(FunctionTransformer(lambda X: 255 - X), clone(in_sklearn)).fit(train)
        assert set(pipeline.predict(images)) <= {-1, 1}
        # No real anomaly decides: settings are compared by how seldom they call held-out normals anomalous.
        search = GridSearchCV(
            clone(in_sklearn), {"size": [32, 64]}, scoring=lambda found, X, y=None: float((found.predict(X) == 1).mean()), cv=2
        ).fit(train)
        assert search.best_params_["size"] in (32, 64)


def test_p_values_are_those_of_split_conformal_prediction(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    verdicts = detector.score(images)
    calibration = detector.calibration_scores
    expected = [(1 + (calibration >= score).sum()) / (1 + len(calibration)) for score in verdicts.scores]
    assert np.allclose(verdicts.p_values, expected)


def test_p_values_are_those_of_nonconform(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    """It is for Python 3.12 and later."""
    nonconform = pytest.importorskip("nonconform.scoring")
    verdicts = detector.score(images)
    expected = nonconform.calculate_p_val(verdicts.scores, detector.calibration_scores)
    assert np.allclose(verdicts.p_values, expected, rtol=1e-12)
