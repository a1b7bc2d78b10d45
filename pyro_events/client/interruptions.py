"""Code of the program that runs in the middle of ours: a signal handler, `__del__`, a logging handler.

Knows: how to tell a call that such code makes from an ordinary one (for its exceptions, see
foreign_exceptions.py). Must not know: what is interrupted, or what is done about it.

Such code can run between any two steps of the thread that it interrupts, and may call this package again.
Three facts hold in every supported version of Python, and the modules that import this one rely on them:

- `with lock:` takes and releases a lock of the standard library without a gap in which an exception could
  arrive;
- storing a plain value in an attribute is one step, also as the first step of an `except` clause;
- `SimpleQueue.put` may be called again in the middle of itself, which `threading.Event.set` may not.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any


def owned(lock: Any) -> bool:
    """Whether the calling thread holds an RLock. `threading.Condition` calls the same method."""
    return bool(lock._is_owned())


def within(lock: Any, seconds: float, work: Callable[[], object]) -> bool:
    """Call `work` holding an RLock, if it can be acquired within `seconds`. Returns whether it could.

    A thread that holds it already does not wait. The lock is always released, wherever an exception arrives.
    """
    if owned(lock):
        work()
        return True
    return _holding(lock, lambda: lock.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX))), work)


def at_once(lock: Any, work: Callable[[], object]) -> bool:
    """Call `work` holding an RLock, if no other thread holds it. Returns whether that was so.

    The calling thread must not hold it. The lock is always released, wherever an exception arrives.
    """
    return _holding(lock, lambda: lock.acquire(False), work)


def _holding(lock: Any, acquire: Callable[[], bool], work: Callable[[], object]) -> bool:
    try:
        if not acquire():
            return False
        try:
            work()
        finally:
            # Without a condition: in Python 3.10 an exception may arrive where one jumps.
            lock.release()
    except BaseException:
        # One may have arrived after the lock was taken and before `work` was called.
        if owned(lock):
            lock.release()
        raise
    return True


class WakeUp:
    """Wakes one thread; like an Event that clears itself, but `set` may interrupt itself."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Wake the thread that waits, or the next one that does."""
        self._calls.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be woken, at most `timeout` seconds. Returns whether it was."""
        try:
            self._calls.get(timeout=timeout)
        except queue.Empty:
            return False
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()
        return True
