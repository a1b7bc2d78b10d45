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
from .accounting import BacklogStatistics
from .backlog import Backlog
from .matching.routing import RoutingTable

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
    are gone. backlog_bytes: held for all subscribers, events in flight included.
    """

    published: int
    accepted: int
    delivered: int
    lost: Mapping[str, int]
    waiting: int
    backlog_bytes: int
    subscription_bytes: int
    subscribers: tuple[BacklogStatistics, ...]


class GoneSubscribers:
    """The sums over the subscribers that are gone."""

    __slots__ = ("accepted", "delivered", "lost")

    def __init__(self, accepted: int = 0, delivered: int = 0, lost: Mapping[str, int] | None = None) -> None:
        self.accepted = accepted
        self.delivered = delivered
        self.lost = Counter(lost)

    def add(self, backlog: Backlog) -> None:
        """Add a subscriber that is gone; none of its events waits any more."""
        self.accepted += backlog.accepted
        self.delivered += backlog.delivered
        self.lost.update(backlog.lost)

    def copy(self) -> GoneSubscribers:
        """The same as it is now."""
        return GoneSubscribers(self.accepted, self.delivered, self.lost)

    def and_those(
        self,
        subscribers: Sequence[BacklogStatistics],
        published: int,
        backlog_bytes: int,
        subscription_bytes: int,
    ) -> BrokerStatistics:
        """The sums over the whole service: subscribers that are gone, and those that are there."""
        lost = Counter(self.lost)
        for subscriber in subscribers:
            lost.update(subscriber.lost)
        return BrokerStatistics(
            published=published,
            accepted=self.accepted + sum(each.accepted for each in subscribers),
            delivered=self.delivered + sum(each.delivered for each in subscribers),
            lost=dict(lost),
            waiting=sum(each.backlog + each.unacknowledged for each in subscribers),
            backlog_bytes=backlog_bytes,
            subscription_bytes=subscription_bytes,
            subscribers=tuple(subscribers),
        )


def described(
    backlogs: Sequence[Backlog], routing: RoutingTable[Backlog], now: float
) -> Generator[None, None, list[BacklogStatistics]]:
    """The figures of each subscriber, with a pause after every few."""
    most = max(_FEW_SHOWN, MAX_SUBJECTS_SHOWN // max(1, len(backlogs)))
    subscribers = []
    for number, backlog in enumerate(backlogs, 1):
        shown, count = routing.subscriptions(backlog, most), routing.count(backlog)
        subscribers.append(backlog.statistics(shown, now, count))
        if number % _PIECE == 0:
            yield
    return subscribers
