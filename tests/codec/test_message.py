"""The codec: everything in the list arrives equal in value and type, and no bytes do harm."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import threading
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest
from codec_values import arrives, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp

from pyro_events.codec import values
from pyro_events.codec.classes import registry
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.errors import PayloadError, UnsupportedTypeError

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

ZONES = [ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York"), ZoneInfo("UTC")]


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


M = values


@pytest.mark.parametrize(
    "document",
    [
        [M.SET, [1]],
        [M.SET, {}],
        [M.FROZENSET, []],
        [M.INT],
        [M.DATETIME, 2024, 13, 1, 0, 0, 0, 0],
        [M.TIMEDELTA, 10**10, 0, 0],
        [M.ZONEINFO, "No/Where"],
        [M.DECIMAL, "many"],
        [M.FRACTION, 1, 0],
        [M.FRACTION, 1, [M.INT, b"\1" * 2000]],
        [M.DEQUE, 2**63],
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
        [M.OBJECT, "Pyro5.client.Proxy", {}],
        [M.OBJECT, "Pyro5.client.Proxy", {"state": ["junk", [], [], [], "hello", None]}],
        [M.OBJECT, "Pyro5.client.Proxy", {"state": ["PYRO:x@h:1", []]}],
        [M.CLASS_TAGGED, {}],
        [M.CLASS_TAGGED, {"__class__": 5}],
        [M.CLASS_TAGGED, []],
        [M.CLASS_TAGGED, {"__class__": "x"}, 1],
        [M.ARRAY],
        [M.ARRAY, "<f4", [10**12], b"1234"],
        [M.ARRAY, "<f4", [1] * 100, b"1234"],
        [M.ARRAY, "|O8", [1], b"12345678"],
        [M.ARRAY, [[M.TUPLE, "a", "<f4", [M.TUPLE, 10**9, 10**9]]], [1], b"12345678"],
        [M.ARRAY, [M.TUPLE, "record"], [1], b"1234"],
        [M.SCALAR],
        [M.SCALAR, 5],
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


@slow
@given(messages)
def test_encode_plain_carries_what_encode_carries(message: Any) -> None:
    assert same(decode(encode_plain(message)), message)


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


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 1 << 20])
def test_large_bytes_look_as_a_packer_writes_them(size: int) -> None:
    message = bytes(size)
    assert encode(message) == msgpack.packb(message)
    assert decode(encode(message)) == message
