"""RateLimit: how many events the service publishes about itself, and what it leaves out.

Knows: times, given as arguments, and what was left out, by subject. Must not know: what is published, or who
listens.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

# What the service publishes about itself in any second at most: what a person, or a screen, can follow. When
# 10,000 subscribers come back at once, each event would otherwise go to each listener.
MOST: Final = 100
SECOND: Final = 1.0


class RateLimit:
    """At most so many events in any second."""

    def __init__(self, most: int = MOST, seconds: float = SECOND) -> None:
        """most: how many events. seconds: in how long."""
        self._seconds = seconds
        self._admitted: deque[float] = deque(maxlen=most)
        self._omitted: Counter[str] = Counter()
        self._since = 0.0  # when the first of those was left out

    def admits(self, subject: str, now: float) -> bool:
        """Whether an event may be published now; if not, it is counted. now: in seconds, never less than
        before."""
        admitted = self._admitted
        if len(admitted) == admitted.maxlen and now - admitted[0] < self._seconds:
            if not self._omitted:
                self._since = now
            self._omitted[subject] += 1
            return False
        admitted.append(now)
        return True

    def take_omitted(self, now: float, rest: bool = False) -> dict[str, int]:
        """How many events were left out, by subject; empty if it is too early to say so: once in that many
        seconds. rest: say it now."""
        if not self._omitted or (now - self._since < self._seconds and not rest):
            return {}
        omitted, self._omitted = self._omitted, Counter()
        return dict(omitted)
