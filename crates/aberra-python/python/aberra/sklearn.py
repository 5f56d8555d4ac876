"""Aberra as an outlier detector of scikit-learn: ``pip install aberra[sklearn]``.

    from aberra.sklearn import AberraOutlierDetector

    detector = AberraOutlierDetector().fit(train_images)
    detector.predict(new_images)  # 1 normal, -1 anomalous
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ._estimator import PARAMETERS, ImagesEstimator
from .images import Channels

__all__ = ["AberraOutlierDetector"]


class AberraOutlierDetector(ImagesEstimator, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    __doc__ = f"""A scikit-learn outlier detector for images, also for novelty detection.
{PARAMETERS}
    With ``contamination="auto"`` the threshold is the conformal one.

    Attributes:
        offset_: ``decision_function(X) = score_samples(X) - offset_``.
        conformal_threshold_: The detector's own threshold, with its guarantee, in its own units.
        detector_: The :class:`aberra.Detector`.
        n_features_in_: Pixels of a row, where ``image_shape`` is given.
    """

    def __init__(
        self,
        contamination: float | Literal["auto"] = "auto",
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
        ImagesEstimator.__init__(
            self, contamination, family, size, epochs, backbone, rate, seed, settings, channels, image_shape, threads
        )

    def fit(self, X: Any, y: Any = None) -> AberraOutlierDetector:
        """Trains on the images ``X``; ``y`` is ignored."""
        contamination = self.contamination
        if contamination != "auto" and not 0 < float(contamination) <= 0.5:
            raise ValueError(f'contamination: expected "auto" or a share from 0 (exclusive) to 0.5, found {contamination!r}')
        images = self._train(X)
        if self.image_shape is not None:
            self.n_features_in_ = int(np.prod(self.image_shape))
        if contamination == "auto":
            self.offset_ = -self.conformal_threshold_
        else:
            self._training_scores = -self._scores(images)
            self.offset_ = float(np.percentile(self._training_scores, 100.0 * float(contamination)))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """The negative scores, ``(images,)``: lower = more anomalous."""
        check_is_fitted(self, "offset_")
        return -self._scores(self._images(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """``score_samples(X) - offset_``: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 where normal, -1 where anomalous; a tie is normal."""
        return np.where(self.decision_function(X) >= 0, 1, -1).astype(np.int64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = True
        tags.target_tags.required = False
        return tags
