"""Statistics: the figures of a whole service, summed over its subscribers.

Knows: the figures of one subscriber, and which sums must agree. Must not know: when they are asked for, or
how an event changes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..constants import MAX_SUBJECTS_SHOWN
from ..version import is_compiled
from .backlog import Backlog
from .groups.group import Group
from .groups.groups import Groups
from .snapshots import BacklogStatistics, GroupStatistics

# For how many subscribers the statistics are made in one go, and how many subscriptions of each are always
# shown.
_PIECE: Final = 100
_FEW_SHOWN: Final = 5


@dataclass(frozen=True)
class BrokerStatistics:
    """The service at one moment.

    subscription_bytes: the memory of subscribers and their subscriptions.

    published: events accepted, where each name of a call is one event. accepted: deliveries queued, one for
    each event and subscriber; accepted = delivered + sum(lost) + waiting, also summed over subscribers that
    are gone. Of the events of groups, that sum has those that a group has lost or that wait for it, and those
    that its members were given. backlog_bytes: held for all subscribers, events in flight included.

    retained, retained_bytes: the last values that are kept, and what they count for. published_retained: how
    many of the published events were retained.

    compiled: whether the compiled form of this package runs the service.
    """

    published: int
    accepted: int
    delivered: int
    lost: Mapping[str, int]
    waiting: int
    backlog_bytes: int
    subscription_bytes: int
    subscribers: tuple[BacklogStatistics, ...]
    groups: tuple[GroupStatistics, ...] = ()
    retained: int = 0
    retained_bytes: int = 0
    published_retained: int = 0
    compiled: bool = is_compiled()


class GoneSubscribers:
    """The sums over the subscribers that are gone."""

    __slots__ = ("accepted", "delivered", "lost")

    def __init__(self, accepted: int = 0, delivered: int = 0, lost: Mapping[str, int] | None = None) -> None:
        self.accepted = accepted
        self.delivered = delivered
        self.lost = Counter(lost)

    def add(self, backlog: Backlog) -> None:
        """Add a subscriber that is gone; none of its events waits any more."""
        self.accepted += backlog.accepted - backlog.skipped
        self.delivered += backlog.delivered
        self.lost.update(backlog.lost)

    def add_group(self, group: Group) -> None:
        """Add a group that is gone. What its members were given counts as theirs."""
        self.accepted += group.backlog.accepted - group.backlog.given
        self.lost.update(group.backlog.lost)

    def copy(self) -> GoneSubscribers:
        """The same as it is now."""
        return GoneSubscribers(self.accepted, self.delivered, self.lost)

    def and_those(
        self,
        subscribers: Sequence[BacklogStatistics],
        published: int,
        backlog_bytes: int,
        subscription_bytes: int,
        groups: Sequence[GroupStatistics] = (),
        retained: tuple[int, int, int] = (0, 0, 0),
    ) -> BrokerStatistics:
        """The sums over the whole service: subscribers that are gone, and those that are there. retained: the
        last values, their bytes, and how many were published."""
        lost = Counter(self.lost)
        for losses in [each.lost for each in subscribers] + [each.lost for each in groups]:
            lost.update(losses)
        kept = sum(group.accepted - group.given for group in groups)
        return BrokerStatistics(
            published=published,
            accepted=self.accepted + kept + sum(each.accepted for each in subscribers),
            delivered=self.delivered + sum(each.delivered for each in subscribers),
            lost=dict(lost),
            waiting=sum(each.backlog + each.unacknowledged for each in subscribers)
            + sum(group.backlog for group in groups),
            backlog_bytes=backlog_bytes,
            subscription_bytes=subscription_bytes,
            subscribers=tuple(subscribers),
            groups=tuple(groups),
            retained=retained[0],
            retained_bytes=retained[1],
            published_retained=retained[2],
        )


def described(
    backlogs: Sequence[Backlog], groups: Groups, now: float
) -> Generator[None, None, tuple[list[BacklogStatistics], list[GroupStatistics]]]:
    """The figures of each subscriber, and of each group, with a pause after every few.

    There is no pause between a group and its members: an event that is given to a member in it would be
    counted twice.
    """
    most = max(_FEW_SHOWN, MAX_SUBJECTS_SHOWN // max(1, len(backlogs)))
    found: dict[Backlog, BacklogStatistics | None] = dict.fromkeys(backlogs)
    shared = []

    def describe(backlog: Backlog) -> None:
        shown = groups.subscriptions(backlog, most)
        found[backlog] = backlog.statistics(shown, now, groups.count(backlog))

    for group in groups:
        shared.append(group.statistics(now))
        for backlog in group.members:
            if backlog in found:
                describe(backlog)
        yield
    for number, backlog in enumerate(backlogs, 1):
        if found[backlog] is None:
            describe(backlog)
        if number % _PIECE == 0:
            yield
    return [each for each in found.values() if each is not None], shared


def described_alone(
    backlogs: Sequence[Backlog], groups: Groups, now: float
) -> Generator[None, None, BrokerStatistics]:
    """The figures of some subscribers, and the sums over these alone: neither what was published nor the
    groups, in which there may be others."""
    subscribers, _ = yield from described(backlogs, groups, now)
    held = sum(backlog.held for backlog in backlogs)
    return GoneSubscribers().and_those(subscribers, 0, held, sum(map(groups.memory, backlogs)))
