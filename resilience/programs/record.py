"""A listener's record of the events that arrived: numbers, order, gaps, and how old each event was.

Knows: events as publisher, number and time of publication, and what the system itself says about gaps. Must
not know: which system delivered them.
"""

from __future__ import annotations

import threading
import time
from array import array
from typing import Any


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all values do not exceed; 0 for none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


class Record:
    """Counts the events that arrived. One thread adds, and one asks.

    In `report`: received: events; duplicates: those whose number had arrived before; disorder: those whose
    number is lower than the one before, from the same publisher; missed: how many the system said were
    dropped; unknown: how often it said that it does not know; silent: gaps in `seq` that nothing announced;
    returns: how often the subscriber was told that it is subscribed again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, set[int]] = {}
        self._last: dict[str, int] = {}
        self._arrivals, self._ages = array("d"), array("d")
        self._seq = 0
        self.duplicates = self.disorder = self.missed = self.unknown = self.silent = 0
        self.returns: list[str] = []

    def add(self, name: str, number: int, sent: float, seq: int = 0, missed: int | None = 0) -> None:
        """An event has arrived. sent: on the machine's monotonic clock, in seconds."""
        now = time.monotonic()
        with self._lock:
            numbers = self._seen.setdefault(name, set())
            if number in numbers:
                self.duplicates += 1
            elif number < self._last.get(name, -1):
                self.disorder += 1
            numbers.add(number)
            self._last[name] = number
            self._arrivals.append(now)
            self._ages.append(now - sent)
            if seq:
                self._judge(seq, missed)

    def _judge(self, seq: int, missed: int | None) -> None:
        """Compare what the service says about gaps with the numbers that it gives."""
        if missed is None:
            self.unknown += 1
        else:
            self.missed += missed
            # When a lingering connection is closed, numbers start again; a program that keeps its
            # subscriptions never sees that.
            self.silent += seq != self._seq + 1 + missed
        self._seq = seq

    def report(self, since: float = 0.0) -> dict[str, Any]:
        """The figures. since: for `after` and the ages, count only events that arrived later."""
        with self._lock:
            later = [at for at, arrived in enumerate(self._arrivals) if arrived >= since]
            ages = [self._ages[at] for at in later]
            return {
                "received": sum(len(numbers) for numbers in self._seen.values()) + self.duplicates,
                "duplicates": self.duplicates,
                "disorder": self.disorder,
                "missed": self.missed,
                "unknown": self.unknown,
                "silent": self.silent,
                "returns": self.returns,
                "after": len(later),
                "first": self._arrivals[later[0]] if later else None,
                "last": self._arrivals[-1] if self._arrivals else None,
                "median": percentile(ages, 0.5),
                "p99": percentile(ages, 0.99),
                "oldest": max(ages, default=0.0),
            }

    def numbers(self, name: str) -> list[int]:
        """The numbers of a publisher's events that arrived."""
        with self._lock:
            return sorted(self._seen.get(name, ()))

    def fresh(self, sent_after: float) -> float | None:
        """When the first event arrived that was published after that moment; None if there is none."""
        with self._lock:
            for arrived, age in zip(self._arrivals, self._ages, strict=True):
                if arrived - age >= sent_after:
                    return arrived
        return None
