"""Expiry: drops the events that have waited longer than their subscribers' `max_age`, a few at a time.

Knows: the time of day, which backlogs have more of such events, and how many are dropped before the loop goes
on. Must not know: how a backlog finds them, who waits for space in it, or how events are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from ...broker.backlog import Backlog

# So many are dropped in about two milliseconds, and then the loop goes on: a subscriber that was stopped for
# a while has 100,000 of them, and nobody else may wait for that.
SLICE: Final = 5_000
# Looking at a backlog takes as long as dropping so many.
_LOOK: Final = 10


class Expiry:
    """The expired events of all backlogs of one service. now: the time of day, as events are stamped with
    it."""

    def __init__(
        self,
        now: Callable[[], float],
        shrunk: Callable[[Backlog], None],
        resume: Callable[[Backlog], None],
        most: int = SLICE,
    ) -> None:
        """now: as above. shrunk: called with each backlog that has lost
        some. resume: called when a backlog has none left for which `expire` was False. most: how many are
        dropped before the loop goes on."""
        self.now = now
        self._shrunk = shrunk
        self._resume = resume
        self._most = self._left = most
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        # The backlogs that may have more, each with whether somebody waits to send its events.
        self._rest: dict[Backlog, bool] = {}

    def expire(self, backlog: Backlog, ahead: int) -> bool:
        """Drop the expired events of a backlog, so that none is among the next `ahead` that are taken.

        False if there are too many to drop them at once; then `resume` is called later.
        """
        if backlog not in self._rest and self._left > 0:
            left = self._left
            dropped = backlog.expire(self.now(), left, ahead)
            if not dropped:
                return True
            self._left -= dropped
            self._schedule()
            self._shrunk(backlog)
            if dropped < left:
                return True
        self._rest[backlog] = True
        self._schedule()
        return False

    def check(self, backlogs: Iterable[Backlog]) -> None:
        """Have the expired events dropped soon, also of subscribers to which nothing is sent now."""
        for backlog in backlogs:
            if backlog.max_age is not None:
                self._rest.setdefault(backlog, False)
        if self._rest:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Drop more, of one backlog after the other."""
        self._scheduled = False
        self._left = self._most
        while self._rest and self._left > 0:
            backlog = next(iter(self._rest))
            awaited = self._rest.pop(backlog)
            left = self._left
            dropped = backlog.expire(self.now(), left)
            self._left -= dropped + _LOOK
            if dropped:
                self._shrunk(backlog)
            if dropped == left:
                self._rest[backlog] = awaited  # it goes on when the others had their turn
            elif awaited:
                self._resume(backlog)
        if self._rest or self._left < self._most:
            self._schedule()
