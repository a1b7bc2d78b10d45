"""The stall monitor: checks busy subscribers at intervals.

Knows: when to check. Must not know: what a check finds, or does.

There is one thread for the whole program, whatever the number of subscribers. It sleeps while nothing
happens, and costs a hundred short checks a second while something does. So no time has to be taken for each
event.
"""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol

from ..interruptions import WakeUp

# Seconds between two checks: an event that two of them find running has stalled.
_INTERVAL: Final = 0.01
# After this many checks that found no work, the monitor sleeps until it is woken.
_QUIET_CHECKS: Final = 20


class Monitored(Protocol):
    """An object that may be busy."""

    def check(self) -> bool:
        """Start threads for what is stalled; must not wait for anything. Returns whether there was any
        work."""


class StallMonitor:
    """Calls `check` of all added objects, once in each interval while any of them has work."""

    def __init__(self, interval: float = _INTERVAL, quiet_checks: int = _QUIET_CHECKS) -> None:
        """interval: seconds between two checks. quiet_checks: after how many without work it sleeps."""
        self._interval = interval
        self._quiet_checks = quiet_checks
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._monitored: set[Monitored] = set()
        self._wake = WakeUp()
        self._stop = WakeUp()
        self._thread: threading.Thread | None = None
        self.asleep = False

    def add(self, monitored: Monitored) -> None:
        """Begin to check an object."""
        with self._lock:
            self._monitored.add(monitored)
        self.wake()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or not self._monitored:
                return
            self._stop, self._wake = WakeUp(), WakeUp()
            self._thread = threading.Thread(
                target=self._run, args=(self._stop, self._wake), name="pyro_events-monitor", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:  # the system allows no more; who has work tries again
                self._thread, self.asleep = None, True

    def remove(self, monitored: Monitored, wait: bool = True) -> None:
        """Check it no longer. The thread ends with the last object.

        wait: for that end. A check may wait for a lock, so not where the calling thread may hold one.
        """
        with self._lock:
            self._monitored.discard(monitored)
            if self._monitored or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._stop.set()
            self._wake.set()
        if wait and thread is not threading.current_thread() and thread.ident is not None:
            thread.join()

    def wake(self) -> None:
        """There is work; needed only if `asleep`."""
        self.asleep = False
        if self._thread is None:
            self._start()
        self._wake.set()

    def _run(self, stop: WakeUp, wake: WakeUp) -> None:
        while True:
            wake.wait()
            quiet = 0
            while quiet < self._quiet_checks:
                if stop.wait(self._interval):
                    return
                # Without the lock: a thread that waits for this one to end may hold it.
                busy = [each.check() for each in list(self._monitored)]
                quiet = 0 if any(busy) else quiet + 1
                # Before the last check, not after it: work that begins meanwhile wakes the monitor again.
                self.asleep = quiet >= self._quiet_checks - 1


monitor: Final = StallMonitor()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=monitor._reset)
