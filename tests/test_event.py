"""Event: cheap to make, decoded late, equal by value, and the same on Pyro's own wire."""

from __future__ import annotations

import copy
import pickle
import sys
import time
from types import FrameType
from typing import Any

import msgpack
import numpy as np
import pytest

from pyro_events import event as event_module
from pyro_events.codec.message import decode, encode
from pyro_events.codec.values import OBJECT
from pyro_events.errors import PayloadError, UnsupportedTypeError
from pyro_events.event import Event

UNKNOWN = msgpack.packb([OBJECT, "nobody.Knows", {}])


def test_fields() -> None:
    event = Event("Stock.SUN", ("SUN", 22.44), 5.5, 3, None)
    assert (event.subject, event.msg, event.time, event.seq, event.missed) == (
        "Stock.SUN",
        ("SUN", 22.44),
        5.5,
        3,
        None,
    )
    before = time.time()
    event = Event("x")
    assert (event.msg, event.seq, event.missed) == (None, 0, 0)
    assert before <= event.time <= time.time()


def test_the_message_is_decoded_once_when_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(event_module, "decode", lambda payload: decoded.append(payload) or [1])
    event = Event.from_payload("x", 5.5, 3, 2, b"p")
    assert not decoded
    assert event.msg is event.msg
    assert decoded == [b"p"]
    assert (event.subject, event.time, event.seq, event.missed, event.payload) == ("x", 5.5, 3, 2, b"p")


def test_an_unknown_class_does_no_harm_until_it_is_looked_at() -> None:
    event = Event.from_payload("x", 5.5, 3, 0, UNKNOWN)
    assert event.seq == 3
    for _ in range(2):
        with pytest.raises(PayloadError, match=r"'nobody.Knows' is not known here; register it"):
            _ = event.msg
    assert "PayloadError: class 'nobody.Knows'" in str(event)
    assert event == copy.copy(event)
    assert event != Event.from_payload("x", 5.5, 3, 0, UNKNOWN + b"\0")


def test_text() -> None:
    event = Event("Stock.SUN", ("SUN", 22.44), 1700000000.0)
    assert str(event) == f"<EVENT SUBJ Stock.SUN ({time.ctime(1700000000.0)}): ('SUN', 22.44)>"
    assert repr(event) == str(event)
    assert "ValueError" in str(Event("x", 10**5000))


def test_equality() -> None:
    event = Event("x", [1], 5.5, 3)
    assert event == Event.from_payload("x", 5.5, 3, 0, encode([1]))
    assert hash(event) == hash(Event("x", [1], 5.5, 3))
    assert event != Event("X", [1], 5.5, 3)
    assert event != Event("x", [2], 5.5, 3)
    assert event != "x"
    assert Event("x", float("nan"), 5.5) == Event("x", float("nan"), 5.5)
    assert Event("x", np.arange(3), 5.5) == Event("x", np.arange(3), 5.5)
    assert Event("x", np.arange(3), 5.5) != Event("x", np.arange(1, 4), 5.5)
    assert Event("x", object(), 5.5) != Event("x", object(), 5.5)


def test_an_event_is_retained_only_if_that_was_said() -> None:
    payload = encode([1])
    plain, kept = (
        Event.from_payload("x", 5.5, 3, 0, payload),
        Event.from_payload("x", 5.5, 3, 0, payload, True),
    )
    own = Event("x", [1], 5.5, 3, retained=True)
    assert (plain.retained, kept.retained, own.retained, Event("x").retained) == (False, True, True, False)
    assert kept == own != plain and plain == Event("x", [1], 5.5, 3)
    assert str(kept) == str(plain) and repr(kept) == repr(plain)
    for event in (plain, kept, own):
        for other in (copy.copy(event), pickle.loads(pickle.dumps(event)), Event.from_dict(event.to_dict())):
            assert other == event and other.retained is event.retained
    assert "retained" not in plain.to_dict() and kept.to_dict()["retained"] is True
    assert copy.copy(Event("x", object(), retained=True)).retained
    assert Event.from_dict({**GOOD, "retained": True}).retained
    assert Event.from_dict({"subject": "x", "time": 5, "seq": 3, "missed": 0, "retained": True}).retained


