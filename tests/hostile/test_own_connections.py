"""Listeners with a connection of their own that do what no decent listener does (C31), against the service.

What tests/server/subscribers/own/test_own_connections.py has about single wrong calls is not repeated. After
each test the service must be in good health.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from accounts import descriptors, needs_proc, no_more_memory
from raw_client import RawClient, call_body, raw_client
from targets import Installation
from waiting import eventually

from pyro_events import EventStream, Publisher
from pyro_events.constants import MIB, NOT_KNOWN
from pyro_events.wire.frames import (
    BATCH,
    COMPRESSED,
    CONNECT,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    JSON,
    KEEP_SERIALIZED,
    MSGPACK,
    ONEWAY,
    PING,
    RESULT,
    SERPENT,
    write_frame,
)
from pyro_events.wire.own_connection import id_of

pytestmark = needs_proc

LINGER = struct.pack("ii", 1, 0)
SUBJECT = "hostile"


@contextlib.contextmanager
def attached(uri: str, **options: Any) -> Iterator[tuple[RawClient, dict[str, str]]]:
    """A listener that has swapped the roles and subscribed; forgotten by the service at the end."""
    with raw_client(uri) as listener, raw_client(uri) as control:
        key = listener.attach(**options)
        assert control.call("subscribe", SUBJECT, key) == 1
        yield listener, key
        listener.close()
        eventually(lambda: control.call("subscribe", "nothing", key) == NOT_KNOWN)


def reset(client: RawClient) -> None:
    """Close it with a reset."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    client.close()


def account(uri: str, key: dict[str, str]) -> dict[str, Any] | None:
    """What the service says of a listener; its figures must add up."""
    with raw_client(uri) as control:
        for one in control.call("statistics")["subscribers"]:
            if id_of(key["key"]) in one["subscriber"]:
                waiting = one["backlog"] + one["unacknowledged"]
                assert one["accepted"] == one["delivered"] + sum(one["lost"].values()) + waiting
                return dict(one)
    return None


def answer(seq: int, value: Any = (), flags: int = 0) -> bytes:
    return write_frame(RESULT, flags, MSGPACK, seq, msgpack.packb(value))


