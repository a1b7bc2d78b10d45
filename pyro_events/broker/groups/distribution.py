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

from ...constants import BATCH_BYTES
from ..backlog import Backlog
from .group import Group
from .group_backlog import Takers
from .offers import Member


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
    if not len(group.backlog):
        return []
    work = _Distribution(group, room_of, now)
    if group.backlog.sorted_events is None:
        work.to_any()
    else:
        work.to_those_that_may()
    return work.got


class _Distribution:
    """got: the members that got events."""

    def __init__(self, group: Group, room_of: Callable[[Backlog], Room | None], now: float) -> None:
        self._group = group
        self._room_of = room_of
        self._now = now
        self._rooms: dict[Member, Room | None] = {}
        self.got: list[Backlog] = []

    def _able(self, member: Member) -> bool:
        """Whether a member can be given one more event, if it may get it."""
        if member not in self._rooms:
            self._rooms[member] = self._room_of(member.backlog)
        if not self._rooms[member] or not self._group.table.count(member.backlog):
            return False
        return not member.ahead or member.load < member.ahead

    def _give(self, member: Member, takers: Takers | None = None) -> None:
        """Give a member the oldest event, or the oldest that it and other takers may get."""
        given = self._group.backlog.give_oldest(takers, self._now)
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

    def to_any(self) -> None:
        """Every member may get every event."""
        best = self._group.offers.best
        while len(self._group.backlog):
            member = best(self._able)
            if member is None:
                return
            self._give(member)

    def to_those_that_may(self) -> None:
        """Of each event only some members may get it."""
        events, members = self._group.backlog.sorted_events, self._group.members
        assert events is not None
        lanes = [(number, lane, takers) for lane, (number, takers) in enumerate(events.lanes())]
        heapq.heapify(lanes)
        while lanes:
            _, lane, takers = lanes[0]
            best = self._best_of([members[each] for each in takers if each in members])
            if best is None:
                heapq.heappop(lanes)
                continue
            self._give(best, takers)
            number = events.oldest_of(takers)
            if number is None:
                heapq.heappop(lanes)
            else:
                heapq.heapreplace(lanes, (number, lane, takers))

    def _best_of(self, members: list[Member]) -> Member | None:
        able = []
        for member in members:
            if member.offer:
                if self._able(member):
                    able.append(member)
                else:
                    self._group.offers.withdraw(member)
        return min(able, key=_order) if able else None


def _order(member: Member) -> tuple[int, int]:
    return member.load, member.turn
