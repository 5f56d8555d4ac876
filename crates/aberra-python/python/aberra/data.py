"""Data sets: what they hold, what is wrong with them, and generated ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from . import _aberra
from .errors import SettingsError
from .images import opening
from .progress import Progress, reporting

__all__ = ["Dataset", "Sample", "Subject", "doctor", "phantoms", "settings_schema"]

Subject = Literal["brains", "screws", "pills", "surfaces"]
"""What generated images show."""


class Sample(NamedTuple):
    """An image of a data set.

    Attributes:
        path: Its file.
        page: Which page of the file it is, from 0; ``None`` for the file's image.
        name: Its path below the data set's root.
        kind: The kind of its anomaly; ``None`` where it is normal.
        mask: The mask of its anomaly, where there is one.
        group: The group that a manifest gives it.
        part: The part that folders or a manifest put it in.
    """

    path: Path
    page: int | None
    name: str
    kind: str | None
    mask: Path | None
    group: str | None
    part: str | None

    @property
    def anomalous(self) -> bool:
        """Whether it shows an anomaly."""
        return self.kind is not None


class Dataset(Sequence[Sample]):
    """The samples of a folder or a manifest, as every verb of Aberra reads them.

    Args:
        path: A folder, or a manifest (``.csv``, ``.jsonl``).
        normal: Class folders that are normal.
        pages: Whether every page, frame or slice of a file is an image of its own.
        volumes: Whether volumes are taken apart into their slices, without those that show nothing but air.
        cases: Whether files named ``case_0000``, ``case_0001``, or alike in folders beside each other, are channels of one image.

    Raises:
        DataError: No image, or class folders none of which is known to be normal.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        volumes: bool = False,
        cases: bool = False,
    ) -> None:
        native = _aberra.Dataset(opening(path, normal, pages, volumes, cases))
        self.root = Path(native.root)
        self.layout = native.layout
        self.notes = native.notes
        self._samples = [
            Sample(
                Path(one.path), one.page, one.name, one.kind, None if one.mask is None else Path(one.mask), one.group, one.part
            )
            for one in native.samples()
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> Any:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        anomalous = sum(one.anomalous for one in self)
        return f"<Dataset {self.root.name}: {len(self) - anomalous} normal, {anomalous} anomalous; {self.layout}>"


class Doctor(dict[str, Any]):
    """The doctor's report; ``str()`` is what the command line prints."""

    def __init__(self, report: dict[str, Any], text: str) -> None:
        super().__init__(report)
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.text)}</pre>"


def doctor(
    data: str | os.PathLike[str],
    *,
    normal: str | Sequence[str] = (),
    pages: bool = False,
    cases: bool = False,
    group: Literal["near", "exact", "manifest", "none"] = "near",
    progress: Progress = None,
) -> Doctor:
    """Checks a data set for unreadable files, duplicates, leakage, and shortcuts that give the label away.

    Args:
        data: A folder, or a manifest.
        normal: Class folders that are normal.
        pages: Whether every page of a file is an image of its own.
        cases: Whether files named ``case_0000``, ``case_0001``, or alike in folders beside each other, are channels of one image.
        group: Which images form a group.
        progress: See :data:`aberra.progress.Progress`.
    """
    with reporting(progress) as report:
        found, text = _aberra.doctor(opening(data, normal, pages, cases=cases), group, report)
    return Doctor(json.loads(found), text)


def phantoms(
    folder: str | os.PathLike[str],
    *,
    of: Subject = "brains",
    seed: int = 0,
    size: int | None = None,
    train_normals: int = 300,
    test_normals: int = 64,
    anomalies_per_kind: int = 16,
) -> Path:
    """Writes generated images of known truth in the MVTec layout: ``train/good``, ``test/<kind>``, ``ground_truth``.

    Args:
        folder: Where to.
        of: Brain-like slices with lesions, or photographs of parts with defects: screws at any angle, printed pills in colour (512 x
            512 pixels each), long brushed surfaces (500 x 1,250).
        seed: Decides every image.
        size: Side of brain-like slices in pixels, 128 if it is not given; the others have a size of their own.
        train_normals: Normal images to train on.
        test_normals: Normal images to test on.
        anomalies_per_kind: Images with each kind of lesion or defect.

    Returns:
        The folder.

    Raises:
        SettingsError: A size out of range, or of parts; another subject.
        FileError: The folder cannot be written.
    """
    counts = {"train_normals": train_normals, "test_normals": test_normals, "anomalies_per_kind": anomalies_per_kind}
    for name, count in counts.items():
        if count < 0:
            raise SettingsError(f"{name}: expected 0 or more, found {count}")
    subjects = get_args(Subject)
    if of not in subjects:
        raise SettingsError(f"of: expected one of {', '.join(subjects)}, found {of!r}")
    if size is not None and of != "brains":
        raise SettingsError(f"size: expected none for {of}, which have a size of their own, found {size}")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    product = None if of == "brains" else of
    side = 128 if size is None else size
    _aberra.phantoms(os.fspath(path), product, seed, side, (train_normals, test_normals, anomalies_per_kind))
    return path


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of all settings of training."""
    schema: dict[str, Any] = json.loads(_aberra.settings_schema())
    return schema
