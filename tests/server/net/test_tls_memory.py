"""TlsMemory: what connections hold is counted, here and in the service's total."""

from __future__ import annotations

from pyro_events.server.net.tls_memory import COST, TlsMemory


def test_what_is_held_counts_towards_the_total_until_it_is_given_back() -> None:
    total: list[int] = []
    memory = TlsMemory(memoryview(bytearray(100_000)), 2 * COST, total.append)
    for _ in range(2):
        memory.reserve(COST)
        assert not memory.full
    memory.reserve(1)
    assert memory.full
    memory.reserve(-COST)
    assert not memory.full
    assert total == [COST, COST, 1, -COST]


def test_all_receive_into_the_space_that_they_share() -> None:
    space = memoryview(bytearray(100_000))
    memory = TlsMemory(space, COST, lambda size: None)
    memory.received[:4] = b"data"
    assert bytes(space[:4]) == b"data"
    assert 16 * 1024 < len(memory.received) < len(space)  # a record of TLS, and its header
