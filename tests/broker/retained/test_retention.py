"""The retained events of one call: kept when their entry is accepted, and never too many."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.broker.accounting import TotalBytes
from pyro_events.broker.retained.kept_event import kept_size
from pyro_events.broker.retained.retention import Retention
from pyro_events.broker.retained.store import Entry, RetainedEvents

ONE = kept_size("a", "a", b"")


@pytest.fixture
def store() -> RetainedEvents:
    return RetainedEvents(3, 3 * ONE, TotalBytes())


def kept(store: RetainedEvents) -> list[tuple[Any, ...]]:
    rows = [event.row(0) for event in store.snapshot(["a", "b", "c", "d"])]
    return [(row[0], row[1], row[4]) for row in rows]


def begun(store: RetainedEvents, *names: str, time: float = 5.0) -> tuple[Retention, Any]:
    """A call with an entry for each name; those in lower case are retained."""
    entries: list[Entry] = [([name], b"") for name in names]
    retained = [position for position, name in enumerate(names) if name.islower()]
    return Retention(store, entries, retained, time), iter(entries)


def test_what_is_accepted_is_kept(store: RetainedEvents) -> None:
    retention, rest = begun(store, "a", "X", "b", "c")
    retention.accepted(rest)
    assert kept(store) == []
    next(rest)
    retention.accepted(rest)
    assert kept(store) == [("a", 5.0, b"")]
    next(rest)
    retention.accepted(rest)
    assert len(store) == 1
    list(rest)
    retention.accepted(rest)
    assert [name for name, _, _ in kept(store)] == ["a", "b", "c"]


def test_a_call_that_waits_keeps_its_space(store: RetainedEvents) -> None:
    waiting, rest = begun(store, "a", "b", "c")
    next(rest)
    waiting.accepted(rest)
    begun(store, "a")  # there is one already
    with pytest.raises(ValueError, match="--max-retained"):
        begun(store, "d")
    list(rest)
    waiting.accepted(rest)
    assert len(store) == 3
    store.clear(["a"])
    begun(store, "d")


@pytest.mark.parametrize("smaller", [False, True])
def test_a_call_that_waits_keeps_the_space_of_what_it_replaces(smaller: bool) -> None:
    store = RetainedEvents(2, 2 * ONE + 500, TotalBytes())
    store.put("a", 1.0, b"x" * 500)
    entries: list[Entry] = [(["a"], b"x" * 500)]
    waiting, rest = Retention(store, entries, [0], 5.0), iter(entries)
    waiting.accepted(rest)
    if smaller:
        store.put("A", 2.0, b"")
    else:
        store.clear(["a"])
    begun(store, "b")
    with pytest.raises(ValueError, match="--max-retained-bytes"):
        Retention(store, [(["b"], b"x")], [0], 6.0)
    with pytest.raises(ValueError, match="at most 2 subjects"):
        begun(store, "b", "c")
    list(rest)
    waiting.accepted(rest)
    assert kept(store) == [("a", 5.0, b"x" * 500)]
    store.clear(["a"])
    begun(store, "b", "c")


def test_a_call_that_is_abandoned_gives_its_space_back(store: RetainedEvents) -> None:
    waiting, rest = begun(store, "a", "b", "c")
    waiting.accepted(rest)
    waiting.abandon()
    another, _ = begun(store, "d")
    another.abandon()
    waiting.accepted(iter(()))  # it keeps nothing any more
    assert len(store) == 0


def test_too_many_are_refused_before_anything_is_kept(store: RetainedEvents) -> None:
    with pytest.raises(ValueError, match="at most 3 subjects.*--max-retained"):
        begun(store, "a", "b", "c", "d")
    begun(store, "a", "b", "c")
    assert len(store) == 0


def test_what_another_call_has_accepted_since_is_replaced(store: RetainedEvents) -> None:
    """The last that was accepted is what those have got last that were there all the time."""
    waiting, rest = begun(store, "a", time=5.0)
    waiting.accepted(rest)
    store.put("A", 6.0, b"")
    list(rest)
    waiting.accepted(rest)
    assert kept(store) == [("a", 5.0, b"")]
