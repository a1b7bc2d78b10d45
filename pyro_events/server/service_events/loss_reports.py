"""LossReports: which subscribers have lost events since that was told last.

Knows: the losses of each subscriber that were told. Must not know: who listens, what is published, or why
events are lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from ...broker.backlog import Backlog

# Seconds between two reports on one subscriber, at least.
INTERVAL: Final = 1.0


class LossReports:
    """What was told of each subscriber's losses, while somebody listens.

    going_on: whether somebody does. next: from when on some may be due, in seconds.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        """interval: in seconds."""
        self._interval = interval
        self._told: dict[Backlog, Counter[str]] = {}
        self._totals: dict[Backlog, int] = {}  # of those
        # Those that have lost more, and were not taken yet: the one that has waited longest comes first.
        self._due: dict[Backlog, None] = {}
        self.next = 0.0
        self.going_on = False

    def begin(self, backlogs: Iterable[Backlog], now: float) -> None:
        """Somebody listens from now on: what was lost before is not told."""
        for backlog in backlogs:
            if backlog.lost:
                self._note(backlog)
        self.next = now + self._interval
        self.going_on = True

    def end(self) -> None:
        """Nobody listens any more."""
        self._told, self._totals, self._due = {}, {}, {}
        self.going_on = False

    def due(self, backlogs: Collection[Backlog], now: float) -> list[Backlog]:
        """The subscribers that have lost more than was told, once in an interval; until then none.

        backlogs: those of all subscribers. now: in seconds.
        """
        if now < self.next:
            return []
        self.next = now + self._interval
        totals, due = self._totals, self._due
        if len(totals) > len(backlogs):
            for gone in totals.keys() - set(backlogs):
                self.forget(gone)
        for backlog in backlogs:  # perhaps 10,000, on the loop's thread
            lost = backlog.lost
            if lost and sum(lost.values()) != totals.get(backlog, 0):
                due[backlog] = None
        return list(due)

    def take(self, backlog: Backlog) -> dict[str, int]:
        """What one of those has lost since, by reason. From now on that counts as told."""
        losses = backlog.lost - self._told.get(backlog, Counter())
        self._due.pop(backlog, None)
        self._note(backlog)
        return dict(losses)

    def _note(self, backlog: Backlog) -> None:
        self._told[backlog] = backlog.lost.copy()
        self._totals[backlog] = sum(backlog.lost.values())

    def forget(self, backlog: Backlog) -> None:
        """Its subscriber is gone."""
        for noted in (self._told, self._totals, self._due):
            noted.pop(backlog, None)
