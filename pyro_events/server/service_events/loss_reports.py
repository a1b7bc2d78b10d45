"""LossReports: which subscribers have lost events since that was told last.

Knows: the losses of each subscriber that were told. Must not know: who listens, what is published, or why
events are lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from ...broker.backlog import Backlog

# Seconds between two reports on one subscriber, at least.
INTERVAL: Final = 1.0


class LossReports:
    """What was told of each subscriber's losses, while somebody listens.

    going_on: whether somebody does.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        """interval: in seconds."""
        self._interval = interval
        self._told: dict[Backlog, Counter[str]] = {}
        self._due: dict[Backlog, None] = {}  # those that were due and not taken, in order
        self._next = 0.0
        self.going_on = False

    def begin(self, backlogs: Iterable[Backlog], now: float) -> None:
        """Somebody listens from now on: what was lost before is not told."""
        self._told = {backlog: backlog.lost.copy() for backlog in backlogs if backlog.lost}
        self._next = now + self._interval
        self.going_on = True

    def end(self) -> None:
        """Nobody listens any more."""
        self._told, self._due = {}, {}
        self.going_on = False

    def due(self, backlogs: Iterable[Backlog], now: float) -> list[Backlog]:
        """Those of the subscribers that have lost more than was told, once in an interval; until then none.

        Those of the last time that were not taken then come first, so that each has its turn. now: in
        seconds. Others than those given are forgotten.
        """
        if now < self._next:
            return []
        self._next = now + self._interval
        before, self._told = self._told, {}
        changed: dict[Backlog, None] = {}
        for backlog in backlogs:
            if not backlog.lost:
                continue
            told = self._told[backlog] = before.get(backlog) or Counter()
            if backlog.lost.total() != told.total():
                changed[backlog] = None
        self._due = {backlog: None for backlog in self._due if backlog in changed} | changed
        return list(self._due)

    def take(self, backlog: Backlog) -> dict[str, int]:
        """What one of those has lost since, by reason. From now on that counts as told."""
        self._due.pop(backlog, None)
        lost = backlog.lost - self._told.get(backlog, Counter())
        self._told[backlog] = backlog.lost.copy()
        return dict(lost)
