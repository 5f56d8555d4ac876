"""Results as HTML for notebooks: self-contained, without scripts, readable on light and dark pages."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .detector import Detector
    from .evaluation import Evaluation
    from .results import Explanation, Verdict, Verdicts, VolumeVerdict

_MOST_ROWS = 20
_STYLE = (
    "<style>.aberra{font:13px/1.5 system-ui,sans-serif;max-width:60em}.aberra table{border-collapse:collapse;margin:.4em 0}"
    ".aberra td,.aberra th{padding:.15em .8em .15em 0;text-align:left;border:0;background:none}"
    ".aberra td.n{text-align:right;font-variant-numeric:tabular-nums}.aberra .flag{font-weight:600;color:#c2410c}"
    ".aberra .plain{color:#0f766e;font-weight:600}.aberra small{opacity:.7}.aberra .bar{display:inline-block;height:.6em;"
    "background:#0f766e;vertical-align:middle}.aberra svg{background:#fff}</style>"
)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.4g}"


def _page(body: str) -> str:
    return f'{_STYLE}<div class="aberra">{body}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"


def _text(value: str) -> str:
    return f"<td>{escape(value)}</td>"


def _figure(value: float) -> str:
    return f'<td class="n">{_number(value)}</td>'


def _word(anomalous: bool) -> str:
    return '<span class="flag">anomalous</span>' if anomalous else '<span class="plain">not flagged</span>'


def _png(data: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(data).decode()}" style="max-width:100%">'


def _summary(name: str, anomalous: bool, score: float, threshold: float, p_value: float) -> str:
    return (
        f"<div><b>{escape(name)}</b>: {_word(anomalous)} <small>score {_number(score)}, threshold {_number(threshold)}, "
        f"p-value {_number(p_value)}</small></div>"
    )


def verdict(one: Verdict) -> str:
    """A verdict with what was measured."""
    if one.error is not None:
        return _page(f"<div><b>{escape(one.name)}</b>: not scored <small>{escape(str(one.error))}</small></div>")
    rows = ([_text(name), _figure(value)] for name, value in one.evidence.items())
    return _page(
        _summary(one.name, one.anomalous, one.score, one.threshold, one.p_value)
        + f"<details><summary>evidence</summary>{_table(['measurement', 'value'], rows)}</details>"
    )


def verdicts(many: Verdicts) -> str:
    """The highest scores of a table of verdicts."""
    shown = sorted((row for row in many if row.error is None), key=lambda row: -row.score)[:_MOST_ROWS]
    rows = (
        [_text(row.name), _figure(row.score), _figure(row.p_value), f"<td>{_word(row.anomalous)}</td>"] for row in shown
    )
    more = len(many) - len(shown)
    note = f"<small>and {more} more</small>" if more > 0 else ""
    head = f"<div><b>{len(many)} images</b>, {int(many.anomalous.sum())} anomalous, {len(many.errors)} not scored</div>"
    return _page(head + _table(["image", "score", "p-value", "verdict"], rows) + note)


def volume(one: VolumeVerdict) -> str:
    """A volume's verdict, and its score along the slices."""
    if one.error is not None:
        return _page(f"<div><b>{escape(one.name)}</b>: not scored <small>{escape(str(one.error))}</small></div>")
    if one.anomalous is None:
        head = f"<div><b>{escape(one.name)}</b>: score {_number(one.score)}, no threshold for volumes</div>"
    else:
        head = _summary(one.name, one.anomalous, one.score, one.threshold, one.p_value)
    known = [(at, score) for at, score in enumerate(one.scores.tolist()) if score == score]
    low, high = min(score for _, score in known), max(score for _, score in known)
    scale = 80 / (high - low) if high > low else 0
    step = 480 / max(1, len(one.scores))
    bars = "".join(
        f'<rect x="{at * step:.1f}" y="{88 - (score - low) * scale:.1f}" width="{max(step - 1, 0.5):.1f}" '
        f'height="{(score - low) * scale + 2:.1f}" fill="{"#c2410c" if at == one.worst else "#0f766e"}"/>'
        for at, score in known
    )
    drawn = f'<svg width="480" height="92" role="img" aria-label="score of each slice">{bars}</svg>'
    note = f"<small>score of each of {len(one.scores)} slices, {one.empty} without content; highest: slice {one.worst + 1}</small>"
    return _page(f"{head}{drawn}<div>{note}</div>")


