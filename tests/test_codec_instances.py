"""Instances arrive as they were, and what the reader would refuse the writer refuses."""

from __future__ import annotations

import collections
import dataclasses
import io
import json
import math
import queue
import signal
import struct
import threading
import types
import uuid
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from Pyro5.client import Proxy

from pyro_events.codec import values as M
from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.hash_limits import MAX_EQUAL_HASHES, MAX_EQUAL_NATIVE
from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError, RemoteError, UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import MAKERS, Decoding, state_of

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


@pytest.fixture(autouse=True, scope="module")
def own_tables() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_by_class", {})
        patch.setattr(registry, "_by_name", {})
        for cls, _ in MAKERS.values():
            register_class(cls)
        for cls in (strange.Colour, strange.Access, strange.Level):
            register_class(cls)
        yield


MADE = {cls for cls, _ in MAKERS.values()}


def arrives(value: Any) -> Any:
    payload = encode([value])
    with Decoding():
        (back,) = decode(payload)
    assert type(back) is type(value)
    return back


def same(one: Any, other: Any) -> bool:
    """Equal in value, type and state, all the way down."""
    if type(one) is not type(other):
        return False
    if type(one) in MADE:
        return same(state_of(one), state_of(other))
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple, collections.deque)):
        lengths = getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return lengths and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    return bool(one == other)


class Silly(dict[Any, Any]):
    pass


class Text(str):
    pass


