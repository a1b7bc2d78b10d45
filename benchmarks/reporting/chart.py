"""The chart: one panel for each comparison, as SVG.

Knows: shapes. Must not know: how anything is measured. It needs no package.

The raw limit is left out, because all others would be too small beside it. The tables have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from ..cases import CASES, Case, Metric
from ..machine import in_words
from ..statistics import Summary
from ..systems import OURS, OURS_AIO, SYSTEMS
from .results import Results

_COLUMNS = 2
_WIDTH, _GAP, _TOP = 500, 24, 64
_LABEL, _VALUE, _ROW = 212, 76, 20
_OURS, _THEIRS, _WHISKER = "#1f6feb", "#b6bec9", "#3d444d"
_LONG_TITLE = 45  # characters
# Too many figures cannot be compared at a glance, so only some of these cases are shown.
_CHOSEN = {"patterns": ("recurring_1", "recurring_10k", "new_10k"), "new-patterns": ("longest",)}


@dataclass(frozen=True)
class Panel:
    """A title, and a bar for each system: its name and its figure."""

    title: str
    note: str
    bars: tuple[tuple[str, Summary], ...]

    @property
    def height(self) -> int:
        return 44 + _ROW * len(self.bars)


def panels(results: Results) -> list[Panel]:
    """A panel for each metric that was measured for ours and at least one other system."""
    found = []
    for name in results.values:
        case = CASES[name]
        for metric in case.metrics:
            if name not in _CHOSEN or metric.key in _CHOSEN[name]:
                bars = _bars(results, case, metric)
                if len(bars) > 1:
                    direction = "more is better" if metric.higher else "less is better"
                    title = f"{name}: {metric.title}"
                    # Beside a long title only the unit fits.
                    unit = f"{metric.unit}, {direction}" if len(title) < _LONG_TITLE else metric.unit
                    found.append(Panel(title, unit, bars))
    return found


def _bars(results: Results, case: Case, metric: Metric) -> tuple[tuple[str, Summary], ...]:
    bars = []
    for system in results.measured(case.name):
        summary = results.summary(case.name, system, metric.key)
        if summary and system != "raw-limit":
            bars.append((system, summary))
    return tuple(bars)


def svg(results: Results) -> str:
    """The whole chart."""
    shown = panels(results)
    rows = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    body: list[str] = []
    top = _TOP
    for row in rows:
        for column, panel in enumerate(row):
            body += _panel(panel, _GAP + column * (_WIDTH + _GAP), top)
        top += max(panel.height for panel in row)
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP
    machine = in_words(results.machine) if results.machine else ""
    rounds = results.settings.get("rounds", 1)
    note = f"one round; {machine}"
    if rounds > 1:
        note = f"median of {rounds} rounds, whiskers from the lowest to the highest; {machine}"
    if results.settings.get("quick"):
        note = f"QUICK, no comparison: {note}"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" '
        f'viewBox="0 0 {width} {top}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(_GAP, 26, "pyro_events beside what people use instead", size=17, weight="bold"),
        _text(_GAP, 46, note, colour="#57606a"),
    ]
    return "\n".join([*head, *body, "</svg>", ""])


def _panel(panel: Panel, left: int, top: int) -> list[str]:
    highest = max(summary.highest for _, summary in panel.bars) or 1.0
    scale = (_WIDTH - _LABEL - _VALUE) / highest
    lines = [
        _text(left, top + 14, panel.title, weight="bold"),
        _text(left + _WIDTH, top + 14, panel.note, colour="#57606a", anchor="end"),
    ]
    digits = 0 if highest >= 100 else 2
    for number, (system, summary) in enumerate(panel.bars):
        base = top + 22 + number * _ROW
        start, middle = left + _LABEL, base + _ROW / 2
        ours = system in (OURS, OURS_AIO)
        lines.append(
            f'<rect x="{start}" y="{base + 3}" width="{max(1.0, summary.median * scale):.1f}" '
            f'height="{_ROW - 6}" fill="{_OURS if ours else _THEIRS}"/>'
        )
        if summary.rounds > 1:
            low, high = start + summary.lowest * scale, start + summary.highest * scale
            ends = "".join(f"M{x:.1f} {middle - 3}v6" for x in (low, high))
            lines.append(f'<path d="M{low:.1f} {middle}H{high:.1f}{ends}" stroke="{_WHISKER}" fill="none"/>')
        weight = "bold" if ours else "normal"
        label = SYSTEMS[system].title
        lines.append(_text(start - 6, base + 14, label, weight=weight, anchor="end", size=11))
        value = f"{summary.median:,.{digits}f}"
        lines.append(_text(left + _WIDTH, base + 14, value, weight=weight, anchor="end", size=11))
    return lines


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    weight: str = "normal",
    colour: str = "#1f2328",
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
