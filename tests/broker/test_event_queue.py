"""The queue of one subscriber beside a list of numbered events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import QueuedEvent, queued_event
from pyro_events.broker.event_queue import EventQueue, rows_of

# What comes: True for an event that waits, False for one that is dropped behind those that wait.
HISTORIES = st.lists(st.booleans(), max_size=30)
TAKES = st.lists(st.tuples(st.integers(1, 5), st.sampled_from([1, 300, 10_000])), max_size=20)


def event(number: int) -> QueuedEvent:
    return queued_event("a", float(number), b"x" * number)


def filled(history: list[bool]) -> tuple[EventQueue, list[tuple[int, QueuedEvent]]]:
    """A queue, and what should wait in it."""
    queue = EventQueue()
    model: list[tuple[int, QueuedEvent]] = []
    for number, waits in enumerate(history, 1):
        if waits:
            queue.events.append(event(number))
            model.append((number, event(number)))
        else:
            queue.skip(number)
    return queue, model


@given(HISTORIES, TAKES)
def test_each_event_comes_out_once_in_order_with_its_number(
    history: list[bool], takes: list[tuple[int, int]]
) -> None:
    queue, model = filled(history)
    for most, size in takes:
        if not model:
            break
        held = sum(each[3] for _, each in model)
        numbers, events, cost = queue.take(most, size, held)
        count = len(events)
        assert 1 <= count <= most
        assert list(zip(numbers, events, strict=True)) == model[:count]
        assert cost == sum(each[3] for each in events)
        # No more than the size asks for: without the last one it was not reached yet.
        assert sum(each[3] for each in events[:-1]) < size
        assert count in (most, len(model)) or cost >= size
        del model[:count]
    assert list(queue.events) == [each for _, each in model]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30),
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 5), st.integers(0, 5)), max_size=8),
)
def test_expired_events_come_out_and_the_rest_keep_their_numbers(
    history: list[tuple[bool, int]], lapses: list[tuple[int, int, int]]
) -> None:
    """Whatever their time stamps are, up to a number of them, and as far as the next events to be sent."""
    queue = EventQueue()
    model: list[tuple[int, QueuedEvent]] = []
    for number, (waits, time) in enumerate(history, 1):
        if waits:
            queue.events.append(queued_event("a", float(time), b""))
            model.append((number, queued_event("a", float(time), b"")))
        else:
            queue.skip(number)
    for earliest, most, ahead in lapses:
        expired = queue.take_expired(earliest, most, ahead)
        assert len(expired) <= most and all(each[1] < earliest for each in expired)
        for _ in expired:  # the oldest of those that have expired
            model.remove(next(entry for entry in model if entry[1][1] < earliest))
        assert list(queue.events) == [each for _, each in model]
        if len(expired) < most:
            assert all(each[1] >= earliest for _, each in model[: max(1, ahead)])
    assert list(queue.numbers(len(model))) == [number for number, _ in model]


@given(HISTORIES)
def test_the_numbers_of_what_is_dropped_at_the_front_are_passed(history: list[bool]) -> None:
    queue, model = filled(history)
    while len(model) > 1:
        assert queue.popleft() == model.pop(0)[1]
    if model:
        numbers, _, _ = queue.take(1, 1, model[0][1][3])
        assert list(numbers) == [model[0][0]]


@given(st.lists(st.integers(1, 40), unique=True).map(sorted), st.integers(0, 5), st.integers(0, 5))
def test_a_queue_made_of_numbered_events_keeps_their_numbers(
    chosen: list[int], passed: int, dropped: int
) -> None:
    chosen = [passed + number for number in chosen]
    accepted = (chosen[-1] if chosen else passed) + dropped
    queue = EventQueue([(number, event(number)) for number in chosen], passed, accepted)
    queue.events.append(event(1))
    assert list(queue.numbers(len(chosen) + 1)) == [*chosen, accepted + 1]


def test_a_queue_that_is_restarted_has_no_gaps() -> None:
    queue, _ = filled([True, False, True])
    queue.events.clear()
    queue.restart(4)
    queue.events.append(event(4))
    assert list(queue.numbers(1)) == [4]
    assert not queue.gaps


def test_rows_say_how_many_were_dropped_just_before_each() -> None:
    events = [event(number) for number in (3, 4, 7)]
    rows = rows_of([3, 4, 7], events, last=1)
    assert [(row[2], row[3]) for row in rows] == [(3, 1), (4, 0), (7, 2)]
    assert [tuple(row)[:2] + tuple(row)[4:] for row in rows] == [
        (subject, time, payload) for subject, time, payload, _, _ in events
    ]
    assert [row[3] for row in rows_of([2, 3], events[:2], last=1)] == [0, 0]
