"""The rows of a batch: what is read, and what costs nothing."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.constants import MIB
from pyro_events.wire.event_batch import _read_large, read_rows

LARGE = bytes(400_000)


def row(
    payload: bytes = b"p", subject: Any = "S", time: Any = 1.5, seq: Any = 7, missed: Any = 0
) -> list[Any]:
    return [subject, time, seq, missed, payload]


rows = st.lists(
    st.tuples(
        st.text(max_size=300),
        st.floats(allow_nan=False) | st.integers(-(2**63), 2**64 - 1),
        st.integers(-(2**63), 2**64 - 1),
        st.none() | st.booleans() | st.integers(0, 300),
        st.binary(max_size=300) | st.just(bytes(1000)),
    ),
    max_size=20,
)


@settings(max_examples=50)
@given(rows)
def test_every_batch_is_read_whatever_its_size(wanted: list[Any]) -> None:
    packed = msgpack.packb(wanted)
    assert read_rows(packed) == tuple(wanted)
    if wanted:
        assert _read_large(packed) == tuple(wanted)
        assert _read_large(memoryview(packed)) == tuple(wanted)


@settings(max_examples=50)
@given(rows, st.data())
def test_a_batch_cut_short_is_none(wanted: list[Any], data: st.DataObject) -> None:
    packed = msgpack.packb(wanted)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    assert read_rows(cut) is None
    with contextlib.suppress(IndexError, ValueError, msgpack.UnpackException):
        assert _read_large(cut) is None


@given(st.binary())
def test_any_bytes_are_a_batch_or_none(packed: bytes) -> None:
    assert isinstance(read_rows(packed), (tuple, type(None)))


def test_large_batches_of_many_and_of_one() -> None:
    many = [row() for _ in range(999)] + [row(LARGE)]
    assert read_rows(msgpack.packb(many)) == tuple(map(tuple, many))
    assert read_rows(memoryview(msgpack.packb([row(LARGE, "S" * 300)]))) == (tuple(row(LARGE, "S" * 300)),)


@pytest.mark.parametrize(
    "value",
    [
        [row(LARGE), row() + [1]],
        [row(LARGE), row()[:4]],
        [row(LARGE), 5],
        [row(LARGE, missed=[])],
        [row(LARGE, subject={})],
        [row(LARGE, seq=msgpack.ExtType(5, b"x"))],
        [row(LARGE, subject=b"S")],
        [row(LARGE, missed="x" * 70_000)],
        [row("text" * 200_000)],  # type: ignore[arg-type]
        [row()] * 1001 + [row(LARGE)],
        {"a": LARGE},
        LARGE,
        "text" * 200_000,
        [[]] * 400_000,
        [],
        [row(LARGE), row()],
        [row()] * 9_000,
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_what_is_large_by_anything_but_its_last_payload_is_none(value: Any) -> None:
    packed = msgpack.packb(value)
    assert not value or read_rows(packed) is None
    with contextlib.suppress(IndexError, ValueError, msgpack.UnpackException):
        assert _read_large(packed) is None


@pytest.mark.parametrize("value", [{"a": 1}, 5, "text", [{"a": 1}], [[{}]], [msgpack.ExtType(5, b"x")]])
def test_what_is_small_and_no_batch(value: Any) -> None:
    assert read_rows(msgpack.packb(value)) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xdc\x03\xe8" + (b"\xdc\x03\xe8" + b"\x91\x90" * 500) * 8000,
        b"\x91" + b"\x91\x90" * (4 * MIB),
        b"\xdc\x03\xe8" + b"\x95" * (8 * MIB),
        b"\x91\x95" + b"\xa1x\xcb" + bytes(8) + b"\x01\x95" + b"\x90" * (8 * MIB),
        b"\xdc\xff\xff" + b"\x95\xa0\x00\x00\x00\xc4\x00" * (MIB + MIB // 8),
    ],
    ids=range(5),
)
def test_little_is_built_of_what_is_large_and_hostile(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        assert read_rows(hostile) is None
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
