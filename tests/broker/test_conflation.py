"""The newest event of each subject, beside a dictionary; and what the index counts for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import TotalBytes, queued_event
from pyro_events.broker.conflation import ConflatingQueue
from pyro_events.broker.event_queue import Numbered
from pyro_events.broker.matching.subjects import fold

SUBJECTS = st.lists(st.sampled_from(["a", "A", "b", "straße", "STRASSE", "É", "é"]), max_size=30)


def numbered(number: int, subject: str) -> Numbered:
    return number, queued_event(subject, float(number), b"")


@given(SUBJECTS)
def test_the_newest_event_of_each_subject_waits_where_it_came(subjects: list[str]) -> None:
    total = TotalBytes()
    queue = ConflatingQueue(total)
    model: dict[str, Numbered] = {}
    for number, subject in enumerate(subjects, 1):
        older = model.pop(fold(subject), None)
        model[fold(subject)] = numbered(number, subject)
        assert queue.put(numbered(number, subject)) == older
        assert list(queue) == list(model.values())
        assert len(queue) == len(model)
    assert (total.value > 0) == bool(model)
    queue.clear()
    assert (len(queue), total.value) == (0, 0)


@given(SUBJECTS, st.integers(1, 5), st.sampled_from([1, 500, 10_000]))
def test_the_oldest_are_taken_until_a_bound_is_reached(subjects: list[str], most: int, size: int) -> None:
    queue = ConflatingQueue(TotalBytes())
    for number, subject in enumerate(subjects, 1):
        queue.put(numbered(number, subject))
    waiting = list(queue)
    numbers, events, cost = queue.take(most, size)
    assert list(zip(numbers, events, strict=True)) == waiting[: len(numbers)]
    assert list(queue) == waiting[len(numbers) :]
    assert cost == sum(event[3] for event in events)
    assert len(numbers) <= most and sum(event[3] for event in events[:-1]) < size
    assert len(numbers) in (most, len(waiting)) or cost >= size


def test_a_subject_that_is_there_already_counts_once() -> None:
    total = TotalBytes()
    queue = ConflatingQueue(total)
    queue.put(numbered(1, "lab.Temperature"))
    once = total.value
    queue.put(numbered(2, "LAB.temperature"))
    assert total.value == once
    assert queue.popleft() == numbered(2, "LAB.temperature")
    assert total.value == 0
