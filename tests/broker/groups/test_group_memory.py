"""What waits for a group counts as much memory as it takes, plain and sorted by who may get it."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from pyro_events.broker.broker import Broker
from pyro_events.broker.groups.distribution import Room, distribute
from pyro_events.options import BacklogOptions, Overflow

MIB = 1 << 20
# How many subjects, their beginning, and the bytes of a payload.
SHAPES = {
    "tiny": (1, "A", 0),
    "many subjects": (900, "LAB.SENSOR.", 8),
    "long subjects": (400, "Ж" * 240, 8),
    "large": (3, "camera", 100_000),
}


def filled(policy: str, shape: str, alike: bool, count: int) -> Broker:
    """A broker whose group has had so many events before, and has none now."""
    broker = Broker(BacklogOptions(100_000, 64 * MIB, Overflow(policy)), 1 << 30)
    broker.subscribe("s1", patterns=".*", group="g")
    broker.subscribe("s2", patterns=".*" if alike else "no such subject", group="g")
    publish(broker, shape, count)
    for _ in range(count):
        give(broker)
    return broker


def publish(broker: Broker, shape: str, count: int) -> None:
    subjects, prefix, size = SHAPES[shape]
    for number in range(count):
        broker.publish(iter([([f"{prefix}{number % subjects}"], bytes([number % 256]) * size)]), number / 7)


def give(broker: Broker) -> None:
    """One event to a member, which acknowledges it."""
    [group] = broker.groups
    for backlog in group.members:
        group.offer(backlog)
    for backlog in distribute(group, lambda backlog: Room(1, 1)):
        backlog.acknowledge(backlog.take(1, MIB))


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("policy", ["block", "latest"])
@pytest.mark.parametrize("shape", SHAPES)
def test_events_of_a_group_take_no_more_than_they_count_for(policy: str, shape: str, alike: bool) -> None:
    count = 15 if shape == "large" else 400
    filled(policy, shape, alike, count)  # what Python allocates once is there before measuring
    broker = filled(policy, shape, alike, count)
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        publish(broker, shape, count)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    counted = broker.backlog_bytes
    assert taken <= counted * 1.05 + 15_000, f"{taken} bytes are taken, {counted} counted"
    assert counted <= 3 * taken + 200_000, f"{taken} bytes are taken, {counted} counted"
    while broker.backlog_bytes:
        give(broker)
