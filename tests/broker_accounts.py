"""A small broker, what is published to it, and its accounts, for the tests of `broker`.

Knows: the broker's methods and statistics. Must not know: what the tests do with them.
"""

from __future__ import annotations

from pyro_events.broker.broker import Broker
from pyro_events.broker.statistics import BrokerStatistics
from pyro_events.options import BacklogOptions, Overflow

WIDEST = BacklogOptions(4, 2000, Overflow.BLOCK)
TOTAL = 3000


def new_broker(options: BacklogOptions = WIDEST, total: int = TOTAL) -> Broker:
    return Broker(options, total)


def publish(broker: Broker, *names: str, payload: bytes = b"", now: float = 1.0) -> int:
    """One entry with these subjects."""
    return broker.publish(iter([(list(names), payload)]), now)


def assert_identity(statistics: BrokerStatistics) -> None:
    """accepted = delivered + lost + waiting, for each subscriber and for all that there ever were."""
    for each in statistics.subscribers:
        waiting = each.backlog + each.unacknowledged
        assert each.accepted == each.delivered + sum(each.lost.values()) + waiting
    assert statistics.accepted == statistics.delivered + sum(statistics.lost.values()) + statistics.waiting
