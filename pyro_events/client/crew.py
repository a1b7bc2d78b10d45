"""The crew: the threads that run a subscriber's `event`.

Knows: in which order events start, how many may run at once, and when a batch is done. Must not
know: sockets and frames (a lane is told how to read and reply), nor what an event holds.

Handing every event to another thread would cost more than everything else, so the thread that reads
a batch also handles it, one event after the other. Only when a handler takes long while others wait
(the watch sees to that) does another thread take over what has not started: it becomes the lane's
*front*, and the old one, *overtaken*, is left with the one event that it is handling.

Who has started what needs no lock for each event: a thread takes its events from a list iterator,
and whoever takes over drains that iterator in one step that the interpreter cannot interrupt.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any, Final, Protocol

from ..event import Event
from .watch import watch

log = logging.getLogger("pyro_events.subscriber")

# Handlers of one subscriber that may run at once: enough to wait for a few slow instruments or
# disks, few enough to find one's way in a stack dump.
MAX_THREADS: Final = 16
# Batches of one connection that may be unacknowledged before it is read no further; the service
# sends two.
MAX_BATCHES: Final = 4
# A handler that took this many seconds after it was overtaken is slow itself, and its thread then
# takes over in turn.
_SLOW: Final = 0.005
# Between two looks, 10 ms apart, a handler that is not slow returns at least this often.
_FAST_STARTS: Final = 2
# How long `close` waits for handlers that are running.
CLOSE_TIMEOUT: Final = 2.0

# [subject, time, seq, missed, payload]
Row = Sequence[Any]


class Batch:
    """A call of `events`. `parts`: its pieces that are being handled or wait; done when 0."""

    __slots__ = ("failed", "parts", "rows", "seq")

    def __init__(self, seq: int, rows: Sequence[Row]) -> None:
        self.seq = seq
        self.rows = rows
        self.failed: list[int] = []
        self.parts = 0


class Part:
    """Events of one batch that one thread takes one after the other."""

    __slots__ = ("batch", "overtaken_at", "rows")

    def __init__(self, batch: Batch, rows: Iterator[Row]) -> None:
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


class Carrier(Protocol):
    """The connection of a lane."""

    def read(self) -> Batch | None:
        """The next batch, or None for anything else, which has been dealt with.

        Raises ConnectionEnded.
        """

    def reply(self, batch: Batch) -> None:
        """Acknowledge a batch. Never raises."""

    def waiting(self) -> bool:
        """Whether there is something to read."""

    def gone(self) -> bool:
        """Whether the other side has left, even if there is something to read."""

    def wake(self) -> None:
        """End the connection, so that a thread that reads returns."""

    def close(self) -> None:
        """Release it; nobody uses it any more."""


class Lane:
    """One connection's events, in order. All its state is guarded by the crew's lock."""

    def __init__(self, crew: Crew, carrier: Carrier) -> None:
        self._crew = crew
        self._carrier = carrier
        self._batches: deque[Batch] = deque()  # unacknowledged, oldest first
        self._parts: deque[Part] = deque()  # not started
        self._front: Part | None = None
        self._replies: deque[Batch] = deque()
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
        crew = self._crew
        part: Part | None = None
        while True:
            with crew.lock:
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
                crew.handle(part)
            else:
                self._read()
        self._reply()
        self._leave()

    def _read(self) -> None:
        """Read until there is a batch, or the connection has ended."""
        batch = None
        try:
            while batch is None:
                batch = self._carrier.read()
        except ConnectionEnded:
            pass
        except Exception:
            log.exception("a connection to this subscriber's daemon is closed because of an error")
        with self._crew.lock:
            self._reading = False
            if batch is None:
                self.end()
            elif not self._ended:
                self._came += len(batch.rows)
                self._batches.append(batch)
                self._parts.append(Part(batch, iter(batch.rows)))

    def _reply(self) -> None:
        """Acknowledge what is done, in the order of the batches."""
        with self._replying:
            while self._replies:
                self._carrier.reply(self._replies.popleft())

    def _may_read(self) -> bool:
        return not (self._ended or self._reading or self._parts or len(self._batches) >= MAX_BATCHES)

    def _next_part(self) -> Part | None:
        """What this thread shall handle now; it becomes the front."""
        crew = self._crew
        while self._parts and self._front is None and not self._ended and not crew.closed:
            if crew.may_start():
                self._front = part = self._parts.popleft()
                crew.started()
                return part
            if self._waiting:
                return None
            self._waiting = True
            crew.changed.wait()
            self._waiting = False
            self.check()
        return None

    def _finished(self, part: Part) -> None:
        """A thread has handled its part: see which batches can be acknowledged now."""
        crew, batch = self._crew, part.batch
        batch.parts -= 1
        if part is self._front:
            self._front = None
        elif (
            self._front is not None
            and length_hint(self._front.rows)
            and time.monotonic() - part.overtaken_at > _SLOW
        ):
            self.overtake()
        crew.finished()
        while self._batches and not self._batches[0].parts:
            done = self._batches.popleft()
            crew.count(done)
            self._replies.append(done)

    def overtake(self) -> None:
        """Take from the front what it has not started: that is then first in line, and the front has
        only the event left that it is handling."""
        front, self._front = self._front, None
        if front is not None:
            front.overtaken_at = time.monotonic()
            rest = front.rest()
            if rest:
                self._parts.appendleft(Part(front.batch, iter(rest)))

    def end(self) -> None:
        """The connection is gone, or has to go: what has not started is discarded."""
        if not self._ended:
            self._ended = True
            self.overtake()
            self._parts.clear()
            self._batches.clear()
            self._carrier.wake()
            self._crew.changed.notify_all()

    def check(self) -> None:
        """Find out whether the connection is gone; whoever reads finds out by itself."""
        if not self._ended and not self._reading and self._carrier.gone():
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
            if self._parts and not self._waiting and self._crew.may_grow():
                self._crew.hire(self)  # they were held, and those who held them are still busy
        elif not idled and started < _FAST_STARTS * self._crew.running:
            self.check()
            if self._crew.may_grow() and (waiting or self._may_read() and self._carrier.waiting()):
                self.overtake()
                self._crew.hire(self)
        return bool(self._batches)

    def join(self) -> None:
        """A thread comes to work in this lane."""
        self._members += 1

    def unjoin(self) -> None:
        """The thread that was to come did not."""
        self._members -= 1

    def _leave(self) -> None:
        with self._crew.lock:
            self._members -= 1
            last = self._ended and not self._members
            self._crew.left(self, last)
        if last:
            self._carrier.close()


class Crew:
    """The threads of one subscriber, on however many connections.

    `lock` guards everything here and in the lanes; nothing is waited for while it is held, except
    `changed`, which releases it.
    """

    def __init__(self, handler: Callable[[], Callable[[Event], object]]) -> None:
        """handler: returns what to call with an event; asked once for each batch or part of it."""
        self._handler = handler
        self._lanes: set[Lane] = set()
        self._threads: set[threading.Thread] = set()
        self.running = 0
        self._paused = False
        self._watched = False
        self._batches_begun = self._batches_seen = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.threading = True
        self.closed = False
        self.handled = self.failed = 0

    def admit(self, carrier: Carrier) -> Lane | None:
        """A lane for a new connection, which the calling thread joins; None when closed."""
        with self.lock:
            if self.closed:
                return None
            # A connection that was replaced is known to be gone only when one looks.
            for lane in self._lanes:
                lane.check()
            lane = Lane(self, carrier)
            lane.join()
            self._lanes.add(lane)
            self._threads.add(threading.current_thread())
        return lane

    def handle(self, part: Part) -> None:
        """Call the handler with each event of a part, until none is left or it is overtaken."""
        handler, make = self._handler(), Event.from_payload
        batch = part.batch
        for row in part.rows:
            try:
                handler(make(*row))
            except BaseException as error:
                self._log_failure(row, error)
                position = next(index for index, other in enumerate(batch.rows) if other is row)
                batch.failed.append(position)

    @staticmethod
    def _log_failure(row: Row, error: BaseException) -> None:
        subject = row[0] if isinstance(row, (tuple, list)) and row else None
        log.error("event() raised %s for subject %r", type(error).__name__, subject, exc_info=error)

    def run(self, events: Sequence[Row]) -> list[int]:
        """Handle rows that came as an ordinary Pyro call, in the calling thread.

        Returns the positions that raised.
        """
        batch = Batch(0, [tuple(row) for row in events])
        part = Part(batch, iter(batch.rows))
        with self.lock:
            while not self.may_start():
                if self.closed:
                    return list(range(len(batch.rows)))
                self.changed.wait()
            self.started()
        self.handle(part)
        with self.lock:
            self.finished()
            self.count(batch)
        return batch.failed

    @property
    def paused(self) -> bool:
        """Whether no event may start."""
        return self._paused

    def may_start(self) -> bool:
        """Whether an event may start now."""
        return not self._paused and (self.threading or not self.running)

    def may_grow(self) -> bool:
        """Whether another thread may help."""
        return self.threading and not self._paused and not self.closed and self.running < MAX_THREADS

    def started(self) -> None:
        """A part is being handled."""
        self.running += 1
        self._batches_begun += 1
        if not self._watched:
            self._watched = True
            watch.join(self)
        elif watch.asleep:
            watch.wake()

    def finished(self) -> None:
        """A part has been handled."""
        self.running -= 1
        if not self.running and not self.threading:
            self.changed.notify_all()

    def count(self, batch: Batch) -> None:
        """A whole batch has been handled."""
        self.handled += len(batch.rows) - len(batch.failed)
        self.failed += len(batch.failed)

    def hire(self, lane: Lane) -> None:
        """Start another thread in a lane."""
        thread = threading.Thread(target=lane.run, name="pyro_events-handler", daemon=True)
        lane.join()
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more: those that there are must do
            lane.unjoin()
            self._threads.discard(thread)

    def left(self, lane: Lane, last: bool) -> None:
        """The calling thread ends its work in a lane."""
        self._threads.discard(threading.current_thread())
        if last:
            self._lanes.discard(lane)

    def look(self) -> bool:
        """For the watch. Must not wait, so it comes back later when the lock is taken."""
        if not self.lock.acquire(blocking=False):
            return True
        try:
            begun = self._batches_begun != self._batches_seen
            self._batches_seen = self._batches_begun
            return any([lane.look() for lane in list(self._lanes)]) or begun
        finally:
            self.lock.release()

    def set_threading(self, on: bool) -> None:
        """Whether an event may start while the previous one is being handled."""
        with self.lock:
            self.threading = on
            if not on:
                for lane in self._lanes:
                    lane.overtake()
            self.changed.notify_all()

    def pause(self) -> None:
        """Let no further event start. Running handlers go on; nothing is waited for."""
        with self.lock:
            self._paused = True
            for lane in self._lanes:
                lane.overtake()

    def resume(self) -> None:
        """Let events start again, with those that were held first."""
        with self.lock:
            self._paused = False
            self.changed.notify_all()
            if self._watched:
                watch.wake()

    def close(self) -> None:
        """End all connections and threads. Waits CLOSE_TIMEOUT seconds at most for handlers that
        run, and not for the one that calls this."""
        with self.lock:
            self.closed = True
            for lane in self._lanes:
                lane.end()
            self.changed.notify_all()
            threads = self._threads - {threading.current_thread()}
            watched, self._watched = self._watched, False
        deadline = time.monotonic() + CLOSE_TIMEOUT
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if watched:
            watch.leave(self)
