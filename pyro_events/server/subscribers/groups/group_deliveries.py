"""GroupDeliveries: sends the events of groups to their members.

Knows: when a member may have room for events, the delivery of each member, and which members are why a
group's backlog stays full. Must not know: which member is given which event (broker/groups/distribution.py
does), publishers, or how a delivery works.

A member's delivery is as any other. Its backlog has an event only while that is being sent: what was not sent
to a member when it goes away still waits for the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from ....broker.accounting import Loss
from ....broker.backlog import Backlog
from ....broker.groups.distribution import Distribution, Room
from ....broker.groups.group import Group
from ....broker.groups.groups import Groups
from ....log.background import get_logger
from ...limits.expiry import Expiry
from ...limits.slices import Slices
from ..coalescing import FEW, FEW_BYTES, Coalescer
from ..delivery import Delivery, State

log = get_logger("pyro_events.delivery")


class GroupsOwner(Protocol):
    """The parts of the engine that groups use. expiry: drops events that have waited too long."""

    expiry: Expiry

    def freed(self, backlog: Backlog) -> None:
        """A backlog may have shrunk, or may not block publishers any more."""


class GroupDeliveries:
    """The deliveries to the members of all groups of one service."""

    def __init__(self, owner: GroupsOwner, groups: Groups, table: Mapping[Backlog, Delivery]) -> None:
        """table: each delivery by its backlog."""
        self._owner = owner
        self._groups = groups
        self._table = table
        self._coalescers: dict[Group, Coalescer] = {}
        self._slices: Slices[Group] = Slices(self._distribute, self._flush)
        self._work: dict[Group, Distribution] = {}

    def arrived(self, backlog: Backlog) -> None:
        """Events may have come for the group that has that backlog."""
        group = self._groups.of(backlog)
        if group is not None and len(backlog) and not self._wait(group):
            self._send(group)

    def acknowledged(self, delivery: Delivery) -> None:
        """A member has room, because it has acknowledged events or has been reached."""
        group = self._groups.of(delivery.backlog)
        if group is None:
            return
        group.offer(delivery.backlog)
        # One that asks for few events at a time gains nothing by waiting until more have come.
        if len(group.backlog) and (group.members[delivery.backlog].ahead or not self._wait(group)):
            self._send(group)

    def changed(self, group: Group | None, member: Backlog | None = None) -> None:
        """The members of a group, their subscriptions or its options have changed; None for no group. member:
        whose call that was; None if one has left."""
        if group is None:
            return
        # A group may have thousands of members, so all are only gone through if it matters to all.
        policy = group.backlog.overflow
        alike = group.told is policy
        group.told = policy
        for backlog in group.members if not alike else () if member is None else (member,):
            if backlog in self._table:
                self._table[backlog].configured()
                group.offer(backlog)
        self._send(group)

    def check(self) -> None:
        """Called at intervals: forget groups that have ended, and review which may block publishers."""
        for group in [each for each in self._coalescers if self._groups.of(each.backlog) is None]:
            self._coalescers.pop(group).end()
        self.review_blocking()

    def review_blocking(self, member: Backlog | None = None) -> None:
        """Subscribers may have lost or got the right to block publishers. Publishers go on that a group may
        not block any more. member: only this one."""
        for group in self._groups if member is None else [self._groups.of(member)]:
            if group is not None:
                group.review_blocking()
                self._owner.freed(group.backlog)

    @contextmanager
    def leaving(self, backlog: Backlog, reason: Loss) -> Iterator[None]:
        """A subscriber is forgotten in this block; if it is in a group, the others get what they may get."""
        group = self._groups.of(backlog)
        if group is None:
            yield
            return
        before = group.backlog.lost.total()
        yield
        lost = group.backlog.lost.total() - before
        if lost and reason is not Loss.STOPPED:
            name = group.backlog.subscriber
            log.warning("%s: %d events are lost, which no other member may get", name, lost, about=name)
        self.changed(group)

    def _wait(self, group: Group) -> bool:
        """Whether a few events that came in close succession wait for others, to be sent together."""
        backlog = group.backlog
        if len(backlog) >= FEW or backlog.bytes >= FEW_BYTES or backlog.crowded:
            return False
        return self._coalescer(group).wait()

    def _coalescer(self, group: Group) -> Coalescer:
        coalescer = self._coalescers.get(group)
        if coalescer is None:
            coalescer = self._coalescers[group] = Coalescer(lambda: self._send(group))
        return coalescer

    def _send(self, group: Group) -> None:
        """Send what members have room for."""
        if group.backlog.max_age is not None and not self._owner.expiry.expire(group.backlog, 0):
            return  # there are many, and this is called again when they are dropped
        if group.backlog.sorted_events is None:
            self._distribute(group, lambda: False)
            self._flush(group)
        else:  # which takes longer the more members and the more different events there are
            self._slices.do(group)

    def _distribute(self, group: Group, pause: Callable[[], bool]) -> bool:
        """Give events to members, until it is time for a pause. Returns whether there is nothing to do."""
        work = self._work.get(group)
        if work is None:
            work = self._work[group] = Distribution(group, self._room_of)
        return work.go_on(self._owner.expiry.now(), pause)

    def _flush(self, group: Group) -> None:
        """Send what members were given."""
        work = self._work[group]
        if not work.started:
            del self._work[group]
        got, work.got = work.got, []
        for backlog in got:
            self._table[backlog].flush(patient=False)
        if got:
            self._coalescer(group).called()
        self._owner.freed(group.backlog)

    def _room_of(self, backlog: Backlog) -> Room | None:
        delivery = self._table.get(backlog)
        return None if delivery is None else delivery.room

    # Whose delivery a full backlog waits for

    def of(self, backlog: Backlog) -> list[Delivery]:
        """The delivery of a subscriber; or those of all members, if it is a group's own backlog."""
        return self._found(self._members(backlog))

    def takers(self, backlog: Backlog) -> list[Delivery]:
        """The same, but only of those members that may get the oldest waiting event."""
        group = self._groups.of(backlog)
        if group is None or group.backlog is not backlog:
            return self._found([backlog])
        return self._found(group.takers_of_oldest())

    def culprits(self, backlog: Backlog) -> list[Delivery]:
        """Of these, those that have not acknowledged what they were sent; all of them, if there are none."""
        takers = self.takers(backlog)
        return [each for each in takers if each.backlog.unacknowledged] or takers

    def _members(self, backlog: Backlog) -> Iterable[Backlog]:
        group = self._groups.of(backlog)
        return [backlog] if group is None or group.backlog is not backlog else group.members

    def _found(self, backlogs: Iterable[Backlog]) -> list[Delivery]:
        return [self._table[backlog] for backlog in backlogs if backlog in self._table]

    @property
    def waits(self) -> bool:
        """Whether an event waits for a group of which some member can be reached."""
        waiting = [each for group in self._groups if len(group.backlog) for each in self.of(group.backlog)]
        return any(each.state is not State.UNREACHABLE for each in waiting)
