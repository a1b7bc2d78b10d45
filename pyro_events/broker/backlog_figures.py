"""BacklogFigures: the contents of a backlog, and the figures that follow from them.

Knows: the events waiting and in flight, the counters, and the bounds. Must not know: how events come and go
(except those that a group gives to a member), or what an overflow policy does.
"""

from __future__ import annotations

import operator
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final

from ..options import BacklogOptions, Overflow
from .accounting import Batch, Loss, QueuedEvent, TotalBytes
from .conflation import ConflatingQueue
from .event_queue import EventQueue
from .matching.rights import Rights
from .retained.replay import Replay
from .snapshots import BacklogStatistics

# What a subscriber loses because it is too slow.
_OVERFLOWS: Final = (Loss.DROP_OLDEST.value, Loss.DROP_NEWEST.value, Loss.LATEST.value, Loss.EXPIRED.value)
# The event of a number and an event.
_EVENT: Final = operator.itemgetter(1)


class BacklogFigures:
    """Base of a backlog: its attributes, which the backlog changes, and the figures computed from them."""

    __slots__ = (
        "_full_at",
        "_in_flight",
        "_last_taken",
        "_latest",
        "_may_block",
        "_most_bytes",
        "_most_events",
        "_queue",
        "_replay",
        "_total",
        "_waiting",
        "accepted",
        "bytes",
        "delivered",
        "freed",
        "group",
        "lost",
        "max_age",
        "name",
        "options",
        "overflow",
        "ready",
        "rights",
        "skipped",
        "subscriber",
        "user",
    )

    # Set with the options, and again when they change.
    options: BacklogOptions
    overflow: Overflow
    max_age: float | None
    _full_at: int
    _most_bytes: int
    _most_events: int

    def __init__(self, subscriber: str, total: TotalBytes) -> None:
        self.subscriber = subscriber
        self.name = ""
        # Whose it is, "" if its client names no user, and what that user may get, None for everything.
        self.user = ""
        self.rights: Rights | None = None
        self.group = ""  # that its subscriber is in
        self.accepted = 0
        self.skipped = 0  # numbers that stand for events that its group has lost; `accepted` counts them too
        self.delivered = 0
        self.lost: Counter[str] = Counter()
        self.bytes = 0  # of the events waiting, without those in flight
        self.freed = 0  # bytes of the batches acknowledged so far
        self.ready = False  # whether it is in the broker's list of backlogs with something to send
        self._total = total
        self._may_block = True
        self._queue = EventQueue()
        self._waiting = self._queue.events
        # In place of `_waiting`, with the policy `latest`, while events of several subjects wait.
        self._latest: ConflatingQueue | None = None
        self._in_flight: list[Batch] = []  # at most two; a deque would cost ten times as much
        self._last_taken = 0
        # Retained events, which come before all others; None if there are none.
        self._replay: Replay | None = None

    def __len__(self) -> int:
        """How many events wait to be sent."""
        if self._replay is None:  # nearly always, and this is asked for each batch
            return len(self._waiting) if self._latest is None else len(self._latest)
        return self._bounded + len(self._replay)

    @property
    def _bounded(self) -> int:
        """How many events wait for which there is a bound: all but the retained ones."""
        return len(self._waiting) if self._latest is None else len(self._latest)

    @property
    def may_block(self) -> bool:
        """Whether it may block publishers."""
        return self._may_block

    @property
    def unacknowledged(self) -> int:
        """How many events are in flight."""
        return sum(len(batch.rows) for batch in self._in_flight)

    @property
    def waits(self) -> bool:
        """Whether any event is neither delivered nor lost yet."""
        return bool(self._in_flight) or len(self) > 0

    @property
    def held(self) -> int:
        """Bytes of the events waiting and in flight, as if they were not shared."""
        replayed = self._replay.bytes if self._replay is not None else 0
        return self.bytes + replayed + sum(batch.size for batch in self._in_flight)

    @property
    def has_space(self) -> bool:
        """Whether blocked publishers may go on: an eighth of the bound has been freed."""
        return (
            self._bounded <= self._most_events - max(1, self._most_events // 8)
            and self.bytes <= self._most_bytes - self._most_bytes // 8
        )

    @property
    def crowded(self) -> bool:
        """Whether three quarters of a bound are used; the log then calls the subscriber slow."""
        return 4 * self._bounded >= 3 * self._most_events or 4 * self.bytes >= 3 * self._most_bytes

    @property
    def relaxed(self) -> bool:
        """Whether at most a quarter of the bounds is used."""
        return 4 * self._bounded <= self._most_events and 4 * self.bytes <= self._most_bytes

    @property
    def overflowed(self) -> int:
        """How many events were dropped because the backlog was full, newer ones replaced them, or they had
        waited too long."""
        return sum(self.lost[policy] for policy in _OVERFLOWS)

    @property
    def oldest(self) -> float | None:
        """The time stamp of the oldest event not yet delivered, or None; retained ones are as old as they
        are."""
        for batch in self._in_flight:
            if not batch.kept:
                return float(batch.rows[0][1])
        for event in self._events():
            return float(event[1])
        return None

    @property
    def free(self) -> tuple[int, int]:
        """How many more events and bytes may come before publishers are blocked."""
        if self.overflow is not Overflow.BLOCK:
            return sys.maxsize, sys.maxsize
        return self._most_events - len(self._waiting), self._most_bytes - self.bytes

    def _events(self) -> Iterable[QueuedEvent]:
        """The waiting events but for retained ones, the oldest first."""
        return self._waiting if self._latest is None else map(_EVENT, self._latest)

    def give(self, event: QueuedEvent, missed: int) -> None:
        """Add an event that its group gives it, which is sent at once: no bound holds. missed: how many
        events the group has lost before it; they get numbers too. No other events must wait."""
        if missed:
            self._queue.skip(self.accepted + 1, missed)
            self.accepted += missed
            self.skipped += missed
        self.accepted += 1
        self._waiting.append(event)
        self.bytes += event[3]

    def statistics(self, subjects: Iterable[str], now: float, subscriptions: int = 0) -> BacklogStatistics:
        """A snapshot. now: the time of day, as events are stamped with it. subscriptions: their number."""
        oldest = self.oldest
        return BacklogStatistics(
            subscriber=self.subscriber,
            subjects=tuple(subjects),
            overflow=self.overflow.value,
            backlog=len(self),
            backlog_bytes=self.bytes,
            unacknowledged=self.unacknowledged,
            oldest=None if oldest is None else max(0.0, now - oldest),
            accepted=self.accepted - self.skipped,
            delivered=self.delivered,
            lost=dict(self.lost),
            name=self.name,
            subscriptions=subscriptions,
            group=self.group,
            user=self.user,
        )
