"""Each built-in type as a tagged array, and back: without msgpack, and without the rest of the codec."""

from __future__ import annotations

import collections
import datetime as dt
import io
import math
import os
import pathlib
import struct
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType

from pyro_events.codec import values as M
from pyro_events.codec.hash_limits import MAX_EQUAL_HASHES
from pyro_events.codec.values import MARKS, MAX_FRACTION_BITS, READERS, TUPLE, WRITERS, zone_writer
from pyro_events.errors import PayloadError, UnsupportedTypeError

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def back(value: Any) -> Any:
    """`value` written and read; its parts are written and read by themselves, as the codec does it."""
    writer = WRITERS.get(type(value)) or zone_writer(type(value))
    if writer is None or (type(value) is int and -(2**63) <= value < 2**64):
        return value
    mark, *parts = writer(value)
    if type(value) is tuple:
        assert mark is TUPLE
        return tuple(map(back, parts))
    assert MARKS[mark.code] is mark
    if type(value) in (collections.OrderedDict, collections.defaultdict, collections.Counter):
        assert type(parts[0]) is dict
    return READERS[mark.code]([mark, *map(back, parts)])


def assert_arrives(value: Any) -> None:
    got = back(value)
    assert type(got) is type(value)
    if isinstance(value, Decimal):
        assert repr(got) == repr(value)  # also nan with its digits, and zeros with their sign
    elif isinstance(value, complex):
        for one, other in ((got.real, value.real), (got.imag, value.imag)):
            same_bits = struct.pack("d", one) == struct.pack("d", other)
            assert same_bits or (math.isnan(one) and math.isnan(other))
    else:
        assert got == value


offsets = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))
fixed_zones = st.builds(dt.timezone, offsets) | st.builds(dt.timezone, offsets, st.text(max_size=5))
zones = st.none() | st.sampled_from([AMSTERDAM, ZoneInfo("UTC")]) | fixed_zones
folds = st.sampled_from([0, 1])
large_ints = st.integers(2**64) | st.integers(max_value=-(2**63) - 1) | st.integers(-(2**200), 2**200)
texts = st.text(st.characters(), max_size=20)
plain = st.none() | st.integers(-5, 5) | st.text(max_size=3)
dicts = st.dictionaries(st.text(max_size=3) | st.integers(-5, 5), plain, max_size=4)


@given(
    st.one_of(
        large_ints,
        st.complex_numbers(),
        st.dates(),
        st.timedeltas(),
        fixed_zones,
        st.decimals(),
        st.fractions(),
        st.uuids(),
        st.builds(range, large_ints, st.integers(-9, 9), st.integers(1) | st.integers(max_value=-1)),
        st.builds(pathlib.PurePosixPath, texts) | st.builds(pathlib.PureWindowsPath, texts),
        st.lists(plain).map(tuple),
        st.sets(plain) | st.frozensets(plain),
        dicts.map(collections.OrderedDict) | dicts.map(collections.Counter),
        st.builds(collections.deque, st.lists(plain, max_size=4), st.none() | st.integers(0, 5)),
    )
)
def test_every_type_arrives_equal_in_value_and_type(value: Any) -> None:
    assert_arrives(value)


@given(st.datetimes() | st.times(), folds, zones)
def test_dates_with_times_keep_their_zone_and_fold(value: Any, fold: int, zone: dt.tzinfo | None) -> None:
    value = value.replace(fold=fold, tzinfo=zone)
    got = back(value)
    assert type(got) is type(value)
    assert got.replace(tzinfo=None, fold=0) == value.replace(tzinfo=None, fold=0)
    assert (got.fold, got.tzinfo, type(got.tzinfo)) == (fold, zone, type(zone))
    if isinstance(zone, dt.timezone):
        assert got.tzname() == value.tzname()


