"""The attributes of instances as a dict, and back: no constructor runs, and nothing is computed."""

from __future__ import annotations

import abc
import array
import collections
import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.codec.classes.instance_state import (
    Attributes,
    default_state,
    instance_functions,
    is_built_in,
    is_dunder,
    own_method,
    set_default_state,
    slots_of,
)
from pyro_events.errors import PayloadError, UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import MAKERS, Decoding, state_of

OF_INSTANCES = [
    name
    for name, (cls, _) in MAKERS.items()
    if not issubclass(cls, (tuple, BaseException)) and cls is not strange.DoubleCell
]


def brought(value: Any) -> Any:
    """`value` taken apart and made again; its state is copied, as by a connection."""
    functions = instance_functions(type(value))
    state = functions.to_state(value)
    with Decoding():
        back = functions.from_state(dict(state) if type(state) is dict else state)
    assert type(back) is type(value)
    return back


@given(st.sampled_from(OF_INSTANCES), st.integers() | st.lists(st.text(max_size=2), max_size=2))
def test_instances_arrive_with_all_that_they_hold(name: str, content: Any) -> None:
    value = MAKERS[name][1](content)
    assert state_of(brought(value)) == state_of(value)


# Classes


def test_names_with_a_meaning() -> None:
    assert is_dunder("__class__") and is_dunder(5) and is_dunder(b"x")
    assert not is_dunder("__private") and not is_dunder("x__") and not is_dunder("")


def test_what_is_built_in() -> None:
    assert is_built_in(object) and is_built_in(ValueError) and not is_built_in(strange.Base)


def test_slots_are_those_of_all_bases() -> None:
    assert slots_of(strange.Derived).keys() == {"_Base__hidden", "shared", "unset"}
    assert slots_of(strange.Celsius) == {}
    assert slots_of(strange.DoubleCell)["value"] is vars(strange.DoubleCell)["value"]


def test_own_methods_are_those_that_the_program_wrote() -> None:
    assert own_method(strange.Pickled, "__getstate__") is strange.Pickled.__getstate__
    for cls in (strange.Celsius, strange.FrozenSlots, ValueError):  # Python's, and those of dataclasses
        assert own_method(cls, "__getstate__") is own_method(cls, "__setstate__") is None
    assert own_method(object, "no_such_method") is None


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (type("Text", (str,), {}), "it keeps its contents in <class 'str'>"),
        (type("Sorted", (collections.OrderedDict,), {}), "it keeps its contents in <class"),
        (array.array, "it keeps its contents in <class 'array.array'>"),
        (object, "it has no attributes"),
    ],
    ids=["str", "OrderedDict", "array", "object"],
)
def test_a_class_that_keeps_more_than_attributes_is_refused(cls: type, reason: str) -> None:
    with pytest.raises(TypeError, match=f"cannot take .* apart by itself: {reason}.*; give to_dict and"):
        instance_functions(cls)


def test_a_class_of_an_extension_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(TypeError, match="apart by itself: .*re.Pattern.*; give to_dict and from_dict"):
        instance_functions(re.Pattern)


def test_an_abstract_class_and_one_that_cleans_up_are_not_tried() -> None:
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def read(self) -> float: ...

    class Cleaning:
        def __del__(self) -> None:
            raise AssertionError("it was never initialised")

    instance_functions(Abstract)
    instance_functions(Cleaning)


# Attributes


def test_nothing_is_computed_again() -> None:
    reading = strange.Celsius(300.0)
    back = brought(reading)
    assert (back.degrees, back.derived) == (reading.degrees, reading.derived)
    assert vars(brought(strange.WithInitVar(1, "x"))) == {"a": 1, "kept": "x"}


def test_a_slot_that_was_never_set_stays_so() -> None:
    assert not hasattr(brought(strange.Slots(1)), "late")
    half = strange.Slots(1)
    half.late = (1,)
    assert brought(half).late == (1,)
    del half.c
    with pytest.raises(UnsupportedTypeError, match="its field 'c' is not set"):
        brought(half)


def test_a_class_that_forbids_setting_does_not_prevent_it() -> None:
    assert brought(strange.Reluctant(5)).value == 5


@pytest.mark.parametrize("name", ["__doc__", "__own__", 5])
def test_names_that_python_gives_a_meaning_are_refused(name: Any) -> None:
    value = strange.PlainBox(1)
    value.__dict__[name] = "mine"
    with pytest.raises(UnsupportedTypeError, match=f"its attribute {name!r} has a name that Python reserves"):
        Attributes(strange.PlainBox).taken(value)


def test_no_more_names_are_remembered_than_a_class_may_have() -> None:
    attributes = Attributes(strange.PlainBox)
    value = strange.PlainBox(1)
    for number in range(3):
        vars(value).update({f"{number} {other}": 1 for other in range(600)})
        assert attributes.taken(value) == vars(value)
    assert len(attributes._checked) == 1 + 2 * 600
    value.__dict__["__own__"] = 1
    with pytest.raises(UnsupportedTypeError, match="__own__"):
        attributes.taken(value)


