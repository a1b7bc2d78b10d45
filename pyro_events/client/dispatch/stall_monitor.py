"""The watch: looks now and then at those who are busy.

Knows: when to look. Must not know: what there is to see.

One thread for the whole program, however many subscribers it has. It sleeps while nothing happens
and costs a hundred short looks a second while something does, so that nobody has to keep time for
each event.
"""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol

from ..interruptions import WakeUp

# A handler that is found at the same event in two looks holds up those that wait behind it.
LOOK_EVERY: Final = 0.01
# After this many looks without any work the watch sleeps until it is woken.
_QUIET_LOOKS: Final = 20


class Stallable(Protocol):
    """Somebody who may be busy."""

    def look(self) -> bool:
        """See to what is stuck; must not wait for anything. Returns whether there was any work."""


class StallMonitor:
    """Calls `look` of all who joined, every LOOK_EVERY seconds while any of them has work."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._watched: set[Stallable] = set()
        self._wake = WakeUp()
        self._stop = WakeUp()
        self._thread: threading.Thread | None = None
        self.asleep = False

    def join(self, watched: Stallable) -> None:
        """Begin to look at `watched`."""
        with self._lock:
            self._watched.add(watched)
            if self._thread is None:
                self._stop, self._wake = WakeUp(), WakeUp()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop, self._wake), name="pyro_events-watch", daemon=True
                )
                self._thread.start()
        self.wake()

    def leave(self, watched: Stallable) -> None:
        """Look at it no longer; the thread ends with the last."""
        with self._lock:
            self._watched.discard(watched)
            if self._watched or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._stop.set()
            self._wake.set()
        if thread is not threading.current_thread() and thread.ident is not None:
            thread.join()

    def wake(self) -> None:
        """There is work; needed only when `asleep`."""
        self.asleep = False
        self._wake.set()

    def _run(self, stop: WakeUp, wake: WakeUp) -> None:
        while True:
            wake.wait()
            quiet = 0
            while quiet < _QUIET_LOOKS:
                if stop.wait(LOOK_EVERY):
                    return
                # Without the lock, which a thread may hold that waits for this one to end.
                busy = [one.look() for one in list(self._watched)]
                quiet = 0 if any(busy) else quiet + 1
                # Before the last look, not after it: work that begins meanwhile wakes us again.
                self.asleep = quiet >= _QUIET_LOOKS - 1


watch: Final = StallMonitor()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watch._reset)
