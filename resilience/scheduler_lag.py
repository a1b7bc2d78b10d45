"""A lag: how late this machine lets a thread run that wants to run on time.

Knows: the clock. Must not know: whose lateness is then forgiven.
"""

from __future__ import annotations

import threading
import time
from typing import Final

_BEAT: Final = 0.02


class SchedulerLag:
    """A thread that wants to be woken every 20 ms. `late`: by how much it was woken late, at most."""

    def __init__(self) -> None:
        self.late = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(_BEAT):
            now = time.monotonic()
            self.late = max(self.late, now - begun - _BEAT)
            begun = now

    def reset(self) -> None:
        """Begin to measure anew."""
        self.late = 0.0

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
