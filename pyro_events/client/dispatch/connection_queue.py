"""A lane: the events of one connection, in order, and the threads that take turns with them.

Knows: which event starts next, who may start it, and when a batch is done. Must not know: sockets and
frames (the carrier knows how to read and reply), what an event holds, and how many threads there
may be (the crew decides).

Handing every event to another thread would cost more than everything else, so the thread that reads
a batch also handles it, one event after the other. Only when a handler takes long while others wait
(the watch sees to that) does another thread take over what has not started: it becomes the lane's
*front*, and the old one, *overtaken*, is left with the one event that it is handling.

Who has started what needs no lock for each event: a thread takes its events from a list iterator,
and whoever takes over drains that iterator in one step that the interpreter cannot interrupt.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Protocol

from ...log.background import get_logger

if TYPE_CHECKING:
    from .dispatcher import Dispatcher

log = get_logger("pyro_events.subscriber")

# Batches of one connection that may be unacknowledged before it is read no further; the service
# sends two.
MAX_BATCHES: Final = 4
# A handler that took this many seconds after it was overtaken is slow itself, and its thread then
# takes over in turn.
_SLOW: Final = 0.005
# Between two looks, 10 ms apart, a handler that is not slow returns at least this often.
_FAST_STARTS: Final = 2

# [subject, time, seq, missed, payload]
Row = Sequence[Any]


class ReceivedBatch:
    """A call of `events`. `parts`: its pieces that are being handled or wait; done when 0."""

    __slots__ = ("failed", "parts", "rows", "seq")

    def __init__(self, seq: int, rows: Sequence[Row]) -> None:
        self.seq = seq
        self.rows = rows
        self.failed: list[int] = []
        self.parts = 0

    def after_a_gap(self) -> None:
        """Nobody knows how many events were missed before the first of these; none has started yet."""
        subject, stamp, seq, _, payload = self.rows[0]
        self.rows = [(subject, stamp, seq, None, payload), *self.rows[1:]]


class Slice:
    """Events of one batch that one thread takes one after the other."""

    __slots__ = ("batch", "overtaken_at", "rows")

    def __init__(self, batch: ReceivedBatch, rows: Iterator[Row]) -> None:
        self.batch = batch
        self.rows = rows
        self.overtaken_at = 0.0
        batch.parts += 1

    def rest(self) -> list[Row]:
        """Take away what has not started. One step under the interpreter's lock, so no event can
        start twice."""
        return list(self.rows)


class ConnectionEnded(Exception):
    """A carrier has nothing more to read."""


class BatchSource(Protocol):
    """The connection of a lane."""

    def read(self) -> ReceivedBatch | None:
        """The next batch, or None for anything else, which has been dealt with.

        Raises ConnectionEnded.
        """

    def reply(self, batch: ReceivedBatch) -> None:
        """Acknowledge a batch. Never raises."""

    def waiting(self) -> bool:
        """Whether there is something to read."""

    def gone(self) -> bool:
        """Whether the other side has left, even if there is something to read."""

    def wake(self) -> None:
        """End the connection, so that a thread that reads returns."""

    def close(self) -> None:
        """Release it; nobody uses it any more."""


class ConnectionQueue:
    """One connection's events, in order. All its state is guarded by the crew's lock."""

    def __init__(self, dispatcher: Dispatcher, source: BatchSource) -> None:
        self._dispatcher = dispatcher
        self._source = source
        self._batches: deque[ReceivedBatch] = deque()  # unacknowledged, oldest first
        self._parts: deque[Slice] = deque()  # not started
        self._front: Slice | None = None
        self._replies: deque[ReceivedBatch] = deque()
        self._replying = threading.Lock()
        self._reading = False
        self._waiting = False
        self._members = 0
        self._ended = False
        # For `look`: events that came, events that had started at the last look, and whether there
        # was nothing to do in between.
        self._came = self._seen = 0
        self._idled = True

    def run(self) -> None:
        """Work until others do all that there is to do. The body of every thread of the crew."""
        dispatcher = self._dispatcher
        part: Slice | None = None
        while True:
            with dispatcher.lock:
                if part is not None:
                    self._finished(part)
                part = self._next_part()
                if part is None:
                    if not self._may_read():
                        break
                    self._reading = self._idled = True
            if self._replies:
                self._reply()
            if part is not None:
                dispatcher.handle(part)
            else:
                self._read()
        self._reply()
        self._leave()

    def _read(self) -> None:
        """Read until there is a batch, or the connection has ended."""
        batch = None
        try:
            while batch is None:
                batch = self._source.read()
        except ConnectionEnded:
            pass
        except BaseException:  # what a method raised that a stranger called; this thread must go on
            log.exception(
                "a connection to this subscriber's daemon is closed because of an error", about="read"
            )
        with self._dispatcher.lock:
            self._reading = False
            if batch is None:
                self.end()
            elif not self._ended:
                self._came += len(batch.rows)
                self._batches.append(batch)
                self._parts.append(Slice(batch, iter(batch.rows)))

    def _reply(self) -> None:
        """Acknowledge what is done, in the order of the batches."""
        with self._replying:
            while self._replies:
                self._source.reply(self._replies.popleft())

    def _may_read(self) -> bool:
        return not (self._ended or self._reading or self._parts or len(self._batches) >= MAX_BATCHES)

    def _next_part(self) -> Slice | None:
        """What this thread shall handle now; it becomes the front."""
        dispatcher = self._dispatcher
        while self._parts and self._front is None and not self._ended and not dispatcher.closed:
            if dispatcher.may_start():
                self._front = part = self._parts.popleft()
                dispatcher.started()
                return part
            if self._waiting:
                return None
            self._waiting = True
            dispatcher.changed.wait()
            self._waiting = False
            self.check()
        return None

    def _finished(self, part: Slice) -> None:
        """A thread has handled its part: see which batches can be acknowledged now."""
        dispatcher, batch = self._dispatcher, part.batch
        batch.parts -= 1
        if part is self._front:
            self._front = None
        elif (
            self._front is not None
            and length_hint(self._front.rows)
            and time.monotonic() - part.overtaken_at > _SLOW
        ):
            self.split_off_pending()
        dispatcher.finished()
        while self._batches and not self._batches[0].parts:
            done = self._batches.popleft()
            dispatcher.count(done)
            self._replies.append(done)

    def split_off_pending(self) -> None:
        """Take from the front what it has not started: that is then first in line, and the front has
        only the event left that it is handling."""
        front, self._front = self._front, None
        if front is not None:
            front.overtaken_at = time.monotonic()
            rest = front.rest()
            if rest:
                self._parts.appendleft(Slice(front.batch, iter(rest)))

    def end(self) -> None:
        """The connection is gone, or has to go: what has not started is discarded."""
        if not self._ended:
            self._ended = True
            self.split_off_pending()
            self._parts.clear()
            self._batches.clear()
            self._source.wake()
            self._dispatcher.changed.notify_all()

    def check(self) -> None:
        """Find out whether the connection is gone; whoever reads finds out by itself."""
        if not self._ended and not self._reading and self._source.gone():
            self.end()

    def look(self) -> bool:
        """See to handlers that hold up other events, and to a connection that is gone meanwhile."""
        if self._ended:
            return False
        front = self._front
        waiting = sum([length_hint(part.rows) for part in self._parts])
        if front is not None:
            waiting += length_hint(front.rows)
        started, self._seen = self._came - waiting - self._seen, self._came - waiting
        idled, self._idled = self._idled, False
        if front is None:
            if self._parts and not self._waiting and self._dispatcher.may_grow():
                self._dispatcher.start_worker(self)  # they were held, and those who held them are still busy
        elif not idled and started < _FAST_STARTS * self._dispatcher.running:
            self.check()
            if self._dispatcher.may_grow() and (waiting or self._may_read() and self._source.waiting()):
                self.split_off_pending()
                self._dispatcher.start_worker(self)
        return bool(self._batches)

    def join(self) -> None:
        """A thread comes to work in this lane."""
        self._members += 1

    def unjoin(self) -> None:
        """The thread that was to come did not."""
        self._members -= 1

    def _leave(self) -> None:
        with self._dispatcher.lock:
            self._members -= 1
            last = self._ended and not self._members
            self._dispatcher.left(self, last)
        if last:
            self._source.close()
