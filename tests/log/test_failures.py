"""Which failures have been logged."""

from __future__ import annotations

from pyro_events.log.failures import Failures


def test_each_peer_and_reason_is_new_once() -> None:
    failures = Failures()
    seen = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"), ("b", "x")]
    assert [failures.is_new(*each) for each in seen] == [True, True, True, False, False]


def test_what_was_seen_longest_ago_is_forgotten_first() -> None:
    failures = Failures(most=3)
    for peer in "abc":
        assert failures.is_new(peer, "x")
    assert not failures.is_new("a", "x")
    assert failures.is_new("d", "x")
    assert [failures.is_new(peer, "x") for peer in "acd"] == [False, False, False]
    assert failures.is_new("b", "x")
