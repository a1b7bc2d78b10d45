"""Calls that are handed over to another thread, such as that of a window, and waited for.

Knows: that a call runs at most once, and what ends the wait for it. Must not know: what an event is, or how
the other thread gets the call (the program's `via` does).

A thread of the subscriber hands a call over and waits until it has run. The other thread may be gone, or may
be the one that just closes the subscriber and waits for its threads. So the wait ends in one of these ways:

    what happens             a call that has not begun     a call that has begun
    -----------------------  ----------------------------  --------------------------------
    it has run               -                             the wait ends
    `via` raises             never begins, the wait ends   goes on, the wait ends
    `abort`                  never begins, the wait ends   is still waited for
    `close`                  never begins, the wait ends   goes on, the wait ends

Who runs or cancels a call takes a lock that is never released, so only one of them does it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from ...errors import EventServiceError
from ...log.background import get_logger
from .handlers import check_result
from .limits import DispatchLimits

log = get_logger("pyro_events.subscriber")

# What a program gives: it is called with a call, which it runs elsewhere.
Via = Callable[[Callable[[], Any]], object]


class ViaFailedError(Exception):
    """`via` has not taken a call, because it raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class CallStoppedError(EventServiceError):
    """The subscriber was stopped before a call began."""


class Call:
    """One call of a function, for any thread. It takes no argument."""

    __slots__ = ("_claim", "_ended", "_released", "_work", "error", "name", "stopped")

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        """name: of the function, in the log. work: calls it."""
        self.name = name
        self._work = work
        self._claim = threading.Lock()
        # Implemented in C, so that an exception of a signal handler cannot arrive in the middle.
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._released = False
        self.stopped = False
        self.error: BaseException | None = None

    def __call__(self) -> None:
        """Call the function, unless it was called before or the call was stopped.

        An exception is kept for the thread that waits. One that is meant to end the calling thread or the
        program is raised here too.
        """
        if not self._claim.acquire(blocking=False):
            if not self.stopped:
                log.warning("via= ran a call of %s again, which did nothing", self.name, about=self.name)
            return
        try:
            self._work()
        except BaseException as error:
            self.error = error
            if self._released:
                log.error("%s raised %s", self.name, type(error).__name__, about=self.name, error=error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._ended.put(None)

    def __repr__(self) -> str:
        return f"<call of {self.name}>"

    def stop(self, release: bool) -> None:
        """Let it never begin. release: end the wait for it even if it has begun."""
        if self._claim.acquire(blocking=False):
            self.stopped = True
            self.error = CallStoppedError("the subscriber was stopped before the call ran")
            self._ended.put(None)
        elif release:
            self._released = True
            self._ended.put(None)

    def wait(self) -> None:
        """Return when it has run, or the wait was ended. Raises what it has raised."""
        self._ended.get()
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or the exception would hold this frame, which would hold the exception


class Handovers:
    """The calls of one subscriber that other threads run."""

    def __init__(self, limits: DispatchLimits) -> None:
        """limits: say whether a call may begin."""
        self._limits = limits
        # Whether this is a forked child, and the subscriber is the parent's.
        self.disowned = False
        self._calls: set[Call] = set()

    @property
    def closed(self) -> bool:
        """Whether the subscriber is closed."""
        return self._limits.closed

    def run(self, via: Via, call: Call) -> None:
        """Give a call to `via`, and wait until it has run.

        Raises what it raises; ViaFailedError if `via` raises; CallStoppedError.
        """
        self._calls.add(call)
        try:
            # In this order: `stop` finds the call, or this thread finds that it was stopped.
            if self._limits.paused or self._limits.closed:
                call.stop(release=False)
            else:
                _give(via, call)
            call.wait()
        finally:
            self._calls.discard(call)

    def stop(self, release: bool = False) -> None:
        """Let no call begin any more, after the limits have changed. Does not wait.

        release: end the wait for those that have begun, too.
        """
        for call in list(self._calls):
            call.stop(release)

    def disown(self) -> None:
        """In a forked child: the calls are the parent's, also those that this process has a copy of."""
        self.disowned = True
        self.stop(release=True)


def _give(via: Via, call: Call) -> None:
    try:
        check_result("via=", via(call), awaitable=False)
    except BaseException as error:
        call.stop(release=True)
        if call.error is error:  # `via` has called the function itself
            raise
        raise ViaFailedError(error) from None
