"""How long everything takes that has to do with reconnecting.

Knows: the times, and how they grow. Must not know: what is waited for (state.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ...constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES


@dataclass(frozen=True)
class ReconnectTimes:
    """How long everything takes, in seconds.

    heartbeat: silence after which the service is asked. answer: how long its answer is waited for. tries:
    how many questions fail before the log says so. arrival, most_arrival: how long the service is given to
    connect after it has taken the subscriptions, at first and at most. To ask too early does no harm; but a
    service that cannot reach us must not be asked every second for ever. warn_after: when the log says that
    it has not connected. late: a `listen` that begins so long after subscribing asks whether the service
    still waits. steady: the loss of a connection that lasted this long is no failure. first_delay,
    most_delay: between two attempts, at first and at most; an attempt takes a second more where nobody
    answers at all, and two seconds are promised. lasting: the delays are so many times longer after an
    error that waiting will hardly mend, such as a certificate. spread: which part of a delay is waited, at
    random, so that the programs of many machines do not come in one instant. hint_every: the least pause
    between two questions that somebody makes us ask, because strangers can do that too. overdue: when a
    question is given up that is under way when there is a hint that the service can be reached.
    """

    heartbeat: float = HEARTBEAT
    answer: float = HEARTBEAT_ANSWER
    tries: int = HEARTBEAT_TRIES
    arrival: float = 1.5
    most_arrival: float = 40.0
    warn_after: float = 3.0
    late: float = 45.0
    steady: float = 5.0
    first_delay: float = 0.1
    most_delay: float = 0.8
    lasting: float = 20.0
    spread: Callable[[], float] = lambda: random.uniform(0.5, 1.0)
    hint_every: float = 1.0
    overdue: float = 1.0

    def backoff(self, failures: int, lasting: bool = False) -> float:
        """How long to wait after so many failures in a row."""
        delay = min(self.most_delay, self.first_delay * 2.0 ** min(failures, 10)) * self.spread()
        return delay * self.lasting if lasting else delay

    def patience(self, questions: int) -> float:
        """How long to wait for the service to connect, after so many questions why it has not."""
        return min(self.most_arrival, self.arrival * 2.0 ** min(max(0, questions - 1), 10))
