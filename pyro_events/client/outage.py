"""Outages: what the subscribers of one program know together about services that cannot be reached.

Knows: when an address may be tried again, and how many may come back side by side. Must not know: how
anything is reached.

A program may have hundreds of subscribers. If each tried for itself, the tries alone would take all of
the interpreter, and when the service is back none would get enough of it to shake hands in time. So one
at a time tries an address that has failed, and the others wait until it has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Iterator
from typing import Final

# Seconds before the first try and at most between two; each is a random part of it, half at least, so
# that the programs of many machines do not come in one instant. A try takes a second more where nobody
# answers at all, and two seconds is what is promised.
FIRST_DELAY: Final = 0.1
MOST_DELAY: Final = 0.8
# Those who wait look again within this time after the next try, so that not all wake in one instant.
_SPREAD: Final = 0.1
# Who waits for one that is trying looks this often.
_LOOK: Final = 0.1
# How many return side by side, and how long one waits for its turn at most.
_AT_ONCE: Final = 16
_TURN: Final = 1.0


def delay_after(failures: int) -> float:
    """How many seconds to wait after so many failures in a row."""
    return min(MOST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)


class _Outage:
    """One address that has failed."""

    __slots__ = ("failures", "next_try", "trying")

    def __init__(self) -> None:
        self.failures = 0
        self.next_try = 0.0
        self.trying = False


class Outages:
    """The addresses that have failed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(_AT_ONCE)
        self._known: dict[str, _Outage] = {}

    def wait(self, address: str, now: float) -> float:
        """How many seconds to wait before this address is to be tried; with 0 the caller must try, and
        say how it went."""
        with self._lock:
            outage = self._known.get(address)
            if outage is None:
                return 0.0
            left = outage.next_try - now
            if outage.trying:
                left = max(left, _LOOK)
            if left > 0:
                return left + random.uniform(0.0, _SPREAD)
            outage.trying = True
            return 0.0

    def failed(self, address: str, now: float) -> None:
        """It could not be reached."""
        with self._lock:
            outage = self._known.setdefault(address, _Outage())
            # Who began before it was known has not found anything new.
            if outage.trying or now >= outage.next_try:
                outage.next_try = now + delay_after(outage.failures)
                outage.failures += 1
            outage.trying = False

    def over(self, address: str) -> None:
        """It was reached."""
        with self._lock:
            self._known.pop(address, None)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until not too many others are at it; not for long, in case that they are stuck."""
        turns = self._turns
        taken = turns.acquire(timeout=_TURN)
        try:
            yield
        finally:
            if taken:
                turns.release()


outages: Final = Outages()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=outages.reset)
