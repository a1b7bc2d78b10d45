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


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9)), max_size=20),
    st.integers(0, 10),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_expired_events_come_out_and_free_the_index(
    events: list[tuple[str, int]], earliest: int, most: int, ahead: int
) -> None:
    total = TotalBytes()
    queue = ConflatingQueue(total)
    for number, (subject, time) in enumerate(events, 1):
        queue.put((number, queued_event(subject, float(time), b"")))
    before = list(queue)
    expired = queue.take_expired(earliest, most, ahead)
    assert len(expired) <= most and all(each[1] < earliest for each in expired)
    # The oldest of those that have expired.
    assert expired == [each for _, each in before if each[1] < earliest][: len(expired)]
    left = [entry for entry in before if entry[1] not in expired]
    assert list(queue) == left
    if len(expired) < most:
        assert all(each[1] >= earliest for _, each in left[: max(1, ahead)])
    for _ in left:
        queue.popleft()
    assert total.value == 0


def test_a_subject_that_is_there_already_counts_once() -> None:
    total = TotalBytes()
    queue = ConflatingQueue(total)
    queue.put(numbered(1, "lab.Temperature"))
    once = total.value
    queue.put(numbered(2, "LAB.temperature"))
    assert total.value == once
    assert queue.popleft() == numbered(2, "LAB.temperature")
    assert total.value == 0
