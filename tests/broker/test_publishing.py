"""What happens to events that are published: which backlogs get them, and what a full one changes."""

from __future__ import annotations

import pytest
from broker_accounts import assert_identity, new_broker, publish

from pyro_events.broker.accounting import Loss
from pyro_events.broker.statistics import BrokerStatistics
from pyro_events.options import BacklogOptions, Overflow

MIB = 1 << 20


def test_nobody_listens() -> None:
    broker = new_broker()
    assert publish(broker, "a", "b") == 0
    assert broker.statistics(1.0) == BrokerStatistics(2, 0, 0, {}, 0, 0, 0, ())


def test_no_subjects_are_no_events() -> None:
    broker = new_broker()
    broker.subscribe("s", patterns=".*")
    assert publish(broker) == 0
    assert broker.publish(iter([]), 1.0) == 0
    assert broker.take_ready() == []


def test_an_event_that_matches_several_ways_comes_once() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", ["a", "A"], ["a", "^A$", ".*"])
    assert publish(broker, "a") == 1
    assert len(backlog) == 1


def test_all_events_of_a_call_share_one_time_stamp_and_one_payload() -> None:
    broker = new_broker()
    first, second = broker.subscribe("s1", patterns=".*"), broker.subscribe("s2", "b")
    payload = b"payload"
    broker.publish(iter([(["a", "b"], payload), ("c", payload)]), 7.5)
    rows = [*first.take(9, MIB).rows, *second.take(9, MIB).rows]
    assert [row[0] for row in rows] == ["a", "b", "c", "b"]
    assert {row[1] for row in rows} == {7.5}
    assert all(row[4] is payload for row in rows)


def test_consecutive_events_for_the_same_subscribers_and_then_for_others() -> None:
    broker = new_broker()
    first, second = broker.subscribe("s1", "a"), broker.subscribe("s2", "b")
    entries: list[tuple[list[str], bytes]] = [([name], b"") for name in "aaabba"]
    assert broker.publish(iter(entries), 1.0) == 6
    assert [row[0] for row in first.take(9, MIB).rows] == ["a"] * 4
    assert [row[0] for row in second.take(9, MIB).rows] == ["b"] * 2


def test_a_call_stops_behind_the_entry_that_found_a_backlog_full() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", patterns=".*", options={"backlog": 1})
    rest = iter([(["a"], b""), (["b", "c"], b""), (["d"], b"")])
    assert broker.publish(rest, 1.0) == 3
    assert broker.take_full() == [backlog, backlog]
    assert list(rest) == [(["d"], b"")]


def test_a_call_stops_behind_the_entry_that_reached_the_total() -> None:
    broker = new_broker(BacklogOptions(), total=1000)
    broker.subscribe("s", patterns=".*")
    rest = iter([(["a"], bytes(2000)), (["b"], b"")])
    assert broker.publish(rest, 1.0) == 1
    assert broker.overloaded
    assert not broker.full
    assert len(list(rest)) == 1


def test_nothing_is_accepted_while_the_total_is_beyond_its_bound() -> None:
    """Or each of many publishers could add an event to it."""
    broker = new_broker(BacklogOptions(), total=1000)
    backlog = broker.subscribe("s", patterns=".*")
    publish(broker, "a", payload=bytes(2000))
    rest = iter([(["b"], b"")])
    assert broker.publish(rest, 1.0) == 0
    assert list(rest) == [(["b"], b"")]
    assert len(backlog) == 1
    assert broker.statistics(1.0).published == 1


@pytest.mark.parametrize("subscribers", [1, 2, 18])
def test_what_many_share_counts_once(subscribers: int) -> None:
    broker = new_broker(BacklogOptions(), total=MIB)
    backlogs = [broker.subscribe(f"s{number}", patterns=".*") for number in range(subscribers)]
    for _ in range(10):
        publish(broker, "a", "b", payload=bytes(10_000))
    held = broker.backlog_bytes
    assert 200_000 < held < 220_000
    batches = [backlog.take(100, MIB) for backlog in backlogs]
    for backlog, batch in zip(backlogs[1:], batches[1:], strict=True):
        backlog.acknowledge(batch)
        assert 200_000 < broker.backlog_bytes < 280_000  # as long as one of them holds it
    backlogs[0].acknowledge(batches[0])
    assert broker.backlog_bytes == 0


def test_a_full_backlog_holds_up_only_its_own_publishers() -> None:
    broker = new_broker()
    broker.subscribe("frozen", "a", options={"backlog": 1})
    healthy = broker.subscribe("healthy", "b")
    publish(broker, "a", "a")
    assert broker.take_full()
    assert publish(broker, "b") == 1
    assert not broker.full
    assert len(healthy) == 1


