"""Where the events of a stream come from: the connection in use, and waiting for it or for the next one.

Knows: which connection is in use, and which threads wait. Must not know: how a connection is made, what is
subscribed, or what the events are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ...constants import ReceivedRow
from ...service_threads import refuse_in_service_thread, running
from ..interruptions import WakeUp, owned
from .link import StreamLink
from .ready_signal import ReadySignal

# How long a thread that replaces a connection, or closes the last one, waits for a thread that reads it.
_READER = 1.0


class NothingCameError(Exception):
    """No event came in time."""


class EventSource:
    """The connection in use, which another one may replace.

    link: it may have ended. closed: for good. alive: whether there was a connection then. taken: how many
    events the program has taken. generation: how often the connection was replaced.
    """

    def __init__(self, link: StreamLink, lost: Callable[[StreamLink], object]) -> None:
        """lost: called with a connection that has ended, perhaps several times."""
        self.link = link
        self.closed = self.alive = False
        self.taken = self.generation = 0
        self._lost = lost
        self._told: StreamLink | None = None  # the last connection that `lost` was called with
        self._signal: ReadySignal | None = None
        # Threads that wait for another connection. Not a Condition: an exception of the program's own can
        # leave that one's lock taken, or free where the `with` statement wants to release it.
        self._waiting: list[WakeUp] = []
        self._making = threading.RLock()

    def take(self, deadline: float | None) -> ReceivedRow | None:
        """The next event; None when closed.

        The acknowledgement of a batch is sent when the next event is asked for, because the program should
        not wait for that before it gets an event. If it does not ask, `check` sends it.

        deadline: on the monotonic clock; None for none. Raises NothingCameError when it is over.
        """
        while not self.closed:
            link = self.link
            rows = link.inbox.rows
            if not rows:
                self._await(link, deadline)  # not in an `except`, which Ctrl-C's traceback would show first
                continue
            try:
                row = rows.popleft()
            except IndexError:  # another thread took it
                continue
            self.taken += 1
            if self._signal is not None:  # the program will wait for the descriptor, and not here
                link.settle()
                self.update_signal()
            return row
        return None

    def _await(self, link: StreamLink, deadline: float | None) -> None:
        """Return when an event can be taken, or the connection, or this source, has ended."""
        if running:
            refuse_in_service_thread()
        if not link.dead:
            found = link.fetch(deadline)
            if not found or link.dead:
                self.check()
            if not found:
                raise NothingCameError
            return
        self.check()
        woken = WakeUp()
        self._waiting.append(woken)
        try:
            # In this order: `replace` and `stop` find the thread that waits, or it finds what they have done.
            if self.link is link and not self.closed:
                patience = None if deadline is None else deadline - time.monotonic()
                if patience is not None and patience <= 0:
                    raise NothingCameError
                woken.wait(patience)
        finally:
            self._waiting.remove(woken)

    def look(self) -> bool:
        """Read what has come, without waiting. False if another thread is reading."""
        looked = self.link.look()
        self.check()
        return looked

    def check(self) -> None:
        """Say that the connection has ended, if it has, acknowledge what was taken, and bring the signal up
        to date.

        Whatever was interrupted by an exception of the program's own before it had done so, this makes up
        for.
        """
        link = self.link
        link.settle()
        if link.dead and not self.closed and self._told is not link:
            self._lost(link)
            self._told = link
        self.update_signal()

    def replace(self, link: StreamLink) -> None:
        """Use another connection, and wake the threads that wait for it."""
        before, self.link = self.link, link
        self.generation += 1
        self._wake_all()
        before.close(_READER)
        if self.closed:  # `stop` may have found the one before
            link.close(_READER)
        self.update_signal()

    def activity(self) -> int:
        """A number that changes when something comes."""
        return self.generation * 1_000_000_000 + self.link.inbox.heard

    # The descriptor for the program

    def signals(self) -> bool:
        """Whether the program has asked for the descriptor."""
        return self._signal is not None

    def signal(self) -> ReadySignal:
        """What is readable while an event can be taken; made when it is asked for first."""
        with self._making:
            signal = self._signal = self._signal or ReadySignal()
        self.update_signal()
        return signal

    def update_signal(self) -> None:
        """Set or clear the signal, if there is one."""
        if self._signal is not None:
            self._signal.update(self._ready)

    def _ready(self) -> bool:
        """Whether `take` returns at once. A batch after the present one needs an acknowledgement first."""
        link = self.link
        return self.closed or bool(link.inbox.rows) or (not link.dead and link.inbox.waiting > 0)

    # The end

    def stop(self) -> bool:
        """Wake all threads that wait, for good. Returns whether it was not stopped before."""
        self.link.settle()
        first, self.closed = not self.closed, True
        self.alive = first and not self.link.dead
        self._wake_all()
        self.link.stop_reading()
        self.update_signal()
        return first

    def _wake_all(self) -> None:
        for woken in list(self._waiting):
            woken.set()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of reading."""
        return owned(self.link.lock)

    def close(self, wait: bool) -> None:
        """Release the connection. wait: for a thread that reads."""
        self.link.close(_READER if wait else 0.0)
        if self._signal is not None:
            self._signal.close()

    def forked(self) -> None:
        """In a forked child: everything is the parent's."""
        self.closed = True
        self._waiting, self._making = [], threading.RLock()
        self.link.forked()
        if self._signal is not None:
            self._signal.forked()
