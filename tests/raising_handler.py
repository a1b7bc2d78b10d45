"""A signal whose handler raises in the middle of what is tested.

Knows: signals. Must not know: what is interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
