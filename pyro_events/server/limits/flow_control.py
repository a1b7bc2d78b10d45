"""Flow control: the publish calls that are blocked, and what each of them waits for.

Knows: which backlogs block a call, or whether the total does, and since when. Must not know: when a backlog
has space again, deliveries, or how a publisher is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Final

import Pyro5.errors

from ...broker.backlog import Backlog
from ...broker.publishing import Entry, Publishing
from ...broker.retained.retention import Retention
from ..objects import DeferredResult


class _Total:
    """Stands for all backlogs together, as an obstacle."""


TOTAL: Final = _Total()
# So many entries of a call are measured each time.
_FEW: Final = 16
# What a publisher is told that loses a right while its call is blocked.
_PUBLISHED: Final = "the call was blocked when the right was taken, and what it had published stays published"
Obstacle = Backlog | _Total


def obstacles_of(broker: Publishing) -> list[Obstacle]:
    """What the entries have met that were published last."""
    obstacles: list[Obstacle] = []
    if broker.full:
        obstacles.extend(broker.take_full())
    if broker.overloaded:
        obstacles.append(TOTAL)
    return obstacles


class BlockedPublish(DeferredResult):
    """The entries of one call that are not published yet, because a backlog was full.

    It is done when nothing blocks it any more and its last entry has been accepted.
    """

    __slots__ = ("_blocked", "_measured", "check", "entries", "obstacles", "queued", "retention", "time")

    def __init__(
        self,
        holding: BlockedPublishes,
        entries: Iterator[Entry],
        queued: int,
        time: float,
        retention: Retention | None = None,
    ) -> None:
        """queued: the deliveries that were queued before it was blocked. time: the time stamp of all its
        events. retention: of those that are kept, None if there are none."""
        super().__init__()
        self.retention = retention
        # Raises SecurityError if its caller may not publish these entries any more.
        self.check: Callable[[Sequence[Entry]], None] = _anything
        self._blocked = holding
        self._measured: int | None = None  # how many entries there were when they were measured last
        self.entries = entries
        self.time = time
        self.queued = queued
        self.obstacles: set[Obstacle] = set()

    def measure(self) -> None:
        """Set `held` to the bytes of its messages; one message may be in several entries.

        A call of ten thousand entries may be blocked anew by each of them. So many are measured only when
        half of them have been published; until then they count as before.
        """
        left = length_hint(self.entries)
        if self._measured is not None and left > max(_FEW, self._measured // 2):
            return
        self._measured = left
        rest = list(self.entries)
        self.entries = iter(rest)
        self.held = sum([len(payload) for payload in {id(payload): payload for _, payload in rest}.values()])

    def abandon(self) -> None:
        """Its publisher is gone: entries that are not accepted yet never will be."""
        super().abandon()
        if self.retention is not None:
            self.retention.abandon()
        self._blocked.remove(self)

    def check_again(self) -> None:
        """Rights have changed: end with an error if its caller may not publish the rest any more."""
        rest = list(self.entries)
        self.entries = iter(rest)
        try:
            self.check(rest)
        except Pyro5.errors.SecurityError as error:
            self.settle(Pyro5.errors.SecurityError(f"{error} any more; {_PUBLISHED}"))
            self.abandon()


def _anything(entries: Sequence[Entry]) -> None:
    """Without permissions everything is allowed."""


class _Waiting:
    """The calls that wait for one obstacle. publications: since when. held_for: seconds in which any
    waited."""

    __slots__ = ("held_for", "publications")

    def __init__(self) -> None:
        self.held_for = 0.0
        self.publications: dict[BlockedPublish, float] = {}


class BlockedPublishes:
    """All publish calls that are blocked in one service.

    The time for which an obstacle has blocked publishers does not start again when one of them gives up and
    another one comes. Otherwise a publisher that tries again and again would wait for ever.
    """

    def __init__(self) -> None:
        self._held: dict[Obstacle, _Waiting] = {}
        self._looked = 0.0

    def hold(self, publication: BlockedPublish, obstacles: Iterable[Obstacle], now: float) -> None:
        """Block a call until every one of the obstacles is released."""
        publication.measure()
        for obstacle in obstacles:
            publication.obstacles.add(obstacle)
            waiting = self._held.get(obstacle)
            if waiting is None:
                waiting = self._held[obstacle] = _Waiting()
            waiting.publications[publication] = now

    def calls(self) -> list[BlockedPublish]:
        """Those that wait."""
        return list({call: None for waiting in self._held.values() for call in waiting.publications})

    def remove(self, publication: BlockedPublish) -> None:
        """A call no longer waits. Its obstacles stay until they are released."""
        for obstacle in publication.obstacles:
            del self._held[obstacle].publications[publication]
        publication.obstacles.clear()

    def __bool__(self) -> bool:
        """Whether any call may be waiting."""
        return bool(self._held)

    def holds(self, obstacle: Obstacle) -> bool:
        """Whether a call has waited for that obstacle since it was last released."""
        return obstacle in self._held

    def release(self, obstacle: Obstacle) -> list[BlockedPublish]:
        """An obstacle is gone. Returns the calls that nothing blocks any more."""
        waiting = self._held.pop(obstacle, None)
        freed = []
        for publication in waiting.publications if waiting is not None else ():
            publication.obstacles.discard(obstacle)
            if not publication.obstacles:
                freed.append(publication)
        return freed

    def restart(self, obstacle: Obstacle) -> None:
        """An obstacle makes progress: start its time again."""
        self._held[obstacle].held_for = 0.0

    def check(self, now: float) -> list[tuple[Obstacle, float]]:
        """The obstacles that calls wait for now, each with the seconds for which it has blocked publishers in
        all.

        Called at intervals; now: the time, on the same clock as that of `hold`.
        """
        looked, self._looked = self._looked, now
        found = []
        for obstacle, waiting in self._held.items():
            if waiting.publications:
                waiting.held_for += now - max(looked, min(waiting.publications.values()))
                found.append((obstacle, waiting.held_for))
        return found
