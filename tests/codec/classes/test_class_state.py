"""Enums, flags and named tuples as their state and back, and a program's own converters."""

from __future__ import annotations

import enum
from collections import namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.codec.classes.class_state import state_functions
from pyro_events.errors import PayloadError, UnsupportedTypeError


def usual(cls: type) -> Any:
    return state_functions(cls, None, None)


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = (1, 2)

    @classmethod
    def _missing_(cls, value: object) -> Any:
        """A member that no other program can find."""
        stray = object.__new__(cls)
        stray._name_, stray._value_ = "RED", value
        return stray


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 4


class Point(NamedTuple):
    x: Any
    y: Any = None


class Noted(namedtuple("Noted", "a b")):
    """A named tuple with a `__dict__`."""


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


# The program's own converters


def test_two_converters_are_all_that_is_used() -> None:
    functions = state_functions(str, lambda text: {"t": text}, lambda state: state["t"])
    assert functions.from_state(functions.to_state("x")) == "x"


def test_one_of_two_stands_beside_the_usual_one() -> None:
    reading = state_functions(Plain, None, lambda state: Plain(state["value"] + 1))
    assert reading.to_state(Plain(1)) == {"value": 1}
    assert reading.from_state({"value": 1}).value == 2
    writing = state_functions(Plain, lambda value: {"value": 9}, None)
    assert writing.to_state(Plain(1)) == {"value": 9}
    assert vars(writing.from_state({"value": 9})) == {"value": 9}


@pytest.mark.parametrize("name", ["to_dict", "from_dict"])
def test_a_converter_is_a_function(name: str) -> None:
    given_one: Any = {"to_dict": None, "from_dict": None, name: "x"}
    with pytest.raises(TypeError, match=f"^{name} must be a function, not str$"):
        state_functions(Plain, **given_one)


def test_a_converter_returns_a_dict() -> None:
    for functions in (
        state_functions(Plain, lambda value: [1], Plain),  # type: ignore[arg-type, return-value]
        state_functions(Plain, lambda value: [1], None),  # type: ignore[arg-type, return-value]
    ):
        with pytest.raises(UnsupportedTypeError, match="its converter returned <class 'list'> instead of a"):
            functions.to_state(Plain(1))


def test_a_class_that_keeps_more_than_attributes_needs_both() -> None:
    for one in ((None, None), (lambda text: {}, None), (None, str)):
        with pytest.raises(TypeError, match="give to_dict and from_dict"):
            state_functions(type("Text", (str,), {}), *one)  # type: ignore[arg-type]


# Enums and flags


@pytest.mark.parametrize("member", [Colour.RED, Colour.CRIMSON, Colour.BLUE])
def test_a_member_of_an_enum_arrives_by_its_name(member: Colour) -> None:
    functions = usual(Colour)
    state = functions.to_state(member)
    assert state == {"name": member.name}
    assert functions.from_state(state) is member


def test_a_value_that_is_not_a_member_of_an_enum() -> None:
    with pytest.raises(UnsupportedTypeError, match="it is not a member of its Enum"):
        usual(Colour).to_state(Colour(5))
    with pytest.raises(KeyError, match="GREEN"):
        usual(Colour).from_state({"name": "GREEN"})


@given(st.sampled_from([Access, Level]), st.data())
def test_flags_arrive_with_all_their_bits(cls: Any, data: st.DataObject) -> None:
    flag = cls(0)
    for member in data.draw(st.sets(st.sampled_from(list(cls)))):
        flag |= member
    functions = usual(cls)
    state = functions.to_state(flag)
    assert state == {"value": flag.value}
    assert functions.from_state(state) is flag


def test_a_value_that_is_not_a_member_of_a_flag() -> None:
    stray = object.__new__(Access)
    stray._value_ = 1
    unknown = object.__new__(Access)
    unknown._value_ = 64
    for flag in (stray, unknown):
        with pytest.raises(UnsupportedTypeError, match="it is not a member of its Flag"):
            usual(Access).to_state(flag)
    with pytest.raises(ValueError):
        usual(Access).from_state({"value": 64})


@pytest.mark.skipif(not hasattr(enum, "EJECT"), reason="Python 3.10 has no boundaries")
def test_a_flag_that_turns_unknown_bits_into_an_int() -> None:
    ejecting = enum.Flag("Ejecting", {"ONE": 1}, boundary=enum.EJECT)  # type: ignore[call-arg]
    with pytest.raises(PayloadError, match="Ejecting has no such member"):
        usual(ejecting).from_state({"value": 64})


# Named tuples


@given(st.lists(st.integers(), min_size=2, max_size=2), st.dictionaries(st.sampled_from("cd"), st.integers()))
def test_named_tuples_arrive_with_their_attributes(items: list[int], attributes: dict[str, int]) -> None:
    value = Noted(*items)
    vars(value).update(attributes)
    functions = usual(Noted)
    state = functions.to_state(value)
    assert state == {"a": items[0], "b": items[1], **attributes}
    back = functions.from_state(state)
    assert (type(back), back, vars(back)) == (Noted, value, attributes)


def test_a_field_that_is_missing_gets_its_default_if_it_has_one() -> None:
    functions = usual(Point)
    assert functions.from_state({"x": 1}) == Point(1, None)
    with pytest.raises(PayloadError, match="its field 'x' is missing"):
        functions.from_state({"y": 1})
    with pytest.raises(PayloadError, match="Point has no attribute 'z'"):
        functions.from_state({"x": 1, "z": 2})


def test_other_items_than_the_fields_are_refused() -> None:
    hiding = Noted(1, 2)
    vars(hiding)["a"] = 3
    for value in (tuple.__new__(Noted, [1]), tuple.__new__(Noted, [1, 2, 3]), hiding):
        with pytest.raises(UnsupportedTypeError, match="other items than the fields of its class"):
            usual(Noted).to_state(value)


@pytest.mark.parametrize("name", ["__getstate__", "__setstate__"])
def test_a_named_tuple_with_a_state_of_its_own_needs_converters(name: str) -> None:
    cls = type("Stateful", (Point,), {name: lambda self, *state: {}})
    with pytest.raises(TypeError, match="it is a tuple with a __getstate__ or __setstate__ of its own"):
        usual(cls)


# All other classes


def test_exceptions_and_instances_have_their_own_ways() -> None:
    error = usual(ZeroDivisionError)
    assert repr(error.from_state(error.to_state(ZeroDivisionError("x")))) == "ZeroDivisionError('x')"
    plain = usual(Plain)
    assert vars(plain.from_state(plain.to_state(Plain(5)))) == {"value": 5}
