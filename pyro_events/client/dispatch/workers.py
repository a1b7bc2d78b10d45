"""The threads of one connection: they read batches, handle their events and acknowledge them.

Knows: what a thread does next, when another one is started, and when a connection is closed. Must not know:
sockets and frames (the source reads and acknowledges), the order of events (the queue has it), and what a
handler is.

One thread is enough as long as handlers are fast: it reads a batch, handles it, acknowledges it and reads the
next. A thread without anything to do ends; the last one of a connection that has ended closes it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ...log.background import get_logger
from .batch import ReceivedBatch, Slice
from .connection_queue import ConnectionQueue
from .limits import DispatchLimits, DispatchOptions

log = get_logger("pyro_events.subscriber")


class ConnectionEnded(Exception):
    """There is nothing more to read on a connection."""


class BatchSource(Protocol):
    """A connection from which batches are read."""

    def read(self) -> ReceivedBatch:
        """Wait for the next batch; one thread at a time. Raises ConnectionEnded."""

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Tell the other side that a batch is done. Never raises."""

    def has_data(self) -> bool:
        """Whether there is something to read."""

    def is_gone(self) -> bool:
        """Whether the other side has closed, even if there is something to read."""

    def shutdown(self) -> None:
        """End the connection, so that a thread that reads returns."""

    def close(self) -> None:
        """Release the connection; no thread uses it any more."""


class ConnectionWorkers:
    """The threads of one connection. The lock of `limits` protects its state."""

    def __init__(
        self,
        source: BatchSource,
        limits: DispatchLimits,
        options: DispatchOptions,
        handle: Callable[[Slice], object],
        on_closed: Callable[[ConnectionWorkers], object],
    ) -> None:
        """handle: calls the handler with each event of a slice. on_closed: called when the last thread has
        ended, with the lock held."""
        self._source = source
        self._limits = limits
        self._handle = handle
        self._on_closed = on_closed
        self._queue = ConnectionQueue(options.stall_after, options.max_batches)
        self._done: deque[ReceivedBatch] = deque()  # to be acknowledged
        self._acknowledging = threading.Lock()
        self._reading = False
        # Whether a thread waits until the limits allow it to start the next slice.
        self._waiting = False
        self.threads: set[threading.Thread] = {threading.current_thread()}

    def run(self) -> None:
        """Read, handle and acknowledge, until other threads do everything that there is to do.

        The body of each thread; the first of them is the one that made this object.
        """
        part: Slice | None = None
        while True:
            with self._limits.lock:
                if part is not None:
                    self._finish(part)
                part = self._start_next()
                reads = part is None and not self._reading and self._queue.may_read
                if reads:
                    self._reading = True
            if self._done:
                self._acknowledge()
            if part is not None:
                self._handle(part)
            elif reads:
                self._read()
            else:
                break
        self._leave()

    def _read(self) -> None:
        """Read one batch, or find that the connection has ended."""
        batch = None
        try:
            batch = self._source.read()
        except ConnectionEnded:
            pass
        except BaseException:  # a method that a stranger called has raised; this thread must go on
            log.exception(
                "a connection to this subscriber's daemon is closed because of an error", about="read"
            )
        with self._limits.lock:
            self._reading = False
            if batch is None:
                self.end()
                return
            queue = self._queue
            queue.add(batch)
            if queue.front is not None and self._limits.may_grow():
                queue.take_over(None, time.monotonic())

    def _start_next(self) -> Slice | None:
        """The slice that this thread handles next; None if there is none, or another thread waits for it."""
        limits, queue = self._limits, self._queue
        while queue.has_next and not limits.closed:
            if limits.may_start():
                limits.started()
                return queue.start_next(time.monotonic())
            if self._waiting:
                return None
            self._waiting = True
            limits.changed.wait()
            self._waiting = False
            self.check_connection()
        return None

    def _finish(self, part: Slice) -> None:
        """This thread has handled a slice."""
        limits, queue = self._limits, self._queue
        queue.finish(part)
        while (batch := queue.pop_done()) is not None:
            limits.count(batch)
            self._done.append(batch)
        limits.finished()
        if queue.front is not None and limits.may_grow():
            queue.take_over(part, time.monotonic())

    def _acknowledge(self) -> None:
        """Acknowledge the batches that are done, in their order."""
        with self._acknowledging:
            while self._done:
                self._source.acknowledge(self._done.popleft())

    def check(self, now: float) -> None:
        """Start a thread if one event holds up others, and check whether the connection has ended
        meanwhile."""
        queue = self._queue
        if queue.ended:
            return
        stalled = queue.find_stalled(now)
        if stalled:
            self.check_connection()
        if (
            self._limits.may_grow()
            and not (self._waiting or queue.ended)
            and queue.is_held_up(stalled, self._has_unread)
            and self._start_thread()
        ):
            queue.relieve(stalled, now)

    def _has_unread(self) -> bool:
        return not self._reading and self._queue.may_read and self._source.has_data()

    def check_connection(self) -> None:
        """Check whether the connection has ended; a thread that reads notices it by itself."""
        if not self._queue.ended and not self._reading and self._source.is_gone():
            self.end()

    def split_off_rest(self) -> None:
        """Hold back everything that has not started, until `start_next` is allowed to start it."""
        self._queue.split_off_rest(time.monotonic())

    def end(self) -> None:
        """The connection has ended, or has to end: discard what has not started."""
        if not self._queue.ended:
            self._queue.end(time.monotonic())
            self._source.shutdown()
            self._limits.changed.notify_all()

    def disown(self) -> None:
        """In a forked child: the events are the parent's. A child that was forked in the middle of one starts
        none of those behind it, and acknowledges nothing."""
        self._acknowledging = threading.Lock()
        self._done.clear()
        self._queue.end(time.monotonic())

    def _start_thread(self) -> bool:
        """Start another thread. Returns whether the system allowed it."""
        thread = threading.Thread(target=self.run, name="pyro_events-handler", daemon=True)
        self.threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # it allows no more, so the present threads must do it
            self.threads.discard(thread)
            return False
        return True

    def _leave(self) -> None:
        with self._limits.lock:
            self.threads.discard(threading.current_thread())
            last = self._queue.ended and not self.threads
            if last:
                self._on_closed(self)
        if last:
            self._source.close()
