"""The curves: all figures of a run, the best of the others, and points that lie off the trend.

Knows: axes and numbers. Must not know: how anything is measured or drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..statistics import Summary, summarize
from .axes import AXES

VERSION: Final = 1
# A point that is off the trend of its neighbours by more than this factor has to be explained.
CLIFF: Final = 2.0


@dataclass
class Growth:
    """All values of a run.

    values: axis, system, point -> one number for each round. missing, failures: in words.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    values: dict[str, dict[str, dict[int, list[float]]]] = field(default_factory=dict)

    def add(self, axis: str, system: str, point: int, figure: float) -> None:
        """The figure of one round."""
        self.values.setdefault(axis, {}).setdefault(system, {}).setdefault(point, []).append(figure)

    def curve(self, axis: str, system: str) -> list[tuple[int, Summary]]:
        """What was measured of one system, by points."""
        found = self.values.get(axis, {}).get(system, {})
        return [(point, summarize(found[point])) for point in sorted(found)]

    def systems(self, axis: str) -> list[str]:
        """Those with a curve, ours first."""
        found = self.values.get(axis, {})
        return [name for name in (AXES[axis].ours, *AXES[axis].peers) if name in found]

    def points(self, axis: str) -> list[int]:
        """All points at which something was measured."""
        return sorted({point for found in self.values.get(axis, {}).values() for point in found})

    def best_peer(self, axis: str) -> str | None:
        """The other system that is fastest at most points; None if no other was measured."""
        wins: dict[str, int] = {}
        for point in self.points(axis):
            here = {
                name: summary.median
                for name in self.systems(axis)
                for where, summary in self.curve(axis, name)
                if where == point and name != AXES[axis].ours
            }
            if here:
                name = max(here, key=lambda name: here[name])
                wins[name] = wins.get(name, 0) + 1
        return max(wins, key=lambda name: wins[name]) if wins else None

    def to_json(self) -> str:
        """Everything."""
        document = {
            "version": VERSION,
            "machine": self.machine,
            "settings": self.settings,
            "missing": self.missing,
            "failures": self.failures,
            "values": self.values,
        }
        return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> Growth:
    """The values from `to_json`. Raises ValueError for another version, or for something else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("version") != VERSION or "values" not in document:
        raise ValueError(f"not the growth that this suite has measured, version {VERSION}; measure again")
    growth = Growth(*(document[name] for name in ("machine", "settings", "missing", "failures")))
    for axis, systems in document["values"].items():
        for system, points in systems.items():
            for point, figures in points.items():
                for figure in figures:
                    growth.add(axis, system, int(point), figure)
    return growth


def load(path: Path) -> Growth:
    """The values in a file. Raises OSError or ValueError."""
    return from_json(path.read_text("utf-8"))


def cliffs(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points that lie off the trend, and by which factor.

    The trend of a point is the straight line, on logarithmic scales, through its two neighbours; of the last
    point, through the two before it. The first has none.
    """
    logs = [(math.log(point), math.log(figure)) for point, figure in curve]
    found = []
    for number in range(1, len(curve)):
        if number + 1 < len(curve):
            before, after = logs[number - 1], logs[number + 1]
        elif number >= 2:
            before, after = logs[number - 2], logs[number - 1]
        else:
            continue
        slope = (after[1] - before[1]) / (after[0] - before[0])
        off = logs[number][1] - (before[1] + slope * (logs[number][0] - before[0]))
        if abs(off) > math.log(CLIFF):
            found.append((curve[number][0], math.exp(off)))
    return found