def test_dropped_events_are_not_counted_as_queued() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", "a", options={"backlog": 1, "overflow": "drop-newest"})
    assert publish(broker, "a", "a", "a") == 1
    assert broker.take_ready() == [backlog]
    assert broker.full == broker.failing == []
    assert broker.statistics(1.0).lost == {"drop-newest": 2}


def test_disconnect_is_asked_for() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", "a", options={"backlog": 1, "overflow": "disconnect"})
    assert publish(broker, "a", "a") == 1
    assert broker.take_failing() == [backlog]
    assert broker.take_failing() == []
    assert broker.remove(backlog, Loss.DISCONNECT) == 1
    assert_identity(broker.statistics(1.0))
    assert broker.statistics(1.0).lost == {"disconnect": 2}


def test_a_backlog_is_ready_once_until_it_is_taken() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", "a")
    publish(broker, "a", "a")
    publish(broker, "a")
    assert broker.take_ready() == [backlog]
    assert broker.take_ready() == []
    publish(broker, "a")
    assert broker.take_ready() == [backlog]


def test_the_index_of_latest_counts_towards_the_total_between_two_entries() -> None:
    """Events for the same subscribers are queued together, but not so many that they exceed the total."""
    names = "stock.sun", "cars.left", "stock.ibm", "Straße"
    for total in range(900, 3200, 10):
        broker, one_by_one = new_broker(total=total), new_broker(total=total)
        for each in broker, one_by_one:
            each.subscribe("s", [], [".*"], {"overflow": "latest"})
        rest = iter([(names, b""), (names[:1], b"")])
        queued = broker.publish(rest, 1.0)
        for name in names:
            one_by_one.publish(iter([((name,), b"")]), 1.0)
        # The second entry is left where the first one has exceeded the total.
        assert (queued == 4) == one_by_one.overloaded == (next(rest, None) is not None), total


def test_what_is_reserved_is_left_out_of_the_total() -> None:
    broker = new_broker(BacklogOptions(), 10_000)
    broker.subscribe("s", "a")
    broker.reserve(9_500)
    assert broker.most_bytes == 500
    broker.publish([(["a"], b"x" * 1000)], 0.0)
    assert broker.overloaded and not broker.relieved
    broker.reserve(-9_500)
    assert not broker.overloaded and broker.relieved and broker.most_bytes == 10_000


@pytest.mark.parametrize("policy", list(Overflow))
def test_what_is_offered_waits_for_nobody(policy: Overflow) -> None:
    broker = new_broker(BacklogOptions(1, 1000, policy))
    full, empty = broker.subscribe("full", ["a", "b"]), broker.subscribe("empty", "b")
    publish(broker, "a")
    broker.take_ready()
    assert broker.listening("b") == (full, empty)
    broker.offer("b", b"payload", 7.5)
    assert (broker.full, broker.failing, broker.take_ready()) == ([], [], [full, empty])
    assert empty.take(9, MIB).rows == [("b", 7.5, 1, 0, b"payload")]
    replaced = policy is Overflow.LATEST
    assert full.take(9, MIB).rows[0][0] == ("b" if replaced else "a")
    assert full.lost == {("latest" if replaced else "drop-newest"): 1}
    statistics = broker.statistics(1.0)
    assert_identity(statistics)
    assert (statistics.published, statistics.accepted) == (2, 3)
    for backlog in (full, empty):
        broker.remove(backlog, Loss.GONE)
    assert broker.backlog_bytes == 0


def test_what_is_offered_is_dropped_while_the_total_is_beyond_its_bound() -> None:
    broker = new_broker(BacklogOptions(overflow=Overflow.BLOCK), total=1000)
    first, second = broker.subscribe("first", ["a", "b"]), broker.subscribe("second", "b")
    publish(broker, "a", payload=bytes(1000))
    assert broker.overloaded
    before = broker.backlog_bytes
    broker.offer("b", b"payload", 7.5)
    assert (first.lost, second.lost) == ({"drop-newest": 1}, {"drop-newest": 1})
    assert (len(first), len(second), broker.backlog_bytes) == (1, 0, before)
    assert_identity(broker.statistics(1.0))


def test_what_is_offered_to_nobody_is_nothing() -> None:
    broker = new_broker()
    assert broker.listening("a") == ()
    broker.offer("a", b"payload", 7.5)
    assert broker.statistics(1.0).published == 0
