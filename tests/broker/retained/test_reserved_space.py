"""What blocked calls may still add: as a list of their costs says."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyro_events.broker.retained.reserved_space import ReservedSpace

keys = st.sampled_from(["a", "b", "c"])
costs = st.integers(1, 5)


class SpaceMachine(RuleBasedStateMachine):
    """Space beside the costs of all calls of a subject since there was none."""

    def __init__(self) -> None:
        super().__init__()
        self.space = ReservedSpace()
        self.costs: dict[str, list[int]] = {}
        self.calls = dict.fromkeys("abc", 0)
        self.kept = dict.fromkeys("abc", 0)

    @rule(key=keys, cost=costs)
    def add(self, key: str, cost: int) -> None:
        self.space.add(key, cost, self.kept[key])
        self.costs.setdefault(key, []).append(cost)
        self.calls[key] += 1

    @rule(key=keys)
    def remove(self, key: str) -> None:
        if self.calls[key]:
            self.space.remove(key, self.kept[key])
            self.calls[key] -= 1
            if not self.calls[key]:
                del self.costs[key]

    @rule(key=keys, cost=st.integers(0, 5))
    def keep(self, key: str, cost: int) -> None:
        self.space.kept(key, self.kept[key], cost)
        self.kept[key] = cost

    @invariant()
    def it_is_what_may_come(self) -> None:
        most = {key: max(costs) for key, costs in self.costs.items()}
        assert [self.space.of(key) for key in "abc"] == [most.get(key, 0) for key in "abc"]
        assert self.space.subjects == sum(not self.kept[key] for key in most)
        assert self.space.bytes == sum(max(0, cost - self.kept[key]) for key, cost in most.items())


TestReservedSpace = SpaceMachine.TestCase
