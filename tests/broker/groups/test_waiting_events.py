"""A group's waiting events against a list: order, replacement, and who may get which."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import QueuedEvent, TotalBytes, queued_event
from pyro_events.broker.groups.waiting_events import LANE_OVERHEAD, SORTED_OVERHEAD, PlainEvents, SortedEvents
from pyro_events.broker.matching.subjects import fold

# Who may get the events of a subject.
TAKERS = {"a": ("x",), "b": ("x", "y"), "c": (), "d": ("y",)}


def takers(subject: str) -> tuple[str, ...]:
    return TAKERS[fold(subject)]


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put later"]), st.sampled_from(["a", "A", "b", "c", "d", "D"])),
        st.tuples(st.sampled_from(["sort", "sort one", "resort"]), st.just("")),
        st.tuples(st.just("popleft"), st.just("")),
        st.tuples(st.just("take"), st.sampled_from(["a", "b", "c", "d"])),
    ),
    max_size=60,
)


def lanes_of(waiting: list[QueuedEvent]) -> dict[tuple[str, ...], QueuedEvent]:
    """The oldest event of each lane, the oldest of all first."""
    found: dict[tuple[str, ...], QueuedEvent] = {}
    for event in waiting:
        found.setdefault(takers(event[0]), event)
    return found


@pytest.mark.parametrize("latest", [False, True])
@given(steps=steps)
def test_sorted_events_are_those_of_a_list(latest: bool, steps: list[tuple[str, str]]) -> None:
    total = TotalBytes()
    events = SortedEvents(total, takers, latest)
    waiting: list[QueuedEvent] = []
    for number, (step, subject) in enumerate(steps):
        if step.startswith("put"):
            event = queued_event(subject, float(number), b"")
            same = [each for each in waiting if latest and fold(each[0]) == fold(subject)]
            assert events.put(event, later=step == "put later") == (same[0] if same else None)
            waiting = [each for each in waiting if each not in same] + [event]
        elif step == "popleft" and waiting:
            assert events.popleft() == waiting.pop(0)
        elif step == "take" and takers(subject) in lanes_of(waiting) and not events.unsorted:
            event = lanes_of(waiting)[takers(subject)]
            assert events.oldest_of(takers(subject)) is not None
            assert events.take_from(takers(subject)) == event
            waiting.remove(event)
        elif step == "resort":
            events.resort()
        elif step.startswith("sort"):
            unwanted = events.sort(1 if step == "sort one" else 99)
            assert [takers(event[0]) for event in unwanted] == [()] * len(unwanted)
            waiting = [event for event in waiting if event not in unwanted]
        assert list(events) == waiting and len(events) == len(waiting)
        found = [lane for _, lane in sorted(events.lanes())]
        # Of those that are sorted, which are the oldest.
        assert found == list(lanes_of(waiting))[: len(found)]
        assert events.unsorted or len(found) == len(lanes_of(waiting))
        least = SORTED_OVERHEAD * len(waiting) + LANE_OVERHEAD * len(found)
        assert total.value == events.memory >= least and bool(total.value) == bool(waiting)
        # What is gone leaves no place behind, unless another has replaced it.
        assert latest or events._places + len(events._unsorted) == len(waiting)
    events.clear()
    assert (total.value, len(events), events.lanes()) == (0, 0, [])


def churn(latest: bool, step: Callable[[SortedEvents[str], int], None]) -> int:
    """How many places are kept after many events have come and gone."""
    events = SortedEvents(TotalBytes(), takers, latest)
    for number in range(10_000):
        step(events, number)
    return events._places


def test_places_of_events_that_are_gone_do_not_gather() -> None:
    """A lane whose takers are all frozen is never looked at."""

    def drop_oldest(events: SortedEvents[str], number: int) -> None:
        events.put(queued_event("a", float(number), b""))
        if len(events) > 10:
            events.popleft()

    def replace(events: SortedEvents[str], number: int) -> None:
        events.put(queued_event("ab"[number % 2], float(number), b""))

    def of_another_lane(events: SortedEvents[str], number: int) -> None:
        drop_oldest(events, number)
        if number == 5000:
            events.put(queued_event("b", float(number), b""))

    assert churn(False, drop_oldest) < 100
    assert churn(False, of_another_lane) < 100
    assert churn(True, replace) < 100


def test_a_lane_without_events_is_forgotten_although_nobody_looks() -> None:
    total = TotalBytes()
    events = SortedEvents(total, takers, latest=True)
    for number in range(100):
        events.put(queued_event("a", float(number), b""), later=number > 0)
    assert total.value < SORTED_OVERHEAD + LANE_OVERHEAD
    assert events._lanes == {}


def test_the_memory_of_many_takers_counts() -> None:
    """An event for ten thousand members of a group, which no other event has, takes 80 KB beside it."""
    total = TotalBytes()
    many = tuple(range(10_000))
    events: SortedEvents[int] = SortedEvents(total, lambda subject: (*many, int(subject)), latest=False)
    for number in range(10):
        events.put(queued_event(str(number), 1.0, b""))
    assert total.value > 10 * sys.getsizeof(many)


def test_plain_events_come_out_as_they_came() -> None:
    events = PlainEvents()
    first, second, third = (queued_event(name, 1.0, b"") for name in "aab")
    events.put(first)
    events.extend([second, third])
    assert (len(events), list(events)) == (3, [first, second, third])
    assert events.popleft() is first
    events.clear()
    assert len(events) == 0


def test_what_is_sorted_again_costs_no_more_than_what_was_sorted() -> None:
    """Whoever changes its subscription all the time has only a few events of many sorted each time."""

    class Counted(deque[Any]):
        moved = 0

        def extendleft(self, places: Iterable[Any]) -> None:
            moved = list(places)
            Counted.moved += len(moved)
            super().extendleft(moved)

    events = SortedEvents(TotalBytes(), takers, False)
    for number in range(1_000):
        events.put(queued_event("ab"[number % 2], float(number), b""), later=True)
    events._unsorted = Counted(events._unsorted)
    for _ in range(10):
        events.resort()
        events.sort(7)
    assert Counted.moved == 9 * 7
    assert [event[1] for event in events] == list(range(1_000))
    while events.unsorted:
        events.sort(100)
    assert [number for number, _ in sorted(events.lanes())] == [1, 2]
