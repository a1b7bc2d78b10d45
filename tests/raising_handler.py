"""A signal whose handler raises in the middle of what is tested.

Knows: signals. Must not know: what is interrupted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

needs_signals = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1"), reason="this platform has no signal for programs' own use"
)


@contextmanager
def raising(error: BaseException) -> Iterator[Callable[..., Any]]:
    """Yields a function that takes any arguments, and sends this process a signal whose handler raises
    `error`. To be called in the main thread, where something may be interrupted, and within the block."""
    within = True

    def handler(number: int, frame: object) -> None:
        raise error

    def interrupt(*arguments: object, **named: object) -> None:
        assert within, "nothing handles the signal any more: it would end the process"
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield interrupt
    finally:
        within = False
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def raising_after(error: BaseException) -> Iterator[Callable[[float], None]]:
    """The same; the function takes a number of seconds, after which the signal comes."""
    with raising(error):
        interrupt_main = partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGUSR1)
        timers: list[threading.Timer] = []

        def interrupt_after(seconds: float) -> None:
            timers[:] = [threading.Timer(seconds, interrupt_main)]
            timers[0].start()

        yield interrupt_after
        timers[0].join()
