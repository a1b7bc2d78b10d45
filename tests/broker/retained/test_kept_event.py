"""A retained event: its row, what it counts for, and for whom while several hold it."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from pyro_events.broker.accounting import TotalBytes
from pyro_events.broker.retained.kept_event import KeptEvent, kept_size
from pyro_events.broker.retained.store import RetainedEvents

MIB = 1 << 20


def test_a_row_says_that_it_is_retained() -> None:
    event = KeptEvent("A.b", "a.b", 5.5, b"payload", 3)
    assert event.row(7) == ("A.b", 5.5, 7, 0, b"payload", True)
    assert event.cost == kept_size("A.b", "a.b", b"payload") > len(b"payload")


def test_it_counts_for_the_total_when_only_replays_hold_it() -> None:
    total = TotalBytes()
    event = KeptEvent("A", "a", 1.0, b"p" * 100, 1)
    event.hold()
    event.hold()
    assert total.value == 0
    event.discard(total)
    assert total.value == event.cost
    event.release(total)
    assert total.value == event.cost
    event.release(total)
    assert total.value == 0


def test_it_counts_for_nothing_there_as_long_as_it_is_stored() -> None:
    total = TotalBytes()
    event = KeptEvent("A", "a", 1.0, b"", 1)
    event.hold()
    event.release(total)
    event.discard(total)
    assert total.value == 0


@pytest.mark.parametrize("subject", ["LAB.SENSOR.{}", "x" * 200 + "{}", "Ж" * 200 + "{}", "lab.{}"])
@pytest.mark.parametrize("size", [0, 20, 2000])
def test_last_values_take_no_more_than_they_count_for(subject: str, size: int) -> None:
    """Each brings a subject and a payload of its own, as from the wire."""
    count = 1000
    store = RetainedEvents(count, 64 * MIB, TotalBytes())
    for number in range(10):  # whatever is only allocated once
        store.put(subject.format(number), 1.0, bytes([number]) * size)
    store.clear([subject.format(number) for number in range(10)])
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(count):
            store.put(subject.format(number), number / 7, bytes([number % 256]) * size)
        for number in range(count // 2):
            store.put(subject.format(number).swapcase(), number / 7, bytes([number % 256]) * size)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= store.bytes < 2.5 * taken
