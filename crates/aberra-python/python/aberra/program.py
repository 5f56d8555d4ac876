"""What runs as the program in a process of its own: the server and comparisons."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .detector import Detector
from .errors import AberraError

__all__ = ["Server", "bench", "serve"]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aberra", *arguments]


class Server:
    """A running server; :meth:`close` or the end of a ``with`` block stops it.

    Attributes:
        url: Its address, with the web app at the root and REST below ``/api/v1``.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, folder: tempfile.TemporaryDirectory[str] | None) -> None:
        self._process = process
        self._folder = folder
        self.url = url

    def close(self) -> None:
        """Stops it: requests under way are answered first."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def __repr__(self) -> str:
        return f"<Server at {self.url}>"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank">{self.url}</a>'


def serve(detector: Detector | str | os.PathLike[str], *, port: int = 0, options: Sequence[str] = ()) -> Server:
    """Serves a detector on this machine: web app, REST, Open Inference Protocol.

    Args:
        detector: A detector, or the path of its file.
        port: Port; 0 for any that is free.
        options: Further flags of ``aberra serve``.

    Raises:
        AberraError: The server did not start; the message is its own.
    """
    folder = None
    if isinstance(detector, Detector):
        folder = tempfile.TemporaryDirectory(prefix="aberra-")
        path = os.path.join(folder.name, f"{detector.name}.aberra")
        detector.save(path)
    else:
        path = os.fspath(detector)
    process = subprocess.Popen(
        _command("serve", path, "--address", f"127.0.0.1:{port}", *options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if found := re.search(r"http://[\w.\[\]:]+:\d+", line):
            # What it says later must not fill the pipe.
            _drain(process)
            return Server(process, found[0], folder)
    process.wait()
    raise AberraError(f"the server did not start: {said.strip()}")


def _drain(process: subprocess.Popen[str]) -> None:
    import threading

    def read() -> None:
        assert process.stdout is not None
        for _ in process.stdout:
            pass

    threading.Thread(target=read, daemon=True).start()


def bench(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    families: Sequence[str] = (),
    normal: str | Sequence[str] = (),
    seeds: int = 1,
    folds: int = 5,
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Compares families on the same grouped folds with the same seeds, as ``aberra bench``; goes on where it was stopped.

    Args:
        data: A labelled data set.
        out: Folder of the comparison: ``comparison.json``, ``comparison.html``, and what is finished.
        families: Families to compare; all by default.
        normal: Class folders that are normal.
        seeds: Seeds per fold.
        folds: Folds.
        options: Further flags of ``aberra bench``.

    Returns:
        The comparison, as in ``comparison.json``.

    Raises:
        AberraError: The comparison failed; the message is the program's.
    """
    flags = ["--out", os.fspath(out), "--seeds", str(seeds), "--folds", str(folds)]
    flags += ["--families", ",".join(families)] if families else []
    for name in [normal] if isinstance(normal, str) else normal:
        flags += ["--normal", name]
    done = subprocess.run(
        _command("bench", os.fspath(data), *flags, *options), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode not in (0, 2):
        raise AberraError(done.stderr.strip())
    comparison: dict[str, Any] = json.loads((Path(out) / "comparison.json").read_text(encoding="utf-8"))
    return comparison
