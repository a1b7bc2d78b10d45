"""The dispatcher: calls a subscriber's `event` with the events that its connections receive.

Knows: how a handler is called, and how to pause, resume and end all handlers. Must not know: sockets and
frames, the order in which the events of a connection start, and what its threads do (workers.py does).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...event import Event
from ...log.background import get_logger
from ..interruptions import within
from .batch import ReceivedBatch, Slice
from .handlers import FailureLoggedError, check_result
from .handover import Handovers
from .limits import DEFAULT_OPTIONS, DispatchLimits, DispatchOptions
from .stall_monitor import StallMonitor, monitor
from .workers import BatchSource, ConnectionWorkers

log = get_logger("pyro_events.subscriber")


class Dispatcher:
    """The handlers of one subscriber, on however many connections."""

    def __init__(
        self,
        handler: Callable[[], Callable[[Event], object]],
        options: DispatchOptions = DEFAULT_OPTIONS,
        stall_monitor: StallMonitor = monitor,
    ) -> None:
        """handler: returns the function to call with an event; called once for each slice of a batch."""
        self._handler = handler
        self._options = options
        self._monitor = stall_monitor
        self.limits = DispatchLimits(options.max_threads)
        self.handovers = Handovers(self.limits)
        self._connections: set[ConnectionWorkers] = set()
        self._monitored = False
        self._begun_at_check = 0

    def use(self, handler: Callable[[], Callable[[Event], object]]) -> None:
        """Ask another function for the function to call, from the next slice on."""
        self._handler = handler

    def add(self, source: BatchSource) -> ConnectionWorkers | None:
        """Begin with a new connection, whose first thread is the calling one. None if closed."""
        with self.limits.lock:
            if self.limits.closed:
                return None
            # The end of a connection that was replaced is noticed only by checking it.
            for connection in list(self._connections):
                connection.check_connection()
            workers = ConnectionWorkers(
                source, self.limits, self._options, self.handle, self._connections.discard
            )
            self._connections.add(workers)
        return workers

    def handle(self, part: Slice) -> None:
        """Call the handler with each event of a slice, until none is left."""
        if self._monitor.asleep or not self._monitored:
            self._wake_monitor()
        try:
            handler = self._handler()
        except BaseException as error:  # the handler may be a property of the program's
            handler = _failing(error)
        make = Event.from_payload
        batch = part.batch
        # What a stranger has sent may be anything.
        rows: Any = part.rows
        for row in rows:
            try:
                result = handler(make(*row))
                if result is not None:  # nearly always it is
                    check_result("event()", result)
            except BaseException as error:
                self._log_failure(row, error)
                everything: Any = batch.rows
                position = next(index for index, other in enumerate(everything) if other is row)
                batch.failed.append(position)

    def _wake_monitor(self) -> None:
        """Let the monitor check this subscriber, from the first event on."""
        with self.limits.lock:
            if not self._monitored and not self.limits.closed:
                self._monitored = True
                self._monitor.add(self)
        self._monitor.wake()

    def _log_failure(self, row: object, error: BaseException) -> None:
        if isinstance(error, FailureLoggedError):
            return
        subject = row[0] if isinstance(row, (tuple, list)) and row else None
        name = type(error).__name__
        log.error("event() raised %s for subject %r", name, subject, about=(id(self), name), error=error)

    def handle_rows(self, events: Sequence[Sequence[Any]]) -> list[int]:
        """Handle rows that came as an ordinary Pyro call, in the calling thread.

        Returns the positions of the events that raised.
        """
        rows: list[Any] = [tuple(row) for row in events]  # of any length, as in `read_events`
        batch = ReceivedBatch(0, rows)
        part = Slice(batch, batch.rows)
        limits = self.limits
        with limits.lock:
            while not limits.may_start():
                if limits.closed:
                    return list(range(len(batch.rows)))
                limits.changed.wait()
            limits.started()
        self.handle(part)
        with limits.lock:
            limits.finished()
            limits.count(batch)
        return batch.failed

    def check(self) -> bool:
        """For the monitor. Must not wait, so if the lock is taken the next check does it."""
        limits = self.limits
        begun, self._begun_at_check = limits.begun != self._begun_at_check, limits.begun
        if not limits.running:
            return begun
        if limits.lock.acquire(blocking=False):
            try:
                now = time.monotonic()
                for connection in list(self._connections):
                    connection.check(now)
            finally:
                limits.lock.release()
        return True

    def set_threading(self, on: bool) -> None:
        """Set whether an event may start while the previous one is being handled."""
        with self.limits.lock:
            self.limits.threading = on
            if not on:
                self._split_off_rest()
            self.limits.changed.notify_all()

    def pause(self, patience: float = threading.TIMEOUT_MAX) -> None:
        """Start no further event. Running handlers go on, and are not waited for. Calls that were handed over
        and have not begun never do.

        patience: seconds to wait for the lock, if its holder may be waiting for this thread.
        """
        self.limits.paused = True

        def pause() -> None:
            self.limits.paused = True
            self._split_off_rest()

        within(self.limits.lock, patience, pause)
        # Only now: a thread that waits for a call would otherwise go on with the next event.
        self.handovers.stop()

    def _split_off_rest(self) -> None:
        for connection in list(self._connections):
            connection.split_off_rest()

    def resume(self) -> None:
        """Let events start again, first those that were held back."""
        with self.limits.lock:
            self.limits.paused = False
            self.limits.changed.notify_all()
            if self._monitored:
                self._monitor.wake()

    def close(self, patience: float = threading.TIMEOUT_MAX) -> None:
        """End all connections and threads. Waits a while for running handlers, as the options say, but not
        for the one that calls this.

        patience: as for `pause`; if it is given, no thread is waited for, and the threads end by themselves.
        """
        self.limits.closed = True
        threads: set[threading.Thread] = set()

        def end() -> None:
            for connection in list(self._connections):
                threads.update(connection.threads)
                connection.end()
            self.limits.changed.notify_all()

        within(self.limits.lock, patience, end)
        self.handovers.stop(release=True)
        if patience == threading.TIMEOUT_MAX:
            deadline = time.monotonic() + self._options.close_timeout
            for thread in threads - {threading.current_thread()}:
                thread.join(max(0.0, deadline - time.monotonic()))
        monitored, self._monitored = self._monitored, False
        if monitored:
            self._monitor.remove(self, wait=patience == threading.TIMEOUT_MAX)

    def disown(self) -> None:
        """In a forked child: start no event, because all of them are the parent's."""
        self.limits.disown()
        for connection in list(self._connections):
            connection.disown()
        self.handovers.disown()


def _failing(error: BaseException) -> Callable[[Event], object]:
    """A function that raises, in place of a handler that could not be obtained."""

    def fail(event: Event) -> object:
        raise error

    return fail