def test_two_places_of_one_name_are_refused() -> None:
    double = strange.with_slots(strange.DoubleCell(), 1)
    with pytest.raises(UnsupportedTypeError, match="it has two slots named 'value'"):
        brought(double)
    single = strange.DoubleCell()
    single.value = 2
    assert brought(single).value == 2
    beside = strange.Derived(1)
    vars(beside)["shared"] = 2
    with pytest.raises(UnsupportedTypeError, match="it has both a slot and an attribute named 'shared'"):
        brought(beside)


def test_a_generic_class_arrives_without_the_alias_by_which_it_was_called() -> None:
    assert vars(brought(strange.Box[int](5))) == {"content": 5}


@pytest.mark.parametrize("cls", [strange.CachedHash, strange.CachedHashInDict])
def test_a_cached_hash_is_not_taken_along(cls: Any) -> None:
    value = cls("text")
    hash(value)
    assert brought(value)._attrs_cached_hash is None


def test_a_cached_hash_in_a_slot_is_not_taken_along() -> None:
    class Cached:
        __slots__ = ("_attrs_cached_hash",)

    value = Cached()
    value._attrs_cached_hash = 5
    assert Attributes(Cached).taken(value) == {"_attrs_cached_hash": None}


@pytest.mark.parametrize(
    ("cls", "state"),
    [
        (strange.Cell, {"b": 1}),
        (strange.PlainBox, {"__init__": 1}),
        (strange.Derived, {"__dict__": 1}),
        (strange.PlainBox, {5: 1}),
    ],
)
def test_what_a_class_does_not_have_is_not_set(cls: type, state: Any) -> None:
    name = next(iter(state))
    with pytest.raises(PayloadError, match=f"{cls.__qualname__} has no attribute {name!r}"):
        instance_functions(cls).from_state(state)


@pytest.mark.parametrize("state", [[1], None, (1, 2), "x", collections.OrderedDict(a=1)])
def test_a_state_of_another_kind(state: Any) -> None:
    with pytest.raises(PayloadError, match="not the state of Celsius"):
        instance_functions(strange.Celsius).from_state(state)


# Dataclasses


@dataclasses.dataclass
class Later:
    a: int
    b: list[int] = dataclasses.field(default_factory=list)
    c: int = 7
    d: int = dataclasses.field(init=False)


def test_a_field_that_an_older_publisher_does_not_know_gets_its_default() -> None:
    functions = instance_functions(Later)
    one, other = functions.from_state({"a": 1}), functions.from_state({"a": 1})
    assert (one.a, one.b, one.c) == (1, [], 7) and one.b is not other.b
    assert not hasattr(one, "d")
    slotted = instance_functions(strange.FrozenSlots).from_state({"a": 1})
    assert slotted == strange.FrozenSlots(1, None)


def test_a_field_without_a_default_is_missed() -> None:
    with pytest.raises(PayloadError, match="its field 'a' is missing"):
        instance_functions(Later).from_state({"b": []})


# Classes that decide themselves


def test_a_class_decides_itself_what_its_state_is() -> None:
    back = brought(strange.Pickled({1: "x"}))
    assert (back.value, back.cache) == ({1: "x"}, "made anew")
    assert vars(brought(strange.OnlyGet(5))) == {"value": 5}
    assert vars(brought(strange.OnlySet(5))) == {"value": 5, "restored": True}


def test_a_state_of_nothing_is_not_set() -> None:
    class Nothing:
        def __getstate__(self) -> None:
            return None

        def __setstate__(self, state: Any) -> None:
            raise AssertionError("there is no state")

    class NothingAlone:
        def __getstate__(self) -> None:
            return None

    for cls in (Nothing, NothingAlone):
        assert vars(brought(cls())) == {}


def test_a_state_that_only_its_class_understands_needs_its_setstate() -> None:
    class Wrong:
        def __getstate__(self) -> Any:
            return 5

    with pytest.raises(UnsupportedTypeError, match="returned <class 'int'>, and it has no __setstate__"):
        brought(Wrong())
    for state in ([1, 2, 3], (1, 2), ({}, {}, {})):
        with pytest.raises(PayloadError, match="not the state of"):
            instance_functions(Wrong).from_state(state)


class Both:
    """Has slots and a dict."""

    __slots__ = ("__dict__", "slot")


class BothWithSetstate(Both):
    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        self.slot = [state]


@pytest.mark.parametrize(
    ("slot", "free", "state"),
    [
        (None, None, None),
        (1, None, (None, {"slot": 1})),
        (None, 2, {"free": 2}),
        (1, 2, ({"free": 2}, {"slot": 1})),
    ],
)
def test_pythons_own_state(slot: Any, free: Any, state: Any) -> None:
    value, attributes = Both(), Attributes(Both)
    if slot:
        value.slot = slot
    if free:
        vars(value)["free"] = free
    assert default_state(value, attributes) == state
    back = Both()
    set_default_state(back, attributes, state)
    assert (getattr(back, "slot", None), getattr(back, "free", None)) == (slot, free)


def test_pythons_own_state_goes_to_a_setstate_of_the_class() -> None:
    value = BothWithSetstate()
    value.slot = 1
    assert brought(value).slot == [(None, {"slot": 1})]
    assert default_state(strange.PlainBox(1), Attributes(strange.PlainBox)) == {"content": 1}
    empty = strange.PlainBox.__new__(strange.PlainBox)
    assert default_state(empty, Attributes(strange.PlainBox)) is None
