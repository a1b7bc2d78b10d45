"""GroupBacklog: the events that wait for a group of subscribers, until a member is given them.

Knows: bounds, overflow policies, and the identity accepted = given + lost + waiting, which holds after every
method. Must not know: which members there are, which of them gets an event, or what becomes of it then.

It stands in a backlog's place where events come from the broker. Its events have no numbers: each member
counts its own.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from ...options import BacklogOptions, Overflow
from ..accounting import Batch, Loss, QueuedEvent, TotalBytes
from ..backlog import Backlog
from ..dropping import Outcome
from ..matching.rights import Rights
from .waiting_events import PlainEvents, SortedEvents

Takers = tuple[Backlog, ...]
# An event for a member, and how many the group has lost before it.
Given = tuple[QueuedEvent, int]
# How many expired events a full backlog drops at a time, so that a push does not take long.
_FEW: Final = 100
# So many events are sorted without a pause when members have changed, which takes a few milliseconds.
_AT_ONCE: Final = 100
_DROPPING: Final = {
    Overflow.DROP_NEWEST: (Loss.DROP_NEWEST, Outcome.DROPPED),
    Overflow.DISCONNECT: (Loss.DISCONNECT, Outcome.DISCONNECT),
}


class GroupBacklog(Backlog):
    """The events that wait for a group.

    missed: how many it has lost since it gave one to a member. rights_of_members: all that there are, to be
    set by the user of this class. If they differ, each member is told of what it might have got, and of
    nothing else.
    """

    __slots__ = (
        "_alike",
        "_at_once",
        "_conflates",
        "_reason",
        "_sorted",
        "_store",
        "_takers",
        "_untold",
        "given",
        "missed",
        "rights_of_members",
    )

    def __init__(
        self,
        name: str,
        options: BacklogOptions,
        total: TotalBytes,
        takers: Callable[[str], Takers],
        at_once: int = _AT_ONCE,
    ) -> None:
        """name: of the group. takers: the members that may get an event of a subject. at_once: so many events
        are sorted at once."""
        self._takers = takers
        self._at_once = at_once
        self._alike = True
        self._reason = Loss.GONE  # why events are lost that nobody may get, when they are sorted
        self._store: PlainEvents | SortedEvents[Backlog] = PlainEvents()
        self._sorted = self._conflates = False
        self.given = 0
        self.missed = 0
        self.rights_of_members: frozenset[Rights | None] = frozenset()
        # How many events were lost while these differed, by the rights that allow them, and that no member
        # was told of.
        self._untold: Counter[frozenset[Rights | None]] = Counter()
        super().__init__(f"group {name!r}", options, total)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def _bounded(self) -> int:
        return len(self._store)

    @property
    def free(self) -> tuple[int, int]:
        """How many more events and bytes may come together before publishers are blocked."""
        if isinstance(self._store, SortedEvents):  # it takes more memory than its caller adds
            return 0, 0
        if self.overflow is not Overflow.BLOCK:
            return sys.maxsize, sys.maxsize
        return self._most_events - len(self._store), self._most_bytes - self.bytes

    def _events(self) -> Iterable[QueuedEvent]:
        return self._store

    @property
    def sorted_events(self) -> SortedEvents[Backlog] | None:
        """The events by who may get them, None if all members may get all."""
        return self._store if self._sorted and isinstance(self._store, SortedEvents) else None

    @property
    def oldest_subject(self) -> str | None:
        """The subject of the oldest waiting event."""
        return self._store.first()[0] if len(self._store) else None

    def _choose_policy(self) -> None:
        super()._choose_policy()
        conflates = self.overflow is Overflow.LATEST
        if conflates is not self._conflates:
            self._conflates = conflates
            self._rebuild(self._store)
            self._sort_few()

    @property
    def unsorted(self) -> bool:
        """Whether `sort` has something to do."""
        return self._sorted and isinstance(self._store, SortedEvents) and self._store.unsorted

    def arrange(self, alike: bool, reason: Loss, at_once: bool = False) -> int:
        """The members or their subscriptions have changed. alike: whether all members may get the same.

        Events that no member may get any more are lost, for that reason. Returns how many, of few events or
        with at_once; of many, `sort` finds out later.
        """
        self._alike, self._reason, self._sorted = alike, reason, True
        if isinstance(self._store, SortedEvents):
            self._store.resort()
        else:
            self._rebuild(self._store)
        before = self.lost[reason.value]
        self._sort_few(at_once)
        return self.lost[reason.value] - before

    def _sort_few(self, at_once: bool = False) -> None:
        if at_once or len(self._store) <= self._at_once:
            self.sort(len(self._store))

    def sort(self, most: int) -> None:
        """Find out which members may get some of the events of which that is not known, the oldest first.
        most: how many."""
        if not self._sorted or not isinstance(self._store, SortedEvents):
            return
        for event in self._store.sort(most):
            self._drop(event, self._reason)
        if self._alike and not self._store.unsorted:
            self._sorted = False
            if len(self._store) <= self._at_once:
                self._rebuild(self._store)

    def _rebuild(self, events: Iterable[QueuedEvent]) -> None:
        events = list(events)
        self._store.clear()
        if self._conflates or self._sorted:
            self._store = SortedEvents(self._total, self._takers, self._conflates)
        else:
            self._store = PlainEvents()
        for event in events:
            self._put(event, later=True)

    def _put(self, event: QueuedEvent, later: bool) -> None:
        older = self._store.put(event, later)
        if older is not None:
            self._drop(older, Loss.LATEST)

    def push(self, event: QueuedEvent, policy: Overflow | None = None) -> Outcome:
        """Accept an event, or drop it at once. policy: what happens if there is no space; None for the
        group's own policy."""
        self.accepted += 1
        if self._conflates:
            self.bytes += event[3]
            self._put(event, not self._sorted)
            self._drop_oldest(1, 0, event[1], Loss.LATEST)
            return Outcome.QUEUED
        size = event[3]
        while len(self._store) and self._over(1, size):
            if not self.expire(event[1], _FEW):
                return self._overflow(event, policy or self.overflow)
        self._store.put(event, not self._sorted)
        self.bytes += size
        return Outcome.QUEUED

    def _overflow(self, event: QueuedEvent, policy: Overflow) -> Outcome:
        self.bytes += event[3]
        if policy in _DROPPING:
            reason, outcome = _DROPPING[policy]
            self._drop(event, reason)
            return outcome
        if policy is Overflow.DROP_OLDEST:
            self._drop_oldest(0, 1, event[1], Loss.DROP_OLDEST)
        self._store.put(event, not self._sorted)
        return Outcome.FULL if policy is Overflow.BLOCK else Outcome.QUEUED

    def _drop_oldest(self, kept: int, more: int, now: float, reason: Loss) -> None:
        """Make space for so many more events, whose bytes are counted already. kept: how many stay anyway."""
        while len(self._store) > kept and self._over(more, 0):
            if not self.expire(now, _FEW):
                self._drop(self._store.popleft(), reason)

    def expire(self, now: float, most: int, ahead: int = 0) -> int:
        """Drop events that have waited longer than `max_age`: the oldest ones, up to the first that has not.
        Those behind it are dropped when their turn comes. most: how many are dropped at once. Returns how
        many were dropped."""
        if self.max_age is None:
            return 0
        earliest, count = now - self.max_age, 0
        while len(self._store) and count < most and self._store.first()[1] < earliest:
            self._drop(self._store.popleft(), Loss.EXPIRED)
            count += 1
        return count

    def _over(self, events: int, size: int) -> bool:
        """Whether so many more events of `size` bytes would be too much."""
        return len(self._store) + events > self._most_events or self.bytes + size > self._most_bytes

    def extend(self, events: Sequence[QueuedEvent], size: int) -> bool:
        """Accept events of `size` bytes together. False, and none is accepted, if they do not all fit."""
        if isinstance(self._store, SortedEvents):
            for event in events:
                self.push(event)
            return True
        if self._over(len(events), size):
            return False
        self._store.extend(events)
        self.accepted += len(events)
        self.bytes += size
        return True

    def take(self, events: int, size: int) -> Batch:
        """Nothing is sent from here."""
        raise NotImplementedError("members of the group are sent events")

    def give_oldest(
        self, takers: Takers | None = None, now: float = -math.inf, rights: Rights | None = None
    ) -> Given | None:
        """Take out the oldest event, or that of a lane. rights: of the member that is given it, None for
        everything. None if it is dropped, because it has waited too long."""
        if takers is not None and isinstance(self._store, SortedEvents):
            event = self._store.take_from(takers)
        else:
            event = self._store.popleft()
        if not len(self._store) and not (self._sorted or self._conflates):
            self._store = PlainEvents()  # which costs less
        if self.max_age is not None and event[1] < now - self.max_age:
            self._drop(event, Loss.EXPIRED)
            return None
        self.bytes -= event[3]
        self.freed += event[3]
        self.given += 1
        missed, self.missed = self.missed, 0
        for allowing in [each for each in self._untold if rights in each]:
            missed += self._untold.pop(allowing)
        return event, missed

    def lose_everything(self, reason: Loss) -> int:
        """No member is left. Returns how many events are lost by that."""
        lost = len(self._store)
        while len(self._store):
            self._drop(self._store.popleft(), reason)
        return lost

    def lose_those(self, subjects: Collection[str], reason: Loss) -> int:
        """Drop the waiting events of these subjects, as spelled. Returns how many there were."""
        events = list(self._store)
        unwanted = [event for event in events if event[0] in subjects]
        self._rebuild([event for event in events if event[0] not in subjects])
        self._sort_few(at_once=True)
        for event in unwanted:
            self._drop(event, reason)
        return len(unwanted)

    def _drop(self, event: QueuedEvent, reason: Loss) -> None:
        super()._drop(event, reason)
        if len(self.rights_of_members) < 2:
            self.missed += 1
            return
        may = [each for each in self.rights_of_members if each is None or each.may_receive(event[0])]
        self._untold[frozenset(may)] += 1
