"""Through the whole codec, instances arrive as they were, and the writer refuses what the reader would."""

from __future__ import annotations

import collections
import math
import struct
import types
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyro_events.codec.message import decode, encode
from pyro_events.errors import UnsupportedTypeError
from tests import strange_classes as strange
from tests.strange_classes import MAKERS, Decoding, state_of

# Hypothesis shows its strategies when it retries, and ours are long.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.usefixtures("strange_tables"),
]


MADE = {cls for cls, _ in MAKERS.values()}


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
