"""The retained events that wait for one subscriber: order, bounds of a batch, and what is counted."""

from __future__ import annotations

import pytest

from pyro_events.broker.accounting import TotalBytes
from pyro_events.broker.retained.kept_event import KeptEvent
from pyro_events.broker.retained.replay import Replay
from pyro_events.constants import HOLDER_OVERHEAD


def event(name: str, number: int) -> KeptEvent:
    return KeptEvent(name, name.lower(), 1.0, b"p", number)


@pytest.fixture
def total() -> TotalBytes:
    return TotalBytes()


@pytest.fixture
def replay(total: TotalBytes) -> Replay:
    return Replay(total)


def test_events_wait_and_are_taken_in_order(replay: Replay, total: TotalBytes) -> None:
    events = [event("a", 1), event("b", 2), event("c", 3)]
    assert replay.add(events) == 3
    assert (len(replay), replay.bytes) == (3, 3 * events[0].cost)
    assert total.value == 3 * HOLDER_OVERHEAD
    assert replay.take(2, 1_000_000) == (events[:2], 2 * events[0].cost)
    assert replay.take(5, 1) == (events[2:], events[2].cost)
    assert (len(replay), replay.bytes, total.value) == (0, 0, 0)


def test_a_batch_ends_with_the_event_that_reaches_its_size(replay: Replay) -> None:
    events = [event("a", 1), event("b", 2), event("c", 3)]
    replay.add(events)
    assert replay.take(5, events[0].cost + 1)[0] == events[:2]


def test_what_waits_already_is_not_added_again(replay: Replay, total: TotalBytes) -> None:
    events = [event("a", 1), event("b", 2)]
    replay.add(events)
    assert replay.add(events) == 0
    assert (len(replay), total.value) == (2, 2 * HOLDER_OVERHEAD)


def test_a_newer_event_comes_in_place_of_the_one_of_its_subject(replay: Replay, total: TotalBytes) -> None:
    old, other, newer = event("a", 1), event("b", 2), event("A", 3)
    replay.add([old, other])
    old.discard(total)
    assert replay.add([other, newer, event("c", 4)]) == 1
    assert total.value == 3 * HOLDER_OVERHEAD  # nobody holds the old one
    assert [each.subject for each in replay.take(9, 9_999)[0]] == ["b", "A", "c"]


def test_events_of_some_subjects_are_dropped(replay: Replay, total: TotalBytes) -> None:
    events = [event("a", 1), event("b", 2), event("c", 3)]
    replay.add(events)
    assert replay.subjects() == {"a", "b", "c"}
    assert replay.drop({"a", "c", "x"}) == 2
    assert (replay.subjects(), replay.bytes) == ({"b"}, events[1].cost)
    assert total.value == HOLDER_OVERHEAD


def test_clearing_lets_go_of_everything(replay: Replay, total: TotalBytes) -> None:
    kept = event("a", 1)
    replay.add([kept])
    kept.discard(total)
    replay.clear()
    assert (len(replay), replay.bytes, total.value) == (0, 0, 0)
