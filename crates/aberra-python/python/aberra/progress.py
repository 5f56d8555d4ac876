"""Progress of long work: a bar by ``tqdm`` where that is installed, nothing elsewhere."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Progress: TypeAlias = "bool | None | Callable[[str, int, int, str], object]"
"""``True`` for a bar, ``False`` for none, ``None`` for a bar on terminals and in notebooks, or a function of one's own, which
gets what is worked on, how much is done, of how much (0: not known), and a text."""


_DELAY_SECONDS = 0.5
"""Work that is done sooner shows no bar."""


def _wanted() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()


@contextmanager
def reporting(progress: Progress) -> Iterator[Callable[[str, int, int, str], object] | None]:
    """The function that the native part calls, or none."""
    if callable(progress):
        yield progress
        return
    if progress is False or (progress is None and not _wanted()):
        yield None
        return
    try:
        with warnings.catch_warnings():
            # Without ipywidgets the bar is text, which is good enough.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        yield None
        return
    bar: Any = None
    name_of_bar = ""

    def report(name: str, done: int, of: int, text: str) -> None:
        nonlocal bar, name_of_bar
        if not name or of == 0:
            return
        if bar is None or name != name_of_bar:
            if bar is not None:
                bar.close()
            bar, name_of_bar = tqdm(total=of, desc=name, leave=False, delay=_DELAY_SECONDS), name
        bar.set_postfix_str(text, refresh=False)
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
