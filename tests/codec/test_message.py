"""The codec: everything in the list arrives equal in value and type, and no bytes do harm."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import math
import os
import pathlib
import sqlite3
import struct
import sys
import threading
import time
import traceback
import tracemalloc
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import Pyro5.errors
import pytest
import serpent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.serializers import JsonSerializer, MsgpackSerializer

from pyro_events.codec import depth as depth_module
from pyro_events.codec import message as message_module
from pyro_events.codec import refusal, values
from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.errors import PayloadError, ServiceNotFoundError, UnsupportedTypeError

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

ZONES = [ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York"), ZoneInfo("UTC")]


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
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
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
    back = decode(encode(value))
    assert same(value, back), (value, back)


text = st.text(st.characters())  # half surrogate pairs included
offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))
fixed_zones = st.builds(dt.timezone, offsets) | st.builds(dt.timezone, offsets, st.text(max_size=5))
zones = st.none() | st.sampled_from(ZONES) | fixed_zones
folds = st.sampled_from([0, 1])
any_datetime = st.builds(
    lambda value, fold, zone: value.replace(fold=fold, tzinfo=zone), st.datetimes(), folds, zones
)
any_time = st.builds(
    lambda value, fold, zone: value.replace(fold=fold, tzinfo=zone), st.times(), folds, zones
)
paths = st.builds(pathlib.PurePosixPath, text) | st.builds(pathlib.PureWindowsPath, text)
ints = st.integers() | st.integers(-(2**64) - 2, 2**64 + 2) | st.integers(-(2**200), 2**200)
decimals = st.decimals() | st.sampled_from(
    [Decimal("sNaN"), Decimal("-NaN12"), Decimal("1E+999999"), Decimal("-0E-7"), Decimal("1.10")]
)
hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    ints,
    st.floats(),
    st.complex_numbers(allow_nan=False),
    text,
    st.binary(),
    any_datetime.filter(lambda value: dt.MINYEAR < value.year < dt.MAXYEAR),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.builds(range, ints, ints, st.integers(1) | st.integers(max_value=-1)),
    paths,
)
leaves = hashable_leaves | any_datetime | any_time | decimals | st.complex_numbers() | fixed_zones
hashables = st.recursive(
    hashable_leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
messages = st.recursive(
    leaves | st.sets(hashables, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashables, inner, max_size=5),
    ),
    max_leaves=15,
)
slow = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(messages)
def test_any_message_arrives_equal_in_value_and_type(message: Any) -> None:
    arrives(message)


@slow
@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_a_payload_error(payload: bytes) -> None:
    try:
        decode(payload)
    except PayloadError as error:
        assert str(error)


@slow
@given(messages, st.data())
def test_damaged_payloads_give_a_value_or_a_payload_error(message: Any, data: st.DataObject) -> None:
    payload = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload)))
        kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
        new = data.draw(
            st.binary(min_size=1, max_size=3) | st.sampled_from([b"\xc7\x00\xfd", b"\xc7\x00\xf3"])
        )
        payload[at : at + {"set": len(new), "cut": 9, "insert": 0}[kind]] = b"" if kind == "cut" else new
    try:
        decode(bytes(payload))
    except PayloadError as error:
        assert str(error)


marker_codes = st.sampled_from(sorted(values.MARKS))
raw_leaves = st.one_of(
    st.none(), st.integers(-3, 40), st.floats(), st.text(max_size=4), st.binary(max_size=17)
)
raw_leaves |= st.sampled_from(
    ["builtins.ValueError", "Pyro5.core.URI", "<f4", "__class__", "state", "args", 2**63]
)


def tagged(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    marked = st.builds(
        lambda code, parts: [values.MARKS[code], *parts], marker_codes, st.lists(inner, max_size=4)
    )
    return marked | st.dictionaries(raw_leaves, inner, max_size=3) | st.lists(inner, max_size=3)


@settings(slow, max_examples=600)
@given(st.recursive(raw_leaves, tagged, max_leaves=8))
def test_any_sequence_of_markers_gives_a_value_or_a_payload_error(document: Any) -> None:
    try:
        decode(msgpack.packb(document))
    except PayloadError as error:
        assert str(error)


@pytest.mark.parametrize(
    "value",
    [
        ("SUN", 22.44),
        (),
        [],
        {},
        set(),
        frozenset(),
        [[]],
        [()],
        -0.0,
        2**64,
        -(2**63) - 1,
        10**4000,
        {True: 1, 2: "x", 2.5: None, "a": b"", None: 0, (1, (2, frozenset({3}))): [1]},
        {b"k": 1, "k": 2},
        {"z": 1, "a": 2, "m": 3},
        "\ud800",
        {"\udfff": ["\udfff" * 40]},
        Decimal("sNaN123"),
        [ExtType(5, b"x"), 1, Timestamp(3, 4)],
        [ExtType(0, b"")],
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZONES[0], fold=1),
        dt.datetime(2024, 10, 27, 2, 30, fold=1),
        dt.timezone(dt.timedelta(hours=1), "CET"),
        dt.timezone.utc,
        ZONES[1],
        pathlib.Path("/tmp/x"),
        range(0, 10**30, 7),
        {i: str(i) for i in range(5000)},
        {(x, y) for x in range(-40, 40) for y in range(-3, 3)},
        {complex(x, y): x for x in range(-9, 9) for y in range(-9, 9)},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_chosen_values(value: Any) -> None:
    arrives(value)


def test_named_utc_stays_the_singleton() -> None:
    assert decode(encode(dt.timezone.utc)) is dt.timezone.utc


def test_bytearray_and_memoryview_arrive_as_bytes() -> None:
    assert decode(encode([bytearray(b"ab"), memoryview(b"cd")])) == [b"ab", b"cd"]
    with pytest.raises(UnsupportedTypeError, match=r"<class 'memoryview'> at message\[0\]"):
        encode([memoryview(b"abcdef")[::2]])


def test_a_list_is_never_taken_for_a_tagged_array() -> None:
    with pytest.raises(ValueError):
        ExtType(-2, b"")
    for code in (0, 2, 126, 127):
        arrives([ExtType(code, b""), 1])


def test_a_marker_in_another_place_stays_a_harmless_value() -> None:
    assert decode(msgpack.packb([1, values.TUPLE])) == [1, (-2, b"")]
    assert decode(msgpack.packb(values.TUPLE)) == (-2, b"")


def test_a_path_of_another_platform_arrives_pure() -> None:
    foreign = 3 if os.name != "nt" else 2
    back = decode(msgpack.packb([values.PATH, foreign, "x/y"]))
    assert type(back) is (pathlib.PureWindowsPath if os.name != "nt" else pathlib.PurePosixPath)


class Odd:
    def __init__(self) -> None:
        self.x = 1


class Name(str):
    pass


class Colour(enum.IntEnum):
    RED = 1


class OddZone(dt.tzinfo):
    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(0)


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (Odd(), "message"),
        ([1, 2, {"price": Odd()}], r"message\[2\]\['price'\]"),
        (({1, 2}, [{"a": (Odd(),)}]), r"message\[1\]\[0\]\['a'\]\[0\]"),
        ({(1, Odd()): 1}, r"\[1\] of a key of message|a key of message\[1\]"),
        ([{"a": 1}, {1: 2}, Odd()], r"message\[2\]"),
        ([{Odd()}], r"an element of message\[0\]"),
        ([dt.datetime(2024, 1, 1, tzinfo=OddZone())], r"message\[0\]\.tzinfo"),
        ([ValueError(Odd())], r"message\[0\]\.args\[0\]"),
        (collections.OrderedDict(a=Odd()), r"message\['a'\]"),
        (collections.deque([1, Odd()]), r"message\[1\]"),
        (collections.UserDict(a=1), "message"),
        (Name("x"), "message"),
        (Colour.RED, "message"),
        (lambda: None, "message"),
        (int, "message"),
        (pathlib, "message"),
        (object(), "message"),
        (Fraction(1, 2**9000), "message"),
        ([np.array([object()])], r"message\[0\]"),
    ],
)
def test_what_cannot_be_carried_is_named_with_its_place(message: Any, where: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=f"cannot carry <.*> at ({where}); ."):
        encode(message)


def test_the_advice() -> None:
    with pytest.raises(
        UnsupportedTypeError, match=r"Odd'> at message; register it with pyro_events.register_class"
    ):
        encode(Odd())


def test_a_zone_without_a_key_is_refused() -> None:
    with (
        open("/usr/share/zoneinfo/UTC", "rb")
        if os.path.exists("/usr/share/zoneinfo/UTC")
        else _tz_file() as file
    ):
        zone = ZoneInfo.from_file(file)
    with pytest.raises(UnsupportedTypeError, match="no key"):
        encode(zone)


def _tz_file() -> Any:
    import importlib.resources

    return importlib.resources.files("tzdata.zoneinfo").joinpath("UTC").open("rb")


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


@pytest.mark.parametrize("hurt", [lambda p: p + b"\x01", lambda p: p[:-1], lambda p: b"\x91" * 70 + p])
def test_a_bad_payload_leaves_nothing_behind_in_the_unpacker(hurt: Any) -> None:
    payload = encode(["x" * 5000, [1, 2]])
    deep = b"\x91" * 65 + payload
    for _ in range(3):
        with pytest.raises(PayloadError):
            decode(hurt(payload))
        assert decode(payload) == ["x" * 5000, [1, 2]]
        with pytest.raises(PayloadError, match="nested deeper"):
            decode(deep)


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


def test_the_unpackers_stack_was_measured() -> None:
    assert len(depth_module._FILLING) >= 100
    assert set(depth_module._FILLING) == {0x91}


M = values


@pytest.mark.parametrize(
    "document",
    [
        [M.SET, [1]],
        [M.SET, {}],
        [M.FROZENSET, []],
        [M.INT],
        [M.INT, 5],
        [M.INT, [1, 2]],
        [M.COMPLEX, 1, 2],
        [M.COMPLEX, "1", "2"],
        [M.DATETIME],
        [M.DATETIME, 1, 2, 3],
        [M.DATETIME, b"\x07\xe8\x01\x01\x00\x00\x00\x00\x00\x00"],
        [M.DATETIME, 2024, 13, 1, 0, 0, 0, 0],
        [M.DATETIME, 2024, 1, 1, 0, 0, 0, 0, 2, None],
        [M.DATETIME, 2024, 1, 1, 0, 0, 0, 0, 0, "UTC"],
        [M.DATE, 2024, 2, 30],
        [M.TIME, 25, 0, 0, 0],
        [M.TIME, 1, 0, 0, 0, 7, None],
        [M.TIMEDELTA, 10**10, 0, 0],
        [M.TIMEZONE, [M.TIMEDELTA, 2, 0, 0]],
        [M.TIMEZONE, 5],
        [M.TIMEZONE, [M.TIMEDELTA, 0, 0, 0], 5],
        [M.ZONEINFO, "No/Where"],
        [M.ZONEINFO, "../../etc/passwd"],
        [M.ZONEINFO, "/etc/passwd"],
        [M.ZONEINFO, "Europe"],
        [M.ZONEINFO, "\0"],
        [M.DECIMAL, "many"],
        [M.DECIMAL, 1.5],
        [M.DECIMAL, [M.TUPLE, 0, [M.TUPLE, 1], 2]],
        [M.FRACTION, 1, 0],
        [M.FRACTION, 1.5, 2],
        [M.FRACTION, 1, [M.INT, b"\1" * 2000]],
        [M.UUID_, b"short"],
        [M.UUID_, "x"],
        [M.RANGE, 1, 2, 0],
        [M.RANGE, 1, 2],
        [M.PATH, 9, "x"],
        [M.PATH, -1, "x"],
        [M.PATH, 0, b"x"],
        [M.OBJECT],
        [M.OBJECT, "x"],
        [M.OBJECT, "x", []],
        [M.OBJECT, 5, {}],
        [M.OBJECT, "nobody.Knows", {}],
        [M.OBJECT, "os.system", {"args": ["true"]}],
        [M.OBJECT, "Pyro5.server.Daemon", {"state": []}],
        [M.OBJECT, "Pyro5.util.MarshalSerializer", {}],
        [M.OBJECT, "builtins.ValueError", {}],
        [M.OBJECT, "builtins.ValueError", {"args": 5}],
        [M.OBJECT, "builtins.ValueError", {"args": [], "attributes": []}],
        [M.OBJECT, "builtins.ValueError", {"args": [], "attributes": {"__class__": 5}}],
        [M.OBJECT, "builtins.ValueError", {"args": [], "attributes": {5: 5}}],
        [M.OBJECT, "builtins.UnicodeDecodeError", {"args": [1]}],
        [M.OBJECT, "builtins.eval", {"args": ["1"]}],
        [M.OBJECT, "sqlite3.connect", {"args": [":memory:"]}],
        [M.OBJECT, "Pyro5.core.URI", {}],
        [M.OBJECT, "Pyro5.core.URI", {"state": ["HTTP", "x", None, "h", 1]}],
        [M.OBJECT, "Pyro5.core.URI", {"state": ["PYRO", 5, None, "h", 1]}],
        [M.OBJECT, "Pyro5.core.URI", {"state": ["PYRO", "x", None, "h", "1"]}],
        [M.OBJECT, "Pyro5.core.URI", {"state": ["PYROMETA", [5], None, "h", 1]}],
        [M.OBJECT, "Pyro5.client.Proxy", {}],
        [M.OBJECT, "Pyro5.client.Proxy", {"state": ["junk", [], [], [], "hello", None]}],
        [M.OBJECT, "Pyro5.client.Proxy", {"state": ["PYRO:x@h:1", [5], [], [], "hello", None]}],
        [M.OBJECT, "Pyro5.client.Proxy", {"state": ["PYRO:x@h:1", []]}],
        [
            M.OBJECT,
            "Pyro5.client.Proxy",
            {"state": ["PYRO:" + "@a" * 20000 + "\n x", [], [], [], "hello", None]},
        ],
        [M.CLASS_TAGGED, {}],
        [M.CLASS_TAGGED, {"__class__": 5}],
        [M.CLASS_TAGGED, []],
        [M.CLASS_TAGGED, {"__class__": "x"}, 1],
        [M.ARRAY],
        [M.ARRAY, "<f4", [1], b"1234", 5],
        [M.ARRAY, "<f4", [10**12], b"1234"],
        [M.ARRAY, "<f4", [-1, -1], b"1234"],
        [M.ARRAY, "<f4", [1.0], b"1234"],
        [M.ARRAY, "<f4", [1], "1234"],
        [M.ARRAY, "<f4", 1, b"1234"],
        [M.ARRAY, "<f4", [1] * 100, b"1234"],
        [M.ARRAY, "<f4", [0, 2**62, 2**62], b""],
        [M.ARRAY, "O", [1], b"12345678"],
        [M.ARRAY, "|O8", [1], b"12345678"],
        [M.ARRAY, "f4,f4", [1], b"12345678"],
        [M.ARRAY, "<f3", [1], b"123"],
        [M.ARRAY, "|V0", [10**9], b""],
        [M.ARRAY, "|V999999999", [1], b""],
        [M.ARRAY, 5, [1], b"1234"],
        [M.ARRAY, [], [10**9], b""],
        [M.ARRAY, [5], [1], b"1234"],
        [M.ARRAY, [[M.TUPLE, "a", "|O8"]], [1], b"12345678"],
        [M.ARRAY, [[M.TUPLE, "a", "<f4", [M.TUPLE, 10**9, 10**9]]], [1], b"12345678"],
        [M.ARRAY, [[M.TUPLE, "a", "<f4"], [M.TUPLE, "a", "<f4"]], [1], b"12345678"],
        [M.SCALAR],
        [M.SCALAR, 5],
        [M.SCALAR, "<f4", b""],
        [M.SCALAR, "<f4", b"12345678"],
        {"a": [M.SET, []]},
    ],
    ids=lambda document: repr(document)[:70],
)
def test_senseless_documents(document: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb(document))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x01\x02",
        encode("x" * 100) + b"\0",
        encode(["x"] * 100)[:-1],
        b"\xc7\x00\x80",
        b"\xd6\xff\xff",
        b"\xa1\xff",
        b"\x81\x91\x01\x02",
        b"\x93\xc7\x00\xfd\x91\x01\x02",
        None,
    ],
    ids=repr,
)
def test_damaged_documents(payload: Any) -> None:
    with pytest.raises(PayloadError):
        decode(payload)


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


def quick(payload: bytes, refused: bool = False) -> None:
    began = time.perf_counter()
    if refused:
        with pytest.raises(PayloadError):
            decode(payload)
    else:
        decode(payload)
    assert time.perf_counter() - began < 10  # minutes, if the cost were quadratic


def test_equal_hashes_are_refused() -> None:
    period = sys.hash_info.modulus
    large = [[M.INT, (period * i).to_bytes(24, "little")] for i in range(1, 60_000)]
    same_hash = [[M.TUPLE, *(-1 - (i >> bit & 1) for bit in range(15))] for i in range(2**15)]
    for members in (large, same_hash):
        quick(msgpack.packb([M.SET, *members]), refused=True)
        quick(msgpack.packb([M.FROZENSET, *members]), refused=True)
    pairs = b"".join(msgpack.packb(member) + b"\xc0" for member in same_hash)
    quick(b"\xdf" + struct.pack(">I", len(same_hash)) + pairs, refused=True)


def test_a_number_costs_what_its_bytes_cost() -> None:
    quick(msgpack.packb([M.INT, b"\x7f" * 4_000_000]))
    quick(msgpack.packb([M.DECIMAL, "9" * 1_000_000]))
    quick(msgpack.packb([M.SET, [M.DECIMAL, "1E+999999999"], 1, [M.FRACTION, 1, 3]]))
    quick(msgpack.packb([M.RANGE, 0, [M.INT, b"\x7f" * 1000], 1]))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x", 5),
        KeyError("k"),
        OSError(2, "No such file"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        StopIteration(3),
        KeyboardInterrupt(),
        Pyro5.errors.NamingError("no name server"),
        ServiceNotFoundError("no service"),
        struct.error("short"),
        sqlite3.OperationalError("locked"),
    ],
    ids=repr,
)
def test_exceptions(error: BaseException) -> None:
    error.__dict__.update(detail=(1, 2), __notes__=["noted"])
    back = decode(encode([error]))[0]
    assert type(back) is type(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


@pytest.mark.parametrize(
    "uri", ["PYRO:x@localhost:99", "PYRO:x@./u:sock", "PYRO:x@[::1]:5", "PYRONAME:a.b", "PYROMETA:a,b@h:1"]
)
def test_uri(uri: str) -> None:
    back = decode(encode([URI(uri)]))[0]
    assert type(back) is URI
    assert back.__getstate__() == URI(uri).__getstate__()


def test_a_proxy_travels_without_its_secrets() -> None:
    proxy = Proxy("PYRO:x@localhost:99")
    proxy._pyroHandshake = "open sesame"
    proxy._pyroSerializer = "marshal"
    proxy._pyroMethods = {"a", "b"}
    payload = encode(proxy)
    assert b"sesame" not in payload and b"marshal" not in payload
    back = decode(payload)
    assert type(back) is Proxy
    assert back == proxy
    assert (back._pyroMethods, back._pyroHandshake, back._pyroSerializer) == ({"a", "b"}, "hello", None)

    class OwnProxy(Proxy):  # type: ignore[misc]
        pass

    # As with Pyro5 itself: what a proxy stands for is the object, whatever the proxy's own class.
    assert type(decode(encode(OwnProxy("PYRO:x@localhost:99")))) is Proxy


def test_what_a_received_proxy_asks_for_is_ignored() -> None:
    state = ["PYRO:x@h:1", [], [], [], "open sesame", "marshal"]
    proxy = decode(msgpack.packb([M.OBJECT, "Pyro5.client.Proxy", {"state": state}]))
    assert (proxy._pyroHandshake, proxy._pyroSerializer) == ("hello", None)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype="<f4").reshape(3, 4),
        np.arange(12, dtype=">i2").reshape(3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20)[::3],
        np.array(5.5),
        np.zeros((0, 3)),
        np.zeros((2, 0, 3), "M8[s]"),
        np.array(["2024-01-01", "NaT"], "M8[ns]"),
        np.array([1, 2], "m8[10s]"),
        np.array(["a", "bc"]),
        np.array([b"a", b"bc\0"]),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([1.5], "f2"),
        np.array([1.5], np.longdouble),
        np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")]),
        np.zeros(3, [("a", "i1"), ("m", "<f4", (2, 2)), ("in", [("x", "U3")])]),
        np.zeros(2, np.dtype("i1,i4", align=True)),
        np.zeros(2, [(("title", "a"), "i4")]),
        np.zeros(2, "V5"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_numpy_arrays(array: Any) -> None:
    back = decode(encode([array]))[0]
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert str(back) == str(array)  # what stands between fields is not carried
    back[...] = array  # it can be written to


@pytest.mark.parametrize(
    "scalar",
    [
        np.float32(1.5),
        np.float64(-0.0),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.complex64(1 + 2j),
        np.longdouble(1.5),
        np.datetime64("2024-01-01T00:00:00.123456789"),
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "h"),
        np.str_(""),
        np.str_("a\0"),
        np.bytes_(b"a\0"),
        np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")])[0],
    ],
    ids=repr,
)
def test_numpy_scalars(scalar: Any) -> None:
    back = decode(encode((scalar,)))[0]
    assert type(back) is type(scalar)
    assert back.dtype == scalar.dtype
    assert repr(back) == repr(scalar)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.zeros(1, [("a", "O")]),
        np.zeros(3, []),
        np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2], "itemsize": 8}),
        np.ma.array([1]),
        np.zeros((1, 1)).view(np.matrix),
    ],
    ids=lambda array: f"{type(array).__name__}-{array.dtype}",
)
def test_numpy_arrays_that_cannot_be_carried(array: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"at message\[0\]"):
        encode([array])


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = encode(np.arange(3))
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(PayloadError, match="numpy is not installed"):
        decode(payload)
    with pytest.raises(UnsupportedTypeError):
        encode(Odd())


def plain_twice(value: Any) -> list[Any]:
    """`value` as the three serializers of a stock program bring it."""
    by_serpent = serpent.loads(serpent.dumps(value, module_in_classname=True))
    by_json = json.loads(JsonSerializer().dumps(value))
    by_msgpack = msgpack.unpackb(MsgpackSerializer().dumps(value), strict_map_key=False)
    return [
        decode(encode_plain(by_serpent)),
        decode(encode_plain(by_json, serpent=False)),
        decode(encode_plain(by_msgpack, serpent=False)),
    ]


stock_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@slow
@given(stock_plain)
def test_plain_data_of_stock_programs(value: Any) -> None:
    try:
        serpent.dumps(value)
    except UnicodeEncodeError:
        return
    for back in plain_twice(value):
        assert same(value, back)


@slow
@given(messages)
def test_encode_plain_carries_what_encode_carries(message: Any) -> None:
    assert same(decode(encode_plain(message)), message)


def test_what_serpent_makes_of_things() -> None:
    value = {"raw": b"\0\1", "nan": math.nan, "set": {1, 2}, "t": (1, (2,)), "c": 1j}
    back = decode(encode_plain(serpent.loads(serpent.dumps(value))))
    assert math.isnan(back.pop("nan"))
    assert back == {"raw": b"\0\1", "set": {1, 2}, "t": (1, (2,)), "c": 1j}
    for odd in (
        {"data": "?", "encoding": "base64"},
        {"data": 5, "encoding": "base64"},
        {"data": "", "encoding": []},
    ):
        assert decode(encode_plain(odd)) == odd
    encoded = {"data": "AAE=", "encoding": "base64"}
    assert decode(encode_plain(encoded)) == b"\0\1"
    assert decode(encode_plain(encoded, serpent=False)) == encoded
    nan = {"__class__": "float", "value": "nan"}
    assert decode(encode_plain(nan, serpent=False)) == nan
    assert decode(encode(encoded)) == encoded


def test_class_tagged_dicts() -> None:
    unknown = {"__class__": "their.Reading", "value": [1, {"__class__": "x.Y"}], "t": (1,)}
    assert decode(encode_plain([unknown])) == [unknown]
    assert decode(encode_plain({"__class__": 5})) == {"__class__": 5}
    assert decode(encode_plain({"__class__": "Pyro5.server.Daemon", "state": []}))["state"] == []
    for back in plain_twice([ValueError("x"), URI("PYRO:a@b:1"), Proxy("PYRO:c@d:2")]):
        assert [type(item) for item in back] == [ValueError, URI, Proxy]
        assert back[0].args == ("x",)
        assert back[1:] == [URI("PYRO:a@b:1"), Proxy("PYRO:c@d:2")]
    with pytest.raises(PayloadError, match="cannot rebuild"):
        decode(encode_plain({"__class__": "ValueError", "__exception__": True}))


def test_a_refusal_inside_a_class_tagged_dict_is_named() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"at message\['a'\]\['b'\]"):
        encode_plain({"a": {"__class__": "x", "b": Odd()}})


@dataclasses.dataclass
class Publishing:
    text: str


def test_a_converter_may_encode_and_threads_do_not_meet() -> None:
    def to_dict(value: Publishing) -> dict[str, Any]:
        return {"inner": encode((value.text, 1))}

    registry.register_class(
        Publishing,
        name="test.Publishing",
        to_dict=to_dict,
        from_dict=lambda d: Publishing(decode(d["inner"])[0]),
    )
    wrong: list[Any] = []

    def work(number: int) -> None:
        message = [(str(number), Publishing(f"p{number}-{i}")) for i in range(50)]
        wrong.extend(1 for _ in range(40) if decode(encode(message)) != message)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_a_message_that_changes_while_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "find", lambda message, write: None)
    with pytest.raises(UnsupportedTypeError, match="cannot carry this message: register"):
        encode(Odd())


class Point(NamedTuple):
    x: int
    y: int


def test_a_named_tuple_that_nobody_registered() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"Point'> at message\[0\]"):
        encode([Point(1, 2)])


def test_uuid_flavours() -> None:
    arrives([uuid.UUID(int=5), uuid.uuid4()])


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 1 << 20])
def test_large_bytes_look_as_a_packer_writes_them(size: int) -> None:
    message = bytes(size)
    assert encode(message) == msgpack.packb(message)
    assert decode(encode(message)) == message


def test_a_refusal_is_no_wall_of_text() -> None:
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(UnsupportedTypeError, match="nested deeper") as caught:
        encode(itself)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert len("".join(traceback.format_exception(caught.value)).splitlines()) < 20


def test_what_a_converter_raised_is_shown() -> None:
    class Broken:
        pass

    def to_dict(value: object) -> dict[str, Any]:
        raise LookupError("on purpose")

    register_class(Broken, to_dict=to_dict, from_dict=lambda state: Broken())
    with pytest.raises(UnsupportedTypeError, match="on purpose") as caught:
        encode(Broken())
    assert isinstance(caught.value.__cause__, LookupError)
