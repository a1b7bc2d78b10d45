"""BatchPacer: how many events the next batch may have, and how many batches may be unacknowledged.

Knows: how long the subscriber took for the previous batches. Must not know: events, backlogs, connections, or
the time: it is an argument, in seconds, of a clock that does not go back.

A batch is about half a second's work of the subscriber, so that it acknowledges several times a second. A
batch may have twice as many events as the last one; the first has one.
"""

from __future__ import annotations

import math
from typing import Final

from ...constants import BATCH_EVENTS, BATCH_SECONDS, LATEST_SECONDS

# How many batches may be unacknowledged: one that is being handled, and one that waits.
_WINDOW: Final = 2
# Less than an event can take, in seconds.
_QUICK: Final = 1e-6
# The round trip changes slowly: with each batch by this part of the difference.
_FORGETTING: Final = 1 / 64


class BatchPacer:
    """The pace of one subscriber.

    limit: how many events the next batch may have at most. window: how many batches may be unacknowledged.
    Both are for reading.
    """

    __slots__ = ("_began", "_latest", "_pace", "_quickest", "limit", "window")

    def __init__(self) -> None:
        self.limit = self.window = 1
        self._latest = False
        self._pace = 0.0  # seconds for an event
        self._quickest = math.inf  # seconds for the round trip, from the fastest batch
        self._began = 0.0  # since when the subscriber has its oldest unacknowledged batch

    def configure(self, takes_batches: bool, latest: bool) -> None:
        """takes_batches: whether it has `events`. latest: whether that is its overflow policy.

        With `latest` nothing is sent ahead, and batches are small: events that wait in the subscriber's
        program grow old, while those that wait here are replaced by newer ones.
        """
        self._latest = latest
        self.window = _WINDOW if takes_batches and not latest else 1

    def sent(self, now: float) -> None:
        """A batch is sent while none is unacknowledged."""
        self._began = now

    def acknowledged(self, events: int, now: float) -> None:
        """The oldest batch, or a part of it with so many events, is acknowledged; the subscriber goes on with
        the rest, or with the next batch."""
        taken, self._began = now - self._began, now
        budget = BATCH_SECONDS / self.window
        if self._latest:
            # The round trip is not work; otherwise a distant subscriber would get one event at a time.
            if taken < self._quickest:
                self._quickest = taken
            else:
                self._quickest += (taken - self._quickest) * _FORGETTING
            taken = max(0.0, taken - self._quickest)
            budget = LATEST_SECONDS
        pace = taken / events
        self._pace = pace if pace > self._pace else (self._pace + pace) / 2
        fitting = int(budget / max(self._pace, _QUICK))
        self.limit = max(1, min(fitting, 2 * max(self.limit, events), BATCH_EVENTS))