@pytest.mark.parametrize(
    "value",
    [
        10**4000,
        Decimal("sNaN123"),
        Decimal("1E+999999"),
        Decimal("-0E-7"),
        dt.timezone(dt.timedelta(hours=1), "CET"),
        pathlib.Path("/tmp/x"),
        range(0, 10**30, 7),
        collections.deque([], 0),
        collections.Counter({"a": 5, "b": -1, "c": "text"}),
        collections.OrderedDict([("b", 1), ("a", (2,))]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_chosen_values(value: Any) -> None:
    assert_arrives(value)


def test_utc_stays_the_singleton() -> None:
    assert back(dt.timezone.utc) is dt.timezone.utc


def test_a_default_dict_arrives_without_its_factory() -> None:
    got = back(collections.defaultdict(list, {"a": 1}))
    assert type(got) is collections.defaultdict
    assert (got.default_factory, got) == (None, {"a": 1})


@pytest.mark.parametrize("safe", uuid.SafeUUID)
def test_how_safe_a_uuid_is(safe: uuid.SafeUUID) -> None:
    value = uuid.UUID(bytes=bytes(16), is_safe=safe)
    assert (back(value), back(value).is_safe) == (value, safe)


def test_a_path_of_another_platform_arrives_pure() -> None:
    foreign, pure = (2, pathlib.PurePosixPath) if os.name == "nt" else (3, pathlib.PureWindowsPath)
    assert type(READERS[M.PATH.code]([M.PATH, foreign, "x/y"])) is pure


def test_a_list_can_never_begin_with_a_marker() -> None:
    for code, mark in MARKS.items():
        assert (mark.code, mark.data) == (code, b"") and code < 0
        with pytest.raises(ValueError):
            ExtType(code, b"")


def test_every_marker_has_a_reader_or_is_read_elsewhere() -> None:
    elsewhere = {M.TUPLE, M.OBJECT, M.CLASS_TAGGED, M.ARRAY, M.SCALAR}
    assert READERS.keys() == MARKS.keys() - {mark.code for mark in elsewhere}


# What is not written


def test_a_zone_from_a_file_is_refused_with_a_key_too() -> None:
    # The smallest file of a zone: version 1, one type of local time, without transitions.
    content = (
        b"TZif" + bytes(16) + struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"UTC\0"
    )
    for key in (None, "My/Zone"):
        zone = ZoneInfo.from_file(io.BytesIO(content), key=key)
        with pytest.raises(UnsupportedTypeError, match="read from a file and has no key"):
            back(zone)
    assert back(ZoneInfo.no_cache("Europe/Amsterdam")).key == "Europe/Amsterdam"


def test_a_fraction_has_as_many_bits_as_the_reader_takes() -> None:
    longest = 2**MAX_FRACTION_BITS - 1
    assert_arrives(Fraction(longest, longest - 2))
    for value in (Fraction(longest + 1), Fraction(1, longest + 2)):
        with pytest.raises(UnsupportedTypeError, match="more than 8192 bits; send numerator and"):
            back(value)
        with pytest.raises(PayloadError, match="a fraction of more than 8192 bits"):
            READERS[M.FRACTION.code]([M.FRACTION, value.numerator, value.denominator])


@pytest.mark.parametrize("kind", [collections.OrderedDict, collections.Counter])
def test_attributes_of_a_dict_would_be_lost(kind: Any) -> None:
    value = kind(a=1)
    value.note = 5
    with pytest.raises(UnsupportedTypeError, match="it has attributes, which would be lost"):
        back(value)


@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_of_equal_hashes_is_refused_on_both_sides(kind: Any) -> None:
    few, many = ([1 << 61 * k for k in range(MAX_EQUAL_HASHES + more)] for more in (0, 1))
    assert_arrives(kind(few))
    with pytest.raises(UnsupportedTypeError, match="65 of its members"):
        back(kind(many))
    mark = M.SET if kind is set else M.FROZENSET
    with pytest.raises(PayloadError, match="65 members or keys"):
        READERS[mark.code]([mark, *many])


# What is not read


@pytest.mark.parametrize(
    "document",
    [
        [M.SET, []],
        [M.FROZENSET, {}],
        [M.INT],
        [M.INT, 5],
        [M.INT, b"", b""],
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
        [M.TIMEZONE, dt.timedelta(2)],
        [M.TIMEZONE, 5],
        [M.TIMEZONE, dt.timedelta(0), 5],
        [M.ZONEINFO, "No/Where"],
        [M.ZONEINFO, "../../etc/passwd"],
        [M.ZONEINFO, "/etc/passwd"],
        [M.ZONEINFO, "\0"],
        [M.DECIMAL, "many"],
        [M.DECIMAL, 1.5],
        [M.DECIMAL, (0, (1,), 2)],
        [M.FRACTION, 1, 0],
        [M.FRACTION, 1.5, 2],
        [M.UUID_, b"short"],
        [M.UUID_, "x"],
        [M.UUID_, bytes(16), 7],
        [M.RANGE, 1, 2, 0],
        [M.RANGE, 1, 2],
        [M.PATH, 9, "x"],
        [M.PATH, -1, "x"],
        [M.PATH, 0, b"x"],
        [M.ORDERED_DICT],
        [M.ORDERED_DICT, [1]],
        [M.DEFAULT_DICT, {}, {}],
        [M.COUNTER, [[1, 2]]],
        [M.DEQUE],
        [M.DEQUE, 1, 2, 3],
        [M.DEQUE, -1],
        [M.DEQUE, "x"],
        [M.DEQUE, 2**63],
    ],
    ids=lambda document: repr(document)[:70],
)
def test_senseless_parts(document: Any) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError, LookupError)):  # the codec knows them all
        READERS[document[0].code](document)


def test_what_follows_a_marker_is_named() -> None:
    with pytest.raises(PayloadError, match=r"marker -8 is followed by \(int, str\)"):
        READERS[M.DATE.code]([M.DATE, 2024, "x"])
