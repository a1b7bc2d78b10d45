"""Bytes that no decent client sends, against the service and against a subscriber's daemon.

The numbers are those of the findings that each test is about, measured on a stock Pyro5 daemon. What
tests/integration/test_contract_hostile.py and tests/client/daemon/test_daemon.py have about the
service and the daemon alone is not repeated.
"""

from __future__ import annotations

import contextlib
import marshal
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import msgpack
import pytest
from accounts import cpu, descriptors, kept_alive, needs_proc, no_more_memory, threads
from fake_subscriber import FakeSubscriber, fake_subscriber
from raw_client import RawClient
from targets import Installation, Target
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, Publisher
from pyro_events.client.daemon.connection_limits import MAX_PEERS
from pyro_events.constants import HANDSHAKE_TIMEOUT, MIB
from pyro_events.wire.frames import (
    BATCH,
    COMPRESSED,
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    JSON,
    KEEP_SERIALIZED,
    MSGPACK,
    ONEWAY,
    RESULT,
    SERPENT,
    write_frame,
)
from pyro_events.wire.handshake.messages import write_connect

MARSHAL = 2
# Nested so deeply that reading it ends the interpreter.
FATAL = b"\xdb\x01\x00\x00\x00" * 3000 + b"N"

pytestmark = needs_proc


def framed(
    kind: int, flags: int, serializer: int, body: bytes, annotations: bytes = b"", size: int = -1
) -> bytes:
    whole = bytearray(write_frame(kind, flags, serializer, 1, annotations + body))
    whole[12:16] = (len(body) if size < 0 else size).to_bytes(4, "big")
    whole[16:20] = len(annotations).to_bytes(4, "big")
    return bytes(whole)


# 1, 2


def test_marshal_kills_nobody(affected: Target) -> None:
    for body in (FATAL, marshal.dumps({"handshake": "hello", "object": affected.object_id}), b""):
        for flags in (0, BATCH, ONEWAY, KEEP_SERIALIZED):
            for kind in (CONNECT, INVOKE):
                with affected.stranger(greeted=kind == INVOKE) as client:
                    client.send(write_frame(kind, flags, MARSHAL, 1, body))
                    client.wait_for_end()


def test_marshal_in_an_annotation_kills_nobody(affected: Target) -> None:
    blob = b"BLBI" + len(FATAL).to_bytes(4, "big") + FATAL
    for serializer in (SERPENT, JSON, MSGPACK):
        for flags in (0, KEEP_SERIALIZED, BATCH):
            with affected.stranger() as client:
                client.send(framed(INVOKE, flags, serializer, affected.call("A", 1), blob))
                client.sock.shutdown(socket.SHUT_WR)
                client.wait_for_end()


# 3


@pytest.mark.parametrize("kind", [CONNECT_OK, CONNECT_FAIL])
def test_a_subscriber_greets_with_marshal(installation: Installation, kind: int) -> None:
    with hostile_subscriber(installation) as hostile:
        hostile.accept()
        hostile.frame()
        assert hostile.sock is not None
        hostile.sock.sendall(write_frame(kind, 0, MARSHAL, 0, FATAL))
        hostile.wait_for_end()


@pytest.mark.parametrize("flags", [0, EXCEPTION, BATCH, KEEP_SERIALIZED])
def test_a_subscriber_answers_with_marshal(installation: Installation, flags: int) -> None:
    with hostile_subscriber(installation) as hostile, Publisher(es_uri=installation.uri) as publisher:
        hostile.greet()
        publisher.publish("hostile", 1)
        hostile.batch()
        assert hostile.sock is not None
        hostile.sock.sendall(write_frame(RESULT, flags, MARSHAL, hostile.seq, FATAL))
        # It ends the connection, or counts the batch as lost.
        eventually(lambda: lost_of(installation, hostile) != 0)


@contextlib.contextmanager
def hostile_subscriber(installation: Installation) -> Iterator[FakeSubscriber]:
    """A subscriber of "hostile" whose answers are the test's; forgotten by the service at the end."""
    with fake_subscriber() as hostile:
        with Target(installation, "service").stranger() as client:
            assert client.call("subscribe", "hostile", hostile.uri) is None
        try:
            yield hostile
        finally:
            hostile.leave()
            with Publisher(es_uri=installation.uri) as publisher:
                eventually(lambda: publisher.publish("hostile", "over") == 0)


