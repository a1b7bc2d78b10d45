"""How deep an encoded message nests: what is accepted, and what the unpackers keep from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack.exceptions import StackError

from pyro_events.codec import depth
from pyro_events.codec.depth import KEEP_BUFFER, check_depth
from pyro_events.constants import MAX_DEPTH

# Containers of one member, as msgpack may begin them: a list, two dicts, a tuple's tagged array, a long list.
OPENINGS = [b"\x91", b"\x81\x01", b"\x81\xa1a", b"\x92\xc7\x00\xfe", b"\xdd\x00\x00\x00\x01"]
LONG = b"\xda\x20\x00" + b"x" * 0x2000  # a str that is too long for counting the containers' bytes


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("inner", [b"\x01", LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_the_allowed_levels_are_accepted_and_one_more_is_not(
    opening: bytes, inner: bytes, kind: Callable[[bytes], Any]
) -> None:
    check_depth(kind(opening * MAX_DEPTH + inner))
    for deep in (MAX_DEPTH + 1, 1023, 1024, 1025, 200_000):
        with pytest.raises(StackError):
            check_depth(kind(opening * deep + inner))


def depth_of(value: Any) -> int:
    """How many containers stand in each other, counted by walking through them."""
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max((depth_of(each) for pair in value.items() for each in pair), default=0)
    return 0


# Single steps may be as deep as the limit; what is inside them varies.
leaves = st.none() | st.integers(0, 300) | st.binary(max_size=80) | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.integers(MAX_DEPTH - 6, MAX_DEPTH + 2), st.booleans())
def test_it_agrees_with_walking_through_the_message(value: Any, around: int, view: bool) -> None:
    for _ in range(around):
        value = [value]
    payload = msgpack.packb(value)
    asked: Any = memoryview(payload) if view else payload
    if depth_of(value) <= MAX_DEPTH:
        check_depth(asked)
    else:
        with pytest.raises(StackError):
            check_depth(asked)


def test_what_follows_the_message_is_noticed() -> None:
    with pytest.raises(ValueError, match="bytes after the end"):
        check_depth(memoryview(b"\x91\x01\x01"))


def test_what_is_missing_at_the_end_is_noticed() -> None:
    for cut in (LONG[:-1], b"\x92" + LONG):
        with pytest.raises((ValueError, msgpack.OutOfData)):
            check_depth(cut)


@pytest.mark.parametrize(
    "bad", [LONG + b"\x01", LONG[:-1], b"\x91" * (MAX_DEPTH + 1) + LONG], ids=["more", "less", "deep"]
)
def test_a_bad_payload_leaves_nothing_behind_for_the_next(bad: bytes) -> None:
    for _ in range(3):
        with pytest.raises((ValueError, msgpack.OutOfData)):
            check_depth(bad)
        check_depth(LONG)
        with pytest.raises(StackError):
            check_depth(b"\x91" * (MAX_DEPTH + 1) + LONG)


def test_an_unpacker_is_used_again_unless_its_buffer_is_large() -> None:
    depth._idle.clear()
    check_depth(LONG)
    (kept,) = depth._idle
    check_depth(LONG)
    assert depth._idle == [kept]
    check_depth(memoryview(msgpack.packb(bytes(KEEP_BUFFER + 1))))
    assert depth._idle == []


def test_the_stack_of_the_unpacker_was_measured() -> None:
    assert len(depth._filling()) >= 100
    assert set(depth._filling()) == {0x91}
