"""Interrupts: Ctrl-C while an event loop runs in the main thread.

Knows: Python's own handler of SIGINT. Must not know: what runs on the loop.

Python's handler raises KeyboardInterrupt wherever the main thread is. In the middle of a callback of a
connection, uvloop takes that for a failure of the connection, and the program would go on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType


class Interrupts:
    """Take the place of Python's handler of SIGINT for a `with` block; a handler of the program's stays.

    The first Ctrl-C calls `stop`, and the block raises KeyboardInterrupt at its end. The second raises it at
    once. count: how many there have been.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._replaced = False
        self.count = 0

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt
        self._stop()

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._replaced = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._replaced:
            signal.signal(signal.SIGINT, self._interrupted)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not where the program has set a handler of its own meanwhile.
        if self._replaced and signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.count and error is None:
            raise KeyboardInterrupt
