"""What scoring gives: verdicts, one each or a table of them, with arrays, data frames and HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from . import html
from .errors import AberraError

if TYPE_CHECKING:
    import pandas

    from . import _aberra

__all__ = ["Explanation", "Verdict", "Verdicts", "VolumeVerdict"]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The verdict on one image.

    Attributes:
        name: The image's path, or its place among those that were given.
        score: How anomalous the image is, in the scorer's units; never clamped or rescaled. NaN where ``error`` says why.
        p_value: Share of normal images at least this anomalous, by the calibration; NaN without one.
        threshold: Scores above it are anomalous.
        anomalous: Whether the score is above the threshold.
        anomalous_share: Share of the image above the pixel threshold, 0 to 1; NaN where no map was made.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        spacing_mm: Millimetres from row to row and from column to column, where the file says (DICOM, NIfTI); else ``None``.
        channel: The channel that is most unusual, where the images have named channels; else ``None``.
        remarks: What was decided while decoding it.
        evidence: What was measured, by name.
        embedding: Its position in the detector's embedding space, ``(dimensions,)``; empty where there is none.
        map: Where it is unusual, ``(height, width)`` float32, in the units of the pixel threshold; ``None`` unless asked for.
        error: Why it could not be scored, or ``None``.
    """

    name: str
    score: float
    p_value: float
    threshold: float
    anomalous: bool
    anomalous_share: float
    width: int
    height: int
    spacing_mm: tuple[float, float] | None
    channel: str | None
    remarks: tuple[str, ...]
    evidence: dict[str, float]
    embedding: NDArray[np.float32] = field(repr=False)
    map: NDArray[np.float32] | None = field(repr=False)
    error: AberraError | None

    def __bool__(self) -> bool:
        return self.anomalous

    def to_dict(self) -> dict[str, Any]:
        """The verdict without its arrays: a row of a table."""
        return {
            "name": self.name,
            "score": self.score,
            "p_value": self.p_value,
            "threshold": self.threshold,
            "anomalous": self.anomalous,
            "anomalous_share": self.anomalous_share,
            "width": self.width,
            "height": self.height,
            "spacing_mm": self.spacing_mm,
            "channel": self.channel,
            "remarks": "; ".join(self.remarks),
            "error": None if self.error is None else self.error.message,
            **self.evidence,
        }

    def _repr_html_(self) -> str:
        return html.verdict(self)


def _of(name: str, scored: _aberra.Scored | AberraError, names: Sequence[str], threshold: float) -> Verdict:
    """The verdict on an image from what the native part gives."""
    nan = float("nan")
    if isinstance(scored, AberraError):
        nothing = np.empty(0, np.float32)
        return Verdict(name, nan, nan, threshold, False, nan, 0, 0, None, None, (), {}, nothing, None, scored)
    shape = (scored.height, scored.width)
    return Verdict(
        name=name,
        score=scored.score,
        p_value=nan if scored.p_value is None else scored.p_value,
        threshold=scored.threshold,
        anomalous=scored.anomalous,
        anomalous_share=nan if scored.anomalous_share is None else scored.anomalous_share,
        width=scored.width,
        height=scored.height,
        spacing_mm=scored.spacing_mm,
        channel=scored.channel,
        remarks=tuple(scored.remarks),
        evidence=dict(zip(names, scored.evidence, strict=True)),
        embedding=np.array(scored.embedding, np.float32),
        map=None if scored.map is None else np.frombuffer(scored.map, "<f4").reshape(shape),
        error=None,
    )


class Verdicts(Sequence[Verdict]):
    """Verdicts on images, in their order; arrays of what they hold.

    >>> len(Verdicts([]))
    0
    """

    def __init__(self, rows: Sequence[Verdict]) -> None:
        self._rows = list(rows)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> Verdicts: ...
    def __getitem__(self, index: int | slice) -> Verdict | Verdicts:
        return Verdicts(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._rows)

    def __repr__(self) -> str:
        flagged, failed = int(self.anomalous.sum()), len(self.errors)
        return f"<Verdicts: {len(self)} images, {flagged} anomalous{f', {failed} not scored' if failed else ''}>"

    @property
    def names(self) -> list[str]:
        """The images' names."""
        return [row.name for row in self._rows]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The scores, ``(images,)``; NaN where an image could not be scored."""
        return np.array([row.score for row in self._rows], np.float64)

    @property
    def p_values(self) -> NDArray[np.float64]:
        """The conformal p-values, ``(images,)``."""
        return np.array([row.p_value for row in self._rows], np.float64)

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """Whether each image is anomalous, ``(images,)``."""
        return np.array([row.anomalous for row in self._rows], np.bool_)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The embeddings, ``(images, dimensions)``; rows of NaN where an image could not be scored."""
        most = max((row.embedding.size for row in self._rows), default=0)
        missing = np.full(most, np.nan, np.float32)
        return np.stack([row.embedding if row.error is None else missing for row in self._rows]) if self._rows else np.empty((0, 0), np.float32)

    @property
    def maps(self) -> list[NDArray[np.float32] | None]:
        """The maps, each ``(height, width)`` of its image; ``None`` where none was made."""
        return [row.map for row in self._rows]

    @property
    def errors(self) -> dict[str, AberraError]:
        """Why images could not be scored, by name."""
        return {row.name: row.error for row in self._rows if row.error is not None}

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with a row for each image: verdict, p-value, evidence.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame([row.to_dict() for row in self._rows])

    def _repr_html_(self) -> str:
        return html.verdicts(self)


