"""Distribution: which member of a group is given which event.

Knows: the members that have room, and how much. Must not know: deliveries, connections, or when there is
something to distribute.

Each event goes to the member that has fewest unacknowledged, among equals to the one whose turn was longest
ago. A member that may not get an event is passed over, and an event that only members without room may get
waits without delaying others.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final

from ...constants import BATCH_BYTES
from ..backlog import Backlog
from .group import Group
from .group_backlog import Takers
from .offers import Member
from .waiting_events import SortedEvents

# How many events are sorted between two looks at the lanes.
_PIECE: Final = 256


class Room:
    """How much a member can be sent now. batches: how many, each of at most `limit` events.

    A batch has its limit of events, or of bytes; `Backlog.take` makes the same batches of what is given.
    """

    __slots__ = ("_batches", "_bytes", "_events", "_limit")

    def __init__(self, batches: int, limit: int) -> None:
        self._batches = batches
        self._limit = limit
        self._events = self._bytes = 0

    def __bool__(self) -> bool:
        """Whether one more event can be sent."""
        return self._batches > 0

    def fill(self, size: int) -> None:
        """An event of so many bytes will be sent."""
        self._events += 1
        self._bytes += size
        if self._events >= self._limit or self._bytes >= BATCH_BYTES:
            self._batches -= 1
            self._events = self._bytes = 0


def distribute(
    group: Group, room_of: Callable[[Backlog], Room | None], now: float = -math.inf
) -> list[Backlog]:
    """Give waiting events to members that have offered to take some, as far as these have room. Returns those
    that got some.

    room_of: how much room a member has, None for none. now: the time, for events that have waited too long.
    """
    work = Distribution(group, room_of)
    work.go_on(now)
    return work.got


def _never() -> bool:
    return False


class Distribution:
    """The same, in slices where members may get different events, which takes longer the more members and the
    more different events there are.

    got: the members that got events; for the caller to clear when it has sent them.
    """

    def __init__(self, group: Group, room_of: Callable[[Backlog], Room | None]) -> None:
        self._group = group
        self._room_of = room_of
        self._now = -math.inf
        self._rooms: dict[Member, Room | None] = {}
        # The lanes that are left to be looked at; None before the first look at them.
        self._lanes: list[tuple[int, int, Takers]] | None = None
        self._arrangement: object = None
        # Members that were passed over get nothing until all lanes are looked at again: otherwise a member
        # that acknowledges in a pause would be given newer events before older ones.
        self._passed: set[Member] = set()
        self.got: list[Backlog] = []

    def go_on(self, now: float, pause: Callable[[], bool] = _never) -> bool:
        """Give events to members until there is nothing to do, or until it is time for a pause. Returns
        whether there is nothing to do."""
        self._now = now
        self._rooms = {}
        if self._is_paused(pause):
            return False
        self._lanes = None
        return True

    def _is_paused(self, pause: Callable[[], bool]) -> bool:
        backlog = self._group.backlog
        while len(backlog):
            if backlog.sorted_events is None:
                self._to_any()
                return False
            if not self._to_those_that_may(backlog.sorted_events, pause):
                return True
            if not backlog.unsorted:
                return False
            backlog.sort(_PIECE)
            if pause():
                return True
        return False

    @property
    def started(self) -> bool:
        """Whether it goes on where it made a pause."""
        return self._lanes is not None

    def _able(self, member: Member) -> bool:
        """Whether a member can be given one more event, if it may get it."""
        if member not in self._rooms:
            self._rooms[member] = self._room_of(member.backlog)
        if not self._rooms[member] or not self._group.table.count(member.backlog):
            return False
        return not member.ahead or member.load < member.ahead

    def _give(self, member: Member, takers: Takers | None = None) -> None:
        """Give a member the oldest event, or the oldest that it and other takers may get."""
        given = self._group.backlog.give_oldest(takers, self._now, member.backlog.rights)
        if given is None:
            return
        event, missed = given
        if not len(member.backlog):
            self.got.append(member.backlog)
        member.backlog.give(event, missed)
        room = self._rooms[member]
        assert room is not None
        room.fill(event[3])
        member.turn = self._group.next_turn()
        self._group.offers.put(member)

    def _to_any(self) -> None:
        """Every member may get every event."""
        best = self._group.offers.best
        while len(self._group.backlog):
            member = best(self._able)
            if member is None:
                return
            self._give(member)

    def _to_those_that_may(self, events: SortedEvents[Backlog], pause: Callable[[], bool]) -> bool:
        """Of each event only some members may get it. Returns whether all lanes were looked at."""
        if self._lanes is None or self._arrangement is not events.arrangement:
            self._look_at_all(events)
        assert self._lanes is not None
        lanes, members = self._lanes, self._group.members
        while lanes and self._group.offers:
            before, lane, takers = lanes[0]
            number = events.oldest_of(takers)
            if number == before:
                best = self._best_of([members[each] for each in takers if each in members])
                if best is not None:
                    self._give(best, takers)
                    number = events.oldest_of(takers)
                else:
                    number = None
            if number is None:
                heapq.heappop(lanes)
            else:
                heapq.heapreplace(lanes, (number, lane, takers))
            if pause():
                return False
        self._lanes = None
        return True

    def _look_at_all(self, events: SortedEvents[Backlog]) -> None:
        # Without an offer there is nobody to look for.
        found = events.lanes() if self._group.offers else []
        self._lanes = [(number, lane, takers) for lane, (number, takers) in enumerate(found)]
        heapq.heapify(self._lanes)
        self._arrangement = events.arrangement
        self._passed.clear()

    def _best_of(self, members: list[Member]) -> Member | None:
        able = []
        for member in members:
            if member in self._passed:
                continue
            if member.offer and self._able(member):
                able.append(member)
            else:
                self._passed.add(member)
                self._group.offers.withdraw(member)
        return min(able, key=_order) if able else None


def _order(member: Member) -> tuple[int, int]:
    return member.load, member.turn
