"""Scoring with Ray Data, on one machine or many: ``pip install aberra[ray]``.

    import aberra.ray, ray
    dataset = ray.data.from_items([{"path": path} for path in paths])
    aberra.ray.score(dataset, "detector.aberra", actors=8).write_parquet("scores/")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .detector import Detector

if TYPE_CHECKING:
    import ray.data

__all__ = ["Scorer", "score"]


class Scorer:
    """Scores batches of paths, or of the bytes of files, in an actor that loads the detector once."""

    def __init__(self, detector: bytes, path_column: str, bytes_column: str | None, threads: int) -> None:
        self._detector = Detector.from_bytes(detector)
        self._path_column = path_column
        self._bytes_column = bytes_column
        self._threads = threads

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        column = self._bytes_column or self._path_column
        images = [bytes(one) if self._bytes_column else str(one) for one in batch[column]]
        # One image at a time gives the bits of the server, however the rows are divided into batches.
        verdicts = self._detector.score(images, batch=1, threads=self._threads, errors="skip", progress=False)
        return {
            **batch,
            "score": verdicts.scores,
            "p_value": verdicts.p_values,
            "anomalous": verdicts.anomalous,
            "error": np.array(["" if row.error is None else row.error.message for row in verdicts], dtype=object),
        }


def score(
    dataset: ray.data.Dataset,
    detector: Detector | str | os.PathLike[str],
    *,
    path_column: str = "path",
    bytes_column: str | None = None,
    actors: int = 1,
    threads: int = 1,
    batch_size: int = 64,
) -> ray.data.Dataset:
    """Scores the images that a data set's rows name; the rows get the columns ``score``, ``p_value``, ``anomalous`` and ``error``
    (empty, or why an image could not be scored).

    Send paths, or bytes, not pixels: what travels between machines is then small. A lost actor's batches are scored again by
    another, so no row is lost or doubled. The scores do not depend on actors, threads or batches.

    Args:
        dataset: Rows with a path, or with a file's bytes.
        detector: A detector, or the path of its file, which this process can read: its bytes are sent to the actors.
        path_column: Column with the paths, which every actor's machine must be able to read.
        bytes_column: Column with the bytes of files (as ``ray.data.read_binary_files`` gives), read in place of the paths.
        actors: Actors that score.
        threads: Threads, and processors, of each.
        batch_size: Rows passed to an actor at once.
    """
    import ray.data

    if not isinstance(detector, Detector):
        detector = Detector.load(detector)
    return dataset.map_batches(
        Scorer,
        fn_constructor_args=(detector.to_bytes(), path_column, bytes_column, threads),
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=threads,
        batch_size=batch_size,
        batch_format="numpy",
    )