@dataclass(frozen=True, slots=True, eq=False)
class VolumeVerdict:
    """The verdict on a volume: a NIfTI file, a DICOM file of several frames, or a DICOM series.

    Attributes:
        name: The file, or the folder of the series.
        score: The mean of the largest scores of its slices. NaN where ``error`` says why.
        p_value: Share of normal volumes at least this anomalous; NaN from a detector that is not calibrated on volumes.
        threshold: Scores above it are anomalous; NaN from such a detector.
        anomalous: Whether the score is above the threshold; ``None`` from such a detector.
        scores: The score of each slice, ``(slices,)``; NaN where it shows nothing but air or cannot be read.
        worst: The slice with the largest score, from 0.
        empty: Slices that show nothing but air, which were left out.
        slices: The file and the page of each slice.
        map: Where it is unusual, ``(slices, height, width)`` float32; ``None`` unless asked for.
        error: Why it could not be scored, or ``None``.
    """

    name: str
    score: float
    p_value: float
    threshold: float
    anomalous: bool | None
    scores: NDArray[np.float64] = field(repr=False)
    worst: int
    empty: int
    slices: list[tuple[str, int | None]] = field(repr=False)
    map: NDArray[np.float32] | None = field(repr=False)
    error: AberraError | None

    def _repr_html_(self) -> str:
        return html.volume(self)


def volume_verdict(
    name: str,
    told: str | AberraError,
    slices: list[tuple[str, int | None]],
    map: tuple[bytearray, tuple[int, int, int]] | None,
) -> VolumeVerdict:
    """The verdict on a volume from what the native part gives."""
    nan = float("nan")
    if isinstance(told, AberraError):
        scores = np.full(len(slices), nan)
        return VolumeVerdict(name, nan, nan, nan, None, scores, 0, 0, slices, None, told)
    card = json.loads(told)
    return VolumeVerdict(
        name=name,
        score=card["score"],
        p_value=nan if card["p_value"] is None else card["p_value"],
        threshold=nan if card["threshold"] is None else card["threshold"],
        anomalous=card["anomalous"],
        scores=np.array([nan if score is None else score for score in card["scores"]], np.float64),
        worst=card["worst"]["slice"] - 1,
        empty=card["empty"],
        slices=slices,
        map=None if map is None else np.frombuffer(map[0], "<f4").reshape(map[1]),
        error=None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why an image has its score.

    Attributes:
        name: The image's name.
        score: Its score.
        p_value: Its conformal p-value; NaN without a calibration.
        threshold: Scores above it are anomalous.
        anomalous: Whether the score is above the threshold.
        evidence: What was measured, by name.
        percentiles: Each measurement's percentile, 0 to 100, among the calibration normals.
        scores: The score of every fitted scorer, by name.
        nearest: The nearest training normals: number, distance, and the name where it is known.
        input: What the network sees, ``(height, width[, channels])`` float32, 0 to 1.
        reconstruction: What it makes of it; ``None`` if no member reconstructs.
        figure: Input, reconstruction and map with the evidence, as PNG.
    """

    name: str
    score: float
    p_value: float
    threshold: float
    anomalous: bool
    evidence: dict[str, float]
    percentiles: dict[str, float]
    scores: dict[str, float]
    nearest: list[dict[str, Any]]
    input: NDArray[np.float32] = field(repr=False)
    reconstruction: NDArray[np.float32] | None = field(repr=False)
    figure: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        return html.explanation(self)


def explanation(
    name: str, text: str, figure: bytes, input: bytearray, reconstruction: bytearray | None, shape: tuple[int, int, int]
) -> Explanation:
    """An explanation from what the native part gives."""
    told = json.loads(text)
    verdict = told["verdict"]

    def image(pixels: bytearray) -> NDArray[np.float32]:
        array = np.frombuffer(pixels, "<f4").reshape(shape)
        return array[..., 0] if shape[2] == 1 else array

    return Explanation(
        name=name,
        score=verdict["score"],
        p_value=float("nan") if verdict["p_value"] is None else verdict["p_value"],
        threshold=verdict["threshold"],
        anomalous=verdict["anomalous"],
        evidence=told["evidence"],
        percentiles=told["evidence_percentiles"],
        scores=told["scores"],
        nearest=[{key: near[key] for key in ("normal", "distance", "name")} for near in told["nearest"]],
        input=image(input),
        reconstruction=None if reconstruction is None else image(reconstruction),
        figure=figure,
    )
