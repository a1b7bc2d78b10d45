"""Limits of the log: at most one line of each kind about each thing per interval.

Knows: which lines were logged lately, and which were held back since. Must not know: threads, the clock
(times are arguments), or what a line is.

A line of a kind that was not logged lately is logged at once. The lines that follow within the interval are
counted, and the last of them is kept. When the interval is over it is logged with their number, and the next
interval begins. So the first line is not delayed, and the last one is never lost.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Line = TypeVar("Line")


class _Recent(Generic[Line]):
    """The lines of one kind that were logged lately: until when the interval lasts, and what was held back
    since."""

    __slots__ = ("count", "last", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.count = 0
        self.last: Line | None = None


class LineLimiter(Generic[Line]):
    """Decides which lines are logged at once and which are held back.

    Args:
        interval: seconds between two lines of one kind.
        most: how many kinds are told apart at a time; all further kinds share one.
    """

    def __init__(self, interval: float, most: int) -> None:
        self._interval = interval
        self._most = most
        # In the order of `until`: every entry is put at the end, for the same interval.
        self._recent: dict[Hashable, _Recent[Line]] = {}

    def allows(self, kind: Hashable, line: Line, now: float) -> bool:
        """Whether to log a line at once; otherwise it is held back and counted."""
        recent = self._recent.get(kind)
        if recent is None and len(self._recent) >= self._most:
            kind = None
            recent = self._recent.get(None)
        if recent is None:
            self._recent[kind] = _Recent(now + self._interval)
            return True
        recent.count += 1
        recent.last = line
        return False

    def due(self, now: float) -> list[tuple[Line, int]]:
        """The lines to be logged now, each with the number of lines that it stands for."""
        lines: list[tuple[Line, int]] = []
        for kind, recent in list(self._recent.items()):
            if recent.until > now:
                break
            del self._recent[kind]
            if recent.last is not None:
                lines.append((recent.last, recent.count))
                self._recent[kind] = _Recent(now + self._interval)
        return lines

    def next_due(self) -> float | None:
        """When to call `due` next; None while nothing was logged lately."""
        # A copy: a finalizer that runs meanwhile in this thread may log too.
        first = next(iter(list(self._recent.values())), None)
        return None if first is None else first.until

    def rest(self) -> list[tuple[Line, int]]:
        """All lines that are held back, at the end of the program; then nothing is remembered."""
        lines = [(recent.last, recent.count) for recent in self._recent.values() if recent.last is not None]
        self._recent.clear()
        return lines