def test_payload_of_an_event_of_ones_own() -> None:
    event = Event("x", (1,))
    assert event.payload == encode((1,))
    assert event.payload is event.payload
    with pytest.raises(UnsupportedTypeError):
        _ = Event("x", object()).payload
    with pytest.raises(AttributeError, match="no attribute 'message'"):
        _ = event.message  # type: ignore[attr-defined]


def test_copies_do_not_decode() -> None:
    event = Event.from_payload("x", 5.5, 3, None, UNKNOWN)
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert other == event
        assert other.payload == UNKNOWN


def test_a_dict_with_the_message_instead_of_the_payload() -> None:
    event = Event.from_dict({"subject": "x", "time": 5, "seq": 3, "missed": 0, "msg": [1]})
    assert event == Event("x", [1], 5.0, 3)
    assert type(event.time) is float


GOOD = {"subject": "x", "time": 5.5, "seq": 3, "missed": 0, "payload": b"\1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": b"x"},
        {"time": "now"},
        {"time": float("nan")},
        {"time": -1},
        {"time": 1e300},
        {"seq": 1.0},
        {"missed": "many"},
        {"retained": 1},
        {"retained": None},
        {"payload": "text"},
        {"payload": {"data": "AA=", "encoding": "base64"}},
        {"payload": {"encoding": "base64"}},
        {"payload": {"data": "AAE=", "encoding": "hex"}},
    ],
    ids=repr,
)
def test_senseless_dicts(wrong: dict[str, Any]) -> None:
    assert Event.from_dict(GOOD).payload == b"\1"
    with pytest.raises(PayloadError):
        Event.from_dict({**GOOD, **wrong})


def test_setting_the_message_replaces_the_payload() -> None:
    event = Event.from_payload("x", 5.5, 3, 2, encode("old"))
    event.msg = "new"
    assert event.payload == encode("new")
    event.msg = "newest"
    for other in (copy.copy(event), pickle.loads(pickle.dumps(event)), Event.from_dict(event.to_dict())):
        assert other.msg == "newest"


def test_setting_the_message_while_another_thread_begins_to_decode_it() -> None:
    event = Event.from_payload("A", 0.0, 1, 0, encode("old"))

    def between_two_steps(frame: FrameType, what: str, argument: Any) -> Any:
        if frame.f_code is Event.msg.fget.__code__:  # type: ignore[attr-defined]
            if "msg" in frame.f_locals:  # it has been looked whether it is decoded
                sys.settrace(None)
                event.msg = "new"
            return between_two_steps
        return None

    before = sys.gettrace()
    sys.settrace(between_two_steps)
    try:
        assert event.msg == "new"
    finally:
        sys.settrace(before)
    assert decode(event.payload) == "new"


@pytest.mark.parametrize("payload", [None, 5, "text", b""])
def test_what_a_service_has_sent_in_place_of_a_payload(payload: Any) -> None:
    event = Event.from_payload("A", 0.0, 1, 0, payload)
    for _ in range(2):
        with pytest.raises(PayloadError):
            _ = event.msg
    assert "PayloadError" in str(event)


def test_a_message_that_cannot_be_encoded_can_be_copied() -> None:
    event = Event("a", object(), 5.5, 3, None)
    other = copy.copy(event)
    assert other.msg is event.msg
    assert (other.subject, other.time, other.seq, other.missed) == ("a", 5.5, 3, None)


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), 1e20])
def test_a_time_that_no_clock_shows(moment: float) -> None:
    assert str(Event("a", 1, moment)) == f"<EVENT SUBJ a ({moment}): 1>"


def test_a_large_payload_becomes_bytes_when_it_is_asked_for() -> None:
    received = encode([1, 2])
    event = Event.from_payload("a", 1.0, 1, 0, memoryview(received))
    assert event.msg == event.plain() == [1, 2]
    assert type(event.payload) is bytes and event.payload == received


def test_a_message_that_cannot_be_read_is_shown_as_its_error() -> None:
    event = Event.from_payload("a", 1.0, 1, 0, encode(1)[:-1])
    assert "PayloadError" in repr(event) and "PayloadError" in str(event)
