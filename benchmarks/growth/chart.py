"""The chart of growth: a panel for each axis, both scales logarithmic, as SVG.

Knows: shapes. Must not know: how anything is measured. It needs no package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..cores import in_words
from ..reporting import drawing
from ..reporting.drawing import GAP, INK, QUIET, TOP, document, origin, text
from ..systems import SYSTEMS
from .axes import AXES
from .curves import Growth

_COLUMNS = 2
_WIDTH, _HEIGHT = 560, 330
_LEFT, _RIGHT, _HEAD, _FOOT = 56, 150, 26, 44
_GRID = "#e6e9ed"
_LABEL_HEIGHT = 14


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale: numbers from `low` to `high` on a line from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, number: float) -> float:
        """Where a number is."""
        part = math.log(number / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers on it: powers of ten; on a short one also some in between."""
        long = self.high / self.low
        steps = (1, 2, 3, 5, 7) if long < 10 else (1, 2, 5) if long < 300 else (1,)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [step * 10.0**power for power in powers for step in steps]
        return [number for number in found if self.low * 0.999 <= number <= self.high * 1.001]


def scale_for(numbers: Sequence[float], start: float, end: float, margin: float) -> Scale:
    """A scale that has room for all these numbers, and beyond them by the factor `margin`."""
    low, high = min(numbers), max(numbers)
    if low == high:
        low, high = low / 2, high * 2
    return Scale(low / margin, high * margin, start, end)


def short(number: float) -> str:
    """A number in few characters: 10 k, 5 M, 64 Mi."""
    if number >= 2**20 and number % 2**20 == 0:
        return f"{number / 2**20:.3g} Mi"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def spread_out(wanted: Sequence[float], room: float, end: float = math.inf) -> list[float]:
    """The heights of labels that want to be there, each at least `room` below the one above it; the last one
    not below `end`, if they fit."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    found = list(wanted)
    for above, below in zip(order, order[1:], strict=False):
        found[below] = max(found[below], found[above] + room)
    for label in reversed(order):
        found[label] = min(found[label], end)
        end = found[label] - room
    return found


def svg(growth: Growth) -> str:
    """The whole chart."""
    shown = [axis for axis in AXES if growth.values.get(axis)]
    body: list[str] = []
    for number, axis in enumerate(shown):
        left = GAP + number % _COLUMNS * (_WIDTH + GAP)
        body += _panel(growth, axis, left, TOP + number // _COLUMNS * (_HEIGHT + GAP))
    rows = math.ceil(len(shown) / _COLUMNS)
    width = _COLUMNS * (_WIDTH + GAP) + GAP
    where = in_words(growth.settings.get("cores", 0))
    note = f"{where}; {origin(growth.machine, growth.settings, '')}"
    return document(width, TOP + rows * (_HEIGHT + GAP), "pyro_events when something grows", note, body)


def _panel(growth: Growth, name: str, left: float, top: float) -> list[str]:
    axis = AXES[name]
    curves = {
        system: [(point, summary.median) for point, summary in growth.curve(name, system)]
        for system in growth.systems(name)
    }
    points = [point for curve in curves.values() for point, _ in curve]
    figures = [figure for curve in curves.values() for _, figure in curve]
    across = scale_for(points, left + _LEFT, left + _WIDTH - _RIGHT, 1.0)
    up = scale_for(figures, top + _HEIGHT - _FOOT, top + _HEAD, 1.3)
    lines = [text(left, top + 12, f"{axis.unit} by {axis.grows}", weight="bold")]
    lines += _grid(across, up, sorted(set(points)))
    lines.append(text((across.start + across.end) / 2, top + _HEIGHT - 8, axis.grows, anchor="middle"))
    best = growth.best_peer(name)
    heights = spread_out([up.at(curve[-1][1]) + 4 for curve in curves.values()], _LABEL_HEIGHT, up.start)
    # Ours is drawn last, over the others.
    for (system, curve), height in reversed(list(zip(curves.items(), heights, strict=True))):
        colour = {axis.ours: drawing.OURS, best: INK}.get(system, drawing.THEIRS)
        lines += _curve(curve, across, up, colour, bold=system == axis.ours)
        named = QUIET if colour == drawing.THEIRS else colour
        lines.append(text(across.end + 16, height, _name(system), size=11, colour=named))
    return lines


def _name(system: str) -> str:
    """The name of a client without its server, for which there is no room."""
    return SYSTEMS[system].title.split(", ")[-1] if system.startswith(("redis", "nats")) else system


def _grid(across: Scale, up: Scale, points: Sequence[int]) -> list[str]:
    lines = []
    for number in up.ticks():
        y = up.at(number)
        lines.append(f'<path d="M{across.start:.1f} {y:.1f}H{across.end:.1f}" stroke="{_GRID}"/>')
        lines.append(text(across.start - 6, y + 4, short(number), size=11, colour=QUIET, anchor="end"))
    for number in points:
        x = across.at(number)
        lines.append(f'<path d="M{x:.1f} {up.start:.1f}V{up.end:.1f}" stroke="{_GRID}"/>')
        lines.append(text(x, up.start + 16, short(number), size=11, colour=QUIET, anchor="middle"))
    return lines


def _curve(
    curve: Sequence[tuple[int, float]], across: Scale, up: Scale, colour: str, bold: bool
) -> list[str]:
    places = [(across.at(point), up.at(figure)) for point, figure in curve]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    width = 2.5 if bold else 1.5
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.5}" fill="{colour}"/>' for x, y in places),
    ]
