"""The place of what cannot be carried, and what is said of it; what is written is decided by the test."""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict, defaultdict, deque
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp
from msgpack.exceptions import StackError
from raising_handler import needs_signals, raising

from pyro_events.codec.refusal import cause_of, find, refusal
from pyro_events.codec.stock_values import ClassTagged
from pyro_events.codec.values import OBJECT, WRITERS
from pyro_events.constants import MAX_DEPTH
from pyro_events.errors import UnsupportedTypeError


class Odd:
    """What `write` refuses."""

    def __init__(self, reason: str = "it is odd") -> None:
        self.reason = reason


class Thing:
    """What `write` turns into the state that it was given; a dict stands for its attributes."""

    def __init__(self, state: Any) -> None:
        self.state = state


class Proxied:
    """What `write` turns into a plain dict, as the codec does with some exceptions."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state


def write(value: Any) -> Any:
    if isinstance(value, Odd):
        raise LookupError(value.reason)
    if isinstance(value, Thing):
        return [OBJECT, "lab.Thing", value.state]
    if isinstance(value, Proxied):
        return value.state
    if type(value) in WRITERS:
        return WRITERS[type(value)](value)
    raise UnsupportedTypeError("nobody knows it")


def place(message: object) -> str:
    """Where the refused value is, by the text."""
    text = str(refusal(message, ValueError(), write))
    return text.partition(" at ")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (Odd(), "message"),
        ([1, 2, {"price": Odd()}], "message[2]['price']"),
        (({1, 2}, [{"a": (Odd(),)}]), "message[1][0]['a'][0]"),
        ({(1, Odd()): 1}, "a key of message[1]"),
        ([{Odd()}], "an element of message[0]"),
        ([frozenset({Odd()})], "an element of message[0]"),
        (deque([1, Odd()]), "message[1]"),
        ([dt.datetime(2024, 1, 1, tzinfo=dt.tzinfo())], "message[0].tzinfo"),
        (OrderedDict(a=Odd()), "message['a']"),
        (defaultdict(list, a=Odd()), "message['a']"),
        (Counter(a=Odd()), "message['a']"),  # type: ignore[arg-type]
        ([ClassTagged({"__class__": "x", "b": Odd()})], "message[0]['b']"),
        ([Thing({"a": [Odd()]})], "message[0].a[0]"),
        ([Thing({1: Odd()})], "message[0][1]"),
        ([Thing([Odd()])], "message[0].__getstate__()[0]"),
        (Proxied({"args": (Odd(),)}), "message['args'][0]"),
        ({"x" * 100: Odd()}, "message['" + "x" * 12 + "..." + "x" * 13 + "']"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_place(message: Any, where: str) -> None:
    found = place(message)
    # Which of two steps comes first when a key has members is a matter of taste.
    assert found == where or found == "[1] of a key of message" and where == "a key of message[1]"


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 5, -(2**63), 2**64 - 1, 2.5, "x", "\ud800", b"x", bytearray(b"x")),
        *(memoryview(b"x"), ExtType(5, b"x"), Timestamp(3, 4)),
        *(2**64, (1, {2}), dt.date(2024, 1, 1), Fraction(1, 3), deque([1]), OrderedDict(a=1)),
        *(Thing({"a": 1}), Thing({1: 2}), Thing([1]), Proxied({}), ClassTagged({"__class__": "x"})),
        dt.time(1, 2, fold=1, tzinfo=dt.timezone.utc),
    ],
    ids=lambda value: type(value).__name__,  # repr has addresses, which differ between processes
)
def test_nothing_is_found_where_all_can_be_carried(value: Any) -> None:
    assert find([value], write) is None


paths = st.lists(st.sampled_from(["list", "tuple", "dict", "deque", "object"]), max_size=8)


@given(paths, st.lists(st.integers(0, 9), max_size=3))
def test_the_place_leads_to_the_value(path: list[str], before: list[int]) -> None:
    odd: Any = Odd()
    message, wanted = odd, ""
    for kind in reversed(path):
        if kind in ("list", "tuple", "deque"):
            message = {"list": list, "tuple": tuple, "deque": deque}[kind]([*before, message])
            wanted = f"[{len(before)}]{wanted}"
        else:
            message = {"k": message} if kind == "dict" else Thing({"k": message})
            wanted = f"['k']{wanted}" if kind == "dict" else f".k{wanted}"
    assert place(message) == f"message{wanted}"


def test_the_text_names_type_place_and_reason() -> None:
    error = refusal([Odd("it is wet")], ValueError(), write)
    assert type(error) is UnsupportedTypeError
    assert str(error) == f"cannot send {Odd!r} at message[0]; it is wet"
    assert str(refusal(Odd(""), ValueError(), write)).endswith("; LookupError")
    assert "at message[0]; memoryview: underlying buffer is not C-contiguous" in str(
        refusal([memoryview(b"abcdef")[::2]], ValueError(), write)
    )


def test_a_message_that_has_changed_meanwhile() -> None:
    assert str(refusal([1], ValueError("it was odd"), write)) == "cannot send this message: it was odd"
    assert str(refusal([1], StackError(), write)).startswith("cannot send this message: nested deeper")


@pytest.mark.parametrize(
    ("wrap", "levels"),
    [
        (lambda v: [v], 1),
        (lambda v: (v,), 1),
        (lambda v: {"a": v}, 1),
        (lambda v: deque([v]), 1),
        (lambda v: Thing([v]), 2),
        (lambda v: Thing({"a": v}), 2),
        (lambda v: Thing({1: v}), 2),
        (lambda v: ClassTagged({"a": v}), 2),
        (lambda v: OrderedDict(a=v), 2),
    ],
)
def test_each_container_takes_as_many_levels_as_it_is_written_with(wrap: Any, levels: int) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH // levels):
        value = wrap(value)
    assert find(value, write) is None
    found = find(wrap(value), write)
    assert found is not None and "nested deeper than 64 levels, or contains itself" in found[1]


def test_a_message_that_contains_itself_ends() -> None:
    itself: dict[str, Any] = {}
    itself["self"] = (itself,)
    found = find(itself, write)
    assert found is not None and "contains itself" in found[1]


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys, OrderedDict.fromkeys, Thing])
def test_equal_hashes_are_named(kind: Any) -> None:
    many: Any = [1 << 61 * k for k in range(65)]
    value = Thing(dict.fromkeys(many)) if kind is Thing else kind(many)
    found = find([value], write)
    assert found is not None and found[1].startswith("65 of its members or keys have the same hash value")


def test_a_cause_helps_only_if_it_is_of_the_programs_own() -> None:
    own = LookupError("on purpose")
    assert cause_of(own) is own
    for known in (UnsupportedTypeError(), RecursionError(), ValueError(), OverflowError(), TypeError()):
        assert cause_of(known) is None


@needs_signals
def test_what_a_signals_handler_raises_says_nothing_about_the_message() -> None:
    enough = ValueError("enough")
    with raising(enough) as interrupt:
        with pytest.raises(ValueError) as caught:
            find([Odd()], interrupt)
        assert caught.value is enough
        with pytest.raises(ValueError) as again:
            refusal([Odd()], enough, write)
        assert again.value is enough
