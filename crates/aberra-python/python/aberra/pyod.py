"""Aberra as a detector of PyOD: ``pip install aberra[pyod]``.

    from aberra.pyod import AberraDetector

    detector = AberraDetector(contamination=0.05).fit(train_images)
    labels = detector.predict(new_images)            # by PyOD's threshold, from the training scores
    alarms = detector.predict_conformal(new_images)  # by the threshold with a guarantee
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyod.models.base import BaseDetector

from ._estimator import PARAMETERS, ImagesEstimator
from .images import Channels

__all__ = ["AberraDetector"]


class AberraDetector(ImagesEstimator, BaseDetector):  # type: ignore[misc]
    __doc__ = f"""A PyOD detector of anomalous images.
{PARAMETERS}
    Attributes:
        decision_scores_: Scores of the training images, higher = more anomalous.
        threshold_: The percentile ``100 (1 - contamination)`` of these.
        labels_: Whether each is above it.
        conformal_threshold_: The detector's own threshold, with its guarantee.
        detector_: The :class:`aberra.Detector`.
    """

    def __init__(
        self,
        contamination: float = 0.1,
        family: str | None = None,
        size: int | None = None,
        epochs: int | None = None,
        backbone: str | None = None,
        rate: float = 0.05,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        channels: Channels | None = None,
        image_shape: tuple[int, ...] | None = None,
        threads: int | None = None,
    ) -> None:
        BaseDetector.__init__(self, contamination=contamination)
        ImagesEstimator.__init__(
            self, contamination, family, size, epochs, backbone, rate, seed, settings, channels, image_shape, threads
        )

    def fit(self, X: Any, y: Any = None) -> AberraDetector:
        """Trains on the images ``X``; ``y`` is ignored."""
        self._set_n_classes(y)
        images = self._train(X)
        self.decision_scores_ = self._scores(images)
        self._process_decision_scores()
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Scores of images, ``(images,)``; higher = more anomalous."""
        self._check_is_fitted()
        return self._scores(self._images(X))

    def predict_proba(self, X: Any, method: str = "linear", return_confidence: bool = False) -> Any:
        """As PyOD's, of images: PyOD's own asks ``X`` for its shape."""
        return super().predict_proba(_Counted(self._images(X)), method=method, return_confidence=return_confidence)

    def predict_confidence(self, X: Any) -> Any:
        """As PyOD's."""
        return super().predict_confidence(self._images(X))

    def _check_is_fitted(self) -> None:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, ["decision_scores_", "threshold_", "labels_"])


class _Counted(list[Any]):
    """Images that tell their number as an array does."""

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)
