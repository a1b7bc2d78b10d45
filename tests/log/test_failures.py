"""Which failures have been logged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.log.failures import Failures


def test_each_peer_and_reason_is_new_once() -> None:
    failures = Failures()
    seen = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"), ("b", "x")]
    assert [failures.is_new(*each) for each in seen] == [True, True, True, False, False]


def test_a_peer_that_has_recovered_is_new_again() -> None:
    failures = Failures()
    failures.is_new("a", "x")
    failures.is_new("b", "x")
    failures.remove("a")
    failures.remove("unknown")
    assert failures.is_new("a", "x") and not failures.is_new("b", "x")


def test_the_peer_that_failed_longest_ago_is_forgotten_first() -> None:
    failures = Failures(most=3)
    for peer in "abc":
        assert failures.is_new(peer, "x")
    assert not failures.is_new("a", "x")
    assert failures.is_new("d", "x")
    assert [failures.is_new(peer, "x") for peer in "acd"] == [False, False, False]
    assert failures.is_new("b", "x")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60))))
def test_memory_is_bounded(seen: list[tuple[int, int]]) -> None:
    failures = Failures(most=8)
    for peer, reason in seen:
        failures.is_new(str(peer), str(reason))
        assert not failures.is_new(str(peer), str(reason))
    assert len(failures._known) <= 8 and all(len(each) <= 16 for each in failures._known.values())
