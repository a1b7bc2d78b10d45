"""Scheduler lag: how late this machine runs a thread that is due.

Knows: the clock. Must not know: for which measurements it is subtracted.
"""

from __future__ import annotations

import threading
import time
from typing import Final

_BEAT: Final = 0.02


class SchedulerLag:
    """A thread that is due every 20 ms. `late`: by how much it was late, at most."""

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
        """Start the measurement again."""
        self.late = 0.0

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
