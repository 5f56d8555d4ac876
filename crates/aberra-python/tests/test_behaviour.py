"""Threads, forks, signals, progress: how the package behaves in a process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import aberra
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import SMALL


def python(code: str, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, timeout=timeout
    )


def test_importing_is_quick_and_needs_numpy_alone() -> None:
    done = python(
        """
        import sys, time
        start = time.perf_counter()
        import aberra
        print(time.perf_counter() - start)
        print(sorted({name.split(".")[0] for name in sys.modules} & {"pandas", "torch", "sklearn", "ray", "tqdm", "PIL", "pyod"}))
        """
    )
    seconds, others = done.stdout.splitlines()
    assert others == "[]"
    assert float(seconds) < 3  # on a busy machine; measured elsewhere


def test_results_do_not_depend_on_threads(several: aberra.Detector, images: NDArray[np.uint8]) -> None:
    expected = several.score(images, maps=True)
    for threads in (1, 3):
        found = several.score(images, maps=True, threads=threads)
        assert found.scores.tolist() == expected.scores.tolist()
        assert all(np.array_equal(a.map, b.map) for a, b in zip(found, expected, strict=True))


def test_threads_score_side_by_side(several: aberra.Detector, images: NDArray[np.uint8]) -> None:
    expected = several.score(images, batch=1).scores.tolist()
    found: list[list[float]] = []

    def work() -> None:
        found.append(several.score(images, batch=1, threads=1).scores.tolist())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected] * 4


def test_other_threads_go_on_while_one_scores(several: aberra.Detector, images: NDArray[np.uint8]) -> None:
    ticks = 0
    ended = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not ended.is_set():
            ticks += 1
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    several.score(list(images) * 4, threads=1)
    ended.set()
    other.join()
    assert ticks > 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_refused_and_does_not_hang(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    detector.score(images[:1])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            detector.score(images[:1])
            os.write(write, b"scored")
        except aberra.AberraError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.waitpid(child, 0)
    assert "forked" in said and "spawn" in said


POOL = """
import multiprocessing
import sys
from pathlib import Path

import aberra


def work(path):
    return aberra.Detector.load(sys.argv[1]).score(path, batch=1).scores[0]


if __name__ == "__main__":
    files = sorted(Path(sys.argv[2]).rglob("*.png"))[:4]
    own = [work(one) for one in files]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(work, files) == own)
"""


def test_a_spawned_pool_scores(run: Path, data: Path, tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    command = [sys.executable, str(script), str(run / "detector.aberra"), str(data / "test")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "True", done.stderr


def test_ctrl_c_ends_training_soon_and_keeps_what_is_finished(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code = """
        import os, signal, sys, threading, time
        import aberra
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where the tests run in the background
        asked = 0.0
        def progress(name, done, of, text):
            global asked
            if not asked and "epoch 3" in text:
                asked = time.perf_counter()
                os.kill(os.getpid(), signal.SIGINT)
        try:
            aberra.Detector.train(sys.argv[1], out=sys.argv[2], family="vae", size=32, epochs=400, rate=0.1, group="none",
                progress=progress)
            print("finished")
        except KeyboardInterrupt:
            print(time.perf_counter() - asked)
        """
    done = python(code, data, out)
    assert done.stdout.strip() != "finished", done.stderr
    assert float(done.stdout) < 0.5, done.stdout + done.stderr
    assert list(out.rglob("checkpoint*.safetensors")), list(out.rglob("*"))


def test_ctrl_c_ends_scoring_at_once(run: Path, data: Path) -> None:
    done = python(
        """
        import os, signal, sys, threading, time
        from pathlib import Path
        import aberra
        signal.signal(signal.SIGINT, signal.default_int_handler)
        detector = aberra.Detector.load(sys.argv[1])
        files = sorted(Path(sys.argv[2]).rglob("*.png")) * 4000
        asked = []
        def ask():
            time.sleep(0.5)
            asked.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=ask).start()
        try:
            detector.score(files)
            print("finished")
        except KeyboardInterrupt:
            print(time.perf_counter() - asked[0])
        """,
        run / "detector.aberra",
        data / "test",
    )
    assert done.stdout.strip() != "finished", done.stderr
    assert float(done.stdout) < 0.5


def test_progress_is_told_and_its_exceptions_stop_the_work(data: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    aberra.Detector.train(data, **{**SMALL, "progress": lambda *step: told.append(step)})
    assert told and all(done <= of for _, done, of, _ in told if of)

    def stop(*step: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        aberra.Detector.train(data, **{**SMALL, "epochs": 300, "progress": stop})


def test_scoring_takes_constant_memory(detector: aberra.Detector, images: NDArray[np.uint8]) -> None:
    resource = pytest.importorskip("resource")
    large = np.tile(images[0], (16, 16))

    def many(count: int) -> None:
        for _ in detector.score_iter((large for _ in range(count)), batch=8):
            pass

    many(300)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many(1500)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 80_000, f"{grown} kB"
