"""Two sides that do the same work in turns: their figures in pairs, and what follows from them.

Knows: cases, rounds and ratios. Must not know: where the package of a side comes from.

The two sides of a case follow each other at once, and every other round begins with the other one. So what
slows the machine for a while slows both, and only the ratio within a pair is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from .. import cores
from ..cases import CASES, Case, Metric
from ..reporting.report import CPU, figure, table
from ..run import FAILED, Progress, cores_of
from ..statistics import Interval, median_interval, summarize

# What can be judged in five minutes: the fast paths.
DEFAULT_CASES: Final = ("acked", "pipelined", "fan-out", "latency")
# A change keeps at least this part of a rate, or says what the rest buys (CONTRIBUTING.md).
KEPT: Final = 0.97
_CPU = Metric("cpu", "processor time", "µs", higher=False, digits=1)

Figures = Mapping[str, float]
# Makes a context in which the children of one side run.
Side = Callable[[], AbstractContextManager[Any]]


@dataclass
class Comparison:
    """The figures of both sides: number of cores, case -> a pair for each round in which both worked."""

    names: tuple[str, str]
    pairs: dict[tuple[int, str], list[tuple[Figures, Figures]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pair:
    """Both sides of one case in one round. swapped: the second side runs first."""

    round: int
    cores: int
    case: str
    swapped: bool

    def __str__(self) -> str:
        return f"round {self.round}, {self.case}, {cores.in_words(self.cores)}"


def plan(rounds: int, numbers: Sequence[int], cases: Sequence[str]) -> Iterator[Pair]:
    """All pairs in order. numbers: of cores."""
    for number in range(1, rounds + 1):
        for case in cases:
            for held_on in cores_of(case, numbers):
                yield Pair(number, held_on, case, number % 2 == 0)


def compare(
    comparison: Comparison, pairs: Sequence[Pair], sides: tuple[Side, Side], quick: bool, progress: Progress
) -> None:
    """Measure the pairs, and add them to `comparison`."""
    for number, pair in enumerate(pairs):
        progress(number, len(pairs), str(pair))
        case = CASES[pair.case]
        found: dict[int, Figures] = {}
        for which in (1, 0) if pair.swapped else (0, 1):
            try:
                with sides[which](), cores.held(pair.cores):
                    found[which] = _with_sum(case.measure(case.ours, quick))
            except FAILED as error:
                comparison.failures.append(
                    f"{pair}, {comparison.names[which]}: {type(error).__name__}: {error}"
                )
        if len(found) == 2:
            comparison.pairs.setdefault((pair.cores, pair.case), []).append((found[0], found[1]))
    progress(len(pairs), len(pairs), "")


def _with_sum(figures: Figures) -> Figures:
    """With the processor time of all processes together: it varies less than a rate."""
    names = [f"cpu_{who}" for who in CPU]
    parts = [figures[name] for name in names if name in figures]
    return {**figures, _CPU.key: sum(parts)} if parts else figures


def report(comparison: Comparison) -> str:
    """The table, a line for each figure of each case, and what failed."""
    first, second = comparison.names
    rows = [["", "", first, second, "ratio", "interval", "verdict"]]
    for (held_on, name), pairs in comparison.pairs.items():
        case = CASES[name]
        rows += [_row(held_on, case, metric, pairs) for metric in _metrics(case, pairs)]
    lines = [
        f"{first} beside {second}: medians, and the median of the rounds' ratios with its interval of 97.5 %",
        *(table(rows, words=2) if len(rows) > 1 else ["  nothing was measured"]),
        *(f"FAILED: {failure}" for failure in comparison.failures),
    ]
    return "\n".join(lines) + "\n"


def _metrics(case: Case, pairs: Sequence[tuple[Figures, Figures]]) -> list[Metric]:
    known = [*case.metrics, _CPU]
    return [metric for metric in known if all(metric.key in side for pair in pairs for side in pair)]


def _row(held_on: int, case: Case, metric: Metric, pairs: Sequence[tuple[Figures, Figures]]) -> list[str]:
    sides = [summarize([pair[which][metric.key] for pair in pairs]) for which in (0, 1)]
    shown = [f"{figure(side, metric.digits)} {metric.unit}" for side in sides]
    ratios = [ours[metric.key] / theirs[metric.key] for ours, theirs in pairs if theirs[metric.key]]
    name = f"{case.name}, {cores.in_words(held_on)}"
    if not ratios:
        return [name, metric.title, *shown, "-", "-", "-"]
    interval = median_interval(ratios)
    span = f"{interval.low:.3f} to {interval.high:.3f}"
    judged = verdict(interval, metric.higher)
    return [name, metric.title, *shown, f"{summarize(ratios).median:.3f}", span, judged]


def verdict(interval: Interval, higher: bool) -> str:
    """What the interval of the ratio says. higher: whether more is better."""
    if not interval.sure:
        return "too few rounds to judge"
    # In terms of "more is better": a time that is 1.25 x as long is a rate of 0.8 x.
    low, high = (interval.low, interval.high) if higher else (1 / interval.high, 1 / interval.low)
    if low > 1.0:
        return "better"
    if high < KEPT:
        return "WORSE"
    if low >= KEPT:
        return "held"
    return "worse, perhaps held" if high < 1.0 else "not clear: more rounds"
