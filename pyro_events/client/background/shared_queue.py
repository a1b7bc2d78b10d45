"""The queue of a background publisher, shared by all threads that publish and the one that sends.

Knows: which thread may touch the queue. Must not know: which events are dropped (queue.py), or what is sent.

A thread that publishes never waits. It appends to the queue's inbox, which is one step, and then accepts what
is in the inbox if it gets the lock at once. If it does not, the thread that has the lock accepts it, because
everyone looks into the inbox after releasing the lock. The same holds for code that runs in the middle of
such a thread (interruptions.py): the thread that it interrupts accepts its events. While the lock is held,
nothing is sent, logged or waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from ...wire.requests import Entry
from ..interruptions import WakeUp, at_once, owned
from ..statistics import BackgroundStatistics
from .options import BackgroundOptions
from .queue import BackgroundQueue, queue_for

# A thread that waits looks by itself after so many seconds: an exception of the program's own can end another
# one just before it would have woken it.
LOOK: Final = 1.0

T = TypeVar("T")


class Wakeable(Protocol):
    """Wakes a thread or a task that waits."""

    def set(self) -> None:
        """Wake it; never waits."""


# The number of the last event that somebody waits for, and what wakes it.
Waiter = tuple[int, Wakeable]


class SharedQueue:
    """A BackgroundQueue, one thread at a time. overflow: its policy, in words."""

    def __init__(self, options: BackgroundOptions) -> None:
        self._options = options
        self.overflow = options.overflow.value
        self._reset()

    def _reset(self) -> None:
        self._queue: BackgroundQueue = queue_for(self._options)
        self._lock = threading.RLock()
        self._waiters: list[Waiter] = []

    def forked(self) -> None:
        """In a forked child: the parent sends what is queued."""
        self._reset()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._lock)

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._queue.inbox and not len(self._queue)

    @property
    def overflowed(self) -> bool:
        """Whether events were dropped because of a bound, and not everything has been sent since."""
        return self._queue.overflowed > 0

    def publish(self, entry: Entry, events: int, size: int) -> None:
        """Accept an entry, which becomes `events` events and takes `size` bytes on the wire."""
        self._queue.inbox.append((entry, events, size))
        self._admit()

    def _admit(self) -> None:
        """Accept what is in the inbox, unless another thread, or this one further up, is about to do so."""
        queue, lock = self._queue, self._lock
        while queue.inbox and not owned(lock):
            if not at_once(lock, self._accept):
                return

    def _accept(self) -> None:
        """Accept what is in the inbox; the lock is held."""
        self._queue.admit_all()
        if self._waiters:
            self._wake_waiters()

    def use(self, work: Callable[[BackgroundQueue], T]) -> T:
        """Do something with the queue. This waits for a moment at most, because nothing there takes long.

        A thread that is in the middle of using it may only read.
        """
        if self.entered:
            return work(self._queue)
        with self._lock:
            self._queue.admit_all()
            result = work(self._queue)
            if self._waiters:
                self._wake_waiters()
        self._admit()
        return result

    def _wake_waiters(self) -> None:
        """Wake the threads whose events have an outcome; the lock is held."""
        for number, woken in list(self._waiters):
            if self._queue.settled(number):
                woken.set()

    def wait(self, deadline: float | None, possible: Callable[[], bool]) -> bool:
        """Wait until everything that was published before has an outcome.

        deadline: on the monotonic clock. possible: whether somebody sends. Returns False at the deadline, or
        if nobody sends.
        """
        woken = WakeUp()
        waiter = self.begin_waiting(woken)
        try:
            while not self.has_outcome(waiter):
                left = LOOK if deadline is None else deadline - time.monotonic()
                if left <= 0 or not possible():
                    return False
                woken.wait(min(left, LOOK))
        finally:
            self.end_waiting(waiter)
        return True

    def begin_waiting(self, woken: Wakeable) -> Waiter:
        """Have `woken` set, perhaps by another thread, when all events so far have an outcome."""
        waiter = self.use(lambda queue: queue.accepted), woken
        self._waiters.append(waiter)
        return waiter

    def has_outcome(self, waiter: Waiter) -> bool:
        """Whether all events that it waits for have an outcome."""
        return self.use(lambda queue: queue.settled(waiter[0]))

    def end_waiting(self, waiter: Waiter) -> None:
        """It does not wait any more."""
        self._waiters.remove(waiter)

    def statistics(
        self, reconnects: int, connected: bool, address: str | None, name: str
    ) -> BackgroundStatistics:
        """A snapshot, with what is known of the connection."""
        return self.use(
            lambda queue: BackgroundStatistics(
                accepted=queue.accepted,
                published=queue.published,
                queued=queue.queued,
                dropped=dict(queue.dropped),
                refused=queue.refused,
                unknown=queue.unknown,
                waiting=queue.unsettled,
                waiting_bytes=queue.held_bytes,
                reconnects=reconnects,
                connected=connected,
                address=address,
                name=name,
            )
        )
