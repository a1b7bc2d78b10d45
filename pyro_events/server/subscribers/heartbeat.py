"""Heartbeat: when a silent subscriber is sent a heartbeat, and when it has left too many unanswered.

Knows: when it was heard from last, and how many heartbeats were sent since. Must not know: connections, or
the time: it is an argument, in seconds, of a clock that does not go back.
"""

from __future__ import annotations

import enum

from ...constants import HEARTBEAT_TRIES


class Beat(enum.Enum):
    """What to do about a subscriber that has nothing to acknowledge."""

    WAIT = "wait"
    ASK = "ask"
    DEAD = "dead"


class Heartbeat:
    """The heartbeats of one subscriber."""

    __slots__ = ("_answer", "_every", "_heard", "_owed", "_unheard")

    def __init__(self, every: float, answer: float, now: float) -> None:
        """every: seconds of silence before a heartbeat. answer: seconds until the next one."""
        self._every = every
        self._answer = answer
        self._heard = now
        self._unheard = 0  # heartbeats since it was heard from
        self._owed = 0  # answers that may still come, however late

    def heard(self, now: float) -> None:
        """Something has come from the subscriber."""
        self._heard = now
        self._unheard = 0

    def answered(self) -> bool:
        """The answer to a heartbeat has come. Returns whether one was expected."""
        if not self._owed:
            return False
        self._owed -= 1
        return True

    def restart(self) -> None:
        """The subscriber has a new connection, on which no answer is expected."""
        self._owed = 0

    def beat(self, now: float) -> Beat:
        """What to do now; call it at intervals. It returns Beat.ASK once for each heartbeat to send."""
        if now - self._heard < self._every + self._unheard * self._answer:
            return Beat.WAIT
        if self._unheard == HEARTBEAT_TRIES:
            return Beat.DEAD
        self._unheard += 1
        self._owed += 1
        return Beat.ASK
