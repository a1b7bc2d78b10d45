"""Which connections a subscriber's daemon may have."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.client.daemon.connection_limits import ConnectionLimits


def test_the_oldest_silent_connection_is_replaced() -> None:
    limits: ConnectionLimits[int] = ConnectionLimits(most=10, ungreeted=3, kept=2)
    assert [limits.add(number, "h") for number in range(5)] == [None, None, None, 0, 1]
    assert 0 not in limits and 4 in limits
    assert not limits.greet(0, True)  # it had to go
    assert limits.greet(2, False)
    assert list(limits) == [3, 4, 2]


def test_another_host_is_not_made_to_give_way() -> None:
    limits: ConnectionLimits[str] = ConnectionLimits(most=10, ungreeted=3, kept=2)
    limits.add("service", "10.0.0.1")
    gone = [limits.add(f"flood {number}", "10.0.0.2") for number in range(100)]
    assert "service" in limits and "service" not in gone
    assert limits.greet("service", True)


def test_some_places_are_kept_for_the_service() -> None:
    limits: ConnectionLimits[int] = ConnectionLimits(most=4, ungreeted=3, kept=2)
    for number in range(3):
        assert limits.add(number, "h") is None
        assert limits.greet(number, False) is (number < 2)
    limits.remove(2)
    for number in (3, 4):
        assert limits.add(number, "h") is None
        assert limits.greet(number, True)
    assert limits.add(5, "h") == 5  # all are taken, by connections in use
    limits.remove(0)
    assert limits.add(6, "h") is None and limits.greet(6, False)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["enter", "greet", "trust", "leave"]), st.integers(0, 40))),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 12),
)
def test_the_bounds_hold(steps: list[tuple[str, int]], most: int, ungreeted: int, kept: int) -> None:
    limits: ConnectionLimits[int] = ConnectionLimits(most, ungreeted, kept)
    waiting: set[int] = set()
    inside: dict[int, bool] = {}
    for step, number in steps:
        if step == "enter" and number not in limits:
            gone = limits.add(number, f"host {number % 3}")
            waiting.add(number)
            waiting.discard(gone if gone is not None else -1)
        elif step in ("greet", "trust") and number not in inside:
            trusted = step == "trust"
            if limits.greet(number, trusted):
                waiting.remove(number)
                inside[number] = trusted
        elif step == "leave":
            limits.remove(number)
            waiting.discard(number)
            inside.pop(number, None)
        assert set(limits) == waiting | set(inside)
        assert len(limits) <= most and len(waiting) <= ungreeted
        assert sum(not trusted for trusted in inside.values()) <= max(0, most - kept)
