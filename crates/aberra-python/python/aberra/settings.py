"""Settings of training, as keywords, as a TOML file's text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import SettingsError

SHORT: Mapping[str, str] = {
    "size": "preprocessing.size_px",
    "tiles": "preprocessing.tiles",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "backbone": "backbone",
    "precision": "model.precision",
    "scorer": "scorer",
    "rate": "promise.false_alarm_rate",
    "confidence": "promise.confidence",
    "group": "split.by",
    "keep_thumbnails": "keep_thumbnails",
    "family": "model.family",
    "preset": "model.preset",
    "seed": "seed",
}
"""The keywords that are the command line's flags, and what they set."""


def to_toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML.

    A keyword is one of the command line's flags (``size=128``), a section as a mapping (``train={"epochs": 20}``), or a
    section's setting (``train__epochs=20``). What is ``None`` stays at its default.

    >>> print(to_toml({"size": 64, "train__learning_rate": 0.001, "family": "vae"}))
    preprocessing.size_px = 64
    train.learning_rate = 0.001
    model.family = "vae"
    """
    lines: list[str] = []
    for name, value in settings.items():
        path = SHORT.get(name, name.replace("__", "."))
        lines.extend(f"{key} = {_value(one)}" for key, one in _flat(path, value))
    return "\n".join(lines)


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [pair for key, one in value.items() for pair in _flat(f"{path}.{key}", one)]
    return [(path, value)]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    plain = getattr(value, "item", None)
    value = plain() if plain is not None else value
    if isinstance(value, (int, float)):
        return repr(value)
    raise SettingsError(f"expected a number, text, list or mapping as a setting, found {type(value).__name__}")
