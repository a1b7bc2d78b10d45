"""Packing: used again, a packer gives what a new one would, also after a failure and from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.version import is_compiled
from pyro_events.wire import msgpack_pool
from pyro_events.wire.msgpack_pool import pack

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(value=values)
def test_a_value_is_packed_as_by_a_new_packer(value: Any) -> None:
    assert pack(value) == msgpack.packb(value)


@pytest.mark.parametrize("value", [object(), ["x" * 100, object()], {"key": {1, 2}}, "\ud800", 2**64])
def test_nothing_is_left_of_a_value_that_cannot_be_packed(value: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        pack(value)
    assert pack([1, "two"]) == msgpack.packb([1, "two"])


def test_a_packer_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    idle: list[Any] = []
    monkeypatch.setattr(msgpack_pool, "_idle", idle)
    pack(1)
    [packer] = idle
    pack("two")
    assert idle == [packer]


def test_a_packer_with_a_large_buffer_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    idle: list[Any] = []
    monkeypatch.setattr(msgpack_pool, "_idle", idle)
    large = bytes(msgpack_pool._KEEP_BUFFER)
    assert pack(large) == msgpack.packb(large)
    assert idle == []


def test_threads_do_not_share_a_packer() -> None:
    def work(number: int) -> bool:
        value = [number, "x" * number, {"number": number}]
        return all(pack(value) == msgpack.packb(value) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(20)))


@pytest.mark.skipif(is_compiled(), reason="a signal's handler cannot run in the middle of compiled code")
def test_what_a_signals_handler_raises_is_not_taken_for_an_empty_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted:
        def pop(self) -> None:
            raise IndexError("mine")

    monkeypatch.setattr(msgpack_pool, "_idle", Interrupted())
    with pytest.raises(IndexError, match="mine"):
        pack(1)
