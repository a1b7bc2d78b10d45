"""Heartbeat: when a subscriber that says nothing is asked for a sign of life, and when it has given none.

Knows: when it was heard of last, and how often it was asked since. Must not know: connections, or what the
time is: it is an argument, in seconds, of a clock that does not go back.
"""

from __future__ import annotations

import enum

from ...constants import HEARTBEAT_TRIES


class Beat(enum.Enum):
    """What is to be done about a subscriber that has nothing to answer."""

    WAIT = "wait"
    ASK = "ask"
    DEAD = "dead"


class Heartbeat:
    """The signs of life of one subscriber."""

    __slots__ = ("_answer", "_every", "_heard", "_owed", "_unheard")

    def __init__(self, every: float, answer: float, now: float) -> None:
        """every: seconds without a word after which it is asked. answer: seconds until it is asked again."""
        self._every = every
        self._answer = answer
        self._heard = now
        self._unheard = 0  # times that it was asked since it was heard of
        self._owed = 0  # answers that may still come, however late

    def heard(self, now: float) -> None:
        """Something has come from it."""
        self._heard = now
        self._unheard = 0

    def answered(self) -> bool:
        """The answer to a question has come; returns whether there was one to answer."""
        if not self._owed:
            return False
        self._owed -= 1
        return True

    def restart(self) -> None:
        """It has another connection, over which no answer is owed."""
        self._owed = 0

    def beat(self, now: float) -> Beat:
        """What is to be done now; to be asked again and again. Beat.ASK says it once for each question."""
        if now - self._heard < self._every + self._unheard * self._answer:
            return Beat.WAIT
        if self._unheard == HEARTBEAT_TRIES:
            return Beat.DEAD
        self._unheard += 1
        self._owed += 1
        return Beat.ASK