ENDS = {
    "garbage": lambda seq: b"\xff" * 500,
    "a request of HTTP": lambda seq: b"GET / HTTP/1.1\r\n\r\n",
    "TLS": lambda seq: b"\x16\x03\x01" + bytes(100),
    "another number": lambda seq: answer(seq + 5),
    "twice": lambda seq: answer(seq) * 2,
    "a pong that was not asked for": lambda seq: write_frame(PING, 0, MSGPACK, seq, b"pong"),
    "a hundred pongs": lambda seq: write_frame(PING, 0, 42, seq, b"pong") * 100,
    "a handshake": lambda seq: write_frame(CONNECT, 0, MSGPACK, seq, b"\x80"),
    "an answer to a handshake": lambda seq: write_frame(CONNECT_OK, 0, MSGPACK, seq, b"\x80"),
    "a call": lambda seq: write_frame(INVOKE, 0, MSGPACK, seq, call_body("statistics")),
    "another attach": lambda seq: write_frame(INVOKE, 0, MSGPACK, seq, call_body("attach")),
    "a oneway call": lambda seq: write_frame(INVOKE, ONEWAY, MSGPACK, seq, call_body("publish", "A", 1)),
    "an unknown type": lambda seq: write_frame(99, 0, MSGPACK, seq, b"\x90"),
    "marshal": lambda seq: write_frame(RESULT, 0, 2, seq, b"["),
    "kept serialized": lambda seq: write_frame(RESULT, KEEP_SERIALIZED, MSGPACK, seq, b"\x90"),
    "a bomb": lambda seq: write_frame(RESULT, COMPRESSED, MSGPACK, seq, zlib.compress(bytes(60 * MIB), 9)),
    "a huge answer": lambda seq: write_frame(RESULT, 0, MSGPACK, seq, bytes(1000)).replace(
        (1000).to_bytes(4, "big"), (1 << 30).to_bytes(4, "big"), 1
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_swapped_connection(installation: Installation, what: str) -> None:
    with attached(installation.uri) as (listener, key), Publisher(es_uri=installation.uri) as publisher:
        publisher.publish(SUBJECT, 1)
        seq, _ = listener.batch()
        with no_more_memory(installation.service.pid, 30):
            listener.send(ENDS[what](seq))
            with contextlib.suppress(ConnectionError):
                listener.wait_for_end()
        eventually(lambda: publisher.publish(SUBJECT, 2) == 0)
        assert account(installation.uri, key) is None


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        *(([7], 0), ([-1], 0), (["0"], 0), ([None], 0), ([[0]], 0), ({"a": 1}, 0), ("nonsense", 0), (5, 0)),
        (
            {"__class__": "builtins.SystemExit", "__exception__": True, "args": [], "attributes": {}},
            EXCEPTION,
        ),
        ({"__class__": "os.system", "args": ["true"]}, EXCEPTION),
        ([0] * 3_900, 0),  # as much as it may send
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_answer_that_cannot_be_read_loses_its_batch_alone(
    installation: Installation, value: Any, flags: int
) -> None:
    with attached(installation.uri) as (listener, key), Publisher(es_uri=installation.uri) as publisher:
        publisher.publish(SUBJECT, 1)
        seq, _ = listener.batch()
        listener.send(answer(seq, value, flags))
        publisher.publish(SUBJECT, 2)
        (row,) = listener.take(1)
        assert row[2] == 2
        found = eventually(lambda: (one := account(installation.uri, key)) and not one["backlog"] and one)
        assert found["accepted"] == 2 and sum(found["lost"].values()) == 1


def test_two_batches_acknowledged_in_the_wrong_order(installation: Installation) -> None:
    with attached(installation.uri) as (listener, _), Publisher(es_uri=installation.uri) as publisher:
        publisher.publish(SUBJECT, 1)
        publisher.publish(SUBJECT, 2)
        listener.batch()
        seq, _ = listener.batch()
        listener.send(answer(seq))
        listener.wait_for_end()


def test_an_answer_that_drips_and_then_stops(installation: Installation) -> None:
    options = {"overflow": "drop-oldest", "backlog": 10}
    with (
        attached(installation.uri, **options) as (listener, key),
        Publisher(es_uri=installation.uri) as market,
    ):
        market.publish(SUBJECT, 1)
        seq, _ = listener.batch()
        for byte in answer(seq)[:-1]:
            listener.send(bytes([byte]))
        for number in range(50):
            assert market.publish(SUBJECT, number) == 1
        installation.check()
        found = account(installation.uri, key)
        assert found is not None and found["lost"]["drop-oldest"] > 30


@pytest.mark.parametrize("more", [b"x", b"PYRO", write_frame(PING, 0, 42, 1, b""), answer(1), bytes(70_000)])
def test_what_comes_before_the_answer(installation: Installation, more: bytes) -> None:
    with raw_client(installation.uri) as listener:
        listener.send(listener.packed("attach") + more)
        with contextlib.suppress(ConnectionError):
            listener.wait_for_end()


@pytest.mark.parametrize("serializer", [SERPENT, JSON])
def test_attach_with_another_serializer(installation: Installation, serializer: int) -> None:
    """It may ask in any language; the events come in msgpack all the same."""
    body = {SERPENT: b"('Pyro.EventService', 'attach', (), {})", JSON: b""}[serializer]
    if serializer == JSON:
        body = b'{"object": "Pyro.EventService", "method": "attach", "params": [], "kwargs": {}}'
    with raw_client(installation.uri) as listener, raw_client(installation.uri) as control:
        listener.send(write_frame(INVOKE, 0, serializer, 1, body))
        frame = listener.frame()
        assert frame is not None and frame.type == RESULT and not frame.flags & EXCEPTION
        key = bytes(frame.payload).partition(b"key")[2].translate(None, b"': \"")[:32].decode()
        assert control.call("subscribe", SUBJECT, {"key": key}) == 1
        with Publisher(es_uri=installation.uri) as publisher:
            assert publisher.publish(SUBJECT, 1) == 1
        assert len(listener.take(1)) == 1


def test_guessed_keys_are_all_the_same_and_nobody_notices(installation: Installation) -> None:
    with EventStream(SUBJECT, es_uri=installation.uri) as events, raw_client(installation.uri) as stranger:
        known_as = events.statistics().id
        not_a_key = (known_as * 2)[:32]
        guesses = [os.urandom(16).hex() for _ in range(4000)] + [not_a_key, "0" * 32]
        calls = [
            lambda key: stranger.call("subscribe", "A", key),
            lambda key: stranger.call("subscribeMatch", ".*", key),
            lambda key: stranger.call("unsubscribe", SUBJECT, key),
            lambda key: stranger.call("statistics", {"subscriber": key})["subscriptions"],
        ]
        for number, guess in enumerate(guesses):
            assert calls[number % 4]({"key": guess}) == NOT_KNOWN
        for number in range(4):
            assert calls[number]({"key": not_a_key}) == NOT_KNOWN
        everything = repr(stranger.call("statistics"))
        assert known_as in everything
        receiver = events._EventStream__receiver  # type: ignore[attr-defined]
        assert receiver.attached.key not in everything
        with Publisher(es_uri=installation.uri) as publisher:
            assert publisher.publish(SUBJECT, "for its owner") == 1
        event = events.get(timeout=10)
        assert (event.msg, event.seq, event.missed) == ("for its owner", 1, 0)
        assert events.statistics().reconnects == 0


def test_listeners_that_leave_at_every_step(installation: Installation) -> None:
    """Closed or reset: before, in the middle of and after each of its messages."""
    chance = random.Random(7)
    before = descriptors(installation.service.pid)
    with Publisher(es_uri=installation.uri) as publisher, raw_client(installation.uri) as control:
        for step in range(120):
            client = RawClient(installation.uri)
            leave = reset if step % 2 else RawClient.close
            hello = write_frame(CONNECT, 0, MSGPACK, 0, msgpack.packb({"handshake": "hello", "object": "x"}))
            if step % 6 == 0:
                client.send(hello[: chance.randrange(len(hello))])
            else:
                client.greet()
                call = client.packed("attach", {"name": f"leaver {step}", "backlog": 5})
                if step % 6 == 1:
                    client.send(call[: chance.randrange(len(call))])
                elif step % 6 == 2:
                    client.send(call)  # and leaves before the answer
                else:
                    key = client.attach(backlog=5, overflow="drop-newest")
                    control.call("subscribe", SUBJECT, key)
                    publisher.publish(SUBJECT, step)
                    if step % 6 > 3:
                        seq, _ = client.batch()
                        data = answer(seq)
                        client.send(data[: chance.randrange(len(data))] if step % 6 == 4 else data)
            leave(client)
        eventually(lambda: publisher.publish(SUBJECT, "nobody") == 0)
    eventually(lambda: descriptors(installation.service.pid) <= before)
    with raw_client(installation.uri) as control:
        found = control.call("statistics")
        assert found["accepted"] == found["delivered"] + sum(found["lost"].values()) + found["waiting"]


def test_one_that_does_not_read_costs_what_its_backlog_may(installation: Installation) -> None:
    """And holds up nobody who does not want to be held up."""
    options = {"overflow": "drop-oldest", "backlog_bytes": 4 * MIB}
    with attached(installation.uri, **options) as (_, key), Publisher(es_uri=installation.uri) as publisher:
        # Its backlog, two batches that were sent, and one message that is on its way through.
        with no_more_memory(installation.service.pid, 30):
            for number in range(100):
                assert publisher.publish(SUBJECT, (number, bytes(MIB))) == 1
        found = account(installation.uri, key)
        assert found is not None and found["accepted"] == 100
        assert found["lost"]["drop-oldest"] >= 85 and found["backlog_bytes"] <= 6 * MIB


def test_hundreds_that_attach_one_after_the_other(installation: Installation) -> None:
    """Each is a listener for a moment only; with one key, and with one for each."""
    before = descriptors(installation.service.pid)
    key = os.urandom(16).hex()
    for number in range(400):
        with raw_client(installation.uri) as client:
            client.attach(**({"key": key} if number % 2 else {}))
    eventually(lambda: descriptors(installation.service.pid) <= before)


def test_a_batch_of_attaches(installation: Installation) -> None:
    with raw_client(installation.uri) as client:
        calls = [["attach", [], {}]] * 20
        client.send_packed(INVOKE, BATCH, ["Pyro.EventService", "<batch>", calls, {}])
        frame = client.frame()
        assert frame is not None and b"call by itself" in frame.payload
        assert client.call("attach")["key"]
