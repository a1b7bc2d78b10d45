"""ReplayingBacklog: a backlog's part that delivers retained events before all others.

Knows: how retained events are numbered and counted among the others. Must not know: the store, overflow
policies, or when a subscriber asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...constants import ROW_OVERHEAD
from ..accounting import Batch, Loss
from ..dropping import DroppingBacklog
from .kept_event import KeptEvent
from .replay import Replay


class ReplayingBacklog(DroppingBacklog):
    """Retained events are accepted, delivered or lost as any others. No bound and no policy holds for them,
    because the subscriber has asked for them, and the store has its own bound."""

    __slots__ = ()

    def replay(self, events: Sequence[KeptEvent]) -> None:
        """Deliver retained events, ascending, before everything that waits.

        They get the next numbers, and everything that waits is numbered after them.
        """
        if not events:
            return
        if self._replay is None:
            self._replay = Replay(self._total)
        more = self._replay.add(events)
        self.accepted += more
        self._queue.renumber(more)
        if self._latest is not None:
            self._latest.renumber(more)

    def _take_retained(self, events: int, size: int) -> Batch:
        """Take the oldest retained events into flight, as `take` does."""
        replay = self._replay
        assert replay is not None, "there are retained events"
        taken, cost = replay.take(events, size)
        if not len(replay):
            self._replay = None
        first = self._last_taken + 1
        self._last_taken += len(taken)
        rows = [event.row(number) for number, event in enumerate(taken, first)]
        rows_size = ROW_OVERHEAD * len(rows)
        self._total.value += rows_size
        batch = Batch(rows, cost, rows_size, (), taken)
        self._in_flight.append(batch)
        return batch

    def _forget_retained(self) -> None:
        """Let go of the retained events that wait; they are lost."""
        if self._replay is not None:
            self._replay.clear()
            self._replay = None

    def lose_retained(self, subjects: Collection[str], reason: Loss) -> int:
        """Drop the waiting retained events of these subjects, as spelled. Returns how many there were."""
        if self._replay is None:
            return 0
        lost = self._replay.drop(subjects)
        self.lost[reason.value] += lost
        if not len(self._replay):
            self._replay = None
        return lost

    def retained_subjects(self) -> set[str]:
        """The subjects of the waiting retained events, as spelled."""
        return self._replay.subjects() if self._replay is not None else set()
