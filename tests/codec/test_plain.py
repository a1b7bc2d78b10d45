"""What a program sees of a message whose classes it does not know."""

from __future__ import annotations

import collections
import sys
from typing import Any

import msgpack
import numpy as np
import pytest

import pyro_events
from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.codec.stock_values import Unknown
from pyro_events.codec.values import OBJECT
from pyro_events.errors import PayloadError, RemoteError, UnsupportedTypeError
from pyro_events.event import Event
from tests import strange_classes as strange


@pytest.fixture(autouse=True)
def own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_by_class", {})
    monkeypatch.setattr(registry, "_by_name", {})


def event(payload: bytes) -> Event:
    return Event.from_payload("S", 1.0, 1, 0, payload)


def forget() -> None:
    registry._by_class.clear()
    registry._by_name.clear()


def test_unknown_classes_are_shown_by_name_and_state() -> None:
    assert pyro_events.Unknown is Unknown
    for cls in (strange.Point, strange.Pickled, strange.Frozen):
        register_class(cls, name=f"lab.{cls.__name__}")
    message = {
        "at": strange.Point(1, (2,)),
        "p": strange.Pickled([3]),
        "set": {strange.Frozen(1, (5,))},
        "n": 1,
    }
    payload = encode(message)
    forget()
    got = event(payload)
    with pytest.raises(PayloadError, match="not known here"):
        _ = got.msg
    assert got.plain() == {
        "at": Unknown("lab.Point", {"x": 1, "y": (2,)}),
        "p": Unknown("lab.Pickled", ("v1", [3])),
        "set": {Unknown("lab.Frozen", {"name": 1, "items": (5,)})},
        "n": 1,
    }
    assert repr(got.plain()["at"]) == "Unknown('lab.Point', {'x': 1, 'y': (2,)})"


def test_known_classes_are_what_they_are() -> None:
    register_class(strange.Point)
    message = [
        strange.Point(1),
        collections.OrderedDict(a=1),
        b"x",
        {(1, 2): "\ud800"},
        np.arange(3).tolist(),
    ]
    assert Event("S", message).plain() == message
    assert event(encode(bytes(100_000))).plain() == bytes(100_000)
    assert event(encode(np.zeros(100_000))).plain().shape == (100_000,)


def test_a_class_that_cannot_be_rebuilt() -> None:
    def fails(state: Any) -> Any:
        raise ZeroDivisionError

    register_class(strange.Point, name="lab.Point", to_dict=lambda point: {"x": point.x}, from_dict=fails)
    got = event(encode([strange.Point(1)]))
    assert got.plain() == [Unknown("lab.Point", {"x": 1})]


def test_many_unknown_members_of_a_set() -> None:
    register_class(strange.FrozenSlots, name="lab.F")
    payload = encode({strange.FrozenSlots(number, frozenset({number})) for number in range(500)})
    lists = encode({strange.FrozenSlots((number, "x"), 1): [number] for number in range(500)})
    forget()
    assert len(event(payload).plain()) == 500
    assert len(event(lists).plain()) == 500


def test_equality_and_hash_of_unknown_values() -> None:
    state = {"a": [1, {"b": {2}}], "c": (3, [4])}
    one, other = Unknown("x", state), Unknown("x", {"c": (3, [4]), "a": [1, {"b": {2}}]})
    assert one == other and hash(one) == hash(other)
    assert one != Unknown("y", state) and one != Unknown("x", {}) and one != "x"
    assert isinstance(hash(Unknown("x", bytearray(b"a"))), int)
    with pytest.raises(UnsupportedTypeError):
        encode(one)


def test_exceptions_and_what_stock_programs_send() -> None:
    register_class(strange.Temperature, name="lab.T")
    payload = encode([strange.Temperature("T1", 5)])
    forget()
    (error,) = event(payload).plain()
    assert (type(error), error.type_name, error.text) == (RemoteError, "lab.T", "'T1' failed")
    stock = encode_plain([{"__class__": "their.Reading", "value": 1}, {"__class__": "URI"}])
    assert decode(stock) == [{"__class__": "their.Reading", "value": 1}, {"__class__": "URI"}]
    assert event(stock).plain() == [Unknown("their.Reading", {"value": 1}), Unknown("URI", {})]
    register_class(strange.Point, name="their.Reading")
    known = encode_plain({"__class__": "their.Reading", "x": 1, "y": 2})
    assert event(known).plain() == strange.Point(1, 2)


def test_arrays_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = encode([np.arange(2, dtype="<i2"), np.float32(0), np.str_("t")])
    big = encode(np.zeros(100_000, "i1"))
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert event(payload).plain() == [
        Unknown("numpy.ndarray", {"dtype": "<i2", "shape": [2], "data": b"\0\0\1\0"}),
        Unknown("numpy.generic", {"dtype": "<f4", "data": bytes(4)}),
        Unknown("numpy.generic", {"dtype": "", "data": "t"}),
    ]
    assert event(big).plain().state["shape"] == [100_000]


def test_bytes_that_are_no_message() -> None:
    nameless = msgpack.packb([OBJECT, 5, {}])
    for payload in (b"", b"\xc1", b"\x91" * 70, encode(5) + b"x", nameless):
        with pytest.raises(PayloadError):
            event(payload).plain()
    with pytest.raises(UnsupportedTypeError):
        Event("S", object()).plain()
