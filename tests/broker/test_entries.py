"""The plain entries of a batch are read at once; a batch with any other one is left to others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.entries import plain_entries

MOST = 10

names = st.text("ABC%é", min_size=1, max_size=3)
plain = st.tuples(names, st.binary(max_size=MOST)).map(list)
other: list[Any] = [
    ("A", b"x"),
    ["A"],
    ["A", b"x", {"retain": True}],
    [["A", "B"], b"x"],
    ["A", "text"],
    ["A", bytes(MOST + 1)],
    [None, b"x"],
    "AB",
    7,
]


@given(st.lists(plain))
def test_plain_entries_are_all_read_in_order(batch: list[Any]) -> None:
    assert plain_entries(batch, MOST) == [((subject,), payload) for subject, payload in batch]


@given(st.lists(plain), st.sampled_from(other), st.lists(plain))
def test_one_other_entry_is_enough_to_read_none(before: list[Any], entry: Any, after: list[Any]) -> None:
    assert plain_entries([*before, entry, *after], MOST) is None


def test_a_name_that_is_the_same_as_before_is_one_name() -> None:
    entries = plain_entries([["A", b"1"], ["A", b"2"]], MOST)
    assert entries is not None and entries[0][0] is entries[1][0]


@pytest.mark.parametrize("name", ["", "A\n", "$ES.SERVICE", "x" * 256])
def test_a_name_that_may_not_be_published_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        plain_entries([["A", b"x"], [name, b"x"]], MOST)
