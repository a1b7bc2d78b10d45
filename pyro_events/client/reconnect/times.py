"""The times of reconnecting.

Knows: the times, and how they grow. Must not know: what is waited for (state.py does).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ...constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES


@dataclass(frozen=True)
class ReconnectTimes:
    """The times of reconnecting, in seconds.

    heartbeat: silence after which the service is asked. answer: for its answer. tries: how many failed
    questions are logged as a problem. arrival, most_arrival: how long the service may take to connect after
    it has accepted the subscriptions, at first and at most. Asking too early is harmless, but a service that
    cannot reach us must not be asked every second for ever. soon: a subscriber that can connect itself asks
    for the first time after so long, and then more and more rarely. warn_after: when it is logged that the
    service has not connected, or when such a subscriber connects itself. late: a `listen` that begins so long
    after subscribing asks whether the service still waits. steady: losing a connection that lasted this long
    is not a failure. first_delay, most_delay: between two attempts, at first and at most; an attempt takes a
    second longer if nothing answers at all, and two seconds are promised. lasting: the delays are so many
    times longer after an error that will hardly go away by waiting, such as one about a certificate. spread:
    which part of a delay is random, so that the programs of many machines do not all come at the same
    instant. hint_every: the shortest pause between two questions because of hints, which strangers can give
    too. overdue: when to give up an unanswered question, if there is a hint that the service can be reached.
    """

    heartbeat: float = HEARTBEAT
    answer: float = HEARTBEAT_ANSWER
    tries: int = HEARTBEAT_TRIES
    arrival: float = 1.5
    most_arrival: float = 40.0
    soon: float = 0.1
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

    def silence(self, own: bool) -> float:
        """After how much silence the service is asked. own: on a connection that the subscriber has made,
        where the service sends heartbeats, it is asked when one is missing."""
        return self.heartbeat + self.answer if own else self.heartbeat
