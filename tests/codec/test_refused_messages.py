"""What cannot be carried, through the whole codec: the type, the place, and what to do."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import math
import pathlib
import queue
import signal
import threading
import traceback
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from codec_values import Odd

from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import encode, encode_plain
from pyro_events.errors import UnsupportedTypeError

pytestmark = pytest.mark.usefixtures("strange_tables")


class Name(str):
    pass


class Colour(enum.IntEnum):
    RED = 1


class OddZone(dt.tzinfo):
    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(0)


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (Odd(), "message"),
        ([1, 2, {"price": Odd()}], r"message\[2\]\['price'\]"),
        (({1, 2}, [{"a": (Odd(),)}]), r"message\[1\]\[0\]\['a'\]\[0\]"),
        ({(1, Odd()): 1}, r"\[1\] of a key of message|a key of message\[1\]"),
        ([{"a": 1}, {1: 2}, Odd()], r"message\[2\]"),
        ([{Odd()}], r"an element of message\[0\]"),
        ([dt.datetime(2024, 1, 1, tzinfo=OddZone())], r"message\[0\]\.tzinfo"),
        ([ValueError(Odd())], r"message\[0\]\.args\[0\]"),
        (collections.OrderedDict(a=Odd()), r"message\['a'\]"),
        (collections.deque([1, Odd()]), r"message\[1\]"),
        (collections.UserDict(a=1), "message"),
        (Name("x"), "message"),
        (Colour.RED, "message"),
        (lambda: None, "message"),
        (int, "message"),
        (pathlib, "message"),
        (object(), "message"),
        (Fraction(1, 2**9000), "message"),
        ([np.array([object()])], r"message\[0\]"),
    ],
)
def test_what_cannot_be_carried_is_named_with_its_place(message: Any, where: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=f"cannot carry <.*> at ({where}); ."):
        encode(message)


def test_the_advice() -> None:
    with pytest.raises(
        UnsupportedTypeError, match=r"Odd'> at message; register it with pyro_events.register_class"
    ):
        encode(Odd())


def test_a_refusal_inside_a_class_tagged_dict_is_named() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"at message\['a'\]\['b'\]"):
        encode_plain({"a": {"__class__": "x", "b": Odd()}})


class Point(NamedTuple):
    x: int
    y: int


def test_a_named_tuple_that_nobody_registered() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"Point'> at message\[0\]"):
        encode([Point(1, 2)])


def test_a_refusal_is_short() -> None:
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(UnsupportedTypeError, match="nested deeper") as caught:
        encode(itself)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert len("".join(traceback.format_exception(caught.value)).splitlines()) < 20


def test_what_a_converter_raised_is_shown() -> None:
    class Broken:
        pass

    def to_dict(value: object) -> dict[str, Any]:
        raise LookupError("on purpose")

    register_class(Broken, to_dict=to_dict, from_dict=lambda state: Broken())
    with pytest.raises(UnsupportedTypeError, match="on purpose") as caught:
        encode(Broken())
    assert isinstance(caught.value.__cause__, LookupError)


class Text(str):
    pass


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
