"""Exceptions and warnings. Each exception says what was expected and what was found; ``hint`` says what to do."""

from __future__ import annotations

import os

__all__ = [
    "AberraError",
    "AberraNote",
    "AberraWarning",
    "DataError",
    "DetectorError",
    "FileError",
    "InputError",
    "SettingsError",
]


class AberraError(Exception):
    """Whatever Aberra refuses or cannot do.

    Attributes:
        hint: What to do, or ``None``.
        path: The file or folder concerned, or ``None``.
    """

    hint: str | None
    path: str | None

    def __init__(
        self, message: str, hint: str | None = None, path: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(f"{message}\nhint: {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.path = None if path is None else os.fspath(path)

    def __reduce__(self) -> tuple[type[AberraError], tuple[str, str | None, str | None]]:
        return type(self), (self.message, self.hint, self.path)


class InputError(AberraError, ValueError):
    """An image that cannot be read or used."""


class SettingsError(AberraError, ValueError):
    """A setting out of its range, of the wrong type, or at odds with another."""


class DetectorError(AberraError, ValueError):
    """A detector file that does not verify or does not fit."""


class DataError(AberraError, ValueError):
    """A data set that does not support the operation."""


class FileError(AberraError, OSError):
    """A file or folder that cannot be read or written."""


class AberraWarning(UserWarning):
    """Something that was passed over or left out, or makes a number weak."""


class AberraNote(UserWarning):
    """Something that was found or decided on the user's behalf, such as which class was taken as normal.

    ``warnings.simplefilter("ignore", aberra.AberraNote)`` silences notes.
    """
