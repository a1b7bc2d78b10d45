"""The queue of one connection: its events in the order in which they start, and its batches.

Knows: which events start next, when a batch is done, and the rule for taking over. Must not know: threads,
locks, sockets and the clock; every call is made under the lock of the subscriber's limits, and times are
arguments.

Handing every event to another thread would cost more than everything else, so a thread takes a whole batch
and handles its events one after the other. The slice that it handles is the *front* of the queue: the events
of it that have not started come next, before the pending slices. There is one rule for another thread to take
them over:

    If an event has run for `stall_after` seconds while others wait, another thread handles those.

That is a new thread, one for each such event, or a thread that has finished such an event, or one that has
finished reading. The thread whose rest was taken over is left with the one event that it is handling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .batch import ReceivedBatch, Slice


class ConnectionQueue:
    """One connection's events and batches, in order."""

    def __init__(self, stall_after: float, max_batches: int) -> None:
        self._stall_after = stall_after
        self._max_batches = max_batches
        self._batches: deque[ReceivedBatch] = deque()  # unacknowledged, the oldest first
        self._pending: deque[Slice] = deque()
        self.front: Slice | None = None
        self._running: list[Slice] = []  # the front, and slices whose rest was taken over
        self.ended = False

    @property
    def may_read(self) -> bool:
        """Whether another batch should be read."""
        return not (self.ended or self._pending or len(self._batches) >= self._max_batches)

    @property
    def has_next(self) -> bool:
        """Whether `start_next` would return something."""
        return bool(self._pending) and self.front is None

    def add(self, batch: ReceivedBatch) -> None:
        """A batch has been read. It is discarded if the connection has ended meanwhile."""
        if not self.ended:
            self._batches.append(batch)
            self._pending.append(Slice(batch, batch.rows))

    def start_next(self, now: float) -> Slice:
        """The slice that a thread begins to handle; it becomes the front. Only if `has_next`."""
        self.front = part = self._pending.popleft()
        self._running.append(part)
        part.since = now
        return part

    def finish(self, part: Slice) -> None:
        """A thread has handled its slice."""
        part.batch.unfinished -= 1
        self._running.remove(part)
        if part is self.front:
            self.front = None

    def pop_done(self) -> ReceivedBatch | None:
        """The oldest batch, if all its events have been handled: it can be acknowledged. Else None."""
        batches = self._batches
        return batches.popleft() if batches and not batches[0].unfinished else None

    def take_over(self, returned: Slice | None, now: float) -> None:
        """Let a free thread have the events that wait behind the front, if the rule allows it.

        returned: the slice that it has finished; None if it has finished reading.
        """
        front = self.front
        if front is not None and (self._pending or front.left):
            slow = front if returned is None else returned
            if slow.has_run(now) >= self._stall_after:
                self.split_off_rest(now)

    def find_stalled(self, now: float) -> list[Slice]:
        """The slices whose present event has run for `stall_after` seconds."""
        return [part for part in self._running if part.has_run(now) >= self._stall_after]

    def is_held_up(self, stalled: list[Slice], unread: Callable[[], bool]) -> bool:
        """Whether the rule asks for a new thread.

        stalled: the result of `find_stalled`. unread: whether events wait on the connection; asked only if
        none waits here.
        """
        if self.has_next:
            return True  # they were held back, and the threads that could start them are still busy
        if all([part.relieved for part in stalled]):
            return False
        return bool(self._pending or (self.front is not None and self.front.left)) or unread()

    def relieve(self, stalled: list[Slice], now: float) -> None:
        """A new thread comes because of one of these, and starts waiting events."""
        for part in stalled:
            if not part.relieved:
                part.relieved = True
                break
        self.split_off_rest(now)

    def split_off_rest(self, now: float) -> None:
        """Remove from the front the events that have not started: they come next, and no thread handles them
        yet."""
        front, self.front = self.front, None
        rest = front.split_off_rest(now) if front is not None else None
        if rest is not None:
            self._pending.appendleft(rest)

    def end(self, now: float) -> None:
        """The connection has ended, or has to end: discard the events that have not started."""
        self.ended = True
        self.split_off_rest(now)
        self._pending.clear()
        self._batches.clear()
