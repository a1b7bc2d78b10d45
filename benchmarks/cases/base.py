"""What a case is: the work, the systems that do it, its figures and their goals.

Knows: names and numbers. Must not know: how anything is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..cores import CORES
from ..systems import OURS

# The other systems, by what they can do.
ACKNOWLEDGING = ("redis", "redis-unix", "nats", "mqtt")
STREAMING = ("redis", "redis-unix", "nats", "zeromq", "zeromq-unix", "mqtt")
ZEROMQ = ("zeromq", "zeromq-unix")

Figures = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """A figure. unit: for the reader. higher: whether more is better. digits: after the decimal point."""

    key: str
    title: str
    unit: str
    higher: bool = True
    digits: int = 0


@dataclass(frozen=True)
class Goal:
    """The goal for a figure of ours: at least (`higher` figures) or at most (others) `factor` times the best
    other system's; if there is no other, `factor` itself."""

    metric: str
    factor: float
    peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A case of the suite.

    measure: called with a system's name and whether to be quick; returns the figures of one round. metrics:
    the figures in the tables; others are kept in the JSON file. about: one sentence. ours: the system that
    the goals are of. cores: on how many cores it is measured; memory, for one, does not depend on it.
    """

    name: str
    about: str
    systems: tuple[str, ...]
    metrics: tuple[Metric, ...]
    measure: Callable[[str, bool], Figures]
    goals: tuple[Goal, ...] = ()
    ours: str = OURS
    cores: tuple[int, ...] = CORES

    def __post_init__(self) -> None:
        known = {metric.key for metric in self.metrics}
        assert all(goal.metric in known for goal in self.goals), self.name
        assert self.ours in self.systems, self.name

    def metric(self, key: str) -> Metric:
        """The metric of that key. Raises KeyError."""
        for metric in self.metrics:
            if metric.key == key:
                return metric
        raise KeyError(key)
