"""What each overflow policy drops, and what has waited too long, one promise after the other.

The model in test_backlog.py holds them all together.
"""

from __future__ import annotations

import math

import pytest
from backlog_model import HOLDER, OVERHEAD
from backlog_steps import ONE, POLICIES, backlog_of, numbers, options_of, push, pushed, stamped

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event, shares_of
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.dropping import Outcome

each_policy = pytest.mark.parametrize("policy", POLICIES)


def test_block_keeps_everything() -> None:
    backlog = backlog_of("block")
    assert push(backlog, *"abcde") == [Outcome.QUEUED] * 3 + [Outcome.FULL] * 2
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]


def test_drop_oldest_keeps_the_newest() -> None:
    backlog = backlog_of("drop-oldest")
    assert push(backlog, *"abcde") == [Outcome.QUEUED] * 5
    assert numbers(backlog.take(10, 10_000)) == [(3, 2), (4, 0), (5, 0)]
    assert backlog.lost == {"drop-oldest": 2}


def test_drop_oldest_frees_space_for_bytes() -> None:
    backlog = backlog_of("drop-oldest", most_events=100, most_bytes=500 + 4 * ONE)
    push(backlog, *"abcdefgh")
    assert push(backlog, "x", payload=bytes(500)) == [Outcome.QUEUED]
    assert numbers(backlog.take(10, 10_000)) == [(6, 5), (7, 0), (8, 0), (9, 0)]


def test_drop_newest_keeps_the_oldest() -> None:
    backlog = backlog_of("drop-newest")
    assert push(backlog, *"abcde") == [Outcome.QUEUED] * 3 + [Outcome.DROPPED] * 2
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (2, 0), (3, 0)]
    push(backlog, "f")
    assert numbers(backlog.take(10, 10_000)) == [(6, 2)]
    assert backlog.lost == {"drop-newest": 2}


def test_latest_keeps_the_newest_of_each_subject_and_no_other() -> None:
    """Whether there is space or not."""
    backlog = backlog_of("latest", most_events=100)
    assert push(backlog, "sun", "ibm", "SUN", "ibm") == [Outcome.QUEUED] * 4
    push(backlog, "Sun")
    batch = backlog.take(10, 10_000)
    assert [row[0] for row in batch.rows] == ["ibm", "Sun"]
    assert numbers(batch) == [(4, 3), (5, 0)]
    assert backlog.lost == {"latest": 3}


def test_latest_of_a_single_subject_has_one_event_waiting() -> None:
    backlog = backlog_of("latest", most_events=100)
    push(backlog, *["frame"] * 30)
    assert len(backlog) == 1
    assert numbers(backlog.take(10, 10_000)) == [(30, 29)]
    push(backlog, "frame")
    assert numbers(backlog.take(10, 10_000)) == [(31, 0)]


def test_latest_drops_no_subject_for_the_sake_of_what_it_replaces() -> None:
    backlog = backlog_of("block", most_events=10)
    push(backlog, "ibm", "sun", "sun", "sun", "sun")
    backlog.configure(options_of("latest", 3, 3 * (OVERHEAD + 3)))
    assert len(backlog) == 2
    push(backlog, "sun")
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (6, 4)]
    assert backlog.lost == {"latest": 4}


def test_latest_frees_space_for_bytes_beyond_the_bound() -> None:
    backlog = backlog_of("latest", most_events=100, most_bytes=1000)
    push(backlog, *"abc")
    push(backlog, "d", payload=bytes(500))
    assert [row[0] for row in backlog.take(10, 10_000).rows] == ["d"]
    push(backlog, "e", payload=bytes(5_000))
    assert [row[0] for row in backlog.take(10, 10_000).rows] == ["e"]


def test_latest_of_too_many_subjects_drops_the_oldest() -> None:
    backlog = backlog_of("latest")
    push(backlog, *"abcd")
    assert [row[0] for row in backlog.take(10, 10_000).rows] == ["b", "c", "d"]
    assert backlog.lost == {"latest": 1}


def test_disconnect_asks_for_it() -> None:
    backlog = backlog_of("disconnect")
    assert push(backlog, *"abcd") == [Outcome.QUEUED] * 3 + [Outcome.DISCONNECT]
    assert backlog.lost == {"disconnect": 1}
    assert backlog.lose_everything(Loss.DISCONNECT) == 3
    assert backlog.lost == {"disconnect": 4}


def test_what_has_waited_too_long_is_dropped_and_counted_and_seen_as_missed() -> None:
    backlog = backlog_of(most_events=10, max_age=2.0)
    stamped(backlog, 1.0, 2.0, 3.0, 4.0)
    assert backlog.expire(4.5, 100) == 2
    assert numbers(backlog.take(10, 10_000)) == [(3, 2), (4, 0)]
    assert backlog.lost == {"expired": 2}


def test_what_is_exactly_as_old_as_allowed_is_sent() -> None:
    backlog = backlog_of(max_age=2.0)
    stamped(backlog, 1.0)
    assert backlog.expire(3.0, 100) == 0
    assert backlog.expire(3.1, 100) == 1


def test_without_an_age_nothing_expires() -> None:
    backlog = backlog_of(max_age=math.inf)
    stamped(backlog, 1.0)
    assert backlog.expire(1e12, 100) == 0
    assert numbers(backlog.take(10, 10_000)) == [(1, 0)]


