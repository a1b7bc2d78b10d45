"""What stock programs send, and what stands for unknown classes."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
import serpent
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.codec.stock_values import ClassTagged, Unknown, untangle
from pyro_events.constants import MAX_DEPTH
from pyro_events.errors import UnsupportedTypeError

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
hashables = leaves | st.tuples(leaves, leaves) | st.frozensets(leaves, max_size=2)
states = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.sets(hashables, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
    ),
    max_leaves=8,
)


def reordered(value: Any) -> Any:
    """An equal value, whose dicts have their keys the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    if isinstance(value, (list, tuple)):
        return type(value)(map(reordered, value))
    return value


@given(states)
def test_equal_unknown_values_have_one_hash(state: Any) -> None:
    one, other = Unknown("x", state), Unknown("x", reordered(state))
    assert one == other and hash(one) == hash(other)
    assert len({one, other}) == 1


def test_unknown_values_differ_by_name_state_and_kind() -> None:
    one = Unknown("x", {"a": 1})
    assert one != Unknown("y", {"a": 1}) and one != Unknown("x", {"a": 2}) and one != {"a": 1}
    assert one.__eq__("x") is NotImplemented


def test_a_state_that_has_no_hash_and_no_members_counts_by_its_class() -> None:
    assert hash(Unknown("x", bytearray(b"a"))) == hash(Unknown("x", bytearray(b"b")))
    assert Unknown("x", bytearray(b"a")) != Unknown("x", bytearray(b"b"))


def test_it_shows_what_it_was() -> None:
    assert repr(Unknown("lab.Point", {"x": 1})) == "Unknown('lab.Point', {'x': 1})"


@given(states, st.booleans())
def test_what_has_no_tag_stays_as_it_is(value: Any, by_serpent: bool) -> None:
    assert untangle(value, by_serpent) == value
    assert type(untangle(value, by_serpent)) is type(value)


@given(st.binary())
def test_bytes_come_back_from_what_serpent_makes_of_them(data: bytes) -> None:
    sent = serpent.loads(serpent.dumps({"raw": data, "more": [data]}))
    assert untangle(sent, serpent=True) == {"raw": data, "more": [data]}
    assert untangle(sent, serpent=False) == sent


@pytest.mark.parametrize(
    "value",
    [
        {"data": "?", "encoding": "base64"},
        {"data": 5, "encoding": "base64"},
        {"data": "", "encoding": []},
        {"data": "", "encoding": "hex"},
        {"data": "", "encoding": "base64", "more": 1},
    ],
    ids=repr,
)
def test_what_only_looks_like_serpents_bytes_stays_a_dict(value: Any) -> None:
    assert untangle(value, serpent=True) == value


def test_nan_is_serpents_alone() -> None:
    nan = {"__class__": "float", "value": "nan"}
    assert math.isnan(untangle(nan, serpent=True))
    tagged = untangle(nan, serpent=False)
    assert type(tagged) is ClassTagged and tagged.state == nan


def test_a_tag_that_is_a_str_makes_a_class_tagged_dict_at_every_level() -> None:
    inner = {"__class__": "lab.Point", "x": {"data": base64.b64encode(b"\0").decode(), "encoding": "base64"}}
    (found,) = untangle([{"__class__": "lab.Line", "from": inner}], serpent=True)
    assert type(found) is type(found.state["from"]) is ClassTagged
    assert found.state["from"].state == {"__class__": "lab.Point", "x": b"\0"}
    assert untangle({"__class__": 5}, serpent=True) == {"__class__": 5}


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}])
def test_it_follows_no_more_levels_than_a_message_may_have(wrap: Any) -> None:
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert untangle(value, serpent=True) == value
    with pytest.raises(UnsupportedTypeError, match="nested deeper than 64 levels, or contains itself"):
        untangle(wrap(value), serpent=True)


def test_a_value_that_contains_itself_is_refused() -> None:
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(UnsupportedTypeError, match="contains itself"):
        untangle(itself, serpent=False)
