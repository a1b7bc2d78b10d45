"""What subscriptions are counted as taking, beside what they take."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from pyro_events.broker.accounting import Loss
from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.subscriptions.memory import (
    SubscriptionMemory,
    name_bytes,
    pattern_bytes,
    subscriber_bytes,
)
from pyro_events.options import BacklogOptions


def broker_with(total: int = 1 << 30, owner: int = 1 << 30) -> Broker:
    return Broker(BacklogOptions(), 1 << 20, subscription_bytes=total, owner_bytes=owner)


def counted(broker: Broker) -> int:
    return broker.statistics(0.0).subscription_bytes


@pytest.mark.parametrize(
    "name",
    [
        lambda number: f"LAB.SENSOR{number}",
        lambda number: f"lab.sensor{number}".ljust(255, "x"),
        lambda number: f"\N{GRINNING FACE}{number}".ljust(255, "É"),
    ],
    ids=["short", "long", "wide"],
)
def test_names_take_about_what_they_count_for(name: Callable[[int], str]) -> None:
    """More is counted than Python's allocator tells, because dictionaries grow in leaps."""
    broker = broker_with()
    broker.subscribe("PYRO:warm@h:1", "warm")
    before = counted(broker)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3000):
            broker.subscribe("PYRO:x@h:1", name(number))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < counted(broker) - before < 2 * taken


def test_what_is_counted_goes_when_it_goes() -> None:
    broker = broker_with()
    broker.subscribe("PYRO:x@h:1", ["A", "É"], ["^a", "^b"], owner="h")
    backlog = broker.subscribe("PYRO:x@h:1", ["A", "a"], "^a")  # nothing new
    expected = subscriber_bytes("PYRO:x@h:1") + name_bytes("A", "a") + name_bytes("É", "é")
    expected += sum(pattern_bytes(text, compile_pattern(text).program_size) for text in ("^a", "^b"))
    assert counted(broker) == expected
    broker.unsubscribe("PYRO:x@h:1", ["É", "^b"])
    assert counted(broker) < expected
    broker.unsubscribe("PYRO:x@h:1", ["a", "^a", "not there"])
    assert counted(broker) == subscriber_bytes("PYRO:x@h:1")
    broker.remove(backlog, Loss.GONE)
    assert counted(broker) == 0


def test_a_name_that_is_folded_already_is_counted_once() -> None:
    assert name_bytes("a" * 100, "a" * 100) > name_bytes(name := "a" * 100, name)


def test_one_owner_has_its_bound() -> None:
    broker = broker_with(owner=100_000)
    with pytest.raises(
        ValueError, match="10.0.0.1 would take over 100000 bytes .* --host-subscription-bytes"
    ):
        for number in range(1000):
            broker.subscribe(f"PYRO:x{number % 3}@h:1", f"{number}", owner="10.0.0.1")
    before = counted(broker)
    assert 90_000 < before <= 100_000
    with pytest.raises(ValueError, match="10.0.0.1"):  # the owner that adds to it
        broker.subscribe("PYRO:x0@h:1", "x" * 250, "y" * 250, owner="10.0.0.2")
    with pytest.raises(ValueError, match="10.0.0.1"):
        broker.subscribe("PYRO:new@h:1", "new", owner="10.0.0.1")
    assert broker.find("PYRO:new@h:1") is None
    assert counted(broker) == before
    broker.subscribe("PYRO:x0@h:1", "0", owner="10.0.0.1")  # which it has
    broker.subscribe("PYRO:y@h:1", "new", owner="10.0.0.2")


def test_all_have_a_bound_together() -> None:
    broker = broker_with(total=100_000)
    with pytest.raises(ValueError, match="over 100000 bytes .* --total-subscription-bytes"):
        for number in range(1000):
            broker.subscribe(f"PYRO:x{number}@h:1", "A", owner=f"10.0.0.{number}")
    assert counted(broker) <= 100_000


def test_an_owner_is_not_named_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="of one host"):
        broker_with(owner=1000).subscribe("PYRO:x@h:1", "A")


def test_what_a_subscriber_takes_can_be_asked() -> None:
    memory: SubscriptionMemory[str] = SubscriptionMemory(1000, 1000)
    memory.note("x", "owner", 300)
    assert (memory.size("x"), memory.size("y")) == (300, 0)
