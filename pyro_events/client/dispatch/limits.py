"""The lock and the counters of one subscriber's handlers.

Knows: how many slices of batches are being handled, whether another may start, and whether another thread may
help. Must not know: threads, connections, events, and the order in which they start.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from ..interruptions import owned
from .batch import ReceivedBatch


@dataclass(frozen=True)
class DispatchOptions:
    """How the events of one subscriber are given to threads.

    max_threads: handlers that may run at once: enough to wait for a few slow instruments or disks, and few
    enough to read a stack dump. max_batches: unacknowledged batches of one connection beyond which it is not
    read; the service sends two. stall_after: seconds after which an event that is still running no longer
    delays those behind it. close_timeout: seconds for which `close` waits for running handlers.
    """

    max_threads: int = 16
    max_batches: int = 4
    stall_after: float = 0.01
    close_timeout: float = 2.0


DEFAULT_OPTIONS: Final = DispatchOptions()


class DispatchLimits:
    """Says what may start now. `lock` protects all of it, and the queues of all connections.

    While the lock is held, nothing waits, except for `changed`, which releases it.
    """

    def __init__(self, max_threads: int) -> None:
        self._make_lock()
        self._max_threads = max_threads
        # Whether an event may start while the previous one is being handled.
        self.threading = True
        self.paused = False
        self.closed = False
        # Slices that are being handled, and the number that have ever started.
        self.running = 0
        self.begun = 0
        # Events of finished batches: those whose handler returned, and those whose handler raised.
        self.handled = self.failed = 0

    def _make_lock(self) -> None:
        # Reentrant, because code that interrupts a thread which holds it may abort or close the subscriber.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def disown(self) -> None:
        """In a forked child, where another thread of the parent's may have held the lock."""
        self._make_lock()
        self.closed = True

    @property
    def entered(self) -> bool:
        """Whether the calling thread holds the lock."""
        return owned(self.lock)

    def may_start(self) -> bool:
        """Whether a free thread may start an event now."""
        return not self.paused and (self.threading or not self.running)

    def may_grow(self) -> bool:
        """Whether an event may start while others are running."""
        return self.threading and not self.paused and not self.closed and self.running < self._max_threads

    def started(self) -> None:
        """A thread begins to handle a slice."""
        self.running += 1
        self.begun += 1

    def finished(self) -> None:
        """A thread has handled a slice."""
        self.running -= 1
        if not self.running and not self.threading:
            self.changed.notify_all()

    def count(self, batch: ReceivedBatch) -> None:
        """Count the events of a batch that is done."""
        self.handled += len(batch.rows) - len(batch.failed)
        self.failed += len(batch.failed)
