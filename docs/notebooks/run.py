"""Executes the notebooks of this folder, in order, and writes them with their outputs as .ipynb files.

    pip install aberra jupytext nbclient ipykernel matplotlib pandas pillow scikit-learn pyod nibabel
    python run.py OUT [NAME ...]

Status 1 if a cell fails, or a notebook with its outputs is larger than a megabyte.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

MOST_BYTES = 1 << 20
HERE = Path(__file__).parent


def run(source: Path, out: Path) -> str | None:
    """Executes a notebook; returns what is wrong."""
    notebook = jupytext.read(source)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        try:
            client.execute()
        except CellExecutionError as error:
            return str(error)
    target = out / f"{source.stem}.ipynb"
    nbformat.write(notebook, target)
    size = target.stat().st_size
    return f"expected at most {MOST_BYTES} bytes with its outputs, found {size}" if size > MOST_BYTES else None


def main() -> int:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    # The kernel is that of this very Python, whatever kernels are installed elsewhere.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    chosen = sys.argv[2:]
    sources = sorted(path for path in HERE.glob("*.py") if path.name != "run.py" and (not chosen or path.stem in chosen))
    failed = 0
    for source in sources:
        start = time.perf_counter()
        wrong = run(source, out)
        print(f"{'FAILED' if wrong else 'ok':8}{time.perf_counter() - start:6.1f} s  {source.name}")
        if wrong:
            print(wrong)
            failed += 1
    print(f"{len(sources) - failed} notebooks ran, {failed} failed")
    return int(failed > 0 or not sources)


if __name__ == "__main__":
    sys.exit(main())