unhashable = st.sampled_from(
    [Silly(a=1), Text("x"), object(), strange.Cell, print, types, Exception(object())]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.sampled_from(
        [*strange.Colour, *strange.Access, strange.Level(5), strange.Access(3), strange.Level(0)]
    ),
)
hashables = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(strange.FrozenSlots, inner, inner),
        inner.map(strange.Point),
        inner.map(strange.Same),
    ),
    max_leaves=6,
)
many_alike = st.integers(50, 80).flatmap(
    lambda count: st.sampled_from(
        [
            {strange.Same(number) for number in range(count)},
            {strange.Same(number): number for number in range(count)},
            frozenset(1 << 61 * number for number in range(count)),
            {1 << 61 * number: None for number in range(count)},
            collections.OrderedDict((strange.Same(number), 1) for number in range(count)),
            collections.Counter(
                {complex(2.0 ** (61 * (k % 8)), 2.0 ** (61 * (k // 8))): 1 for k in range(count)}
            ),
            ["\udfff", {strange.Same(number): number for number in range(count)}],
        ]
    )
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    instances = st.sampled_from(sorted(MAKERS)).flatmap(
        lambda name: inner.map(lambda value: MAKERS[name][1](value))
    )
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(hashables, inner, max_size=3),
        st.dictionaries(hashables, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(hashables, inner, max_size=3).map(lambda value: collections.defaultdict(None, value)),
        st.dictionaries(hashables, inner, max_size=3).map(collections.Counter),
        st.builds(collections.deque, st.lists(inner, max_size=3), st.none() | st.integers(0, 5)),
        instances,
        instances,
    )


messages = st.recursive(
    leaves | st.sets(hashables, max_size=3) | many_alike | unhashable, containers, max_leaves=8
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages)
def test_what_the_reader_refuses_the_writer_refuses(message: Any) -> None:
    try:
        payload = encode(message)
    except (TypeError, ValueError) as error:
        assert type(error) is UnsupportedTypeError
        assert "message" in str(error) and "<" in str(error)
        return
    with Decoding():
        back = decode(payload)
    assert same(message, back), (message, back)


def test_nothing_is_computed_again() -> None:
    register_class(strange.Celsius)
    reading = strange.Celsius(300.0)
    back = arrives(reading)
    assert (back.degrees, back.derived) == (reading.degrees, reading.derived)
    assert vars(arrives(strange.WithInitVar(1, "x"))) == {"a": 1, "kept": "x"}


def test_a_field_that_was_never_set_stays_so() -> None:
    assert not hasattr(arrives(strange.Slots(1)), "late")
    half = strange.Slots(1)
    half.late = (1,)
    assert arrives(half).late == (1,)
    del half.c
    with pytest.raises(UnsupportedTypeError, match="its field 'c' is not set"):
        encode(half)


def test_a_class_decides_itself_what_its_state_is() -> None:
    for cls in (strange.Pickled, strange.OnlyGet, strange.OnlySet):
        register_class(cls)
    back = arrives(strange.Pickled({1: "x"}))
    assert (back.value, back.cache) == ({1: "x"}, "made anew")
    assert vars(arrives(strange.OnlyGet(5))) == {"value": 5}
    assert vars(arrives(strange.OnlySet(5))) == {"value": 5, "restored": True}
    with pytest.raises(
        UnsupportedTypeError, match=r"'object'> at message\[0\]\.__getstate__\(\)\[1\]\['a'\]"
    ):
        encode([strange.Pickled({"a": object()})])


def test_states_that_only_their_class_understands() -> None:
    @register_class
    class Nothing:
        def __getstate__(self) -> None:
            return None

        def __setstate__(self, state: Any) -> None:
            raise AssertionError("there is no state")

    @register_class
    class Wrong:
        def __getstate__(self) -> Any:
            return 5

    @register_class
    class Keyed:
        def __getstate__(self) -> Any:
            return {1: object()}

        def __setstate__(self, state: Any) -> None:
            raise AssertionError("not written")

    @register_class
    class Both:
        __slots__ = ("__dict__", "slot")

        def __setstate__(self, state: Any) -> None:
            attributes, slots = state
            self.__dict__.update(attributes)
            self.slot = [slots]

    assert type(arrives(Nothing())) is Nothing
    with pytest.raises(UnsupportedTypeError, match="returned <class 'int'>, and it has no __setstate__"):
        encode(Wrong())
    with pytest.raises(UnsupportedTypeError, match=r"at message\[1\]"):
        encode(Keyed())
    both = Both()
    both.slot, both.free = 1, 2  # type: ignore[attr-defined]
    back = arrives(both)
    assert (back.slot, back.free) == ([{"slot": 1}], 2)
    name = f"{__name__}.{Wrong.__qualname__}"
    with pytest.raises(PayloadError, match="not the state of"):
        decode(msgpack.packb([M.OBJECT, name, [1, 2, 3]]))


@pytest.mark.parametrize("cls", [strange.CachedHash, strange.CachedHashInDict])
def test_a_cached_hash_is_not_taken_along(cls: Any) -> None:
    register_class(cls)
    value = cls("text")
    assert hash(value) == value._attrs_cached_hash
    back = arrives(value)
    assert back._attrs_cached_hash is None
    assert decode(encode({cls("a"), cls("b")})) == {cls("a"), cls("b")}


def test_generic_classes() -> None:
    back = arrives(strange.Box[int](5))
    assert (back, vars(back)) == (strange.Box(5), {"content": 5})


def test_names_that_python_gives_a_meaning_are_refused_when_written() -> None:
    value = strange.PlainBox(1)
    value.__dict__["__doc__"] = "mine"
    with pytest.raises(UnsupportedTypeError, match=r"PlainBox'> at message\[0\]; its attribute '__doc__'"):
        encode([value])
    error = ValueError()
    error.__dict__["__own__"] = 1
    with pytest.raises(UnsupportedTypeError, match="its attribute '__own__'"):
        encode(error)


def test_named_tuples_keep_attributes_and_refuse_other_lengths() -> None:
    value = strange.with_attribute(strange.Labelled(3), ["n"])
    back = arrives(value)
    assert (tuple(back), back.note) == ((3, (3, 3)), ["n"])
    short = tuple.__new__(strange.Point, [1])
    with pytest.raises(UnsupportedTypeError, match="other items than the fields"):
        encode(short)
    name = f"{strange.__name__}.Point"
    assert decode(msgpack.packb([M.OBJECT, name, {"x": 1}])) == strange.Point(1, None)
    with pytest.raises(PayloadError, match="its field 'x' is missing"):
        decode(msgpack.packb([M.OBJECT, name, {"y": 1}]))

    class Stateful(strange.Point):
        def __getstate__(self) -> Any:
            return {}

    with pytest.raises(TypeError, match="__getstate__ or __setstate__ of its own"):
        register_class(Stateful)


def test_members_that_an_enum_does_not_have() -> None:
    stray = object.__new__(strange.Colour)
    stray._name_, stray._value_ = "RED", 1
    with pytest.raises(UnsupportedTypeError, match="it is not a member of its Enum"):
        encode(stray)


# ---- exceptions ---------------------------------------------------------------------------------


def test_exceptions_with_constructors_of_their_own() -> None:
    register_class(json.JSONDecodeError)
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"a": }')
    back = arrives(caught.value)
    assert (str(back), back.pos, back.lineno, back.doc) == (str(caught.value), 6, 1, '{"a": }')
    assert vars(arrives(strange.Temperature("T1", 5))) == {"device": "T1", "code": 5}
    assert arrives(strange.MissingFile("/x", 1)).filename == "/x"
    assert str(arrives(strange.MissingFile("/x", 1))) == "[Errno 2] gone: '/x'"


@pytest.mark.parametrize(
    "error",
    [
        OSError(2, "gone", "a", None, "b"),
        FileNotFoundError(2, "gone", "a"),
        SyntaxError("bad", ("file", 3, 5, "x = =", 3, 6)),
        ImportError("no", name="m", path="/m.py"),
        NameError("no", name="x"),
        StopIteration((1, 2)),
        SystemExit(3),
        UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"),
        UnicodeEncodeError("ascii", "aä", 1, 2, "bad"),
        BlockingIOError(11, "wait", 5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_python_keeps_beside_the_arguments_of_an_exception(error: BaseException) -> None:
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    error.__cause__ = KeyError("cause")
    back = arrives(error)
    names = (
        "errno",
        "filename",
        "filename2",
        "lineno",
        "text",
        "end_offset",
        "name",
        "path",
        "value",
        "code",
    )
    for name in (*names, "object", "start", "end", "reason", "characters_written", "args", "__notes__"):
        assert getattr(back, name, None) == getattr(error, name, None), name
    assert str(back) == str(error)
    assert back.__cause__ is None and back.__traceback__ is None


def test_an_exception_that_was_changed_afterwards() -> None:
    error = OSError()
    error.errno, error.args = 2, (2, "x")
    back = arrives(error)
    assert (back.errno, back.args) == (2, (2, "x"))


def test_an_exception_of_a_class_that_is_not_registered() -> None:
    class Own(Exception):
        def __str__(self) -> str:
            return "the device is on fire"

    error = Own(object())
    error.__notes__ = ["noted"]  # type: ignore[attr-defined]
    back = decode(encode({"e": [error]}))["e"][0]
    assert type(back) is RemoteError
    assert (back.type_name, back.text) == (f"{__name__}.{Own.__qualname__}", "the device is on fire")
    assert (str(back), back.__notes__) == (f"{back.type_name}: {back.text}", ["noted"])
    assert arrives(back).args == back.args

    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert decode(encode(Mute())).text == "its text could not be made: ZeroDivisionError"


def test_an_exception_that_only_its_publisher_has_registered() -> None:
    for args, text in (([], ""), (["x"], "x"), ([1, 2], "(1, 2)"), ([10**5000], ""), (None, "")):
        state = {"__exception__": True, "args": encode_args(args), "attributes": {}}
        back = decode(msgpack.packb([M.OBJECT, "lab.DeviceError", state]))
        assert (type(back), back.type_name, back.text) == (RemoteError, "lab.DeviceError", text)


def encode_args(args: Any) -> Any:
    big = [M.INT, (10**5000).to_bytes(3000, "little")]
    return args if args is None else [big if arg == 10**5000 else arg for arg in args]


def test_groups() -> None:
    group = pytest.importorskip("builtins").__dict__.get("ExceptionGroup")
    if group is None:
        pytest.skip("Python 3.10 has none")
    back = arrives(group("several", [ValueError(1), KeyError("k")]))
    assert [type(each) for each in back.exceptions] == [ValueError, KeyError]


class OwnDecodeError(UnicodeDecodeError):
    pass


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("builtins.UnicodeDecodeError", {"args": ["x", b"", -(2**40), 1 - 2**40, "y"]}),
        ("builtins.UnicodeDecodeError", {"args": ["x", b"ab", 0, 5, "y"]}),
        ("builtins.UnicodeDecodeError", {"args": ["x", b"a", 0, 1, "y"], "fields": {"start": -(2**40)}}),
        ("builtins.UnicodeEncodeError", {"args": ["x", "a", 0, 1, "y"], "fields": {"object": 5}}),
        ("builtins.OSError", {"args": [], "fields": {"__dict__": {}}}),
        ("builtins.OSError", {"args": [], "fields": {"with_traceback": 1}}),
        ("builtins.OSError", {"args": [], "fields": []}),
        ("builtins.StopIteration", {"args": [], "fields": {"args": [1]}}),
    ],
)
def test_fields_that_would_do_harm(name: str, state: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb([M.OBJECT, name, state]))


def test_attributes_never_reach_what_python_keeps_elsewhere() -> None:
    state = {"args": ["x", b"a", 0, 1, "y"], "attributes": {"object": 5, "start": -(2**40)}}
    back = decode(msgpack.packb([M.OBJECT, "builtins.UnicodeDecodeError", state]))
    assert (back.object, back.start) == (b"a", 0)
    str(back)
    bad = UnicodeDecodeError("x", b"ab", 0, 1, "y")
    bad.end = 9
    with pytest.raises(UnsupportedTypeError, match="with a position outside of its object"):
        encode(bad)


def test_an_exception_with_states_of_its_own() -> None:
    @register_class
    class Stateful(Exception):
        def __getstate__(self) -> Any:
            return [1, 2]

        def __setstate__(self, state: Any) -> None:
            self.got = state

    @register_class
    class Half(Exception):
        def __getstate__(self) -> Any:
            return {"kept": 5}

    back = arrives(Stateful("x"))
    assert (back.args, back.got) == (("x",), [1, 2])
    assert vars(arrives(Half("y"))) == {"kept": 5}


# ---- collections and values ---------------------------------------------------------------------


def test_collections() -> None:
    for value in (
        collections.OrderedDict([("b", 1), ("a", (2,))]),
        collections.Counter({"a": 5, "b": -1, "c": "text"}),
        collections.deque([1, (2,)]),
        collections.deque([1, 2], 2),
        collections.deque([], 0),
        [collections.OrderedDict({(1, 2): 3})],
    ):
        assert same(arrives(value), value)
    back = decode(encode(collections.defaultdict(list, {"a": [1]})))
    assert type(back) is collections.defaultdict
    assert (back.default_factory, back) == (None, {"a": [1]})
    kept = collections.OrderedDict(a=1)
    kept.note = 5  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedTypeError, match="it has attributes, which would be lost"):
        encode(kept)


@pytest.mark.parametrize(
    "document",
    [
        [M.ORDERED_DICT],
        [M.ORDERED_DICT, [1]],
        [M.DEFAULT_DICT, {}, {}],
        [M.COUNTER, [[1, 2]]],
        [M.DEQUE],
        [M.DEQUE, 1, 2, 3],
        [M.DEQUE, -1],
        [M.DEQUE, "x"],
        [M.DEQUE, 2**63],
        [M.UUID_, bytes(16), 7],
    ],
    ids=repr,
)
def test_senseless_collections(document: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb(document))


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


def test_a_zone_from_a_file_is_refused_with_a_key_too() -> None:
    # The smallest file of a zone: version 1, one type of local time, without transitions.
    content = (
        b"TZif" + bytes(16) + struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"UTC\0"
    )
    zone = ZoneInfo.from_file(io.BytesIO(content), key="My/Zone")
    with pytest.raises(UnsupportedTypeError, match="read from a file"):
        encode([zone])
    assert decode(encode(ZoneInfo.no_cache("Europe/Amsterdam"))).key == "Europe/Amsterdam"


def test_how_safe_a_uuid_is() -> None:
    for safe in uuid.SafeUUID:
        value = uuid.UUID(bytes=bytes(16), is_safe=safe)
        back = decode(encode(value))
        assert (back, back.is_safe) == (value, safe)


def test_a_proxy_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(UnsupportedTypeError, match="not the URI of a Proxy"):
        encode([Proxy("PYRO:x@" + "h" * 5000 + ":1")])


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (print, "publish the data that it stands for"),
        (math, "publish the data"),
        (int, "publish the data"),
        ((number for number in range(3)), "publish the data"),
        (threading.Lock(), "leave it out of that object's state, by __getstate__"),
        (threading.Event(), "leave it out of that object's state"),
        (queue.SimpleQueue(), "leave it out of that object's state"),
        (queue.Queue(), "leave it out of that object's state"),
        (signal.SIGINT, "register it with pyro_events.register_class$"),
        (Text("x"), "with to_dict and from_dict: .* keeps its contents in <class 'str'>"),
        (collections.UserList([1]), "register it with pyro_events.register_class$"),
        (np.zeros(2).view(np.matrix), "with to_dict and from_dict"),
        (np.zeros(1, object), "send arrays of plain numbers"),
        (Fraction(1, 2**9000), "send numerator and denominator"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_register_it_is_advised_only_for_what_can_be_registered(value: Any, advice: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=advice):
        encode(value)


@pytest.mark.parametrize("cls", [types.GeneratorType, types.FunctionType, object, type(None)])
def test_what_cannot_be_made_again_cannot_be_registered(cls: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        register_class(cls)


def test_names_that_every_program_knows_are_taken() -> None:
    for name in ("builtins.ValueError", "ValueError", "Pyro5.core.URI"):
        with pytest.raises(ValueError, match="every program knows"):
            register_class(strange.Celsius, name=name)
    register_class(ValueError)


# ---- numpy --------------------------------------------------------------------------------------

ALIGNED = np.dtype([("a", "i1"), ("b", "<f8"), ("c", [("x", "i1"), ("y", "<i4")], (2,))], align=True)


def dirty(dtype: Any, count: int) -> Any:
    """An array whose every byte, the ones between fields too, is 0xAA."""
    return np.frombuffer(b"\xaa" * (np.dtype(dtype).itemsize * count), dtype).copy()


@pytest.mark.parametrize(
    "take", [lambda a: a, lambda a: a[::2], lambda a: a[::-1], lambda a: a.reshape(2, 2).T]
)
def test_no_byte_between_fields_leaves_the_program(take: Any) -> None:
    array = take(dirty(ALIGNED, 4))
    for message in (array, [array], array.flat[0], array.view(np.recarray)):
        payload = encode(message)
        used = array.dtype.fields
        items = 1 if np.ndim(message) == 0 and not isinstance(message, list) else array.size
        assert payload.count(b"\xaa") == items * (1 + 8 + 2 * (1 + 4)), used
    back = decode(encode(array))
    assert back.dtype == array.dtype and back.shape == array.shape
    assert back["b"].tobytes() == array["b"].tobytes() and back["c"]["y"].tolist() == array["c"]["y"].tolist()


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, np.dtype(np.longdouble).newbyteorder()])
def test_no_byte_that_fills_up_a_long_double_leaves_the_program(dtype: Any) -> None:
    if np.finfo(np.longdouble).nmant != 63:
        pytest.skip("long doubles have no padding here")
    array = np.array([1.5, -2.25], dtype)
    raw = array.view(np.uint8).reshape(2, -1)
    clean = raw.copy()
    filler = np.ones(raw.shape[1], bool)
    for start in range(0, raw.shape[1], 16):
        front = 6 if np.dtype(dtype).byteorder == ">" else 0
        filler[start + front : start + front + 10] = False
    raw[:, filler] = 0xAA
    clean[:, filler] = 0
    for message in (array, array[0]):
        assert b"\xaa" not in encode([message])
    back = decode(encode(array))
    assert back.dtype == array.dtype and (back == array).all()
    assert back.view(np.uint8).tobytes() == clean.tobytes()
    assert decode(encode(np.zeros(2, [("a", dtype), ("b", "i1")]))).dtype.names == ("a", "b")


def test_records_stay_records() -> None:
    fields = [("name", "U5"), ("value", "<f8")]
    records = np.rec.array([("a", 1.0), ("b", 2.0)], dtype=fields)
    back = arrives(records)
    assert (back.dtype, back.dtype.type, back.value.tolist()) == (records.dtype, np.record, [1.0, 2.0])
    assert type(arrives(records[0])) is np.record
    assert arrives(records[0]).name == "a"
    plain = records.view(np.ndarray).astype(records.dtype)
    assert (type(decode(encode(plain))), decode(encode(plain)).dtype.type) == (np.ndarray, plain.dtype.type)
    assert decode(encode(np.zeros(2, fields))).dtype.type is np.void
    assert type(arrives(np.zeros(3, "i4").view(np.recarray))) is np.recarray
    large = np.zeros(9000, records.dtype).view(np.recarray)
    from pyro_events.codec.message import encode_shared

    assert type(decode(bytes(encode_shared(large)))) is np.recarray
    nested = np.zeros(1, [("a", np.dtype((np.record, fields)))])
    try:
        assert arrives(nested).dtype["a"].type is np.record
    except UnsupportedTypeError as error:
        assert "its dtype is" in str(error)


@pytest.mark.parametrize(
    "description",
    [[M.TUPLE, "record"], [M.TUPLE, "record", "|O8"], [M.TUPLE, "x", "<f4"], [M.TUPLE, "recarray", [5]]],
)
def test_senseless_records(description: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb([M.ARRAY, description, [1], b"1234"]))


def test_a_dtype_with_metadata_arrives_without_a_warning() -> None:
    array = np.zeros(2, np.dtype("<f8", metadata={"unit": "K"}))
    assert (decode(encode(array)).dtype, decode(encode(array)).tolist()) == (np.dtype("<f8"), [0.0, 0.0])


@dataclasses.dataclass
class Later:
    a: int
    b: list[int] = dataclasses.field(default_factory=list)


def test_a_field_that_an_older_publisher_does_not_know_gets_its_default() -> None:
    register_class(Later, name="lab.Later")
    assert decode(msgpack.packb([M.OBJECT, "lab.Later", {"a": 1}])) == Later(1)
    with pytest.raises(PayloadError, match="its field 'a' is missing"):
        decode(msgpack.packb([M.OBJECT, "lab.Later", {"b": []}]))
    with pytest.raises(PayloadError, match="not the state of Later"):
        decode(msgpack.packb([M.OBJECT, "lab.Later", [1]]))


class Interrupted:
    """A signal comes while it is written, and while it is read."""

    def __getstate__(self) -> Any:
        if Interrupted.when == "writing":
            signal.raise_signal(signal.SIGUSR1)
        return {}

    def __setstate__(self, state: Any) -> None:
        signal.raise_signal(signal.SIGUSR1)

    when = "writing"


class Shouting(Exception):
    def __str__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "never"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no such signal")
@pytest.mark.parametrize("kind", [ValueError, TypeError, TimeoutError, PayloadError, UnsupportedTypeError])
def test_what_a_signals_handler_raises_comes_through(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("enough")

    def handler(number: int, frame: object) -> None:
        raise error

    register_class(Interrupted)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr(Interrupted, "when", "reading")
        payload = encode([Interrupted()])
        with pytest.raises(kind) as caught:
            decode(payload)
        assert caught.value is error
        monkeypatch.setattr(Interrupted, "when", "writing")
        for message in (Interrupted(), Shouting()):
            with pytest.raises(kind) as caught:
                encode([message])
            assert caught.value is error
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_dict_with_other_keys_is_read_without_looking_at_the_signals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "valid_signals", lambda: pytest.fail("100 µs for each message"))
    assert decode(encode({1: 2})) == {1: 2}
