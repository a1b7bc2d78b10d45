"""Interest: what watchers want to know of a service's subscriptions, within the bounds of what they may ask.

Knows: how many subjects a watcher may watch, what that takes, and how it learns that subscriptions have
changed. Must not know: which subjects have changed (watched.py finds that), the clock, or how a watcher is
told.

A watcher is not a subscriber: nobody counts it as a listener. What it watches counts as memory of
subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable
from typing import Generic, TypeVar

from ..accounting import INDEX_MOST, base_size
from ..matching.routing import RoutingTable
from ..matching.subjects import fold
from ..subscriptions.memory import SubscriptionMemory, name_bytes, subscriber_bytes
from .listeners import count_listeners
from .watched import Change, InterestTable

__all__ = ["Interest"]

T = TypeVar("T", bound=Hashable)


class Interest(Generic[T]):
    """The listeners (T) of a service's subjects, and the watchers, which can be anything hashable.

    wake: is called when there is something to `look` at; nothing is done unless the user of this class sets
    it.
    """

    def __init__(
        self, routing: RoutingTable[T], memory: SubscriptionMemory[Hashable], max_subjects: int
    ) -> None:
        """memory: where what is watched is counted. max_subjects: how many one watcher may watch."""
        self._routing = routing
        self._memory = memory
        self._most = max_subjects
        self._table: InterestTable[Hashable] = InterestTable(lambda subject: len(routing.match(subject)))
        self.wake: Callable[[], object] = _nothing

    def listeners(
        self, subjects: Iterable[str], exact: bool = False
    ) -> Generator[None, None, dict[str, int]]:
        """How many listeners subjects have, as `count_listeners`."""
        return count_listeners(self._routing, subjects, exact)

    def watched_by(self, watcher: Hashable) -> int:
        """How many subjects a watcher watches."""
        return self._table.watched_by(watcher)

    def watch(self, watcher: Hashable, subjects: Iterable[str], uri: str, owner: str) -> None:
        """Tell a watcher of subjects, checked ones: soon how they are, and then of each change.

        Without any, it only counts what the watcher takes itself.

        uri: what the watcher is called. owner: whose memory what it watches counts as. Raises ValueError for
        too many, and then nothing has changed.
        """
        given = {fold(subject): subject for subject in subjects}
        more = [folded for folded in given if not self._table.is_watched(watcher, folded)]
        count = self._table.watched_by(watcher) + len(more)
        if count > self._most:
            raise ValueError(
                f"one publisher can ask to be told of at most {self._most} subjects, and this would make "
                f"{count}: use several publishers"
            )
        size = self._memory.size(watcher) or subscriber_bytes(uri)
        size += sum(map(_watched_bytes, more))
        self._memory.check(watcher, owner, size)
        self._memory.note(watcher, owner, size)
        for subject in given.values():
            self._table.watch(watcher, subject)
        if given:
            self._routing.notify(self._changed)
            self.wake()

    def unwatch(self, watcher: Hashable, subjects: Iterable[str]) -> None:
        """Tell it of these no longer; those that it does not watch are ignored."""
        freed = 0
        for subject in subjects:
            folded = fold(subject)
            if self._table.is_watched(watcher, folded):
                self._table.unwatch(watcher, subject)
                freed += _watched_bytes(folded)
        if freed:
            self._memory.note(watcher, "", self._memory.size(watcher) - freed)
            self._rest()

    def remove(self, watcher: Hashable) -> None:
        """A watcher is gone."""
        self._table.remove(watcher)
        self._memory.note(watcher, "", 0)
        self._rest()

    def restrict(self, may: Callable[[Hashable, str], bool]) -> None:
        """From now on `may` decides whether a watcher may know of a subject; call it again when it would
        decide otherwise. Who may not is told that nobody listens, until it may."""
        self._table.may = may
        self._changed(None)

    def _rest(self) -> None:
        """Without watchers, a change of a subscription costs nothing."""
        if not self._table:
            self._routing.notify(None)

    def _changed(self, folded: str | None) -> None:
        if self._table.changed(folded):
            self.wake()

    @property
    def pending(self) -> bool:
        """Whether there is something to look at."""
        return self._table.pending

    def look(self, most: int) -> list[Change[Hashable]]:
        """Look at so many subjects at most. Returns what watchers have to be told."""
        return self._table.look(most)


def _nothing() -> None:
    """Nobody wants to know."""


def _watched_bytes(folded: str) -> int:
    """What a watched subject takes, with what waits to be told of it, and with what is on its way. folded:
    its fold, because a watcher may spell it in another way later."""
    return name_bytes(folded, folded) + 2 * base_size(folded) + INDEX_MOST
