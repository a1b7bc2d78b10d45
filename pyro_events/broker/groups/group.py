"""Group: subscribers that share events, and who of them may get which.

Knows: the members, their subscriptions, and which events no member may get any more. Must not know: other
groups, deliveries, or when a member is given an event.

The subscriptions of all members together are those of the group's backlog in the service's routing table, so
that an event is found once, and counts as one delivery.
"""

from __future__ import annotations

from typing import Final

from ...options import BacklogOptions, Overflow
from ..accounting import Loss, TotalBytes
from ..backlog import Backlog
from ..delivery_rights import allowed_targets
from ..matching.patterns import Pattern
from ..matching.routing import RoutingTable
from ..snapshots import GroupStatistics
from .group_backlog import GroupBacklog, Takers
from .offers import Member, Offers

# For how many subjects it remembers which members may get them: there may be thousands of groups.
_SUBJECTS: Final = 256


class Group:
    """One group: its members, in the order in which they joined, and its backlog. offers: of members that may
    have room.

    held: how often somebody keeps it, so that it stays while it has no member. told: the policy that its
    members' deliveries know of.
    """

    def __init__(
        self, name: str, options: BacklogOptions, total: TotalBytes, routing: RoutingTable[Backlog]
    ) -> None:
        """name: as the first member spelled it. options: those of the first member. routing: of the
        service."""
        self.name = name
        self.backlog = GroupBacklog(name, options, total, self.takers)
        self.members: dict[Backlog, Member] = {}
        self.table: RoutingTable[Backlog] = RoutingTable(_SUBJECTS)
        self.table.restrict(allowed_targets)
        self.offers = Offers()
        self.held = 0
        self.told: Overflow | None = None
        self._turn = 0
        self._routing = routing
        self._alike = True

    def takers(self, subject: str) -> Takers:
        """The members that may get an event of that subject."""
        return self.table.match(subject)

    def takers_of_oldest(self) -> Takers:
        """The members that may get the oldest waiting event."""
        subject = self.backlog.oldest_subject
        return () if subject is None else self.takers(subject)

    def next_turn(self) -> int:
        """A number that grows with each event."""
        self._turn += 1
        return self._turn

    def offer(self, backlog: Backlog) -> None:
        """A member may have room for events."""
        self.offers.put(self.members[backlog])

    # Who is a member, and to what it is subscribed

    def join(self, backlog: Backlog, ahead: int) -> None:
        """A subscriber becomes a member, or asks for another `ahead`; 0 for no change."""
        member = self.members.get(backlog)
        if member is None:
            self.members[backlog] = Member(backlog, ahead, self.next_turn())
            backlog.group = self.name
            self._configure(backlog)
            self.review_blocking()
        elif ahead:
            member.ahead = ahead

    def configure(self, options: BacklogOptions) -> None:
        """The first member asks for other options: they are those of all."""
        self.backlog.configure(options)
        for backlog in self.members:
            self._configure(backlog)

    def _configure(self, backlog: Backlog) -> None:
        backlog.configure(self.backlog.options)
        backlog.max_age = None  # what it is given is sent at once

    def review_blocking(self) -> None:
        """A member's right to block publishers may have changed: the group has it if every member does."""
        self.backlog.allow_blocking(all([backlog.may_block for backlog in self.members]))

    def add(self, backlog: Backlog, names: list[str], patterns: list[Pattern]) -> None:
        """Subscribe a member."""
        for name in names:
            self.table.add_name(name, backlog)
            self._routing.add_name(name, self.backlog)
        for pattern in patterns:
            self.table.add_pattern(pattern, backlog)
            self._routing.add_pattern(pattern, self.backlog)
        self._arrange(Loss.GONE)

    def remove(self, backlog: Backlog, texts: list[str], reason: Loss = Loss.GONE) -> None:
        """Unsubscribe a member. Events that no other member may get are lost."""
        shrunk = False
        for text in texts:
            self.table.remove(text, backlog)
            named, matched = self.table.subscribed(text)
            shrunk |= self._routing.remove(text, self.backlog, names=not named, patterns=not matched)
        self._arrange(reason, shrunk)

    def leave(self, backlog: Backlog, reason: Loss) -> None:
        """A member is gone. What it was not given goes to the others, if they may get it."""
        self.offers.withdraw(self.members.pop(backlog))
        self.remove(backlog, self.table.subscriptions(backlog), reason)
        self.review_blocking()

    def _arrange(self, reason: Loss, shrunk: bool = False) -> None:
        """Sort the waiting events again if that is necessary. shrunk: fewer subjects match than before."""
        alike = self._are_alike()
        if shrunk or not (self._alike and alike):
            self.review(reason)

    def _are_alike(self) -> bool:
        """Whether all members may get the same."""
        self.backlog.rights_of_members = rights = frozenset([backlog.rights for backlog in self.members])
        return self.table.alike and len(rights) < 2

    def review(self, reason: Loss, at_once: bool = False) -> int:
        """Sort the waiting events again, later if they are many and it need not be at once. Returns how many
        are lost, for that reason, because no member may get them any more."""
        if self.held:
            return 0
        self._alike = self._are_alike()
        return self.backlog.arrange(self._alike, reason, at_once)

    def rights_changed(self) -> bool:
        """The rights of members have changed. Returns whether events are lost by that."""
        self.table.restrict(allowed_targets)
        return self.review(Loss.DENIED, at_once=True) > 0

    def statistics(self, now: float) -> GroupStatistics:
        """A snapshot. now: the time of day, as events are stamped with it."""
        backlog = self.backlog
        oldest = backlog.oldest
        return GroupStatistics(
            group=self.name,
            subscribers=len(self.members),
            overflow=backlog.overflow.value,
            backlog=len(backlog),
            backlog_bytes=backlog.bytes,
            oldest=None if oldest is None else max(0.0, now - oldest),
            accepted=backlog.accepted,
            given=backlog.given,
            lost=dict(backlog.lost),
        )
