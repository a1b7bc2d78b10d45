"""The bound of all backlogs together is a bound of memory: what is counted is what events really take."""

from __future__ import annotations

import functools
import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from pyro_events.broker.broker import Broker
from pyro_events.broker.publishing import Entry
from pyro_events.options import BacklogOptions, Overflow

MIB = 1 << 20
# Subscribers, subjects, a subject's beginning, and the bytes of a payload.
SHAPES = {
    "one subscriber, tiny": (1, 1, "A", 0),
    "one subscriber, small": (1, 20, "STOCKQUOTE.", 20),
    "one subscriber, large": (1, 3, "camera", 100_000),
    "many subjects": (1, 900, "LAB.SENSOR.", 8),
    "long subjects": (2, 400, "x" * 240, 8),
    "long subjects of two bytes a letter": (2, 400, "Ж" * 240, 8),
    "long subjects of four bytes a letter": (2, 400, "\U0001f321" * 240, 8),
    "two share": (2, 50, "STOCKQUOTE.", 20),
    "many share, tiny": (100, 50, "A", 0),
    "many share, large": (100, 3, "camera", 100_000),
}


def entry(number: int, subjects: int, prefix: str, size: int) -> Iterator[Entry]:
    """What comes from the wire: each event brings a subject and a payload of its own."""
    return iter([([f"{prefix}{number % subjects}"], bytes([number % 256]) * size)])


def used_broker(policy: str, shape: str) -> Broker:
    """A broker with what it keeps whatever waits: the cache of results, among it."""
    subscribers, subjects, prefix, size = SHAPES[shape]
    broker = Broker(BacklogOptions(100_000, 64 * MIB, Overflow(policy)), 1 << 30)
    backlogs = [broker.subscribe(f"s{number}", patterns=".*") for number in range(subscribers)]
    for number in range(2 * subjects):
        broker.publish(entry(number, subjects, prefix, size), 1.0)
        for backlog in backlogs:
            backlog.acknowledge(backlog.take(1_000, MIB))
    broker.take_ready()
    return broker


def publish(broker: Broker, shape: str, count: int) -> None:
    """One by one, as acknowledged publishes come."""
    _, subjects, prefix, size = SHAPES[shape]
    for number in range(count):
        broker.publish(entry(number, subjects, prefix, size), number / 7)


def take(broker: Broker) -> None:
    """Two batches for each subscriber."""
    for backlog in broker.backlogs():
        for _ in range(2):
            if len(backlog):
                backlog.take(1_000, 256 * 1024)


@functools.cache
def rehearse(policy: str) -> None:
    """Run all lines once: coverage takes memory for those that it has not met before."""
    for shape in ("one subscriber, small", "two share"):
        broker = used_broker(policy, shape)
        publish(broker, shape, 100)
        take(broker)


@pytest.mark.parametrize("policy", [policy.value for policy in Overflow])
@pytest.mark.parametrize("shape", SHAPES)
def test_events_take_no_more_than_they_count_for(policy: str, shape: str) -> None:
    rehearse(policy)
    subscribers, _, _, size = SHAPES[shape]
    count = max(10, min(400, 2 * MIB // max(1, size))) // (1 if subscribers < 3 else 4)
    # What these very events make Python allocate once, such as a larger table, is there before measuring.
    before = used_broker(policy, shape)
    publish(before, shape, count)
    take(before)
    del before
    broker = used_broker(policy, shape)
    gc.collect()
    gc.freeze()  # what is there already need not be looked through again
    tracemalloc.start()
    try:
        publish(broker, shape, count)
        assert_counted(broker, subscribers)
        take(broker)
        assert_counted(broker, subscribers)
    finally:
        tracemalloc.stop()


def assert_counted(broker: Broker, subscribers: int) -> None:
    """What has been allocated since tracing began is what the broker counts, or somewhat less."""
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    counted = broker.backlog_bytes
    # What does not grow with the events: a deque's first block, and what coverage notes meanwhile.
    assert taken <= counted * 1.05 + 1_500 * subscribers + 10_000, (
        f"{taken} bytes are taken, {counted} counted"
    )
    assert counted <= 3 * taken + 200_000, f"{taken} bytes are taken, {counted} counted"
