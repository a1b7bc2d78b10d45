"""Backlog: the events that wait for one subscriber, bounded, each accounted for.

Knows: order, bounds, overflow policies, and the identity accepted = delivered + lost + waiting, which
holds after every method. Must not know: subjects' subscriptions, sockets, or the time: an event
brings its own time stamp.
"""

from __future__ import annotations

import enum
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import count

from ..options import BacklogOptions, Overflow
from .accounting import BacklogStatistics, Batch, Loss, QueuedEvent, Row, TotalBytes
from .subjects import fold


class Outcome(enum.Enum):
    """What became of an event that was pushed."""

    QUEUED = 0
    FULL = 1  # queued beyond the bound: whoever published it must be held up
    DROPPED = 2
    DISCONNECT = 3  # dropped, and the subscriber is to be disconnected


_QUEUED, _FULL, _DROPPED, _DISCONNECT = Outcome

# An event with the number that it has for one subscriber.
Numbered = tuple[int, QueuedEvent]


class Backlog:
    """The events that wait for one subscriber, numbered from 1 as they are accepted.

    subscriber: its URI. name: what it calls itself, "" if it did not say.
    """

    __slots__ = (
        "_in_flight",
        "_last_taken",
        "_latest",
        "_most_bytes",
        "_most_events",
        "_total",
        "_waiting",
        "accepted",
        "bytes",
        "delivered",
        "lost",
        "name",
        "options",
        "ready",
        "subscriber",
    )

    def __init__(self, subscriber: str, options: BacklogOptions, total: TotalBytes) -> None:
        self.subscriber = subscriber
        self.name = ""
        self.accepted = 0
        self.delivered = 0
        self.lost: Counter[str] = Counter()
        self.bytes = 0  # of the events waiting, without those in flight
        self.ready = False  # whether it stands in the broker's list of those with something to send
        self._total = total
        self._waiting: deque[Numbered] = deque()
        # In place of `_waiting` from an overflow with the policy `latest` until the subscriber has
        # caught up: one entry for each folded subject.
        self._latest: OrderedDict[str, Numbered] | None = None
        self._in_flight: list[Batch] = []  # two at most, where a deque would cost ten times a list
        self._last_taken = 0
        self.configure(options)

    def __len__(self) -> int:
        """How many events wait to be sent."""
        return len(self._waiting) if self._latest is None else len(self._latest)

    @property
    def unacknowledged(self) -> int:
        """How many events are in flight."""
        return sum(len(batch.rows) for batch in self._in_flight)

    @property
    def waits(self) -> bool:
        """Whether any event is neither delivered nor lost yet."""
        return bool(self._in_flight) or len(self) > 0

    @property
    def has_room(self) -> bool:
        """Whether publishers that were held up may go on: an eighth of the bound has been freed."""
        return (
            len(self) <= self._most_events - max(1, self._most_events // 8)
            and self.bytes <= self._most_bytes - self._most_bytes // 8
        )

    @property
    def crowded(self) -> bool:
        """Whether three quarters of a bound are used, which is called slow in the log."""
        return 4 * len(self) >= 3 * self._most_events or 4 * self.bytes >= 3 * self._most_bytes

    @property
    def oldest(self) -> float | None:
        """The time stamp of the oldest event not yet delivered, or None."""
        for batch in self._in_flight:
            return float(batch.rows[0][1])
        entries = self._waiting if self._latest is None else self._latest.values()
        for _, event in entries:
            return event[1]
        return None

    def configure(self, options: BacklogOptions) -> None:
        """Change the bounds and the policy; what waits already stays."""
        self.options = options
        self._most_events = options.backlog
        self._most_bytes = options.backlog_bytes
        if options.overflow is not Overflow.LATEST and self._latest is not None:
            self._waiting.extend(self._latest.values())
            self._latest = None

    def push(self, event: QueuedEvent) -> Outcome:
        """Accept an event. It gets a number even if it is dropped at once, so that the gap shows."""
        self.accepted = number = self.accepted + 1
        size = event[3]
        waiting = self._waiting
        if self._latest is not None:
            self._replace((number, event))
            return _QUEUED
        # An empty backlog takes any event: one larger than the bound could never be delivered else.
        if waiting and (len(waiting) >= self._most_events or self.bytes + size > self._most_bytes):
            return self._overflow((number, event))
        waiting.append((number, event))
        self.bytes += size
        self._total.value += size
        return _QUEUED

    @property
    def free(self) -> tuple[int, int]:
        """How many more events and bytes may come before publishers are held up."""
        if self.options.overflow is not Overflow.BLOCK:
            return sys.maxsize, sys.maxsize
        return self._most_events - len(self._waiting), self._most_bytes - self.bytes

    def extend(self, events: Sequence[QueuedEvent], size: int) -> bool:
        """Accept events of `size` bytes together, as `push` does; False, and none of them, when not
        all fit."""
        waiting = self._waiting
        if (
            self._latest is not None
            or len(waiting) + len(events) > self._most_events
            or self.bytes + size > self._most_bytes
        ):
            return False
        waiting.extend(zip(count(self.accepted + 1), events))
        self.accepted += len(events)
        self.bytes += size
        self._total.value += size
        return True

    def take(self, events: int, size: int) -> Batch:
        """Take the oldest events into flight: at most `events`, and of `size` bytes or little more.

        The backlog must not be empty. Batches are acknowledged in the order in which they were taken.
        """
        rows: list[Row] = []
        taken = 0
        last = self._last_taken
        following = self._waiting.popleft if self._latest is None else self._next
        for _ in range(min(events, len(self))):
            number, (subject, time, payload, cost) = following()
            rows.append([subject, time, number, number - last - 1, payload])
            last = number
            taken += cost
            if taken >= size:
                break
        if not self._latest:
            self._latest = None
        self._last_taken = last
        self.bytes -= taken
        batch = Batch(rows, taken)
        self._in_flight.append(batch)
        return batch

    def acknowledge(self, batch: Batch, failed: int = 0) -> None:
        """The subscriber has handled a batch, the oldest in flight; `failed` of its events raised."""
        self._land(batch)
        self.delivered += len(batch.rows) - failed
        if failed:
            self.lost[Loss.HANDLER.value] += failed

    def acknowledge_part(self, batch: Batch, handled: int, failed: int) -> None:
        """The first `handled` events of a batch are done, `failed` of them raised; the rest stays."""
        self.delivered += handled - failed
        self.lost[Loss.HANDLER.value] += failed
        del batch.rows[:handled]

    def lose_batch(self, batch: Batch) -> None:
        """A batch, the oldest in flight, was sent and what became of it is unknown."""
        self._land(batch)
        self.lost[Loss.UNCONFIRMED.value] += len(batch.rows)

    def lose_everything(self, reason: Loss) -> int:
        """Nothing more will be delivered; returns how many events are lost by that."""
        lost = len(self) + self.unacknowledged
        while self._in_flight:
            self.lose_batch(self._in_flight[0])
        if self:
            self.lost[reason.value] += len(self)
            self._total.value -= self.bytes
            self.bytes = 0
            self._waiting.clear()
            self._latest = None
        return lost

    def statistics(self, subjects: Iterable[str], now: float, subscriptions: int = 0) -> BacklogStatistics:
        """A snapshot. now: the time of day, as events are stamped with it. subscriptions: their number."""
        oldest = self.oldest
        return BacklogStatistics(
            subscriber=self.subscriber,
            subjects=tuple(subjects),
            overflow=self.options.overflow.value,
            backlog=len(self),
            backlog_bytes=self.bytes,
            unacknowledged=self.unacknowledged,
            oldest=None if oldest is None else max(0.0, now - oldest),
            accepted=self.accepted,
            delivered=self.delivered,
            lost=dict(self.lost),
            name=self.name,
            subscriptions=subscriptions,
        )

    def _overflow(self, entry: Numbered) -> Outcome:
        policy = self.options.overflow
        if policy is Overflow.DROP_NEWEST:
            self.lost[Loss.DROP_NEWEST.value] += 1
            return _DROPPED
        if policy is Overflow.DISCONNECT:
            self.lost[Loss.DISCONNECT.value] += 1
            return _DISCONNECT
        if policy is Overflow.LATEST:
            self._conflate()
            self._replace(entry)
            return _QUEUED
        size = entry[1][3]
        if policy is Overflow.DROP_OLDEST:
            self._make_room(size, Loss.DROP_OLDEST)
        self._waiting.append(entry)
        self._hold(size)
        return _FULL if policy is Overflow.BLOCK else _QUEUED

    def _conflate(self) -> None:
        """Keep, of what waits, only the newest event of each subject."""
        latest = self._latest = OrderedDict()
        for entry in self._waiting:
            key = fold(entry[1][0])
            self._drop_older(latest, key)
            latest[key] = entry
        self._waiting.clear()

    def _replace(self, entry: Numbered) -> None:
        """Append an event in place of the one of its subject that waits."""
        latest = self._latest
        assert latest is not None
        subject, _, _, size = entry[1]
        key = fold(subject)
        self._drop_older(latest, key)
        self._make_room(size, Loss.LATEST)
        latest[key] = entry
        self._hold(size)

    def _drop_older(self, latest: OrderedDict[str, Numbered], key: str) -> None:
        older = latest.pop(key, None)
        if older is not None:
            self._release(older[1][3])
            self.lost[Loss.LATEST.value] += 1

    def _make_room(self, size: int, reason: Loss) -> None:
        """Drop the oldest events until one of `size` bytes fits, or none is left."""
        while len(self) and (len(self) >= self._most_events or self.bytes + size > self._most_bytes):
            self._release(self._next()[1][3])
            self.lost[reason.value] += 1

    def _next(self) -> Numbered:
        if self._latest is None:
            return self._waiting.popleft()
        return self._latest.popitem(last=False)[1]

    def _hold(self, size: int) -> None:
        self.bytes += size
        self._total.value += size

    def _release(self, size: int) -> None:
        self.bytes -= size
        self._total.value -= size

    def _land(self, batch: Batch) -> None:
        landed = self._in_flight.pop(0)
        assert landed is batch, "batches are acknowledged in the order in which they were taken"
        self._total.value -= batch.size
