"""The program ``aberra``: the same one as the Rust binary, held by this package."""

from __future__ import annotations

import signal
import sys

from . import _aberra


def main() -> int:
    """Runs the program with the arguments of the process, and returns its exit status."""
    # Ctrl-C is the program's: Python's handler would wait for Python code to run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _aberra.program(["aberra", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
