"""Slices of a batch: what has started, what is taken away, and for how long an event has been running."""

from __future__ import annotations

from typing import Any

from pyro_events.client.dispatch.batch import ReceivedBatch, Slice


def rows(count: int) -> list[tuple[Any, ...]]:
    return [("S", 1.0, number, 0, b"") for number in range(1, count + 1)]


def a_slice(count: int, now: float = 0.0) -> Slice:
    batch = ReceivedBatch(7, rows(count))
    part = Slice(batch, batch.rows)
    part.since = now
    return part


def test_a_batch_after_a_gap_says_so_in_its_first_event_alone() -> None:
    batch = ReceivedBatch(7, rows(3))
    batch.after_a_gap()
    assert [row[3] for row in batch.rows] == [None, 0, 0]
    assert [row[2] for row in batch.rows] == [1, 2, 3]


def test_what_has_not_started_is_split_off_once() -> None:
    part = a_slice(3)
    first = next(part.rows)
    rest = part.split_off_rest(0.0)
    assert rest is not None and part.left == 0 and rest.left == 2
    assert [first, *rest.rows] == rows(3)
    assert list(part.rows) == []
    assert part.split_off_rest(0.0) is None


def test_a_batch_is_unfinished_while_it_has_slices() -> None:
    part = a_slice(3)
    assert part.batch.unfinished == 1
    next(part.rows)
    part.split_off_rest(0.0)
    assert part.batch.unfinished == 2
    part.split_off_rest(0.0)
    assert part.batch.unfinished == 2


def test_the_first_event_runs_from_the_start() -> None:
    part = a_slice(3, now=5.0)
    next(part.rows)
    assert part.has_run(5.5) == 0.5
    assert part.has_run(6.0) == 1.0


def test_any_other_event_runs_since_it_was_first_seen() -> None:
    part = a_slice(3, now=5.0)
    next(part.rows)
    next(part.rows)
    assert part.has_run(6.0) == 0.0
    assert part.has_run(6.5) == 0.5
    next(part.rows)
    assert part.has_run(7.0) == 0.0


def test_a_slice_that_no_event_of_has_started_has_not_run() -> None:
    part = a_slice(3, now=5.0)
    assert part.has_run(9.0) == 0.0


def test_an_event_goes_on_running_when_the_rest_is_split_off() -> None:
    part = a_slice(3, now=5.0)
    next(part.rows)
    part.split_off_rest(6.0)
    assert part.has_run(7.0) == 2.0


def test_an_event_that_is_first_seen_when_the_rest_is_split_off_runs_since_then() -> None:
    part = a_slice(3, now=5.0)
    next(part.rows)
    next(part.rows)
    part.split_off_rest(6.0)
    assert part.has_run(7.0) == 1.0
