"""Instances arrive as they were, and what the reader would refuse the writer refuses: through the whole codec."""

from __future__ import annotations

import collections
import dataclasses
import math
import signal
import struct
import types
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyro_events.codec import values as M
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError, UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import MAKERS, Decoding, state_of

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.usefixtures("strange_tables"),
]


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
