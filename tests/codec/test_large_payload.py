"""Large payloads: a message in two pieces is the same payload, and the same message for every reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events import Event, PayloadError, UnsupportedTypeError
from pyro_events.client.publishing.entry import checked_entry
from pyro_events.codec.message import decode, encode, encode_shared
from pyro_events.constants import LARGE
from pyro_events.wire.large_payload import SplitPayload
from pyro_events.wire.requests import packed_publish

ARRAYS = {
    "float32": np.arange(200_000, dtype=np.float32).reshape(400, 500),
    "another byte order": np.arange(50_000, dtype=">i4"),
    "in the order of Fortran": np.asfortranarray(np.arange(40_000.0).reshape(200, 200)),
    "every second of another": np.arange(100_000.0)[::2],
    "without dimensions": np.full((), "x" * 50_000),
    "times": np.arange(20_000).astype("M8[us]"),
    "a structure": np.zeros(10_000, dtype=[("name", "S4"), ("at", "<f8", (2,))]),
    "hundreds of fields": np.zeros(200, dtype=[(f"a field of the number {n}", "<f8") for n in range(300)]),
    "records": np.zeros(9000, dtype=[("name", "U5"), ("value", "<f8")]).view(np.recarray),
    "truths": np.ones(100_000, dtype=bool),
}


@pytest.fixture(autouse=True)
def numpy_is_known() -> None:
    encode([np.zeros(1), np.zeros(1).view(np.recarray)])


@settings(deadline=None, max_examples=30)
@given(size=st.integers(LARGE - 2, LARGE + 100), seed=st.binary(min_size=1, max_size=8))
def test_bytes(size: int, seed: bytes) -> None:
    message = (seed * size)[:size]
    payload = encode_shared(message)
    assert isinstance(payload, SplitPayload) == (size > LARGE)
    assert bytes(payload) == encode(message)
    assert len(payload) == len(bytes(payload))
    assert decode(bytes(payload)) == decode(memoryview(bytes(payload))) == message
    assert type(decode(memoryview(bytes(payload)))) is bytes


FLAT = ["\ud800", "ä", "a", b"\x91", b"\xde", b"\xc6", b"\xff"]


@pytest.mark.parametrize("part", FLAT, ids=ascii)
@pytest.mark.parametrize("size", [60, 64, 65, 255, 256, 3000, 0xFFFF, 0x10000, 2 * LARGE])
def test_bytes_and_texts_of_any_content(part: Any, size: int) -> None:
    """Their content is not looked at: it may look like thousands of lists."""
    message = part * size
    payload = encode(message)
    for received in (payload, memoryview(payload)):
        assert decode(received) == message
    for wrong in (payload + b"\0", payload[:-1], payload[:65], payload + payload):
        if wrong != payload:
            for received in (wrong, memoryview(wrong)):
                with pytest.raises(PayloadError):
                    decode(received)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays(array: Any) -> None:
    payload = encode_shared(array)
    assert isinstance(payload, SplitPayload)
    assert len(payload) > LARGE
    received = bytearray(bytes(payload))
    assert received == encode(array)
    found = decode(memoryview(received))
    received[:] = bytes(len(received))  # the memory is used again
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert np.array_equal(found, array)
    assert found.flags.writeable


def test_nothing_is_copied_that_need_not_be() -> None:
    message = bytes(LARGE + 1)
    payload = encode_shared(message)
    assert isinstance(payload, SplitPayload)
    assert payload.body is message
    array = np.zeros((300, 300))
    payload = encode_shared(array)
    assert isinstance(payload, SplitPayload)
    assert np.shares_memory(np.frombuffer(payload.body, np.float64), array)


@pytest.mark.parametrize("message", [bytes(LARGE), np.zeros(100), [bytes(2 * LARGE)], "x" * 2 * LARGE, None])
def test_everything_else_is_one_piece(message: Any) -> None:
    assert encode_shared(message) == encode(message)


def test_an_array_that_cannot_be_carried() -> None:
    with pytest.raises(UnsupportedTypeError, match="its dtype is object"):
        encode_shared(np.full(100_000, None))


def nested(depth: int) -> np.dtype[Any]:
    dtype: Any = np.dtype("<f8")
    for _ in range(depth):
        dtype = np.dtype([("in", dtype)])
    return np.dtype(dtype)


def test_depth_is_bounded_as_in_any_message() -> None:
    assert decode(bytes(encode_shared(np.zeros(20_000, nested(10))))).shape == (20_000,)
    for encoding in (encode, encode_shared):
        with pytest.raises(UnsupportedTypeError, match="nested deeper than 64"):
            encoding(np.zeros(20_000, nested(40)))


def test_the_call_that_publishes_a_block() -> None:
    message = bytes(2 * LARGE)
    pieces = packed_publish([checked_entry(["a", "b"], encode_shared(message))[0]])
    assert b"".join(pieces) == b"".join(packed_publish([checked_entry(["a", "b"], encode(message))[0]]))
    assert any(piece is message for piece in pieces)


GOOD = bytes(encode_shared(np.zeros(20_000)))


@pytest.mark.parametrize(
    "payload",
    [
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"\xcd\x4e\x20", b"\xcd\x4e\x21"),  # one more than there are
        GOOD.replace(b"<f8", b"|O8"),
        GOOD.replace(b"<f8", b"<q8"),
        GOOD.replace(b"\xa3<f8", b"\xc0\xc0\xc0\xc0"),
        GOOD[:4] + b"\xc1" * (len(GOOD) - 4),
        GOOD[:4] + b"\x91" * (len(GOOD) - 4),
        b"\xc6" + (LARGE + 5).to_bytes(4, "big") + bytes(LARGE + 4),
        b"\xc6" + (LARGE + 3).to_bytes(4, "big") + bytes(LARGE + 4),
    ],
)
def test_what_is_none_is_an_error(payload: bytes) -> None:
    for received in (payload, memoryview(payload)):
        with pytest.raises(PayloadError):
            decode(received)


def test_an_event_keeps_a_view_until_its_payload_is_asked_for() -> None:
    payload = bytes(encode_shared(bytes(2 * LARGE)))
    event = Event.from_payload("x", 1.0, 1, 0, memoryview(payload))
    assert event.msg == bytes(2 * LARGE)
    assert type(event.payload) is bytes
    assert event.payload == payload
    assert event.payload is event.payload
    assert Event.from_payload("x", 1.0, 1, 0, memoryview(payload)) == event
