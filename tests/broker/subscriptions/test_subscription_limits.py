"""How much a subscriber may be subscribed to, and that nothing changes by asking."""

from __future__ import annotations

import pytest

from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.subscriptions.memory import subscriber_bytes
from pyro_events.broker.subscriptions.subscription_limits import SubscriptionLimits

URI = "PYRO:s@h:1"
PROGRAM = compile_pattern("^a").program_size


class Table:
    """A routing table and its limits."""

    def __init__(
        self, subscriptions: int = 3, programs: int = 1000, total: int = 1 << 20, of_one: int = 1 << 20
    ) -> None:
        self.routing: RoutingTable[str] = RoutingTable()
        self.limits = SubscriptionLimits(self.routing, subscriptions, programs, total, of_one)

    def add(self, *names: str, target: str = "s", owner: str = "h") -> None:
        self.limits.check(target, URI, list(names), [], owner)
        for name in names:
            self.routing.add_name(name, target)
        self.limits.note(target, URI, owner)


def test_so_many_subscriptions_and_no_more() -> None:
    table = Table(subscriptions=3)
    table.add("a", "b")
    table.add("A", "c")  # one of them is there already
    with pytest.raises(ValueError, match="at most 3 subscriptions.*make 4"):
        table.add("d")
    assert table.routing.count("s") == 3
    table.add("d", target="other")


def test_patterns_that_cost_too_much_together_are_not_all_compiled() -> None:
    limits = Table(programs=2 * PROGRAM).limits
    assert [pattern.text for pattern in limits.compiled(["^a", "^b", "^a"])] == ["^a", "^b"]
    with pytest.raises(ValueError, match="program size"):
        limits.compiled(["^a", "^b", "^c", "("])  # the last one would be refused for another reason


def test_a_pattern_that_somebody_has_is_not_compiled_again() -> None:
    table = Table(programs=PROGRAM)
    known = compile_pattern("^a")
    table.routing.add_pattern(known, "other")
    found = table.limits.compiled(["^a", "^b"])
    assert found[0] is known
    with pytest.raises(ValueError, match="program size"):
        table.limits.check("s", URI, [], found, "h")
    table.limits.check("s", URI, [], found[:1], "h")


def test_memory_counts_to_the_owner_until_the_subscriber_is_gone() -> None:
    table = Table(of_one=3 * subscriber_bytes(URI))
    table.add("a", target="one")
    table.add("a", target="two")
    with pytest.raises(ValueError, match="host-subscription-bytes"):
        table.add("a", target="three")
    table.add("a", target="three", owner="elsewhere")
    table.routing.remove_target("one")
    table.limits.forget("one")
    table.add("a", target="four")


def test_what_all_take_is_what_is_there() -> None:
    table = Table()
    assert table.limits.bytes == 0
    table.add("a")
    first = table.limits.bytes
    assert first == subscriber_bytes(URI) + table.routing.memory("s")
    table.add("b")
    assert table.limits.bytes > first
    table.routing.remove("b", "s")
    table.limits.note("s", URI)
    assert table.limits.bytes == first
    table.routing.remove_target("s")
    table.limits.forget("s")
    assert table.limits.bytes == 0
