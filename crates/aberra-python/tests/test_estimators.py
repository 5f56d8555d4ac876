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


class TestPyOD:
    """As PyOD's own tests of IForest."""

    @pytest.fixture(scope="class")
    def fitted(self, train: NDArray[np.uint8]) -> object:
        module = pytest.importorskip("aberra.pyod")
        return module.AberraDetector(contamination=0.1, **KEYWORDS).fit(train)

    def test_parameters_are_fitted(self, fitted, train) -> None:
        for name in ("decision_scores_", "labels_", "threshold_", "_mu", "_sigma", "detector_"):
            assert getattr(fitted, name) is not None
        assert len(fitted.decision_scores_) == len(fitted.labels_) == len(train)
        assert fitted.labels_.sum() == pytest.approx(0.1 * len(train), abs=1)
        expected = np.percentile(fitted.decision_scores_, 90)
        assert fitted.threshold_ == pytest.approx(expected)

    def test_predictions(self, fitted, images) -> None:
        scores = fitted.decision_function(images)
        assert scores.shape == (len(images),) and np.isfinite(scores).all()
        labels = fitted.predict(images)
        assert labels.tolist() == (scores > fitted.threshold_).astype(int).tolist()
        labels, confidence = fitted.predict(images, return_confidence=True)
        assert ((confidence >= 0) & (confidence <= 1)).all()
        alarms = fitted.predict_conformal(images)
        assert alarms.tolist() == (scores > fitted.conformal_threshold_).astype(int).tolist()
        assert fitted.conformal_threshold_ == fitted.detector_.threshold != fitted.threshold_

    @pytest.mark.parametrize("method", ["linear", "unify"])
    def test_probabilities(self, fitted, images, method) -> None:
        probabilities = fitted.predict_proba(list(images), method=method)
        assert probabilities.shape == (len(images), 2)
        assert probabilities.min() >= 0 and probabilities.max() <= 1
        assert np.allclose(probabilities.sum(axis=1), 1)
        with pytest.raises(ValueError):
            fitted.predict_proba(images, method="something")

    def test_rejection(self, fitted, images) -> None:
        assert set(np.unique(fitted.predict_with_rejection(images))) <= {-2, 0, 1}

    def test_fit_predict_score_parameters_clone_and_pickle(self, fitted, images) -> None:
        from sklearn.base import clone

        copy = clone(fitted)
        assert copy.get_params() == fitted.get_params() and not hasattr(copy, "detector_")
        assert copy.set_params(size=48).size == 48
        again = pickle.loads(pickle.dumps(fitted))
        assert again.decision_function(images).tolist() == fitted.decision_function(images).tolist()
        assert again.threshold_ == fitted.threshold_

    def test_what_it_refuses(self, train) -> None:
        from aberra.pyod import AberraDetector

        for contamination in (0, -0.1, 0.6, 1):
            with pytest.raises(ValueError):
                AberraDetector(contamination=contamination)
        with pytest.raises(ValueError, match="image_shape"):
            AberraDetector(**KEYWORDS).fit(train.reshape(len(train), -1))


class TestScikitLearn:
    """As `check_outliers_train` and its kin."""

    @pytest.fixture(scope="class")
    def fitted(self, train: NDArray[np.uint8]) -> object:
        module = pytest.importorskip("aberra.sklearn")
        return module.AberraOutlierDetector(contamination=0.1, **KEYWORDS).fit(train)

    def test_the_contract_of_outlier_detectors(self, fitted, train, images) -> None:
        predicted = fitted.predict(images)
        assert predicted.dtype.kind == "i" and set(predicted) <= {-1, 1}
        decision = fitted.decision_function(images)
        scores = fitted.score_samples(images)
        assert decision.shape == scores.shape == (len(images),) and decision.dtype == np.float64
        assert predicted.tolist() == np.where(decision >= 0, 1, -1).tolist()
        assert np.allclose(decision, scores - fitted.offset_)
        on_training = fitted.predict(train)
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

    def test_rows_of_pixels(self, fitted, train, images) -> None:
        from aberra.sklearn import AberraOutlierDetector
        from sklearn.exceptions import NotFittedError

        rows = train.reshape(len(train), -1)
        flat = AberraOutlierDetector(contamination=0.1, image_shape=(32, 32), **KEYWORDS).fit(rows)
        assert flat.n_features_in_ == 1024
        assert flat.score_samples(images.reshape(len(images), -1)).tolist() == fitted.score_samples(images).tolist()
        with pytest.raises(ValueError, match="1024"):
            flat.predict(rows[:, :100])
        with pytest.raises(NotFittedError):
            AberraOutlierDetector().predict(images)

    def test_clone_pickle_pipeline_and_grid_search(self, fitted, train, images) -> None:
        from sklearn.base import clone
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        assert clone(fitted).get_params() == fitted.get_params()
        again = pickle.loads(pickle.dumps(fitted))
        assert again.predict(images).tolist() == fitted.predict(images).tolist()
        pipeline = make_pipeline(FunctionTransformer(lambda X: 255 - X), clone(fitted)).fit(train)
        assert set(pipeline.predict(images)) <= {-1, 1}
        # No real anomaly decides: settings are compared by how seldom they call held-out normals anomalous.
        search = GridSearchCV(
            clone(fitted), {"size": [32, 64]}, scoring=lambda found, X, y=None: float((found.predict(X) == 1).mean()), cv=2
        ).fit(train)
        assert search.best_params_["size"] in (32, 64)


def test_p_values_are_those_of_split_conformal_prediction(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    """Against the definition, and `nonconform`'s, where it is installed."""
    verdicts = detector.score(images)
    calibration = detector.calibration_scores
    expected = [(1 + (calibration >= score).sum()) / (1 + len(calibration)) for score in verdicts.scores]
    assert np.allclose(verdicts.p_values, expected)