def lost_of(installation: Installation, hostile: FakeSubscriber) -> int | None:
    """What a subscriber has lost so far; None when the service does not know it any more."""
    with Target(installation, "service").stranger() as client:
        for one in client.call("statistics")["subscribers"]:
            if one["subscriber"] == hostile.uri:
                return sum(one["lost"].values())
    return None


# 4, 5, 8


def test_more_silent_connections_than_there_are_places_for(installation: Installation) -> None:
    """Those that a daemon has no place for are closed at once, the others when their time is over."""
    target = Target(installation, "subscriber")
    open_before = descriptors(target.pid)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(RawClient(target.uri)) for _ in range(MAX_PEERS + 50)]
        for number, client in enumerate(silent):
            if number % 5 == 0:
                client.send(b"\xff" * 500)
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()  # a reset
        with Publisher(es_uri=installation.uri) as publisher:  # which is connected already
            assert publisher.publish("health", "full") == 1
            installation.subscriber.wait_for("^got full$", 3)
        for number, client in enumerate(silent):
            if number % 5:
                client.wait_for_end()
    eventually(lambda: descriptors(target.pid) <= open_before)
    eventually(lambda: threads(target.pid) < 10)


def test_all_places_taken_by_connections_that_have_shaken_hands(installation: Installation) -> None:
    target = Target(installation, "subscriber")
    with contextlib.ExitStack() as stack:
        clients: list[RawClient] = []
        with contextlib.suppress(AssertionError, ConnectionError):
            while len(clients) <= MAX_PEERS:
                clients.append(stack.enter_context(target.stranger()))
        assert len(clients) == MAX_PEERS - 1  # and the service
        with Publisher(es_uri=installation.uri) as publisher:
            publisher.publish("health", "crowded")
        installation.subscriber.wait_for("^got crowded$", 3)
    eventually(lambda: threads(target.pid) < 10)


def test_a_handshake_that_drips(affected: Target) -> None:
    hello = write_connect(affected.object_id, "hello")
    with affected.stranger(greeted=False) as client:
        began = time.monotonic()
        client.sock.settimeout(0.1)
        for position in range(len(hello)):
            client.send(hello[position : position + 1])
            try:
                if client.sock.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("each byte was given a time of its own")
        assert time.monotonic() - began > HANDSHAKE_TIMEOUT * 0.9


# 9, 10


def test_what_unpacks_to_much_more_is_not_unpacked(affected: Target) -> None:
    bomb = zlib.compress(bytes(60 * MIB), 9)
    with no_more_memory(affected.pid, 20):
        for kind, serializer in ((CONNECT, MSGPACK), (INVOKE, MSGPACK), (INVOKE, SERPENT), (INVOKE, JSON)):
            with affected.stranger(greeted=kind == INVOKE) as client:
                client.send(write_frame(kind, COMPRESSED, serializer, 1, bomb))
                client.wait_for_end()


def test_what_claims_to_be_huge_is_not_waited_for(affected: Target) -> None:
    with no_more_memory(affected.pid, 20):
        for kind, serializer in ((CONNECT, MSGPACK), (INVOKE, MSGPACK), (INVOKE, SERPENT)):
            took = []
            for _ in range(3):  # the machine may be late for once
                with affected.stranger(greeted=kind == INVOKE) as client:
                    began = time.monotonic()
                    client.send(framed(kind, 0, serializer, bytes(1000), size=1 << 30))
                    client.wait_for_end()
                    took.append(time.monotonic() - began)
            assert min(took) < HANDSHAKE_TIMEOUT / 2


# 11, 12

HARD = [
    (SERPENT, b"[" + b"0," * 32_000 + b"]"),
    (SERPENT, b"[" * 65_000),
    (SERPENT, b"(" * 90 + b"1" + b",)" * 90),
    (SERPENT, b"**".join([b"9"] * 20_000)),
    (SERPENT, b"9" * 65_000),
    (SERPENT, b"-" * 65_000 + b"1"),
    (SERPENT, b"{" * 30_000 + b"}" * 30_000),
    (JSON, b"[" * 65_000),
    (JSON, b'{"a":' * 13_000),
    (JSON, b"9" * 65_000),
    (MSGPACK, b"\x91" * 65_000),
    (MSGPACK, b"\x81\xa1k" * 21_000),
    (MSGPACK, b"\xdd\x00\x00\xff\x00" + b"\x80" * 65_280),
    (MSGPACK, b"\xdd\xff\xff\xff\xff"),
    (MSGPACK, b"\xc7\xff\x31" + b"9" * 255),
]


