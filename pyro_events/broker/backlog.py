"""Backlog: the events that wait for one subscriber, bounded, each accounted for.

Knows: order, bounds, and the identity accepted = delivered + lost + waiting, which holds
after every method. Must not know: subjects' subscriptions, sockets, or the time: an event has its own time
stamp.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ..constants import ROW_OVERHEAD, EventRow
from ..options import BacklogOptions, Overflow
from .accounting import Batch, Loss, QueuedEvent, TotalBytes
from .dropping import Outcome
from .event_queue import EventQueue, rows_of
from .retained.replaying import ReplayingBacklog

_QUEUED: Final = Outcome.QUEUED
_HANDLER: Final = Loss.HANDLER.value


class Backlog(ReplayingBacklog):
    """The events that wait for one subscriber, numbered from 1 as they are accepted.

    subscriber: its URI. name: what it calls itself, "" if it did not say. overflow: the policy in force.
    """

    __slots__ = ()

    def __init__(self, subscriber: str, options: BacklogOptions, total: TotalBytes) -> None:
        super().__init__(subscriber, total)
        self.configure(options)

    def configure(self, options: BacklogOptions) -> None:
        """Change the bounds and the policy. Waiting events stay, except for older ones with `latest`."""
        self.options = options
        self._most_events = options.backlog
        self._most_bytes = options.backlog_bytes
        self.max_age = options.max_age
        self._choose_policy()

    def allow_blocking(self, allowed: bool) -> None:
        """Whether it may block publishers; if not, `block` works as `drop-oldest`."""
        self._may_block = allowed
        self._choose_policy()

    def _choose_policy(self) -> None:
        overflow = self.options.overflow
        if overflow is Overflow.BLOCK and not self._may_block:
            overflow = Overflow.DROP_OLDEST
        self.overflow = overflow
        # With `latest`, the second waiting event already needs `_overflow`.
        self._full_at = 1 if overflow is Overflow.LATEST else self._most_events
        if self._latest is not None:
            if overflow is not Overflow.LATEST:
                self._keep_all(self._latest)
        elif overflow is Overflow.LATEST and len(self._waiting) > 1:
            self._conflate()

    def push(self, event: QueuedEvent, policy: Overflow | None = None) -> Outcome:
        """Accept an event. It gets a number even if it is dropped at once, so that the subscriber sees the
        gap. policy: what happens if there is no space; None for the backlog's own policy."""
        self.accepted = number = self.accepted + 1
        if self._latest is not None:
            self._replace(self._latest, (number, event))
            return _QUEUED
        size = event[3]
        waiting = self._waiting
        # An empty backlog takes any event: otherwise one larger than the bound could never be delivered.
        full = waiting and (len(waiting) >= self._full_at or self.bytes + size > self._most_bytes)
        if full and (self.max_age is None or not self._expired_make_space(event, self.max_age)):
            return self._overflow(event, policy or self.overflow)
        waiting.append(event)
        self.bytes += size
        return _QUEUED

    def offer(self, event: QueuedEvent, space: bool) -> None:
        """Accept an event that nobody waits for: if there is no space, it is dropped, and no other event.

        space: whether there is some in all backlogs together.
        """
        if space:
            self.push(event, None if self.overflow is Overflow.LATEST else Overflow.DROP_NEWEST)
        else:
            self.accepted += 1
            self._overflow(event, Overflow.DROP_NEWEST)

    def extend(self, events: Sequence[QueuedEvent], size: int) -> bool:
        """Accept events of `size` bytes together, as `push` does. False, and none is accepted, if they do not
        all fit."""
        waiting = self._waiting
        if self.overflow is Overflow.LATEST:
            for event in events:
                self.push(event)
            return True
        if len(waiting) + len(events) > self._most_events or self.bytes + size > self._most_bytes:
            return False
        waiting.extend(events)
        self.accepted += len(events)
        self.bytes += size
        return True

    def take(self, events: int, size: int) -> Batch:
        """Take the oldest events into flight: at most `events` of them, and `size` bytes or little more.

        The backlog must not be empty. Batches are acknowledged in the order in which they were taken.
        """
        if self._replay is not None:
            return self._take_retained(events, size)
        waiting, queue = self._waiting, self._queue
        last = self._last_taken
        rows: list[EventRow]
        if len(waiting) == 1 and not queue.gaps:  # the latency of idle subscribers depends on this
            event = waiting.popleft()
            self._last_taken = queue.passed = number = queue.passed + 1
            rows = [(event[0], event[1], number, number - last - 1, event[2])]
            cost = self.bytes
            alone, shared = (cost, []) if event[4] is None else (0, [event])
        else:
            if self._latest is None:
                numbers, taken, cost = queue.take(events, size, self.bytes)
            else:
                numbers, taken, cost = self._latest.take(events, size)
                if not self._latest:
                    self._end_conflation()
            self._last_taken = numbers[-1]
            rows = rows_of(numbers, taken, last)
            if taken[0][4] is not None:  # then nearly always all are shared
                alone, shared = 0, taken
            else:
                shared = [event for event in taken if event[4] is not None]
                alone = cost - sum([event[3] for event in shared])
        rows_size = ROW_OVERHEAD * len(rows)
        self._total.value += rows_size
        self.bytes -= cost
        batch = Batch(rows, cost, alone + rows_size, shared)
        self._in_flight.append(batch)
        return batch

    def acknowledge(self, batch: Batch, failed: int = 0) -> None:
        """The subscriber has handled a batch, the oldest in flight; `failed` of its events raised."""
        self._land(batch)
        self.freed += batch.size
        self.delivered += len(batch.rows) - failed
        if failed:
            self.lost[_HANDLER] += failed

    def acknowledge_part(self, batch: Batch, handled: int, failed: int) -> None:
        """The first `handled` events of a batch are done, `failed` of them raised; the rest stays in it."""
        self.delivered += handled - failed
        self.lost[_HANDLER] += failed
        del batch.rows[:handled]

    def lose_batch(self, batch: Batch) -> None:
        """The oldest batch in flight was sent, and nobody knows what happened to it."""
        self._land(batch)
        self.lost[Loss.UNCONFIRMED.value] += len(batch.rows)

    def lose_everything(self, reason: Loss) -> int:
        """Nothing more will be delivered. Returns how many events are lost by that."""
        lost = len(self) + self.unacknowledged
        while self._in_flight:
            self.lose_batch(self._in_flight[0])
        if self:
            self.lost[reason.value] += len(self)
        for event in self._events():
            self._let_go(event)
        self._forget_retained()
        self._waiting.clear()
        self._queue.restart(self.accepted + 1)
        if self._latest is not None:
            self._latest.clear()
            self._latest = None
        self.bytes = 0
        return lost

    def lose_those(self, subjects: Collection[str], reason: Loss) -> int:
        """Drop the waiting events of these subjects, as spelled. Returns how many there were."""
        retained = self.lose_retained(subjects, reason)
        queue, latest = self._queue, self._latest
        passed = queue.passed
        if latest is None:
            entries = list(zip(queue.numbers(len(self._waiting)), self._waiting, strict=True))
        else:
            entries = list(latest)
            latest.clear()
        kept = [entry for entry in entries if entry[1][0] not in subjects]
        for _, event in entries:
            if event[0] in subjects:
                self._drop(event, reason)
        if latest is None:
            self._queue = EventQueue(kept, passed, self.accepted)
            self._waiting = self._queue.events
        elif kept:
            for entry in kept:
                latest.put(entry)
        else:
            self._latest = None
            queue.restart(self.accepted + 1)
        return retained + len(entries) - len(kept)

    def waiting_subjects(self) -> set[str]:
        """The subjects of the waiting events, as spelled."""
        return {event[0] for event in self._events()} | self.retained_subjects()

    def _land(self, batch: Batch) -> None:
        landed = self._in_flight.pop(0)
        assert landed is batch, "batches are acknowledged in the order in which they were taken"
        self._total.value -= batch.alone
        freed = 0
        for event in batch.shared:
            shares, size = event[4], event[3]
            freed += size if shares is None else next(shares, size)
        self._total.value -= freed
        if batch.kept:
            for kept in batch.kept:
                kept.release(self._total)
