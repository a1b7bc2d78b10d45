"""Holding: the publications that are held up, and what each of them waits for.

Knows: which backlogs, or the total, keep a publication from going on, and since when. Must not know:
when a backlog has space again, deliveries, or how a publisher is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ...broker.backlog import Backlog
from ...broker.broker import Entry
from ..objects import DeferredResult


class _Total:
    """Stands for all backlogs together, as something to wait for."""


TOTAL: Final = _Total()
Obstacle = Backlog | _Total


class BlockedPublish(DeferredResult):
    """The entries of one call that are yet to be published, because a backlog was full.

    It is done when nothing holds it up any more and its last entry has been accepted.
    """

    __slots__ = ("_blocked", "entries", "obstacles", "queued", "time")

    def __init__(self, holding: BlockedPublishes, entries: Iterator[Entry], queued: int, time: float) -> None:
        """queued: the deliveries queued before it was held up. time: the stamp of all its events."""
        super().__init__()
        self._blocked = holding
        self.entries = entries
        self.time = time
        self.queued = queued
        self.obstacles: set[Obstacle] = set()

    def measure(self) -> None:
        """Note in `held` what its messages take; one may be in several entries."""
        rest = list(self.entries)
        self.entries = iter(rest)
        self.held = sum([len(payload) for payload in {id(payload): payload for _, payload in rest}.values()])

    def abandon(self) -> None:
        """Its publisher is gone: what is not accepted yet never will be."""
        super().abandon()
        self._blocked.remove(self)


class _Waiting:
    """Who waits for one obstacle. publications: since when. held_for: seconds in which any waited."""

    __slots__ = ("held_for", "publications")

    def __init__(self) -> None:
        self.held_for = 0.0
        self.publications: dict[BlockedPublish, float] = {}


class BlockedPublishes:
    """All publications that are held up in one service.

    For how long an obstacle has held publishers up does not begin anew when one of them gives up and
    another one comes, or a publisher that tries again and again would wait for ever.
    """

    def __init__(self) -> None:
        self._held: dict[Obstacle, _Waiting] = {}
        self._looked = 0.0

    def hold(self, publication: BlockedPublish, obstacles: Iterable[Obstacle], now: float) -> None:
        """Hold a publication up until every one of the obstacles is released."""
        publication.measure()
        for obstacle in obstacles:
            publication.obstacles.add(obstacle)
            waiting = self._held.get(obstacle)
            if waiting is None:
                waiting = self._held[obstacle] = _Waiting()
            waiting.publications[publication] = now

    def remove(self, publication: BlockedPublish) -> None:
        """A publication is no longer waited for. The obstacle stays one until it is released."""
        for obstacle in publication.obstacles:
            del self._held[obstacle].publications[publication]
        publication.obstacles.clear()

    def __bool__(self) -> bool:
        """Whether any publication may be waiting."""
        return bool(self._held)

    def holds(self, obstacle: Obstacle) -> bool:
        """Whether a publication has waited for that obstacle since it was last released."""
        return obstacle in self._held

    def release(self, obstacle: Obstacle) -> list[BlockedPublish]:
        """An obstacle is gone; returns the publications that nothing holds up any more."""
        waiting = self._held.pop(obstacle, None)
        freed = []
        for publication in waiting.publications if waiting is not None else ():
            publication.obstacles.discard(obstacle)
            if not publication.obstacles:
                freed.append(publication)
        return freed

    def restart(self, obstacle: Obstacle) -> None:
        """Count anew for how long an obstacle holds publishers up: it moves."""
        self._held[obstacle].held_for = 0.0

    def check(self, now: float) -> list[tuple[Obstacle, float]]:
        """What is waited for now, each with the seconds for which it has held publishers up in all.

        Called again and again; now: the time, on the same clock as that of `hold`.
        """
        looked, self._looked = self._looked, now
        found = []
        for obstacle, waiting in self._held.items():
            if waiting.publications:
                waiting.held_for += now - max(looked, min(waiting.publications.values()))
                found.append((obstacle, waiting.held_for))
        return found
