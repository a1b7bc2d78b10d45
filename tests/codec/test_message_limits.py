"""What a whole message may cost: levels, equal hashes, time and memory, written and read."""

from __future__ import annotations

import collections
import struct
import sys
import tracemalloc
from typing import Any

import msgpack
import pytest
from codec_values import arrives, quick

from pyro_events.codec import depth as depth_module
from pyro_events.codec import message as message_module
from pyro_events.codec import values as M
from pyro_events.codec.hash_limits import MAX_EQUAL_HASHES
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.errors import PayloadError, UnsupportedTypeError
from tests import strange_classes as strange

pytestmark = pytest.mark.usefixtures("strange_tables")


def nested(depth: int, wrap: Any) -> Any:
    value = wrap(None)
    for _ in range(depth - 1):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, lambda v: ["x" * 5000, v]]
)
def test_depth(wrap: Any) -> None:
    arrives(nested(64, wrap))
    for depth in (65, 66, 500, 600, 900):
        with pytest.raises(UnsupportedTypeError, match="nested deeper than 64 levels"):
            encode(nested(depth, wrap))


@pytest.mark.parametrize(
    "opening", [b"\x91", b"\x81\x01", b"\x81\xa1a", b"\x92\xc7\x00\xfe", b"\xdd\x00\x00\x00\x01"]
)
def test_depth_when_reading(opening: bytes) -> None:
    assert decode(opening * 64 + b"\x01") is not None
    for depth in (65, 500, 1023, 1024, 1025, 5000, 200_000):
        with pytest.raises(PayloadError, match="nested deeper than 64"):
            decode(opening * depth + b"\x01")


def test_large_buffers_are_not_kept() -> None:
    for size in (2**20, 2**22):
        message_module._idle.clear()
        depth_module._idle.clear()
        arrives([bytes(size)])
        assert (len(message_module._idle), len(depth_module._idle)) == ((1, 1) if size == 2**20 else (0, 0))


def test_depth_of_half_surrogates_and_of_class_tags() -> None:
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode(nested(65, lambda v: ["\ud800", v]))
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode_plain(nested(33, lambda v: {"__class__": "x.Y", "v": v}))
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode_plain(nested(80, lambda v: {"v": v}))


def test_messages_that_contain_themselves_are_refused() -> None:
    by_list: list[Any] = []
    by_list += [by_list, by_list]
    by_dict: dict[str, Any] = {}
    by_dict["self"] = (by_dict,)
    for message in (by_list, by_dict):
        with pytest.raises(UnsupportedTypeError, match="contains itself"):
            encode(message)
        with pytest.raises(UnsupportedTypeError, match="contains itself"):
            encode_plain(message)


def test_equal_hashes_are_refused() -> None:
    period = sys.hash_info.modulus
    large = [[M.INT, (period * i).to_bytes(24, "little")] for i in range(1, 60_000)]
    same_hash = [[M.TUPLE, *(-1 - (i >> bit & 1) for bit in range(15))] for i in range(2**15)]
    for members in (large, same_hash):
        quick(msgpack.packb([M.SET, *members]), refused=True)
        quick(msgpack.packb([M.FROZENSET, *members]), refused=True)
    pairs = b"".join(msgpack.packb(member) + b"\xc0" for member in same_hash)
    quick(b"\xdf" + struct.pack(">I", len(same_hash)) + pairs, refused=True)


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys, collections.OrderedDict.fromkeys])
def test_equal_hashes_are_refused_where_they_are_written(kind: Any) -> None:
    few, many = ([1 << 61 * k for k in range(count)] for count in (MAX_EQUAL_HASHES, MAX_EQUAL_HASHES + 1))
    assert decode(encode([kind(few)])) == [kind(few)]
    for value in (kind(many), {"x": strange.PlainBox(kind(many))}):
        with pytest.raises(
            UnsupportedTypeError, match=r"'> at message.*; 65 of its members or keys have the same"
        ):
            encode([value])


def test_the_most_keys_of_msgpacks_own_with_one_hash() -> None:
    """These are not looked for when they are written, so the reader must take them all."""
    floats = [2.0**exponent for exponent in range(-1037, 1024, 61)]
    ints = [1 + k * (2**61 - 1) for k in range(9) if 1 + k * (2**61 - 1) < 2**64]
    keys = dict.fromkeys([*floats, *ints, *(("x", str(k)) for k in range(90))])
    assert decode(encode(keys)) == keys


def test_a_number_costs_what_its_bytes_cost() -> None:
    quick(msgpack.packb([M.INT, b"\x7f" * 4_000_000]))
    quick(msgpack.packb([M.DECIMAL, "9" * 1_000_000]))
    quick(msgpack.packb([M.SET, [M.DECIMAL, "1E+999999999"], 1, [M.FRACTION, 1, 3]]))
    quick(msgpack.packb([M.RANGE, 0, [M.INT, b"\x7f" * 1000], 1]))


def test_claimed_lengths_take_no_memory() -> None:
    many = struct.pack(">I", 2**31 - 1)
    claims = [b"\xdd" + many, b"\xdf" + many, b"\xc6" + many, b"\xdb" + many, b"\xc9" + many + b"\x05"]
    # A long payload in which every level claims to be as long as the payload.
    inner = b"".join(b"\xdd" + struct.pack(">I", 900_000) for _ in range(64))
    claims += [inner + bytes(1_000_000 - len(inner)), inner + bytes(3000), b"\xdc\x0f\xff" * 60 + bytes(3800)]
    for claim in claims:
        tracemalloc.start()
        try:
            with pytest.raises(PayloadError):
                decode(claim)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()
