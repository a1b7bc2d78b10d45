"""Large payloads: two pieces are the same bytes, and only what ends a document is taken for one."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack.exceptions import BufferFull, OutOfData

from pyro_events.wire.large_payload import LargeDocument, SplitPayload, bytes_header


@pytest.mark.parametrize("before", [b"", b"\x92\x01"])
@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_two_pieces_are_one_document(before: bytes, kind: Any, size: int) -> None:
    body = kind(bytes(size))
    payload = SplitPayload(before, body)
    assert payload.body is body
    assert len(payload) == len(bytes(payload))
    assert msgpack.unpackb(bytes(payload)) == ([1, bytes(size)] if before else bytes(size))


def test_the_longest_way_to_announce_bytes() -> None:
    assert msgpack.unpackb(bytes_header(3) + b"abc") == b"abc"
    assert len(bytes_header(0)) == len(bytes_header((1 << 32) - 1)) == 5
    with pytest.raises(OverflowError):
        bytes_header(1 << 32)


@given(size=st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 200_000]), tail=st.sampled_from([b"", b"\x80"]))
def test_the_bytes_at_the_end_are_found_however_they_are_announced(size: int, tail: bytes) -> None:
    packed = msgpack.packb(["A", [7, "skipped"], bytes(size)]) + tail
    for data in (packed, memoryview(packed)):
        document = LargeDocument(data, 100)
        assert document.array() == 3
        assert document.value() == "A"
        document.skip()
        assert packed[document.position :] == msgpack.packb(bytes(size)) + tail
        body = document.body(tail)
        assert body == bytes(size)
        assert type(body) is type(data)


@pytest.mark.parametrize(
    ("packed", "end"),
    [
        (b"", b""),
        (b"\xc0", b""),
        (msgpack.packb("text"), b""),
        (msgpack.packb(bytes(9))[:-1], b""),
        (msgpack.packb(bytes(9)) + b"\x80", b""),
        (msgpack.packb(bytes(9)), b"\x80"),
        (msgpack.packb(bytes(9)) + b"\x81", b"\x80"),
        (msgpack.packb(bytes(9)) + b"\x80\x80", b"\x80"),
        (b"\xc4", b""),
        (b"\xc5\x00", b""),
        (b"\xc6\x00\x00\x00\x01", b""),
    ],
)
def test_anything_else_at_the_end(packed: bytes, end: bytes) -> None:
    assert LargeDocument(packed, 100).body(end) is None
    assert LargeDocument(memoryview(packed), 100).body(end) is None


def test_the_head_is_bounded() -> None:
    packed = msgpack.packb(["x" * 50, b""])
    assert LargeDocument(packed, len(packed) - 2).array() == 2
    for head in (0, 1, 20, len(packed) - 3):
        document = LargeDocument(packed, head)
        with pytest.raises((OutOfData, BufferFull)):
            assert document.array() == 2
            document.value()


def test_what_is_read_of_the_head_obeys_the_options() -> None:
    document = LargeDocument(msgpack.packb([{"a": 1}, b"x"]), 100, max_map_len=0)
    document.array()
    with pytest.raises(ValueError, match="exceeds"):
        document.value()
