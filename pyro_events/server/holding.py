"""Holding: the publications that are held up, and what each of them waits for.

Knows: which backlogs, or the total, keep a publication from going on, and since when. Must not know:
when a backlog has room again, deliveries, or how a publisher is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..broker.backlog import Backlog
from ..broker.broker import Entry
from .served import Pending


class _Total:
    """Stands for all backlogs together, as something to wait for."""


TOTAL: Final = _Total()
Obstacle = Backlog | _Total


class Publication(Pending):
    """The entries of one call that are yet to be published, because a backlog was full.

    It is done when nothing holds it up any more and its last entry has been accepted.
    """

    __slots__ = ("_holding", "entries", "obstacles", "queued", "time")

    def __init__(self, holding: Holding, entries: Iterator[Entry], queued: int, time: float) -> None:
        """queued: the deliveries queued before it was held up. time: the stamp of all its events."""
        super().__init__()
        self._holding = holding
        self.entries = entries
        self.time = time
        self.queued = queued
        self.obstacles: set[Obstacle] = set()

    def abandon(self) -> None:
        """Its publisher is gone: what is not accepted yet never will be."""
        super().abandon()
        self._holding.forget(self)


class Holding:
    """All publications that are held up in one service."""

    def __init__(self) -> None:
        self._held: dict[Obstacle, dict[Publication, float]] = {}

    def hold(self, publication: Publication, obstacles: Iterable[Obstacle], now: float) -> None:
        """Hold a publication up until every one of the obstacles is released."""
        for obstacle in obstacles:
            publication.obstacles.add(obstacle)
            self._held.setdefault(obstacle, {})[publication] = now

    def forget(self, publication: Publication) -> None:
        """A publication is no longer waited for."""
        for obstacle in publication.obstacles:
            held = self._held[obstacle]
            del held[publication]
            if not held:
                del self._held[obstacle]
        publication.obstacles.clear()

    def holds(self, obstacle: Obstacle) -> bool:
        """Whether any publication waits for that obstacle."""
        return obstacle in self._held

    def release(self, obstacle: Obstacle) -> list[Publication]:
        """An obstacle is gone; returns the publications that nothing holds up any more."""
        freed = []
        for publication in self._held.pop(obstacle, ()):
            publication.obstacles.discard(obstacle)
            if not publication.obstacles:
                freed.append(publication)
        return freed

    def obstacles(self) -> list[tuple[Obstacle, float]]:
        """What is waited for, each with the time since when."""
        return [(obstacle, min(held.values())) for obstacle, held in self._held.items()]
