"""The codec: everything in the list arrives equal in value and type, and no bytes do harm."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import pathlib
import signal
import threading
import traceback
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import pytest
from codec_values import Odd, arrives, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp
from raising_handler import needs_signals, raising

from pyro_events.codec import values
from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode, encode_plain, encode_shared
from pyro_events.constants import LARGE
from pyro_events.errors import PayloadError, UnsupportedTypeError
from pyro_events.wire.large_payload import SplitPayload

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

ZONES = [ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York"), ZoneInfo("UTC")]


@pytest.fixture(autouse=True)
def own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_by_class", {})
    monkeypatch.setattr(registry, "_by_name", {})


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


# What cannot be carried


class Name(str):
    pass


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (Odd(), "message"),
        ([1, 2, {"price": Odd()}], r"message\[2\]\['price'\]"),
        (["\ud800", Odd()], r"message\[1\]"),
        ([ValueError(Odd())], r"message\[0\]\.args\[0\]"),
        (collections.UserDict(a=1), "message"),
        (Name("x"), "message"),
        (Fraction(1, 2**9000), "message"),
        ([np.array([object()])], r"message\[0\]"),
        (np.zeros(LARGE, [("a", "i1"), ("b", object)]), "message"),
        ([{1 << 61 * k: None for k in range(65)}], r"message\[0\]"),
        (["\ud800", {1 << 61 * k: None for k in range(65)}], r"message\[1\]"),
    ],
)
def test_what_cannot_be_carried_is_named_with_its_place(message: Any, where: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=f"cannot send <.*> at ({where}); ."):
        encode(message)


def test_a_refusal_inside_a_class_tagged_dict_is_named() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"at message\['a'\]\['b'\]"):
        encode_plain({"a": {"__class__": "x", "b": Odd()}})


def test_a_refusal_is_short() -> None:
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


# Each kind of type has its own table


@pytest.fixture
def arrays() -> None:
    """The codec knows arrays when it has met the first."""
    encode(np.zeros(1))


@pytest.mark.parametrize("count", [3, LARGE])
def test_arrays_and_scalars(arrays: None, count: int) -> None:
    array = np.arange(count, dtype="<i2")
    for payload in (encode(array), bytes(encode_shared(array))):
        back = decode(payload)
        assert back.dtype == array.dtype and (back == array).all()
    assert isinstance(encode_shared(array), SplitPayload) == (count == LARGE)
    assert type(decode(encode([np.float32(1.5)]))[0]) is np.float32


def test_a_large_array_that_cannot_be_carried(arrays: None) -> None:
    with pytest.raises(UnsupportedTypeError, match="its dtype is object"):
        encode_shared(np.zeros(LARGE, object))


def test_large_bytes_are_shared() -> None:
    message = bytes(LARGE + 1)
    payload = encode_shared(message)
    assert isinstance(payload, SplitPayload) and payload.body is message
    assert decode(bytes(payload)) == decode(memoryview(bytes(payload))) == message
    assert encode_shared(message[1:]) == encode(message[1:])


def test_class_tagged_dicts() -> None:
    tagged = {"__class__": "ValueError", "__exception__": True, "args": ["x"], "attributes": {}}
    unknown = {"__class__": "lab.Reading", "kelvin": 300.0}
    error, stays = decode(encode_plain([tagged, unknown]))
    assert repr(error) == "ValueError('x')" and stays == unknown
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(UnsupportedTypeError, match="contains itself"):
        encode_plain(itself)


def test_a_message_that_is_nested_too_deep_is_not_read() -> None:
    with pytest.raises(PayloadError, match="nested deeper than 64 levels"):
        decode(b"\x91" * 65 + b"\x01")


# Signals


@needs_signals
@pytest.mark.parametrize("kind", [ValueError, TypeError, TimeoutError, PayloadError, UnsupportedTypeError])
def test_what_a_signals_handler_raises_comes_through(kind: type[Exception]) -> None:
    enough = kind("enough")
    with raising(enough) as interrupt:

        class Shouting(Exception):
            __str__ = interrupt

        register_class(Name, name="test.Name", to_dict=lambda name: {}, from_dict=interrupt)
        payload = encode(Name("x"))
        register_class(Odd, name="test.Odd", to_dict=interrupt, from_dict=interrupt)
        for call in (lambda: decode(payload), lambda: encode([Odd()]), lambda: encode([Shouting()])):
            with pytest.raises(kind) as caught:
                call()
            assert caught.value is enough


def test_a_dict_with_other_keys_is_read_without_looking_at_the_signals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "valid_signals", lambda: pytest.fail("100 µs for each message"))
    assert decode(encode({1: 2})) == {1: 2}
