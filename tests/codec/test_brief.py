"""Brief texts, and the repr of an event, which uses them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events import Event
from pyro_events.codec.brief import MAX_CHARACTERS, brief
from pyro_events.codec.message import encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(plain)
def test_what_is_short_is_shown_whole_and_nothing_is_shown_long(value: Any) -> None:
    text = brief(value)
    assert len(text) < 5 * MAX_CHARACTERS  # bytes take four characters each
    if type(value) not in (list, dict, tuple) and len(str(value)) <= MAX_CHARACTERS:
        assert text == str(value)


def test_small_containers_are_shown_as_always() -> None:
    for value in (("SUN", 22.44), {"b": 1, "a": [1, 2, {"c": None}]}, [], {}, {1}, frozenset({1}), [b"x"]):
        assert brief(value) == str(value)


@pytest.mark.parametrize(
    ("value", "beginning", "end"),
    [
        ("x" * 5000, "xxx", "... (5000 characters)"),
        (b"x" * 5000, "b'xxx", "... (5000 bytes)"),
        (["ab" * 200, 1], "['abab", "... (2 members)"),
        (list(range(5000)), "[0, 1, 2,", "...]"),
        ({str(n): n for n in range(5000)}, "{'0': 0, '1': 1,", "...}"),
        ([[[[[[1]]]]]], "[[[[", "]]]]"),
        ([{"a": {"b": {"c": {"d": 1}}}}], "[{'a'", "}]"),
        (["y" * 150, "z" * 150], "['yyy", "... (2 members)"),
    ],
)
def test_what_is_long_is_cut(value: Any, beginning: str, end: str) -> None:
    for shown in (brief(value), repr(Event("S", value))[: -len(">")]):
        assert beginning in shown and shown.endswith(end) and len(shown) < 350


def test_a_large_message_is_not_written_out_to_be_cut() -> None:
    event = Event("S", [b"\x00" * 5_000_000, "x" * 5_000_000])
    tracemalloc.start()
    try:
        assert len(repr(event)) < 1500
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


def test_the_text_of_an_event_is_never_cut() -> None:
    assert "x" * 5000 in str(Event("S", "x" * 5000))


def test_a_message_that_cannot_be_shown_is_shown_as_its_error() -> None:
    assert "ValueError" in repr(Event("S", 10**5000))
    assert "PayloadError" in repr(Event.from_payload("S", 0.0, 1, 0, encode(1)[:-1]))
