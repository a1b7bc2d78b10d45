"""How many members or keys may have the same hash, read and written."""

from __future__ import annotations

import collections
import struct
import sys
from typing import Any

import msgpack
import pytest
from codec_values import quick

from pyro_events.codec import values as M
from pyro_events.codec.hash_limits import MAX_EQUAL_HASHES, MAX_EQUAL_NATIVE
from pyro_events.codec.message import decode, encode
from pyro_events.errors import UnsupportedTypeError
from tests import strange_classes as strange

pytestmark = pytest.mark.usefixtures("strange_tables")


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
    floats = [2.0 ** (exponent) for exponent in range(-1037, 1024, 61)]
    ints = [1 + k * (2**61 - 1) for k in range(9) if 1 + k * (2**61 - 1) < 2**64]
    most = max(collections.Counter(map(hash, [*floats, *ints, 2.0**-1074])).values())
    assert 30 < most <= MAX_EQUAL_NATIVE
    keys = dict.fromkeys([*floats, *ints, *(("x", str(k)) for k in range(90))])
    assert decode(encode(keys)) == keys
