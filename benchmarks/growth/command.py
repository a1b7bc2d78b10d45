"""Measuring growth: rounds, points and systems in turns, a time for each axis, and the report.

Knows: the order and the bounds. Must not know: how a point is measured, or how a chart is drawn.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from .. import cores, machine
from ..clone import commit
from ..reporting.report import QUICK, ProgressBar, figure, table
from ..run import FAILED, INTERRUPTED, Progress, available, interrupted_while, open_files
from ..systems import SYSTEMS
from . import curves
from .axes import AXES, Axis, unbounded
from .chart import svg
from .curves import Growth, cliffs

# Seconds for one axis in one round, and for everything; what is not measured by then is left out, and the
# report says so.
_AXIS_LIMIT: Final = 300.0
_LIMIT: Final = 660.0


def main(options: argparse.Namespace) -> int:
    """Measure what the options say, or report a file again. Returns the exit status."""
    interrupted = False
    if options.source:
        growth = curves.load(options.source)
    else:
        growth = prepare(options)
        keep = functools.partial(_keep, growth, options.json)
        work = functools.partial(measure, growth, options.growth, ProgressBar(), keep)
        interrupted = interrupted_while(work)
    print(report(growth))
    _keep(growth, options.json)
    if options.chart:
        options.chart.write_text(svg(growth), "utf-8")
    if interrupted:
        return INTERRUPTED
    return 1 if growth.failures or not growth.values else 0


def _keep(growth: Growth, file: Path | None) -> None:
    """Write what has been measured, so that nothing of it is lost, whatever comes next."""
    if file is not None:
        beside = file.with_name(f"{file.name}.part")
        beside.write_text(growth.to_json(), "utf-8")
        beside.replace(file)


def prepare(options: argparse.Namespace) -> Growth:
    """Empty curves that say what will be measured, and on what."""
    wanted = [name for axis in options.growth for name in (AXES[axis].ours, *AXES[axis].peers)]
    if options.systems:
        wanted = [name for name in wanted if name in options.systems]
    present, missing = available(list(dict.fromkeys(wanted)))
    held_on, impossible = cores.possible(options.cores[:1])
    settings = {
        "rounds": options.rounds,
        "cores": (held_on or [cores.ANYWHERE])[0],
        "systems": present,
        "quick": options.quick,
        "files": _files(),
        "commit": commit(),
    }
    missing |= {cores.in_words(number): reason for number, reason in impossible.items()}
    return Growth(machine.describe(), settings, missing)


def _files() -> int | None:
    """How many files a process may have open; None for no limit."""
    return None if math.isinf(files := open_files()) else int(files)


def measure(
    growth: Growth, axes: Sequence[str], progress: Progress, keep: Callable[[], None] = lambda: None
) -> None:
    """Measure all points of these axes, and add them to `growth`. keep: called after each point."""
    settings = growth.settings
    steps = [
        (number, AXES[axis], point, system)
        for number in range(1, settings["rounds"] + 1)
        for axis in axes
        for point in AXES[axis].points_of(settings["quick"])
        for system in (AXES[axis].ours, *AXES[axis].peers)
        if system in settings["systems"]
    ]
    ends: dict[tuple[int, str], float] = {}
    last = time.monotonic() + _LIMIT
    for done, (number, axis, point, system) in enumerate(steps):
        text = f"round {number}, {point:,} {axis.grows}: {system}"
        progress(done, len(steps), text)
        now = time.monotonic()
        end = ends.setdefault((number, axis.name), now + _AXIS_LIMIT)
        if now > min(end, last):
            what, limit = ("everything", _LIMIT) if now > last else (axis.name, _AXIS_LIMIT)
            growth.failures.append(f"{text}: left out, because {what} took longer than {limit:g} s")
            continue
        try:
            with cores.held(settings["cores"]):
                growth.add(axis.name, system, point, axis.measure(system, point, settings["quick"]))
        except FAILED as error:
            growth.failures.append(f"{text}: {type(error).__name__}: {error}")
        keep()
    progress(len(steps), len(steps), "")


def report(growth: Growth) -> str:
    """A table for each axis, and what lies off its trend."""
    parts = [machine.in_words(growth.machine)] if growth.machine else []
    if growth.settings.get("quick"):
        parts.append(QUICK)
    parts += [f"left out: {name} ({reason})" for name, reason in growth.missing.items()]
    parts += [_axis_report(growth, axis) for name, axis in AXES.items() if name in growth.values]
    parts += [f"FAILED: {failure}" for failure in growth.failures]
    return "\n\n".join(parts) + "\n"


def _axis_report(growth: Growth, axis: Axis) -> str:
    systems = growth.systems(axis.name)
    found = {system: dict(growth.curve(axis.name, system)) for system in systems}
    rows = [[axis.grows, *[SYSTEMS[system].title for system in systems]]]
    for point in growth.points(axis.name):
        cells = [figure(found[name][point]) if point in found[name] else "-" for name in systems]
        if any(cell != "-" for cell in cells):
            rows.append([f"{point:,}", *cells])
    where = cores.in_words(growth.settings.get("cores", cores.ANYWHERE))
    lines = [f"{axis.name}, {where}: {axis.about}; {axis.unit}", *table(rows)]
    files, largest = growth.settings.get("files"), growth.points(axis.name)[-1]
    if files and axis.most is not unbounded and largest < axis.points[-1]:
        lines.append(f"  not beyond {largest:,}: a process may open {files:,} files here (ulimit -Hn)")
    for system in systems:
        medians = [(point, summary.median) for point, summary in growth.curve(axis.name, system)]
        lines += [
            f"  off the trend: {SYSTEMS[system].title} at {point:,}: {factor:.2f} x its neighbours' trend"
            for point, factor in cliffs(medians)
        ]
    return "\n".join(lines)