def test_what_is_hard_to_read_is_answered_soon(affected: Target) -> None:
    with no_more_memory(affected.pid, 60):
        for serializer, body in HARD:
            with affected.stranger() as client:
                used = cpu(affected.pid)
                client.send(write_frame(INVOKE, 0, serializer, 1, body))
                frame = client.frame()
                assert frame is None or frame.flags & EXCEPTION, (serializer, body[:20])
                assert cpu(affected.pid) - used < 2, (serializer, body[:20])


@pytest.mark.parametrize(
    "element",
    [
        b"\x93\x91\x01\x91\x01\x91\x01",
        b"\x97" + b"\x90" * 7,
        b"\x92\xa2\xc3\xa4\xa2\xc3\xa4",
        b"\x92\x80\x80",
    ],
    ids=repr,
)
def test_a_large_batch_of_anything_but_events_is_not_built(
    installation: Installation, element: bytes
) -> None:
    """8 MiB of nested lists took 400 MB."""
    target = Target(installation, "subscriber")
    head = b"\x94" + msgpack.packb(target.object_id) + msgpack.packb("events") + b"\x91"
    row = b"\xdc\x03\xe8" + element * 1000
    count = min(1000, 8 * MIB // len(row))
    body = head + b"\xdc" + count.to_bytes(2, "big") + row * count + b"\x80"
    with no_more_memory(target.pid, 60), target.stranger() as client:  # received it has to be
        client.send(write_frame(INVOKE, 0, MSGPACK, 1, body))
        client.wait_for_end()


# 15


def test_oneway_calls_start_no_threads(affected: Target) -> None:
    before = threads(affected.pid)
    with affected.stranger() as client:
        call = write_frame(INVOKE, ONEWAY, MSGPACK, 1, affected.call())  # it fails, but that is not the point
        client.send(call * 1500)
        most = 0
        answered = threading.Event()

        def ask() -> None:
            client.send(write_frame(INVOKE, 0, MSGPACK, 2, affected.call()))
            assert client.frame() is not None
            answered.set()

        asking = threading.Thread(target=ask)
        asking.start()
        while not answered.wait(0.005):
            most = max(most, threads(affected.pid))
        asking.join()
        assert most <= before + 3


# 16


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "MemoryError"])
def test_a_subscriber_answers_that_it_is_the_end(installation: Installation, name: str) -> None:
    with hostile_subscriber(installation) as hostile, Publisher(es_uri=installation.uri) as publisher:
        hostile.greet()
        for number in range(2):
            publisher.publish("hostile", number)
            hostile.batch()
            description = {
                "__class__": f"builtins.{name}",
                "__exception__": True,
                "args": [],
                "attributes": {},
            }
            hostile.answer(description, EXCEPTION)
        eventually(lambda: lost_of(installation, hostile) == 2)


# 17


def test_a_subscriber_whose_answer_drips_delays_nobody(installation: Installation) -> None:
    with hostile_subscriber(installation) as hostile, Publisher(es_uri=installation.uri) as publisher:
        hostile.greet()
        publisher.publish("hostile", 1)
        hostile.batch()
        answer = write_frame(RESULT, 0, MSGPACK, hostile.seq, b"\x90")
        assert hostile.sock is not None
        for position in range(len(answer) - 1):
            hostile.sock.sendall(answer[position : position + 1])
            if position % 10 == 0:
                installation.check()
        assert lost_of(installation, hostile) == 0
        hostile.sock.sendall(answer[-1:])
        publisher.publish("hostile", 2)
        assert len(hostile.batch()) == 1


# 26


def test_connections_are_kept_alive_by_the_kernel(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the end of a host that vanished is noticed, on each side of each connection."""
    monkeypatch.setenv("PYROEVENTS_UNIX_SOCKET", "off")
    with Publisher(es_uri=installation.uri) as publisher:
        publisher.publish("nothing", 1)
        for uri in (installation.uri, installation.target):
            port = int(uri.rpartition(":")[2])
            eventually(lambda port=port: kept(port), what=f"keepalive timers on port {port}")


def kept(port: int) -> bool:
    found = kept_alive(port)
    return bool(found) and all(found)


def test_the_objects_are_what_we_think_they_are(installation: Installation) -> None:
    assert Target(installation, "service").object_id == EVENTSERVER_NAME
    assert Target(installation, "subscriber").object_id.startswith("obj_")
