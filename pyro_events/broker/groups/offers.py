"""Offers: the members of a group that may have room, in the order in which they are given events.

Knows: how many events each has unacknowledged, and whose turn was longest ago. Must not know: whether a
member really has room, events, or when one acknowledges something.

An offer is good until its member is given an event, acknowledges one, or turns out to have no room. So what
an event costs does not grow with the number of members, most of which may be busy.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ..backlog import Backlog


class Member:
    """A subscriber in a group. ahead: how many events it may have unacknowledged, 0 for as many as a delivery
    sends ahead. turn: grows with each event that any member is given; it is that of the last one. offer: the
    number of its offer, 0 if it has none."""

    __slots__ = ("ahead", "backlog", "offer", "turn")

    def __init__(self, backlog: Backlog, ahead: int, turn: int) -> None:
        self.backlog = backlog
        self.ahead = ahead
        self.turn = turn
        self.offer = 0

    @property
    def load(self) -> int:
        """How many events it has unacknowledged, those that are about to be sent included."""
        return self.backlog.unacknowledged + len(self.backlog)


class Offers:
    """The offers of one group's members."""

    def __init__(self) -> None:
        self._number = 0
        self._order: list[tuple[int, int, int, Member]] = []  # load, turn, number, member; a heap
        self._good = 0

    def __bool__(self) -> bool:
        """Whether any member may have room."""
        return self._good > 0

    def put(self, member: Member) -> None:
        """A member may have room now."""
        self._good += not member.offer
        self._number += 1
        member.offer = self._number
        heapq.heappush(self._order, (member.load, member.turn, self._number, member))
        if len(self._order) > 2 * self._good + 16:
            self._order = [each for each in self._order if each[3].offer == each[2]]
            heapq.heapify(self._order)

    def withdraw(self, member: Member) -> None:
        """A member has no room, or is gone."""
        self._good -= bool(member.offer)
        member.offer = 0

    def best(self, able: Callable[[Member], bool]) -> Member | None:
        """The member whose turn it is, None if there is none. Those that are not able to are withdrawn."""
        order = self._order
        while order:
            _, _, number, member = order[0]
            if member.offer == number:
                if able(member):
                    return member
                self.withdraw(member)
            heapq.heappop(order)
        return None
