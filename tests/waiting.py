"""Waiting for a condition, with an end.

Knows: how to wait. Must not know: what for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_never = threading.Event()


def eventually(condition: Callable[[], T], timeout: float = 20.0, what: str = "") -> T:
    """The first true result of `condition`, which is asked again and again for `timeout` seconds.

    Raises AssertionError that says what was waited for, and the last result.
    """
    end = time.monotonic() + timeout
    pause = 0.001
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {timeout} s: {name}; the last result was {result!r}")
        _never.wait(pause)
        pause = min(pause * 2, 0.05)
