"""The chart: one panel for each comparison, as SVG.

Knows: shapes. Must not know: how anything is measured. It needs no package.

The raw limit is left out, because all others would be too small beside it. The tables have it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..cases import CASES, Case, Metric
from ..cores import JUDGED, in_words
from ..statistics import Summary
from ..systems import FORMS, LIMITS, OURS_AIO, OURS_STREAM, SYSTEMS
from . import drawing
from .drawing import GAP, QUIET, TOP, document, origin, text
from .report import sockets_in_words
from .results import Results

_COLUMNS = 2
_WIDTH = 540
_LABEL, _VALUE, _ROW = 256, 76, 20
_WHISKER = "#3d444d"
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
    for name in results.cases():
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


def shown_cores(results: Results, case: str) -> int:
    """The number of cores whose figures are shown: where goals are judged, if it was measured there."""
    measured = results.cores_of(case)
    return JUDGED if JUDGED in measured else measured[0]


def _bars(results: Results, case: Case, metric: Metric) -> tuple[tuple[str, Summary], ...]:
    cores = shown_cores(results, case.name)
    bars = []
    for system in results.measured(cores, case.name):
        summary = results.summary(cores, case.name, system, metric.key)
        if summary and system not in LIMITS:
            bars.append((system, summary))
    return tuple(bars)


def svg(results: Results) -> str:
    """The whole chart."""
    shown = panels(results)
    rows = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    sockets = sockets_in_words(results)
    body = [text(GAP, TOP, sockets, colour=QUIET)] if sockets else []
    top = TOP + _ROW if sockets else TOP
    for row in rows:
        for column, panel in enumerate(row):
            body += _panel(panel, GAP + column * (_WIDTH + GAP), top)
        top += max(panel.height for panel in row)
    where = sorted({shown_cores(results, case) for case in results.cases()})
    note = origin(results.machine, results.settings, ", whiskers from the lowest to the highest")
    note = "; ".join([*map(in_words, where), note])
    width = _COLUMNS * (_WIDTH + GAP) + GAP
    return document(width, top, "pyro_events beside what people use instead", note, body)


def _panel(panel: Panel, left: int, top: int) -> list[str]:
    highest = max(summary.highest for _, summary in panel.bars) or 1.0
    scale = (_WIDTH - _LABEL - _VALUE) / highest
    lines = [
        text(left, top + 14, panel.title, weight="bold"),
        text(left + _WIDTH, top + 14, panel.note, colour=QUIET, anchor="end"),
    ]
    digits = 0 if highest >= 100 else 2
    for number, (system, summary) in enumerate(panel.bars):
        base = top + 22 + number * _ROW
        start, middle = left + _LABEL, base + _ROW / 2
        ours = system in (*FORMS, OURS_AIO, OURS_STREAM)
        lines.append(
            f'<rect x="{start}" y="{base + 3}" width="{max(1.0, summary.median * scale):.1f}" '
            f'height="{_ROW - 6}" fill="{drawing.OURS if ours else drawing.THEIRS}"/>'
        )
        if summary.rounds > 1:
            low, high = start + summary.lowest * scale, start + summary.highest * scale
            ends = "".join(f"M{x:.1f} {middle - 3}v6" for x in (low, high))
            lines.append(f'<path d="M{low:.1f} {middle}H{high:.1f}{ends}" stroke="{_WHISKER}" fill="none"/>')
        weight = "bold" if ours else "normal"
        label = SYSTEMS[system].title
        lines.append(text(start - 6, base + 14, label, weight=weight, anchor="end", size=11))
        value = f"{summary.median:,.{digits}f}"
        lines.append(text(left + _WIDTH, base + 14, value, weight=weight, anchor="end", size=11))
    return lines
