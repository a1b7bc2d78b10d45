"""Dropping: which waiting events a backlog drops, because it is full or because they have waited too long.

Knows: the overflow policies, and the age of an event. Must not know: how events are accepted, taken and
acknowledged (the backlog does), or the time: an event has its own time stamp, and what the time is now is an
argument.
"""

from __future__ import annotations

import enum
from typing import Final

from ..options import Overflow
from .accounting import Loss, QueuedEvent
from .backlog_figures import BacklogFigures
from .conflation import ConflatingQueue
from .event_queue import EventQueue, Numbered
from .matching.subjects import fold


class Outcome(enum.Enum):
    """What became of an event that was pushed."""

    QUEUED = 0
    FULL = 1  # queued beyond the bound: its publisher must be blocked
    DROPPED = 2
    DISCONNECT = 3  # dropped, and the subscriber is to be disconnected


_QUEUED: Final = Outcome.QUEUED
_FULL: Final = Outcome.FULL
_LATEST: Final = Loss.LATEST.value
_EXPIRED: Final = Loss.EXPIRED.value
# A full backlog drops so many expired events at a time, until the one that has come fits: a push must not
# take long, and to look for them at every push would cost more.
_FEW: Final = 100
# The policies that drop the event that finds the backlog full: how that is counted, and the outcome.
_DROPPING: Final = {
    Overflow.DROP_NEWEST: (Loss.DROP_NEWEST, Outcome.DROPPED),
    Overflow.DISCONNECT: (Loss.DISCONNECT, Outcome.DISCONNECT),
}


class DroppingBacklog(BacklogFigures):
    """Base of a backlog: what it does with an event for which there is no space, and with those that have
    expired."""

    __slots__ = ()

    def expire(self, now: float, most: int, ahead: int = 0) -> int:
        """Drop events that have waited longer than `max_age`: the oldest ones, up to the first that has not,
        and those among the `ahead` events that follow, so that the next `take` gets none.

        now: on the clock of the time stamps. most: how many are dropped at once; where it is reached, there
        may be more. Returns how many were dropped.
        """
        if self.max_age is None:
            return 0
        earliest = now - self.max_age
        if self._latest is None:
            expired = self._queue.take_expired(earliest, most, ahead)
        else:
            expired = self._latest.take_expired(earliest, most, ahead)
            if not self._latest:
                self._end_conflation()
        if expired:
            self.bytes -= sum([event[3] for event in expired])
            freed = [size if shares is None else next(shares, size) for _, _, _, size, shares in expired]
            self._total.value -= sum(freed)
            self.lost[_EXPIRED] += len(expired)
        return len(expired)

    def _overflow(self, event: QueuedEvent, policy: Overflow) -> Outcome:
        if policy in _DROPPING:
            reason, outcome = _DROPPING[policy]
            self.lost[reason.value] += 1
            self._queue.skip(self.accepted)
            self._let_go(event)
            return outcome
        if policy is Overflow.LATEST:
            if _same_subject(self._waiting[0], event):
                self._exchange(event)
            else:
                self._replace(self._conflate(), (self.accepted, event))
            return _QUEUED
        if policy is Overflow.DROP_OLDEST:
            self._make_space(event)
        self._waiting.append(event)
        self.bytes += event[3]
        return _FULL if policy is Overflow.BLOCK else _QUEUED

    def _expired_make_space(self, event: QueuedEvent, max_age: float) -> bool:
        """Drop expired events until one that has come just now fits. Returns whether it does, and may wait
        beside the others."""
        waiting, size = self._waiting, event[3]
        if self.overflow is Overflow.LATEST:  # of its subject it is the only one, however much space there is
            return False
        while waiting and (len(waiting) >= self._most_events or self.bytes + size > self._most_bytes):
            if waiting[0][1] >= event[1] - max_age:
                return False
            self.expire(event[1], _FEW)
        return True

    def _exchange(self, event: QueuedEvent) -> None:
        """Put the newest event in place of the only one that waits."""
        older, self._waiting[0] = self._waiting[0], event
        self._queue.restart(self.accepted)
        self.bytes = event[3]
        self.lost[_LATEST] += 1
        self._let_go(older)

    def _conflate(self) -> ConflatingQueue:
        """Keep only the newest event of each subject, until no event waits."""
        latest = self._latest = ConflatingQueue(self._total)
        for entry in zip(self._queue.numbers(len(self._waiting)), self._waiting, strict=True):
            older = latest.put(entry)
            if older is not None:
                self._drop(older[1], Loss.LATEST)
        self._waiting.clear()
        return latest

    def _end_conflation(self) -> None:
        """No event waits any more to be replaced by a newer one."""
        self._latest = None
        self._queue.restart(self.accepted + 1)

    def _keep_all(self, latest: ConflatingQueue) -> None:
        """Keep every event from now on, also several of one subject."""
        self._queue = EventQueue(latest, self._last_taken, self.accepted)
        self._waiting = self._queue.events
        latest.clear()
        self._latest = None

    def _replace(self, latest: ConflatingQueue, entry: Numbered) -> None:
        """Put an event in place of the waiting one of its subject; over the bound, the oldest is dropped."""
        older = latest.put(entry)
        self.bytes += entry[1][3]
        if older is not None:
            self._drop(older[1], Loss.LATEST)
        while (self.bytes > self._most_bytes or len(latest) > self._most_events) and len(latest) > 1:
            if self.max_age is None or not self.expire(entry[1][1], _FEW):
                self._drop(latest.popleft()[1], Loss.LATEST)

    def _make_space(self, event: QueuedEvent) -> None:
        """Drop the oldest events until one that has come just now fits, or none is left."""
        waiting, size = self._waiting, event[3]
        while waiting and (len(waiting) >= self._most_events or self.bytes + size > self._most_bytes):
            self._drop(self._queue.popleft(), Loss.DROP_OLDEST)
            if self.max_age is not None:
                self._expired_make_space(event, self.max_age)

    def _drop(self, event: QueuedEvent, reason: Loss) -> None:
        self.bytes -= event[3]
        self._let_go(event)
        self.lost[reason.value] += 1

    def _let_go(self, event: QueuedEvent) -> None:
        """This subscriber no longer holds an event."""
        shares = event[4]
        self._total.value -= event[3] if shares is None else next(shares, event[3])


def _same_subject(one: QueuedEvent, other: QueuedEvent) -> bool:
    return one[0] is other[0] or fold(one[0]) == fold(other[0])
