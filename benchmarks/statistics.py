"""Figures of several rounds: median, spread, ratios.

Knows: numbers. Must not know: where they come from.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """One figure over all rounds. spread: half of highest minus lowest, relative to the median."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @property
    def spread(self) -> float:
        return (self.highest - self.lowest) / 2 / self.median if self.median else 0.0


def summarize(values: Sequence[float]) -> Summary:
    """The summary of values. Raises ValueError if there are none."""
    if not values:
        raise ValueError("nothing was measured")
    return Summary(statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part (0 to 1) of the values does not exceed."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def best(medians: dict[str, float], higher: bool) -> str | None:
    """The name with the best median; None if there is none."""
    if not medians:
        return None
    return (max if higher else min)(medians, key=lambda name: medians[name])


def ratios(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Ours divided by theirs, for each round in which both were measured."""
    pairs = zip(ours, theirs, strict=False)
    return [one / other for one, other in pairs if one is not None and other]


@dataclass(frozen=True)
class Interval:
    """Where the true median lies. sure: with a probability of at least 97.5 %."""

    low: float
    high: float
    sure: bool


# Several figures are judged in one run, and each may be wrong by chance.
_CONFIDENCE = 0.975


def median_interval(values: Sequence[float]) -> Interval:
    """The interval between two of the values in which the true median lies, whatever their distribution.

    A value is above the median as often as a coin shows its head. So the lowest and the highest of seven
    enclose it in 98 of 100 cases, and from ten values on, one outlier at each end may be left out. Raises
    ValueError if there are no values.
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered, count = sorted(values), len(values)
    left_out, outside = 0, 2.0 / 2**count
    sure = 1.0 - outside >= _CONFIDENCE
    while sure:
        outside += 2.0 * math.comb(count, left_out + 1) / 2**count
        if 1.0 - outside < _CONFIDENCE:
            break
        left_out += 1
    return Interval(ordered[left_out], ordered[count - 1 - left_out], sure)
