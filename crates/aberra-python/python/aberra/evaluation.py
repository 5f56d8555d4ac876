"""An evaluation: metrics with intervals on labelled images that the detector has not seen."""

from __future__ import annotations

import csv
import io
import json
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _aberra, html

if TYPE_CHECKING:
    import pandas

__all__ = ["Curve", "Evaluation", "Interval"]


class Interval(NamedTuple):
    """A number with its interval over groups of images; NaN where it cannot be computed."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "not available" if self.value != self.value else f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Curve(NamedTuple):
    """A curve, one point for each distinct score: thresholds, and the two coordinates."""

    thresholds: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def _interval(told: Any) -> Interval:
    if not isinstance(told, dict) or "unavailable" in told:
        return Interval(*[float("nan")] * 3)
    estimate = told["estimate"] if "estimate" in told else told["rate"]
    return Interval(float(estimate), float(told["low"]), float(told["high"]))


def _number(told: Any) -> float:
    return float("nan") if told is None or isinstance(told, dict) else float(told)


def _percent(share: float) -> str:
    return "not available" if share != share else f"{100 * share:.1f} %"


class Evaluation:
    """Metrics of a detector on labelled images, as ``aberra evaluate`` gives them.

    Every near-duplicate group counts as one image, and intervals are over groups. ``str()`` is the table that the command line
    prints, :attr:`data_frame` a row for each image, :attr:`details` everything.
    """

    def __init__(self, native: _aberra.Evaluation) -> None:
        self._native = native

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Evaluation:
        """Reads an evaluation file (``evaluation.json``).

        Raises:
            DataError: The file is none, or of another version.
            FileError: It cannot be read.
        """
        return cls(_aberra.Evaluation.load(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the evaluation file.

        Raises:
            FileError: It cannot be written.
        """
        self._native.save(path)

    @cached_property
    def details(self) -> dict[str, Any]:
        """Everything, as in the evaluation file."""
        details: dict[str, Any] = json.loads(self._native.json())["evaluation"]
        return details

    @property
    def auroc(self) -> Interval:
        """Area under the ROC curve."""
        return _interval(self.details["ranking"]["auroc"])

    @property
    def auroc_without_near_duplicates(self) -> Interval:
        """The same without images that are near-duplicates of the detector's own normals; that of all where there are none."""
        clean = self.details["without_leaked"]
        return self.auroc if clean is None else _interval(clean["auroc"])

    @property
    def average_precision(self) -> Interval:
        """Area under the precision-recall curve."""
        return _interval(self.details["ranking"]["average_precision"])

    @property
    def recall(self) -> float:
        """Share of the anomalous images found at the detector's threshold."""
        return _number(self.details["verdicts"]["recall"])

    @property
    def precision(self) -> float:
        """Share of the images called anomalous that are."""
        return _number(self.details["verdicts"]["precision"])

    @property
    def false_alarms(self) -> Interval:
        """Realised false-alarm rate over groups of normal images."""
        return _interval(self.details["false_alarms"]["over_groups"])

    @property
    def promised_false_alarms(self) -> float:
        """The guaranteed rate; NaN where the threshold guarantees none."""
        return _number(self.details["false_alarms"]["promised"])

    @property
    def pixel_average_precision(self) -> float:
        """Average precision of the map's pixels against the masks; NaN without masks."""
        return self._pixels("average_precision")

    @property
    def pixel_auroc(self) -> float:
        """Area under the ROC curve of the map's pixels; NaN without masks."""
        return self._pixels("auroc")

    @property
    def aupro(self) -> float:
        """Area under the per-region overlap curve up to 30 % false positives; NaN without masks."""
        return self._pixels("aupro")

    def _pixels(self, name: str) -> float:
        pixels = self.details["pixels"]
        told = pixels.get(name)
        return float(told["value"]) if isinstance(told, dict) and "value" in told else float("nan")

    @property
    def data(self) -> str:
        """The data set's name."""
        return str(self.details["data"]["name"])

    @property
    def warnings(self) -> list[str]:
        """What makes the numbers weak."""
        return list(self.details["warnings"])

    @property
    def roc(self) -> Curve | None:
        """The ROC curve: false-positive rate and true-positive rate; ``None`` without both kinds of images."""
        return _curve(self._native.roc())

    @property
    def precision_recall(self) -> Curve | None:
        """The precision-recall curve: recall and precision; ``None`` without both kinds of images."""
        return _curve(self._native.precision_recall())

    def figures(self) -> dict[str, str]:
        """The main figures in words."""
        false_alarms = self.false_alarms
        figures = {
            "AUROC": str(self.auroc_without_near_duplicates),
            "average precision": str(self.average_precision),
            "recall at the threshold": _percent(self.recall),
            "false alarms": f"{_percent(false_alarms.value)} ({_percent(false_alarms.low)} to {_percent(false_alarms.high)})",
            "guaranteed false alarms": _percent(self.promised_false_alarms),
        }
        if self.pixel_average_precision == self.pixel_average_precision:
            figures["pixel average precision"] = f"{self.pixel_average_precision:.3f}"
        return figures

    def anomalib(self) -> dict[str, float]:
        """The figures under the names that anomalib prints, for tables that hold both."""
        oracle = self.details["ranking"]["oracle_f1"]
        return {
            "image_AUROC": self.auroc.value,
            "image_F1Score": _number(self.details["verdicts"]["f1"]),
            "image_F1Max": float("nan") if "unavailable" in oracle else oracle["f1"],
            "pixel_AUROC": self.pixel_auroc,
            "pixel_AUPRO": self.aupro,
        }

    @property
    def rows(self) -> list[dict[str, str]]:
        """The table of scores: a row for each image."""
        return list(csv.DictReader(io.StringIO(self._native.csv())))

    def to_pandas(self) -> pandas.DataFrame:
        """The table of scores as a data frame.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        return pandas.read_csv(io.StringIO(self._native.csv()))

    def __str__(self) -> str:
        return self._native.text()

    def __repr__(self) -> str:
        return f"<Evaluation on {self.data}: AUROC {self.auroc_without_near_duplicates}>"

    def _repr_html_(self) -> str:
        return html.evaluation(self)


def _curve(points: tuple[list[float], list[float], list[float]] | None) -> Curve | None:
    return None if points is None else Curve(*(np.array(values, np.float64) for values in points))
