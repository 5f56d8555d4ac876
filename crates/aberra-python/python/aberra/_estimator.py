"""What the estimators for PyOD and scikit-learn share: parameters, images from ``X``, training, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .detector import Detector
from .images import Channels, sources
from .results import Verdicts

PARAMETERS = """
    Args:
        contamination: Share of anomalies in the training images, which sets the classic threshold; the detector itself learns
            as if all were normal.
        family: Family to fit; ``None`` for the default detector, which has several.
        size: Side of the network input in pixels; ``None`` for the default.
        epochs: Epochs of training; ``None`` for the default.
        backbone: Frozen backbone; ``None`` for the default, ``"none"`` for one without weights from elsewhere.
        rate: False-alarm rate of the conformal threshold.
        seed: Seed of every random draw.
        settings: Further settings, as keywords of :meth:`aberra.Detector.train`.
        channels: Where the channels of arrays are.
        image_shape: ``(height, width)`` or ``(height, width, channels)`` of the images that the rows of a two-dimensional ``X``
            hold; ``None`` where ``X`` holds images.
        threads: Threads that compute.

    ``X`` is what :meth:`aberra.Detector.score` takes: a list of paths, an array of images, or rows of pixels with
    ``image_shape``.
"""


class ImagesEstimator:
    """Parameters and training of both estimators."""

    def __init__(
        self,
        contamination: Any,
        family: str | None,
        size: int | None,
        epochs: int | None,
        backbone: str | None,
        rate: float,
        seed: int,
        settings: Mapping[str, Any] | None,
        channels: Channels | None,
        image_shape: tuple[int, ...] | None,
        threads: int | None,
    ) -> None:
        self.contamination = contamination
        self.family = family
        self.size = size
        self.epochs = epochs
        self.backbone = backbone
        self.rate = rate
        self.seed = seed
        self.settings = settings
        self.channels = channels
        self.image_shape = image_shape
        self.threads = threads

    @property
    def _channels(self) -> Channels | None:
        """Where the channels are: rows of pixels have theirs last."""
        return "last" if self.image_shape is not None and len(self.image_shape) == 3 else self.channels

    def _verdicts(self, images: Any) -> Verdicts:
        return self.detector_.score(images, channels=self._channels, threads=self.threads, progress=False)

    def _images(self, X: Any) -> Any:
        """``X`` as images, in a list if they could be read only once."""
        if self.image_shape is not None:
            rows = np.asarray(X)
            pixels = int(np.prod(self.image_shape))
            if rows.ndim != 2 or rows.shape[1] != pixels:
                raise ValueError(
                    f"expected rows of {pixels} pixels for image_shape={self.image_shape}, found an array of shape {rows.shape}"
                )
            return list(rows.reshape(-1, *self.image_shape))
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind != "O":
            raise ValueError(
                f"expected images, found an array of shape {X.shape}: give image_shape=(height, width) if its rows are images"
            )
        if isinstance(X, np.ndarray) and X.dtype.kind in "OU":
            return list(X)
        return X if isinstance(X, (np.ndarray, list, str)) or hasattr(X, "__fspath__") else list(X)

    def _train(self, X: Any) -> Any:
        """Trains on ``X``; returns its images."""
        images = self._images(X)
        if not next(sources(images, self._channels), None):
            raise ValueError("expected at least one image, found none")
        self.detector_ = Detector.train(
            images,
            channels=self._channels,
            family=self.family,
            size=self.size,
            epochs=self.epochs,
            backbone=self.backbone,
            rate=self.rate,
            seed=self.seed,
            threads=self.threads,
            progress=False,
            **dict(self.settings or {}),
        )
        self.conformal_threshold_ = self.detector_.threshold
        return images

    def _scores(self, images: Any) -> NDArray[np.float64]:
        return self._verdicts(images).scores

    def conformal_p_values(self, X: Any) -> NDArray[np.float64]:
        """Share of normal images at least as anomalous, by the detector's own calibration images, ``(images,)``."""
        return self._verdicts(self._images(X)).p_values

    def predict_conformal(self, X: Any) -> NDArray[np.int64]:
        """1 where the score is above the conformal threshold, which guarantees the false-alarm rate ``rate``; else 0."""
        return (self._scores(self._images(X)) > self.conformal_threshold_).astype(np.int64)