def test_what_is_in_flight_is_not_recalled() -> None:
    backlog = backlog_of(max_age=2.0)
    stamped(backlog, 1.0, 1.0)
    batch = backlog.take(1, 10_000)
    assert backlog.expire(9.0, 100) == 1
    backlog.acknowledge(batch)
    assert (backlog.delivered, backlog.lost) == (1, {"expired": 1})


def test_an_event_behind_younger_ones_expires_when_it_would_be_sent_next() -> None:
    """Its publisher was blocked while the others came."""
    backlog = backlog_of(most_events=10, max_age=5.0)
    stamped(backlog, 7.0, 8.0, 1.0, 9.0)
    assert backlog.expire(9.0, 100) == 0
    assert backlog.expire(9.0, 100, ahead=2) == 0
    assert backlog.expire(9.0, 100, ahead=3) == 1
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (2, 0), (4, 1)]


@each_policy
def test_what_has_expired_makes_room_before_the_policy_acts(policy: str) -> None:
    """By the time stamp of the event that comes."""
    backlog = backlog_of(policy, max_age=2.0)
    assert stamped(backlog, 1.0, 1.0, 3.0) == [Outcome.QUEUED] * 3
    assert pushed(backlog, TotalBytes(), "next", 3.5, b"") is Outcome.QUEUED
    assert numbers(backlog.take(10, 10_000)) == [(3, 2), (4, 0)]
    assert backlog.lost == {"expired": 2}


@each_policy
def test_many_that_have_expired_make_room_for_one_large_event(policy: str) -> None:
    """A few at a time, and no more than it needs."""
    backlog = backlog_of(policy, most_events=1000, most_bytes=1000 * (OVERHEAD + 6), max_age=2.0)
    assert stamped(backlog, *[1.0] * 900) == [Outcome.QUEUED] * 900
    size = 500 * (OVERHEAD + 6)
    assert pushed(backlog, TotalBytes(), "next", 9.0, bytes(size)) is Outcome.QUEUED
    assert 400 <= backlog.lost["expired"] < 600
    assert backlog.lost.total() == backlog.lost["expired"]


def test_a_backlog_that_drops_expired_events_at_each_push_is_never_full() -> None:
    backlog = backlog_of("disconnect", most_events=4, max_age=2.0)
    assert set(stamped(backlog, *map(float, range(100)))) == {Outcome.QUEUED}
    assert (len(backlog), backlog.lost) == (4, {"expired": 96})


@pytest.mark.parametrize("policy", ["drop-oldest", "latest"])
def test_what_has_expired_behind_a_dropped_event_counts_as_expired(policy: str) -> None:
    backlog = backlog_of(policy, most_events=100, most_bytes=1000, max_age=5.0)
    stamped(backlog, 8.0, 1.0, 8.0)
    pushed(backlog, TotalBytes(), "next", 9.0, bytes(300))
    assert backlog.lost == {policy: 1, "expired": 1}
    assert numbers(backlog.take(10, 10_000)) == [(3, 2), (4, 0)]


def test_expired_events_are_dropped_in_slices() -> None:
    backlog = backlog_of(most_events=1000, most_bytes=1_000_000, max_age=1.0)
    stamped(backlog, *[1.0] * 25, 9.0)
    assert [backlog.expire(9.0, 10) for _ in range(4)] == [10, 10, 5, 0]
    assert numbers(backlog.take(10, 10_000)) == [(26, 25)]


def test_an_expired_event_that_others_hold_frees_this_ones_share() -> None:
    total = TotalBytes()
    one = Backlog("PYRO:a@h:1", options_of("block", 10, 10_000, 2.0), total)
    other = Backlog("PYRO:b@h:1", options_of("block", 10, 10_000), total)
    size = queued_event("a", 1.0, b"")[3]
    total.value = size + HOLDER
    event = "a", 1.0, b"", size, shares_of(2)
    for backlog in (one, other):
        backlog.push(event)
    one.expire(9.0, 100)
    assert (one.bytes, total.value) == (0, size)
    other.lose_everything(Loss.GONE)
    assert total.value == 0


def test_a_backlog_with_latest_whose_events_have_all_expired_is_empty() -> None:
    total = TotalBytes()
    backlog = Backlog("PYRO:a@h:1", options_of("latest", 10, 10_000, 2.0), total)
    stamped(backlog, 1.0, 2.0, total=total)
    assert backlog.expire(9.0, 100) == 2
    assert (len(backlog), backlog.bytes, total.value) == (0, 0, 0)
    pushed(backlog, total, "next", 9.0, b"")
    assert numbers(backlog.take(10, 10_000)) == [(3, 2)]


def test_an_age_given_later_holds_for_what_waits_already() -> None:
    backlog = backlog_of(most_events=10)
    stamped(backlog, 1.0, 5.0, 8.0)
    backlog.configure(options_of("block", 10, 10_000, 2.0))
    assert backlog.expire(9.0, 1) == 1
    backlog.configure(options_of("block", 10, 10_000, 60.0))
    assert backlog.expire(9.0, 100) == 0
    backlog.configure(options_of("block", 10, 10_000))
    assert backlog.expire(1e12, 100) == 0
    assert numbers(backlog.take(10, 10_000)) == [(2, 1), (3, 0)]
