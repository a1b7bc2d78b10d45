"""What a backlog tells of itself: at the bounds, and when nothing has happened yet."""

from __future__ import annotations

import sys

import pytest

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions, Overflow

ONE = queued_event("a", 0.0, b"")[3]


def backlog_of(events: int = 0, most: int = 8, most_bytes: int = 100_000, overflow: str = "block") -> Backlog:
    """A backlog with so many events; stamped 1.0, 2.0 and so on."""
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(most, most_bytes, Overflow(overflow)), TotalBytes())
    for number in range(events):
        backlog.push(queued_event("a", float(number + 1), b""))
    return backlog


def test_of_a_new_backlog_there_is_nothing_to_tell() -> None:
    backlog = backlog_of()
    assert (len(backlog), backlog.unacknowledged, backlog.held, backlog.overflowed) == (0, 0, 0, 0)
    assert backlog.oldest is None and not backlog.waits
    assert backlog.has_space and backlog.relaxed and not backlog.crowded


@pytest.mark.parametrize(
    ("events", "has_space", "crowded", "relaxed"),
    [(2, True, False, True), (3, True, False, False), (6, True, True, False), (7, True, True, False)]
    + [(8, False, True, False)],
)
def test_how_full_it_is(events: int, has_space: bool, crowded: bool, relaxed: bool) -> None:
    for backlog in (backlog_of(events), backlog_of(events, most=1000, most_bytes=8 * ONE)):
        assert (backlog.has_space, backlog.crowded, backlog.relaxed) == (has_space, crowded, relaxed)


def test_what_is_in_flight_counts_until_it_is_acknowledged() -> None:
    backlog = backlog_of(3)
    batch = backlog.take(2, 10_000)
    assert (len(backlog), backlog.unacknowledged, backlog.held) == (1, 2, 3 * ONE)
    assert backlog.oldest == 1.0 and backlog.waits
    backlog.acknowledge(batch)
    assert (len(backlog), backlog.unacknowledged, backlog.held, backlog.oldest) == (1, 0, ONE, 3.0)
    backlog.acknowledge(backlog.take(1, 10_000))
    assert not backlog.waits and backlog.oldest is None


def test_what_may_still_come_before_a_publisher_is_blocked() -> None:
    assert backlog_of(3).free == (5, 100_000 - 3 * ONE)
    for overflow in ("drop-oldest", "latest", "disconnect"):
        assert backlog_of(3, overflow=overflow).free == (sys.maxsize, sys.maxsize)


def test_only_what_overflows_is_counted_as_that() -> None:
    backlog = backlog_of(10, overflow="drop-oldest")
    assert backlog.overflowed == 2
    backlog.lose_everything(Loss.GONE)
    assert backlog.overflowed == 2 and backlog.lost["gone"] == 8


def test_statistics_add_up_and_show_no_age_before_the_event() -> None:
    backlog = backlog_of(10, overflow="drop-newest")
    backlog.name, backlog.user = "market", "alice"
    backlog.acknowledge(backlog.take(3, 10_000), failed=1)
    backlog.take(2, 10_000)
    found = backlog.statistics(["a"], now=6.0, subscriptions=7)
    assert found.accepted == found.delivered + sum(found.lost.values()) + found.backlog + found.unacknowledged
    assert (found.delivered, found.lost) == (2, {"drop-newest": 2, "handler-error": 1})
    assert (found.name, found.subjects, found.subscriptions, found.oldest) == ("market", ("a",), 7, 2.0)
    assert found.user == "alice"
    assert backlog.statistics([], now=3.0).oldest == 0.0  # the clock was put back
