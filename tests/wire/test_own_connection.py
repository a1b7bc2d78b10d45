"""The call that swaps the roles, its answer, and the key."""

from __future__ import annotations

import os
from typing import Any

import msgpack
import Pyro5.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.constants import BATCH_EVENTS, MAX_STOCK_CALL, MIB
from pyro_events.wire.event_answers import read_events_answer, write_events_answer
from pyro_events.wire.frames import INVOKE, MSGPACK, PING, RESULT, FrameError, FrameReader, write_frame
from pyro_events.wire.handshake.greeting_notes import GreetingNotes
from pyro_events.wire.own_connection import (
    KEY_BYTES,
    LISTENER_LIMITS,
    Attached,
    attach_options,
    delivery_limits,
    id_of,
    is_key,
    key_in,
    packed_attach,
    read_attached,
)

KEY = "0123456789abcdef" * 2


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_a_key_stands_for_a_subscriber(random: bytes) -> None:
    attached = Attached(random.hex(), "id")
    assert key_in(attached.subscriber) == attached.key


@pytest.mark.parametrize(
    "value", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, KEY + "\n", 5, None, b"0" * 32]
)
def test_what_is_no_key(value: Any) -> None:
    assert not is_key(value)
    with pytest.raises(ValueError, match="has 32 digits and letters from a to f"):
        key_in({"key": value})


@pytest.mark.parametrize(
    "value", [None, "PYRO:x@y:1", {}, {"__class__": "Pyro5.client.Proxy"}, {"key": KEY, "x": 1}]
)
def test_what_is_not_meant_as_a_key(value: Any) -> None:
    assert key_in(value) is None


def test_an_id_shows_nothing_of_its_key_and_is_as_hard_to_hit() -> None:
    assert id_of(KEY) == id_of(KEY) != id_of(os.urandom(KEY_BYTES).hex())
    assert id_of(KEY) not in KEY and len(id_of(KEY)) == len(KEY)


@pytest.mark.parametrize("notes", [GreetingNotes(), GreetingNotes("was slow", "may not block")])
def test_the_answer_is_read_as_it_was_meant(notes: GreetingNotes) -> None:
    attached = Attached(KEY, id_of(KEY), 3, notes)
    assert read_attached(msgpack.unpackb(msgpack.packb(attached.plain()))) == attached


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"key": KEY},
        {"key": "x", "id": "i", "subscriptions": 0},
        {"key": KEY, "id": "i", "subscriptions": "1"},
    ],
)
def test_an_answer_without_a_key_is_refused(answer: Any) -> None:
    with pytest.raises(Pyro5.errors.ProtocolError, match="has not answered `attach` with a key"):
        read_attached(answer)


def test_the_options_of_the_call() -> None:
    assert attach_options("market") == {"name": "market"}
    assert attach_options("", KEY, {"state": 1}, backlog=5) == {
        "key": KEY,
        "subscriber": {"state": 1},
        "backlog": 5,
    }
    (packed,) = packed_attach({"name": "market"})
    assert packed == msgpack.packb("attach") + msgpack.packb([{"name": "market"}]) + msgpack.packb({})


def test_only_calls_and_pings_may_come_over_it() -> None:
    def read(data: bytes) -> Any:
        reader = FrameReader(delivery_limits(5 * MIB))
        reader.feed(data)
        return reader.next_frame()

    assert read(write_frame(PING, 0, MSGPACK, 1, b"ping")).type == PING
    assert len(read(write_frame(INVOKE, 0, MSGPACK, 1, bytes(5 * MIB))).payload) == 5 * MIB
    for data in (
        write_frame(INVOKE, 0, MSGPACK, 1, bytes(6 * MIB)),
        write_frame(INVOKE, 0, 1, 1, bytes(10)),
        write_frame(PING, 0, MSGPACK, 1, bytes(6 * MIB + MAX_STOCK_CALL)),
        write_frame(RESULT, 0, MSGPACK, 1, b""),
    ):
        with pytest.raises(FrameError):
            read(data)


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(Attached(KEY, id_of(KEY)))


def test_a_listener_may_name_every_event_of_the_largest_batch() -> None:
    reader = FrameReader(LISTENER_LIMITS)
    reader.feed(write_events_answer(1, list(range(BATCH_EVENTS))))
    frame = reader.next_frame()
    assert frame is not None and len(read_events_answer(frame, BATCH_EVENTS)) == BATCH_EVENTS
