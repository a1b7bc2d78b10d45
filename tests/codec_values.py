"""Values for tests of the codec, and how two of them are compared.

Knows: values and types. Must not know: bytes.
"""

from __future__ import annotations

import collections
import datetime as dt
import math
import struct
import time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down; nan is the same as nan, -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, Decimal):
        return repr(one) == repr(other)
    if isinstance(one, (list, tuple, collections.deque)):
        lengths = getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return lengths and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    if isinstance(one, (dt.datetime, dt.time)):
        return (
            one.replace(tzinfo=None, fold=0) == other.replace(tzinfo=None, fold=0)
            and one.fold == other.fold
            and same(one.tzinfo, other.tzinfo)
        )
    if isinstance(one, ZoneInfo):
        return one.key == other.key
    if isinstance(one, dt.timezone):
        return one == other and one.tzname(None) == other.tzname(None)
    return bool(one == other)


def arrives(value: Any) -> None:
    """Check that a value arrives equal in value and type."""
    back = decode(encode(value))
    assert same(value, back), (value, back)


class Odd:
    def __init__(self) -> None:
        self.x = 1


def quick(payload: bytes, refused: bool = False) -> None:
    began = time.perf_counter()
    if refused:
        with pytest.raises(PayloadError):
            decode(payload)
    else:
        decode(payload)
    assert time.perf_counter() - began < 10  # minutes, if the cost were quadratic
