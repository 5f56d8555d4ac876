"""Ray Data: the rows are those of scoring at once, also when an actor is killed."""

from __future__ import annotations

from pathlib import Path

import aberra
import numpy as np
import pytest

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_rows_are_equal_and_a_killed_actor_loses_and_doubles_nothing(
    cluster, run: Path, data: Path, tmp_path: Path
) -> None:
    import aberra.ray

    files = [str(file) for file in sorted((data / "test").rglob("*.png"))]
    paths = files * (400 // len(files) + 1)
    rows = [{"path": path, "number": number} for number, path in enumerate(paths)]
    expected = aberra.Detector.load(run / "detector.aberra").score(paths, batch=1).scores
    marker = tmp_path / "killed"

    class Dies(aberra.ray.Scorer):
        """Its process is killed once, in mid-run."""

        def __call__(self, batch):
            import os

            if 200 in batch["number"] and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), 9)
            return super().__call__(batch)

    dataset = ray.data.from_items(rows)
    plain = aberra.ray.score(dataset, run / "detector.aberra", actors=1, batch_size=32).to_pandas()
    assert sorted(plain["number"]) == list(range(len(paths)))
    assert np.array_equal(plain.sort_values("number")["score"], expected)

    detector = aberra.Detector.load(run / "detector.aberra")
    killed = dataset.map_batches(
        Dies,
        fn_constructor_args=(detector.to_bytes(), "path", None, 1),
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=1,
        batch_size=32,
        batch_format="numpy",
    ).to_pandas()
    assert marker.exists()
    assert sorted(killed["number"]) == list(range(len(paths)))
    assert np.array_equal(killed.sort_values("number")["score"], expected)


def test_bytes_and_unreadable_rows(cluster, run: Path, data: Path) -> None:
    import aberra.ray

    file = next((data / "test").rglob("*.png"))
    dataset = ray.data.from_items([{"bytes": file.read_bytes()}, {"bytes": b"no image"}])
    scored = aberra.ray.score(dataset, run / "detector.aberra", bytes_column="bytes", batch_size=1).take_all()
    by_error = {bool(row["error"]): row for row in scored}
    assert np.isfinite(by_error[False]["score"]) and np.isnan(by_error[True]["score"])