def explanation(one: Explanation) -> str:
    """An explanation: the figure, and each measurement's percentile."""

    def bar(percentile: float | None) -> str:
        if percentile is None:
            return "<td></td>"
        return f'<td><span class="bar" style="width:{percentile * 0.08:.2f}em"></span> {percentile:.0f}</td>'

    rows = ([_text(name), _figure(value), bar(one.percentiles.get(name))] for name, value in one.evidence.items())
    return _page(
        _summary(one.name, one.anomalous, one.score, one.threshold, one.p_value)
        + _png(one.figure, "network input, reconstruction and map")
        + f"<details><summary>evidence</summary>{_table(['measurement', 'value', 'percentile'], rows)}</details>"
    )


def detector(card: dict[str, Any]) -> str:
    """A detector's card."""

    def part(name: str) -> str:
        size = card[name]
        return f"{size['images']} images ({size['groups']} groups)"

    members = ", ".join(f"{one['name']} ({one['parameters']:,} parameters)" for one in card["members"])
    rows = [
        ("trained on", f"{card['made_from']}: {part('train')}"),
        ("scorer fitted on", part("fit")),
        ("calibrated on", part("calibration")),
        ("threshold", _number(card["threshold"])),
        ("guarantee", card["promise"]["text"]),
        ("members", members),
        ("input", f"{card['input']['height']} x {card['input']['width']} x {card['input']['channels']}"),
        ("hash", (card["hash"] or "not saved")[:16]),
    ]
    table = _table(["", ""], ([_text(key), _text(value)] for key, value in rows))
    return _page(f"<div><b>Detector {escape(card['name'])}</b></div>{table}")


def evaluation(one: Evaluation) -> str:
    """An evaluation: its figures with intervals, and the two curves."""
    rows = [[_text(name), _text(value)] for name, value in one.figures().items()]
    curves = [("ROC", "false-positive rate", "true-positive rate", one.roc)]
    curves.append(("precision and recall", "recall", "precision", one.precision_recall))
    drawn = "".join(_curve(title, x, y, curve[1], curve[2]) for title, x, y, curve in curves if curve is not None)
    warnings = "".join(f"<li>{escape(text)}</li>" for text in one.warnings)
    return _page(
        f"<div><b>Evaluation on {escape(one.data)}</b></div>{_table(['', ''], rows)}<div>{drawn}</div>"
        + (f"<div>Warnings<ul>{warnings}</ul></div>" if warnings else "")
    )


def _curve(title: str, x: str, y: str, across: Any, up: Any) -> str:
    points = " ".join(f"{40 + 180 * a:.1f},{200 - 180 * b:.1f}" for a, b in zip(across, up, strict=True))
    return (
        f'<svg width="240" height="240" role="img" aria-label="{escape(title)}" font-size="11" font-family="sans-serif">'
        '<path d="M40 20V200H220" fill="none" stroke="#555"/>'
        f'<polyline points="{points}" fill="none" stroke="#0f766e" stroke-width="2"/>'
        f'<text x="130" y="14" text-anchor="middle">{escape(title)}</text>'
        f'<text x="130" y="228" text-anchor="middle">{escape(x)}</text>'
        f'<text x="14" y="110" text-anchor="middle" transform="rotate(-90 14 110)">{escape(y)}</text>'
        '<text x="36" y="204" text-anchor="end">0</text><text x="36" y="26" text-anchor="end">1</text>'
        '<text x="220" y="214" text-anchor="middle">1</text></svg>'
    )
