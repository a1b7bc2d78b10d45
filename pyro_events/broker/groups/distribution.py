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
from typing import Final

from ...constants import BATCH_BYTES
from ..backlog import Backlog
from .group import Group, Member
from .group_backlog import Takers

_NEVER: Final = 1 << 62


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


class _Candidate:
    """A member that has room. load: how many events it has unacknowledged."""

    __slots__ = ("load", "member", "most", "room")

    def __init__(self, member: Member, room: Room) -> None:
        self.member = member
        self.room = room
        self.load = member.backlog.unacknowledged
        self.most = member.ahead or _NEVER

    def __lt__(self, other: _Candidate) -> bool:
        if self.load != other.load:
            return self.load < other.load
        return self.member.turn < other.member.turn

    def __bool__(self) -> bool:
        return self.load < self.most and bool(self.room)


def distribute(group: Group, rooms: dict[Backlog, Room], now: float = -math.inf) -> list[Backlog]:
    """Give waiting events to members, as far as these have room. Returns those that got some.

    rooms: of the members that may have room. now: the time, for events that have waited too long.
    """
    free = {}
    for backlog, room in rooms.items():
        candidate = _Candidate(group.members[backlog], room)
        if candidate and group.table.count(backlog):
            free[backlog] = candidate
    if not free or not len(group.backlog):
        return []
    before = {backlog: candidate.load for backlog, candidate in free.items()}
    found = list(free.values())
    if group.backlog.sorted_events is None:
        _to_any(group, found, now)
    else:
        _to_those_that_may(group, free, now)
    return [each.member.backlog for each in found if each.load != before[each.member.backlog]]


def _give(group: Group, candidate: _Candidate, now: float, takers: Takers | None = None) -> None:
    given = group.backlog.give_oldest(takers, now)
    if given is None:
        return
    event, missed = given
    candidate.member.backlog.give(event, missed)
    candidate.room.fill(event[3])
    candidate.load += 1
    candidate.member.turn = group.next_turn()


def _to_any(group: Group, free: list[_Candidate], now: float) -> None:
    """Every member may get every event."""
    order = free.copy()
    heapq.heapify(order)
    while order and len(group.backlog):
        first = order[0]
        _give(group, first, now)
        if first:
            heapq.heapreplace(order, first)
        else:
            heapq.heappop(order)


def _to_those_that_may(group: Group, free: dict[Backlog, _Candidate], now: float) -> None:
    """Of each event only some members may get it."""
    events = group.backlog.sorted_events
    assert events is not None
    lanes = [(number, lane, takers) for lane, (number, takers) in enumerate(events.lanes())]
    heapq.heapify(lanes)
    while lanes and free:
        _, lane, takers = lanes[0]
        able = [free[backlog] for backlog in takers if backlog in free]
        if not able:
            heapq.heappop(lanes)
            continue
        best = min(able)
        _give(group, best, now, takers)
        if not best:
            del free[best.member.backlog]
        number = events.oldest_of(takers)
        if number is None:
            heapq.heappop(lanes)
        else:
            heapq.heapreplace(lanes, (number, lane, takers))
