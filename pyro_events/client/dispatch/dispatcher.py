"""The crew: the threads that run a subscriber's `event`.

Knows: how many handlers may run, whether side by side, and when none may start. Must not know:
sockets and frames, nor in which order the events of a connection start (a lane does).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from ...event import Event
from ...log.background import get_logger
from ..interruptions import owned, within
from ..subscribing.handlers import check_result
from .connection_queue import BatchSource, ConnectionQueue, ReceivedBatch, Row, Slice
from .stall_monitor import watch

log = get_logger("pyro_events.subscriber")

# Handlers of one subscriber that may run at once: enough to wait for a few slow instruments or
# disks, few enough to find one's way in a stack dump.
MAX_THREADS: Final = 16
# How long `close` waits for handlers that are running.
CLOSE_TIMEOUT: Final = 2.0


class Dispatcher:
    """The threads of one subscriber, on however many connections.

    `lock` guards everything here and in the lanes; nothing is waited for while it is held, except
    `changed`, which releases it.
    """

    def __init__(self, handler: Callable[[], Callable[[Event], object]]) -> None:
        """handler: returns what to call with an event; asked once for each batch or part of it."""
        self._handler = handler
        self._queues: set[ConnectionQueue] = set()
        self._threads: set[threading.Thread] = set()
        self.running = 0
        self._paused = False
        self._watched = False
        self._batches_begun = self._batches_seen = 0
        # Reentrant, because what interrupts a thread that holds it may abort or close the subscriber.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.threading = True
        self.closed = False
        self.handled = self.failed = 0

    def admit(self, source: BatchSource) -> ConnectionQueue | None:
        """A lane for a new connection, which the calling thread joins; None when closed."""
        with self.lock:
            if self.closed:
                return None
            # A connection that was replaced is known to be gone only when one looks.
            for queue in self._queues:
                queue.check()
            queue = ConnectionQueue(self, source)
            queue.join()
            self._queues.add(queue)
            self._threads.add(threading.current_thread())
        return queue

    def handle(self, part: Slice) -> None:
        """Call the handler with each event of a part, until none is left or it is overtaken."""
        handler, make = self._handler(), Event.from_payload
        batch = part.batch
        for row in part.rows:
            try:
                result = handler(make(*row))
                if result is not None:  # nearly always it is
                    check_result("event()", result)
            except BaseException as error:
                self._log_failure(row, error)
                position = next(index for index, other in enumerate(batch.rows) if other is row)
                batch.failed.append(position)

    def _log_failure(self, row: Row, error: BaseException) -> None:
        subject = row[0] if isinstance(row, (tuple, list)) and row else None
        name = type(error).__name__
        log.error("event() raised %s for subject %r", name, subject, about=(id(self), name), error=error)

    def run(self, events: Sequence[Row]) -> list[int]:
        """Handle rows that came as an ordinary Pyro call, in the calling thread.

        Returns the positions that raised.
        """
        batch = ReceivedBatch(0, [tuple(row) for row in events])
        part = Slice(batch, iter(batch.rows))
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
    def begun(self) -> int:
        """How many parts of batches have started so far."""
        return self._batches_begun

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

    def count(self, batch: ReceivedBatch) -> None:
        """A whole batch has been handled."""
        self.handled += len(batch.rows) - len(batch.failed)
        self.failed += len(batch.failed)

    def start_worker(self, queue: ConnectionQueue) -> None:
        """Start another thread in a lane."""
        thread = threading.Thread(target=queue.run, name="pyro_events-handler", daemon=True)
        queue.join()
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more: those that there are must do
            queue.unjoin()
            self._threads.discard(thread)

    def left(self, queue: ConnectionQueue, last: bool) -> None:
        """The calling thread ends its work in a lane."""
        self._threads.discard(threading.current_thread())
        if last:
            self._queues.discard(queue)

    def look(self) -> bool:
        """For the watch. Must not wait, so it comes back later when the lock is taken."""
        if not self.lock.acquire(blocking=False):
            return True
        try:
            begun = self._batches_begun != self._batches_seen
            self._batches_seen = self._batches_begun
            return any([queue.look() for queue in list(self._queues)]) or begun
        finally:
            self.lock.release()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self.lock)

    def set_threading(self, on: bool) -> None:
        """Whether an event may start while the previous one is being handled."""
        with self.lock:
            self.threading = on
            if not on:
                for queue in self._queues:
                    queue.split_off_pending()
            self.changed.notify_all()

    def pause(self, patience: float = threading.TIMEOUT_MAX) -> None:
        """Let no further event start. Running handlers go on; nothing is waited for.

        patience: seconds to wait for the lock, where its holder may wait for this thread.
        """
        self._paused = True

        def pause() -> None:
            self._paused = True
            for queue in self._queues:
                queue.split_off_pending()

        within(self.lock, patience, pause)

    def resume(self) -> None:
        """Let events start again, with those that were held first."""
        with self.lock:
            self._paused = False
            self.changed.notify_all()
            if self._watched:
                watch.wake()

    def close(self, patience: float = threading.TIMEOUT_MAX) -> None:
        """End all connections and threads. Waits CLOSE_TIMEOUT seconds at most for handlers that
        run, and not for the one that calls this.

        patience: as for `pause`; if it is given, no thread is waited for, and the threads end by themselves.
        """
        self.closed = True
        within(self.lock, patience, self._end_lanes)
        if patience == threading.TIMEOUT_MAX:
            deadline = time.monotonic() + CLOSE_TIMEOUT
            for thread in self._threads - {threading.current_thread()}:
                thread.join(max(0.0, deadline - time.monotonic()))
        watched, self._watched = self._watched, False
        if watched:
            watch.leave(self)

    def _end_lanes(self) -> None:
        for queue in self._queues:
            queue.end()
        self.changed.notify_all()
