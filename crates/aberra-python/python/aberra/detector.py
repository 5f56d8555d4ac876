"""The detector: trains, loads, saves, scores, calibrates, evaluates, explains, reports."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _aberra, html
from .errors import AberraError, InputError, SettingsError
from .evaluation import Evaluation
from .images import Channels, Opening, Source, opening, sources, tell, warn
from .progress import Progress, reporting
from .results import Explanation, Verdict, Verdicts, VolumeVerdict, _of, explanation, volume_verdict
from .settings import to_toml

__all__ = ["Detector"]

Pathlike: TypeAlias = "str | os.PathLike[str]"
OnError: TypeAlias = Literal["raise", "skip"]

_BATCH = 64
_GROUP = 4 * _BATCH


class Detector:
    """Scores images for anomalies after learning from normal images alone.

    Made by :meth:`train` or :meth:`load`. It does not change: what calibrates it gives another. It pickles as the bytes of its
    file, which are verified when they are read.
    """

    def __init__(self, native: _aberra.Detector, name: str, path: str | None = None) -> None:
        self._native = native
        self.name = name
        self.path = path

    # -- making one

    @classmethod
    def train(
        cls,
        data: Any,
        *,
        out: Pathlike | None = None,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        volumes: bool = False,
        cases: bool = False,
        channels: Channels | None = None,
        config: Pathlike | None = None,
        split: Pathlike | Literal["pool", "layout"] | None = None,
        fold: tuple[int, int] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        threads: int | None = None,
        progress: Progress = None,
        **settings: Any,
    ) -> Detector:
        """Trains a detector on the normal images of a data set.

        Args:
            data: A folder, a manifest (``.csv``, ``.jsonl``), or normal images as :meth:`score` takes them.
            out: Run folder for the detector, its split, history and checkpoints; with it, Ctrl-C keeps what is finished.
            normal: Class folders that are normal; ``"*"`` for all.
            pages: Whether every page, frame or slice of a file is an image of its own.
            volumes: Whether the data are volumes (NIfTI, DICOM series): their slices are learnt from, and whole volumes calibrated.
            cases: Whether files named ``case_0000``, ``case_0001``, or alike in folders beside each other, are channels of one image.
            channels: Where the channels of arrays are.
            config: A TOML file of settings, over which the keywords are laid.
            split: ``"pool"``, ``"layout"``, or a ``split.json``.
            fold: ``(i, k)``: leave out fold i of k, counted from 1, of the normals' groups.
            resume: Go on from the checkpoint in ``out``.
            overwrite: Replace a run in ``out``.
            threads: Threads that compute; all of the machine's by default. Results do not depend on it.
            progress: See :data:`aberra.progress.Progress`.
            **settings: The command line's flags (``size=128, epochs=20, family="vae", rate=0.05, seed=0``) or any setting
                (``train__learning_rate=0.001``, ``preprocessing={"color": "grey"}``).

        Returns:
            The detector.

        Raises:
            DataError: Too few normal images, or data that cannot be understood.
            SettingsError: A setting out of its range.
            FileError: A folder that cannot be written.
            KeyboardInterrupt: Ctrl-C; with ``out``, ``resume=True`` goes on.
        """
        if resume and out is None:
            raise SettingsError("resume: expected the run folder `out`, found none")
        text = "" if config is None else Path(config).read_text(encoding="utf-8") + "\n"
        flags = dict(settings)
        split_file = None
        if split in ("pool", "layout"):
            flags["split__policy"] = split
        elif split is not None:
            split_file = os.fspath(split)
        request: dict[str, Any] = {
            "settings": [text, to_toml(flags)] if text else [to_toml(flags)],
            "out": None if out is None else os.fspath(out),
            "resume": resume,
            "overwrite": overwrite,
            "split": split_file,
            "fold": None if fold is None else (fold[0] - 1, fold[1]),
        }
        if fold is not None and not 1 <= fold[0] <= fold[1]:
            raise SettingsError(f"fold: expected (i, k) with i from 1 to k, found {fold}")
        with tempfile.TemporaryDirectory(prefix="aberra-") as folder, reporting(progress) as report:
            request["data"] = _opening(data, folder, channels, opening("", normal, pages, volumes, cases))
            native, said = _aberra.train(request, report, threads)
        tell(said)
        if out is None:
            return cls(native, "detector")
        return cls(native, Path(out).name, os.fspath(Path(out) / "detector.aberra"))

    @classmethod
    def import_pth(
        cls,
        path: Pathlike,
        data: Any,
        *,
        rate: float = 0.05,
        confidence: float | None = None,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        channels: Channels | None = None,
        progress: Progress = None,
    ) -> Detector:
        """The detector of a model that PyTorch has trained: the residual VAE for 256 x 256 images (the preset ``reference``), from
        its state dictionary, ``torch.save(model.state_dict(), "model.pth")``. Nothing in the file is run.

        Args:
            path: The state dictionary.
            data: Normal images to calibrate on, as :meth:`train` takes them. Which images the model was trained on is not known
                here: give none of them, or the threshold will be too low.
            rate: False-alarm rate to guarantee.
            confidence: Guarantee it with this confidence instead of on average.
            normal: Class folders that are normal.
            pages: Whether every page of a file is an image of its own.
            channels: Where the channels of arrays are.
            progress: See :data:`aberra.progress.Progress`.

        Raises:
            DetectorError: The file is something else, damaged, or of another model.
            DataError: Too few normal images.
            FileError: It cannot be read.
        """
        criterion: dict[str, Any] = {"kind": "conformal", "rate": float(rate)}
        if confidence is not None:
            criterion["confidence"] = float(confidence)
        with tempfile.TemporaryDirectory(prefix="aberra-") as folder, reporting(progress) as report:
            given = _opening(data, folder, channels, opening("", normal, pages, False))
            native, said = _aberra.Detector.import_pth(os.fspath(path), json.dumps(criterion), given, report)
        tell(said)
        return cls(native, Path(path).stem)

    @classmethod
    def load(cls, path: Pathlike) -> Detector:
        """Loads and verifies a detector file.

        Raises:
            DetectorError: The file is cut off, changed, or of a version that cannot be read.
            FileError: It cannot be read.
        """
        file = Path(path)
        name = file.parent.name if file.name == "detector.aberra" else file.stem
        return cls(_aberra.Detector.load(os.fspath(file)), name or "detector", os.fspath(file))

    @classmethod
    def from_bytes(cls, file: bytes, name: str = "detector") -> Detector:
        """Verifies a detector file held in memory.

        Raises:
            DetectorError: As :meth:`load`.
        """
        return cls(_aberra.Detector.from_bytes(file), name)

    def save(self, path: Pathlike) -> str:
        """Writes the detector file, atomically and durably; returns the content's hash.

        Raises:
            FileError: It cannot be written.
        """
        return self._native.save(os.fspath(path))

    def to_bytes(self) -> bytes:
        """The detector file, held in memory."""
        return self._native.to_bytes()

    def __reduce__(self) -> tuple[Any, tuple[bytes, str]]:
        return Detector.from_bytes, (self.to_bytes(), self.name)

    # -- what it is

    @cached_property
    def info(self) -> dict[str, Any]:
        """Its card: data, members, threshold, guarantee, calibration scores, settings; as ``aberra info --json``."""
        info: dict[str, Any] = json.loads(self._native.card(self.name))
        return info

    @property
    def hash(self) -> str | None:
        """Hash of the file's content; ``None`` until it is saved and loaded."""
        found: str | None = self.info["hash"]
        return found

    @property
    def threshold(self) -> float:
        """Scores above it are anomalous."""
        return float(self.info["threshold"])

    @property
    def pixel_threshold(self) -> float:
        """Values of maps above it are marked; NaN where no member makes maps."""
        found = self.info["pixel_threshold"]
        return float("nan") if found is None else float(found)

    @property
    def promise(self) -> str:
        """What the threshold guarantees about false alarms, in words."""
        return str(self.info["promise"]["text"])

    @property
    def volumes(self) -> dict[str, Any] | None:
        """How it judges volumes: threshold, calibration scores, guarantee; ``None`` where it is not calibrated on volumes."""
        card = self._native.volumes_card()
        return None if card is None else json.loads(card)

    @property
    def calibration_scores(self) -> NDArray[np.float64]:
        """Scores of the calibration normals, ascending."""
        return np.array(self.info["calibration_scores"], np.float64)

    @cached_property
    def measurements(self) -> list[dict[str, Any]]:
        """What is measured on an image: name, unit, direction, meaning; in the order of the evidence."""
        measurements: list[dict[str, Any]] = json.loads(self._native.measurements())
        return measurements

    @cached_property
    def _names(self) -> list[str]:
        return [str(one["name"]) for one in self.measurements]

    @property
    def embeddings(self) -> tuple[NDArray[np.float32], list[str]] | None:
        """Embeddings of the normals it was made from, ``(normals, dimensions)``, and the part of each (``train``, ``fit``,
        ``calibration``); ``None`` where it has no embedding space."""
        found = self._native.embeddings()
        return None if found is None else (np.array(found[0], np.float32), found[1])

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was recorded of each epoch, of every member that trains in epochs; empty without a run folder."""
        if self.path is None:
            return []
        rows = []
        for file in sorted(Path(self.path).parent.glob("history*.jsonl")):
            member = file.stem.removeprefix("history").removeprefix("-") or self.info["members"][0]["name"]
            lines = file.read_text(encoding="utf-8").splitlines()
            rows += [{"member": member, **json.loads(line)} for line in lines]
        return rows

    def __repr__(self) -> str:
        return f"<Detector {self.name}: threshold {self.threshold:.4g}, {self.promise}>"

    def _repr_html_(self) -> str:
        return html.detector(self.info)

    # -- using it

    def score(
        self,
        images: Any,
        *,
        maps: bool = False,
        channels: Channels | None = None,
        pages: bool = False,
        batch: int = _BATCH,
        threads: int | None = None,
        errors: OnError = "raise",
        progress: Progress = None,
    ) -> Verdicts:
        """Scores images for anomalies.

        Args:
            images: A path, folder or manifest; an array ``(height, width)``, ``(height, width, channels)``, ``(images, height,
                width)`` or ``(images, height, width, channels)``; a PIL image, a torch tensor, the bytes of a file, ``(path,
                page)``; or an iterable of such.
            maps: Whether to make maps at the images' sizes.
            channels: ``"last"``, ``"first"`` or ``"none"``: where the channels of arrays are, if that is not clear.
            pages: Whether every page, frame or slice of a file is an image of its own.
            batch: Images scored at once. Scores are bit for bit those of the server at 1, and of the command line at 64.
            threads: Threads that compute; all of the machine's by default. Two Python threads may each have one.
            errors: ``"raise"`` the first error of an image, or ``"skip"`` it: its verdict then holds the error.
            progress: See :data:`aberra.progress.Progress`.

        Returns:
            A verdict for each image, in order.

        Raises:
            InputError: An image that cannot be read or used.
        """
        return Verdicts(
            list(
                self.score_iter(
                    images,
                    maps=maps,
                    channels=channels,
                    pages=pages,
                    batch=batch,
                    threads=threads,
                    errors=errors,
                    progress=progress,
                )
            )
        )

    def score_iter(
        self,
        images: Any,
        *,
        maps: bool = False,
        channels: Channels | None = None,
        pages: bool = False,
        batch: int = _BATCH,
        threads: int | None = None,
        errors: OnError = "raise",
        progress: Progress = None,
    ) -> Iterator[Verdict]:
        """As :meth:`score`, one verdict after another, in constant memory however many images there are."""
        if batch < 1:
            raise SettingsError(f"batch: expected at least 1, found {batch}")
        if threads is not None and threads < 1:
            raise SettingsError(f"threads: expected at least 1, found {threads}")
        if errors not in ("raise", "skip"):
            raise SettingsError(f'errors: expected "raise" or "skip", found {errors!r}')
        group = max(batch, _BATCH if maps else _GROUP)
        listed = sources(images, channels, self._native.channels)
        if pages:
            listed = (page for one in listed for page in _pages(one))
        failed: list[Verdict] = []
        with reporting(progress) as report:
            while chunk := list(islice(listed, group)):
                pictures = [one.picture for one in chunk]
                scored = self._native.score(pictures, maps, batch, threads, report)
                for one, found in zip(chunk, scored, strict=True):
                    if isinstance(found, AberraError):
                        if errors == "raise":
                            raise found if one.name in found.message else type(found)(f"{one.name}: {found.message}", found.hint, found.path)
                        failed.append(_of(one.name, found, self._names, self.threshold))
                        yield failed[-1]
                    else:
                        yield _of(one.name, found, self._names, self.threshold)
        if failed:
            first = failed[0]
            warn([f"{len(failed)} images were not scored, like {first.name}: {first.error and first.error.message}"])

    def score_volumes(
        self,
        volumes: Pathlike | Sequence[Pathlike],
        *,
        maps: bool = False,
        threads: int | None = None,
        errors: OnError = "raise",
        progress: Progress = None,
    ) -> list[VolumeVerdict]:
        """Verdicts on volumes as a whole: NIfTI files, DICOM files of several frames, and DICOM series.

        Args:
            volumes: A file, a folder, or several.
            maps: Whether to make maps, ``(slices, height, width)``; the command line writes them into the volumes' own grids.
            threads: Threads that compute.
            errors: ``"raise"`` the first error of a volume, or ``"skip"`` it.
            progress: See :data:`aberra.progress.Progress`.

        Raises:
            DataError: Not one volume.
            InputError: A volume that cannot be read, or shows nothing but air.
        """
        given = [volumes] if isinstance(volumes, (str, os.PathLike)) else list(volumes)
        files = []
        for path in given:
            found, passed_over = _aberra.image_paths(os.fspath(path), self._native.channels)
            warn(passed_over)
            files += found
        with reporting(progress) as report:
            judged, said = self._native.score_volumes(files, maps, threads, report)
        tell(said)
        verdicts = []
        for name, told, slices, volume_map in judged:
            if isinstance(told, AberraError) and errors == "raise":
                raise told
            places = [(os.fspath(path), page) for path, page in slices]
            verdicts.append(volume_verdict(name, told, places, volume_map))
        return verdicts

    def calibrate(
        self,
        *,
        rate: float | None = None,
        confidence: float | None = None,
        percentile: float | None = None,
        threshold: float | None = None,
        labelled: Literal["f1", "youden", "cost"] | None = None,
        cost_false_alarm: float | None = None,
        cost_miss: float | None = None,
        data: Any = None,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        volumes: bool = False,
        channels: Channels | None = None,
        ignore: Sequence[tuple[float, float, float, float]] = (),
        split: Pathlike | None = None,
        progress: Progress = None,
    ) -> Detector:
        """The same detector with another threshold, without training again. Exactly one of ``rate``, ``percentile``,
        ``threshold`` and ``labelled`` is given.

        Args:
            rate: False-alarm rate to guarantee, such as 0.05, from normal images alone.
            confidence: Guarantee it with this confidence instead of on average.
            percentile: Percentile of the normals' scores, 0 to 100; without a guarantee.
            threshold: A fixed threshold; without a guarantee.
            labelled: The threshold that is best on the labelled images of ``data``; without a guarantee.
            cost_false_alarm: With ``labelled="cost"``, of a false alarm; 1 unless given.
            cost_miss: With ``labelled="cost"``, of a missed anomaly; 1 unless given.
            data: Other normal images to calibrate on, as :meth:`train` takes them; with ``labelled`` a labelled data set.
            normal: Class folders that are normal.
            pages: Whether every page of a file is an image of its own.
            volumes: Whether the threshold is that of volumes.
            channels: Where the channels of arrays are.
            ignore: With ``data``: areas of every image that are ignored from now on, such as a date or a ruler, each left, top, width
                and height as shares of its sides. Not with ``labelled`` or ``volumes``.
            split: A split of the data, of which only the test part is used, with ``labelled``.
            progress: See :data:`aberra.progress.Progress`.

        Raises:
            SettingsError: None or several criteria, one out of range, or what goes with another.
            DataError: Too few normal images.
        """
        for value, name, is_of_use, wanted in (
            (confidence, "confidence", rate is not None, "rate"),
            (split, "split", labelled is not None, "labelled"),
            (cost_false_alarm, "cost_false_alarm", labelled == "cost", 'labelled="cost"'),
            (cost_miss, "cost_miss", labelled == "cost", 'labelled="cost"'),
        ):
            if value is not None and not is_of_use:
                raise SettingsError(f"{name}: expected {wanted} beside it, found none")
        if len(ignore) > 0 and (data is None or labelled is not None or volumes):
            raise SettingsError("ignore: expected normal images as `data`, without `labelled` or `volumes`")
        criteria: dict[str, dict[str, Any]] = {}
        if rate is not None:
            criteria["rate"] = {"kind": "conformal", "rate": float(rate)}
            if confidence is not None:
                criteria["rate"]["confidence"] = float(confidence)
        if percentile is not None:
            criteria["percentile"] = {"kind": "percentile", "percentile": float(percentile)}
        if threshold is not None:
            criteria["threshold"] = {"kind": "fixed", "threshold": float(threshold)}
        if labelled is not None:
            kinds: Mapping[str, dict[str, Any]] = {
                "f1": {"kind": "labelled-f1-max"},
                "youden": {"kind": "labelled-youden"},
                "cost": {
                    "kind": "labelled-cost",
                    "false_alarm": 1.0 if cost_false_alarm is None else float(cost_false_alarm),
                    "miss": 1.0 if cost_miss is None else float(cost_miss),
                },
            }
            if labelled not in kinds:
                raise SettingsError(f"labelled: expected one of {', '.join(kinds)}, found {labelled!r}")
            criteria["labelled"] = dict(kinds[labelled])
        if len(criteria) != 1:
            found = ", ".join(criteria) or "none"
            raise SettingsError(f"expected one of rate, percentile, threshold and labelled, found {found}")
        criterion = json.dumps(next(iter(criteria.values())))
        if data is None:
            if labelled is not None:
                raise SettingsError("labelled: expected labelled images as `data`, found none")
            return Detector(self._native.calibrate(criterion, volumes), self.name)
        split = None if split is None else os.fspath(split)
        with tempfile.TemporaryDirectory(prefix="aberra-") as folder, reporting(progress) as report:
            given = _opening(data, folder, channels, opening("", normal, pages, volumes))
            areas = [(left, top, width, height) for left, top, width, height in ignore]
            detector = self._native.ignoring(areas) if areas else self._native
            native, said = detector.calibrate_on(criterion, given, split, report)
        tell(said)
        return Detector(native, self.name)

    def evaluate(
        self,
        data: Pathlike,
        *,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        volumes: bool = False,
        split: Pathlike | None = None,
        masks: bool = True,
        threads: int | None = None,
        progress: Progress = None,
    ) -> Evaluation:
        """Metrics with intervals on a labelled data set. Images that the detector was made from are recognised by content and
        left out.

        Args:
            data: A folder with a subfolder for each class, or a manifest.
            normal: Class folders that are normal.
            pages: Whether every page of a file is an image of its own.
            volumes: Whether volumes are taken apart into their slices.
            split: A split of the data (``split.json``), of which only the test part is evaluated.
            masks: Whether maps are compared with the masks that exist.
            threads: Threads that compute.
            progress: See :data:`aberra.progress.Progress`.

        Raises:
            DataError: Not one image to evaluate on.
        """
        split = None if split is None else os.fspath(split)
        with reporting(progress) as report:
            native, said = self._native.evaluate(opening(data, normal, pages, volumes), split, masks, threads, report)
        tell(said)
        return Evaluation(native)

    def explain(self, image: Any, *, channels: Channels | None = None, data: Pathlike | None = None) -> Explanation:
        """Why an image has its score: evidence with percentiles, nearest training normals, reconstruction, a figure.

        Args:
            image: One image, as :meth:`score` takes it.
            channels: Where the channels of an array are.
            data: Folder of the training images, from which the nearest normals are named.

        Raises:
            InputError: No image or several, or one that cannot be used.
        """
        found = list(islice(sources(image, channels, self._native.channels), 2))
        if len(found) != 1:
            raise InputError(f"expected one image to explain, found {'several' if found else 'none'}")
        text, figure, pixels, reconstruction = self._native.explain(
            found[0].picture, None if data is None else os.fspath(data)
        )
        shape = self.info["input"]
        return explanation(
            found[0].name, text, figure, pixels, reconstruction, (shape["height"], shape["width"], shape["channels"])
        )

    def report(
        self,
        path: Pathlike,
        data: Pathlike,
        *,
        evaluation: Evaluation | None = None,
        normal: str | Sequence[str] = (),
        pages: bool = False,
        split: Pathlike | None = None,
        progress: Progress = None,
    ) -> Path:
        """Writes the self-contained HTML report of the detector on a labelled data set; returns its path.

        Args:
            path: Where to write it.
            data: A folder with a subfolder for each class, or a manifest.
            evaluation: An evaluation of this detector on this data, used instead of a new one.
            normal: Class folders that are normal.
            pages: Whether every page of a file is an image of its own.
            split: A split of the data, of which only the test part is reported.
            progress: See :data:`aberra.progress.Progress`.
        """
        if evaluation is None:
            evaluation = self.evaluate(data, normal=normal, pages=pages, split=split, progress=progress)
        request = {
            "data": opening(data, normal, pages),
            "out": os.fspath(path),
            "name": self.name,
            "run_folder": None if self.path is None else os.fspath(Path(self.path).parent),
        }
        with reporting(progress) as report:
            self._native.report(request, evaluation._native, report)
        return Path(path)

    def export(
        self, onnx: Pathlike, *, images: Any = None, channels: Channels | None = None, evidence: bool = False
    ) -> dict[str, Any]:
        """Writes the detector as an ONNX model (opset 17), and its description beside it with the extension ``.json``.

        The model takes preprocessed images and gives score, p-value, verdict, map and reconstruction. It is run beside the
        detector before it is written.

        Args:
            onnx: Where to write the model.
            images: Images on which model and detector are compared, beside drawn ones, as :meth:`score` takes them.
            channels: Where the channels of arrays are.
            evidence: Whether the model gives every measurement, too.

        Returns:
            The description: input, outputs, preprocessing, threshold, proof.

        Raises:
            SettingsError: A detector of several tiles, or a family or scorer that has no graph.
            DetectorError: The model does not agree with the detector; nothing was written.
        """
        pictures = [] if images is None else [one.picture for one in sources(images, channels)]
        description: dict[str, Any] = json.loads(self._native.export(os.fspath(onnx), pictures, evidence))
        return description


def _opening(data: Any, folder: str, channels: Channels | None, how: Opening) -> Opening:
    """A data set; images that are none are written to ``folder`` first."""
    if isinstance(data, (str, os.PathLike)):
        return {**how, "path": os.fspath(data)}
    return {**how, "path": write_images(data, folder, channels), "normal": ["*"]}


def _pages(source: Source) -> Iterator[Source]:
    place, page = source.picture
    count = _aberra.count_pages(place) if page is None else 1
    if count == 1:
        yield source
        return
    for number in range(count):
        yield Source(f"{source.name}[{number}]", (place, number))


def write_images(images: Any, folder: str, channels: Channels | None) -> str:
    """Writes images that are no data set to a folder, losslessly, so that they can be read as one."""
    count = 0
    for count, one in enumerate(sources(images, channels), 1):
        place, page = one.picture
        if isinstance(place, str):
            if page is not None:
                raise InputError("expected files to train on, found pages of files", "train on the files with pages=True")
            target = Path(folder) / f"{count - 1:07}{Path(place).suffix}"
            try:
                target.symlink_to(os.path.abspath(place))
            except OSError:
                target.write_bytes(Path(place).read_bytes())
        elif isinstance(place, list):
            raise InputError("expected images of one file to train on, found several of channels", "train on the manifest itself")
        else:
            ending = ".npy" if place.startswith(b"\x93NUMPY") else ".png"
            (Path(folder) / f"{count - 1:07}{ending}").write_bytes(place)
    if count == 0:
        raise InputError("expected normal images, found none")
    return folder
