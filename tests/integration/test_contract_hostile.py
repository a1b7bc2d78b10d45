"""Bad input to the service (docs/security.md): it answers that client or ends that connection.

After every test a new client publishes and a new subscriber receives. tests/wire has the same on the
level of bytes; here are real sockets.
"""

from __future__ import annotations

import marshal
import random
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event as Flag
from typing import Any

import msgpack
import pytest
from accounts import memory, needs_proc
from contract import running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import collecting
from Pyro5.api import Proxy
from raw_client import CONNECT_BODY, RawClient, call_body, raw_client
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, EventServiceStarter, Publisher
from pyro_events.codec.message import encode
from pyro_events.constants import MAX_MESSAGE, MAX_STOCK_CALL
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
    PING,
    RESULT,
    SERPENT,
    write_frame,
)

MARSHAL = 2
# What marshal would read.
MARSHALLED = marshal.dumps([1, "x"])
PATIENCE = 1.5  # seconds; enough for the handshake of any well-behaved client


@pytest.fixture(autouse=True)
def marshal_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the import of modules may read marshalled bytes."""
    loads, strangers = marshal.loads, []

    def watched(data: Any, *arguments: Any) -> Any:
        name = sys._getframe(1).f_code.co_filename
        if "importlib" not in name:
            strangers.append(name)
            raise ValueError("marshal.loads was called")
        return loads(data, *arguments)

    monkeypatch.setattr(marshal, "loads", watched)
    yield
    assert strangers == []


@pytest.fixture
def service() -> Iterator[EventServiceStarter]:
    """An impatient service, which must be in good health after the test."""
    with running(handshake_timeout=PATIENCE, frame_timeout=PATIENCE, delivery_deadline=2) as starter:
        yield starter
        assert_healthy(starter.uri)


def assert_healthy(uri: str) -> None:
    """A new client publishes, a new subscriber receives, and the accounts are right."""
    with collecting(uri, "health") as collector, Publisher(es_uri=uri) as publisher, Proxy(uri) as stock:
        assert publisher.publish("health", ("fine",)) == 1
        assert stock.publish("health", "too") == 1
        assert [event.msg for event in collector.wait(2)] == [("fine",), "too"]
    statistics(uri)


def header(
    kind: int = INVOKE,
    flags: int = 0,
    serializer: int = MSGPACK,
    size: int = 0,
    annotated: int = 0,
    version: int = 502,
    magic: int = 0x4DC5,
) -> bytes:
    numbers = kind.to_bytes(1, "big") + serializer.to_bytes(1, "big") + flags.to_bytes(2, "big") + b"\0\1"
    lengths = size.to_bytes(4, "big") + annotated.to_bytes(4, "big")
    return b"PYRO" + version.to_bytes(2, "big") + numbers + lengths + bytes(18) + magic.to_bytes(2, "big")


HELLO = write_frame(CONNECT, 0, MSGPACK, 0, CONNECT_BODY)
PUBLISH = write_frame(INVOKE, 0, MSGPACK, 1, call_body("publish_encoded", [["A", encode(1)]]))


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        bytes(100),
        b"PYRO" + bytes(100),
        b"PYR" + b"X" * 100,
        random.Random(5).randbytes(5000),
        header(CONNECT, version=501, size=10),
        header(CONNECT, version=503, size=10),
        header(CONNECT, magic=0x1234, size=10) + bytes(10),
    ],
    ids=lambda data: repr(data[:12]),
)
@pytest.mark.parametrize("greeted", [False, True])
def test_garbage_ends_the_connection_at_once(
    service: EventServiceStarter, garbage: bytes, greeted: bool
) -> None:
    with raw_client(service.uri, greeted=greeted) as client:
        began = time.monotonic()
        client.send(garbage)
        client.wait_for_end()
        assert time.monotonic() - began < PATIENCE


def test_a_session_cut_short_anywhere(service: EventServiceStarter) -> None:
    session = HELLO + PUBLISH
    clients = []
    for length in range(0, len(session), 3):
        client = RawClient(service.uri)
        client.send(session[:length])
        clients.append(client)
    for number, client in enumerate(clients):
        if number % 2:  # with a reset, as of a program that was killed
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    eventually(lambda: statistics(service.uri)["connections"] == 1)
    assert statistics(service.uri)["published"] == 0


def test_every_bit_of_a_header_turned_over(service: EventServiceStarter) -> None:
    """Refused, answered, or read as what it then says: never more than that."""
    for position in range(0, 40 * 8, 3):
        flipped = bytearray(PUBLISH)
        flipped[position // 8] ^= 1 << position % 8
        with raw_client(service.uri) as client:
            client.send(bytes(flipped))
            client.sock.shutdown(socket.SHUT_WR)
            client.wait_for_end()
    assert_healthy(service.uri)


@pytest.mark.parametrize("kind", [CONNECT, INVOKE])
@pytest.mark.parametrize("flags", [0, BATCH, ONEWAY, COMPRESSED])
def test_marshal_is_refused_wherever_it_is_named(service: EventServiceStarter, kind: int, flags: int) -> None:
    with raw_client(service.uri, greeted=kind == INVOKE) as client:
        client.send(write_frame(kind, flags, MARSHAL, 1, MARSHALLED))
        client.wait_for_end()


def test_marshal_in_an_annotation_is_not_read(service: EventServiceStarter) -> None:
    annotation = b"BLBI" + len(MARSHALLED).to_bytes(4, "big") + MARSHALLED
    for flags in (0, KEEP_SERIALIZED):
        body = call_body("publish", "A", "x")
        with raw_client(service.uri) as client:
            client.send(header(INVOKE, flags, MSGPACK, len(body), len(annotation)) + annotation + body)
            frame = client.frame()
            assert frame is not None and frame.type == RESULT


@pytest.mark.parametrize("kind", [CONNECT_OK, CONNECT_FAIL, RESULT, 0, 7, 99, 255])
@pytest.mark.parametrize("greeted", [False, True])
def test_message_types_that_are_not_expected(service: EventServiceStarter, kind: int, greeted: bool) -> None:
    with raw_client(service.uri, greeted=greeted) as client:
        client.send(write_frame(kind, 0, MSGPACK, 1, b"\xc0"))
        client.wait_for_end()


def test_out_of_turn(service: EventServiceStarter) -> None:
    for first in (PUBLISH, write_frame(PING, 0, MSGPACK, 1, b"ping")):
        with raw_client(service.uri, greeted=False) as client:
            client.send(first)
            client.wait_for_end()
    with raw_client(service.uri) as client:
        client.send(HELLO)
        client.wait_for_end()
    assert statistics(service.uri)["published"] == 0


@pytest.mark.parametrize(
    ("kind", "size", "annotated"),
    [
        (CONNECT, 4097, 0),
        (CONNECT, 10, 4096),
        (CONNECT, 0xFFFFFFFF, 0),
        (INVOKE, 0xFFFFFFFF, 0),
        (INVOKE, 0, 0xFFFFFFFF),
        (INVOKE, 1 << 30, 1 << 30),
        (INVOKE, MAX_MESSAGE + MAX_STOCK_CALL + 1, 0),
        (PING, 1 << 30, 0),
    ],
)
@pytest.mark.parametrize("serializer", [MSGPACK, SERPENT])
def test_a_size_that_is_too_large_is_refused_before_the_body(
    kind: int, size: int, annotated: int, serializer: int
) -> None:
    with (
        running(handshake_timeout=120, frame_timeout=120) as patient,
        raw_client(patient.uri, greeted=kind != CONNECT) as client,
    ):
        client.send(header(kind, 0, serializer, size, annotated))  # and not a byte of it
        client.wait_for_end()


@pytest.mark.parametrize("serializer", [SERPENT, JSON])
@pytest.mark.parametrize("flags", [0, BATCH])
def test_only_msgpack_may_be_large(service: EventServiceStarter, serializer: int, flags: int) -> None:
    with raw_client(service.uri) as client:
        client.send(header(INVOKE, flags, serializer, (64 << 10) + 1))
        frame = client.frame()
        assert frame is not None and frame.flags & EXCEPTION
        assert b"too large" in frame.payload
        client.wait_for_end()


def test_a_silent_client_is_given_two_seconds_and_delays_nobody(service: EventServiceStarter) -> None:
    """Two seconds by default."""
    silent = [RawClient(service.uri) for _ in range(200)]
    began = time.monotonic()
    assert_healthy(service.uri)
    for client in silent:
        client.wait_for_end()
        client.close()
    assert time.monotonic() - began >= PATIENCE / 2


def test_a_handshake_that_drips_has_a_total_deadline(service: EventServiceStarter) -> None:
    with raw_client(service.uri, greeted=False) as client:
        dripped = drip(client, HELLO, pause=0.05)
        assert dripped < len(HELLO)


def test_a_call_that_drips_has_a_total_deadline(service: EventServiceStarter) -> None:
    with raw_client(service.uri) as client:
        dripped = drip(client, PUBLISH, pause=0.05)
        assert dripped < len(PUBLISH)
    assert statistics(service.uri)["published"] == 0


def drip(client: RawClient, data: bytes, pause: float) -> int:
    """Send byte after byte until the service closes the connection; returns how many went out."""
    for count in range(len(data)):
        client.send(data[count : count + 1])
        client.sock.settimeout(pause)
        try:
            if not client.sock.recv(100):
                return count
        except TimeoutError:
            continue
        except ConnectionError:
            return count
    return len(data)


def test_a_stream_that_always_ends_in_the_middle_of_a_frame_is_not_slow(
    service: EventServiceStarter,
) -> None:
    """The deadline is for each message: a publisher at full speed always has one begun."""
    with raw_client(service.uri) as client:
        end = time.monotonic() + 2 * PATIENCE
        client.send(PUBLISH[:20])
        count = 0
        while time.monotonic() < end:
            client.send(PUBLISH[20:] + PUBLISH[:20])
            count += 1
            frame = client.frame()
            assert frame is not None, f"closed after {count} calls"
            Flag().wait(0.01)
        client.send(PUBLISH[20:])
        assert client.frame() is not None
    assert statistics(service.uri)["published"] == count + 1


def test_a_compressed_bomb(service: EventServiceStarter) -> None:
    bomb = zlib.compress(bytes(60 << 20), 9)
    assert len(bomb) < 64 << 10
    for serializer in (MSGPACK, SERPENT, JSON):
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, COMPRESSED, serializer, 1, bomb))
            frame = client.frame()
            assert frame is not None and frame.flags & EXCEPTION
            assert b"unpacks to over" in frame.payload
            client.wait_for_end()
    with raw_client(service.uri, greeted=False) as client:
        client.send(write_frame(CONNECT, COMPRESSED, MSGPACK, 1, zlib.compress(CONNECT_BODY)))
        frame = client.frame()
        assert frame is not None and frame.type == CONNECT_FAIL
        client.wait_for_end()
    for damaged in (b"", b"x", bomb[:100], zlib.compress(call_body("statistics"))[:-3]):
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, COMPRESSED, MSGPACK, 1, damaged))
            client.wait_for_end()
    with raw_client(service.uri) as client:  # but what is small is accepted
        body = zlib.compress(call_body("publish", "A", 1))
        client.send(write_frame(INVOKE, COMPRESSED, MSGPACK, 1, body))
        frame = client.frame()
        assert frame is not None and frame.payload == b"\0"


def test_serialized_blobs_are_refused(service: EventServiceStarter) -> None:
    with raw_client(service.uri) as client:
        client.send(write_frame(INVOKE, KEEP_SERIALIZED, MSGPACK, 1, call_body("publish", "A", 1)))
        frame = client.frame()
        assert frame is not None and b"blob" in frame.payload
        client.wait_for_end()


def nested(depth: int, opening: bytes = b"\x91") -> bytes:
    return opening * depth + b"\xc0"


@pytest.mark.parametrize(
    ("serializer", "body"),
    [
        (MSGPACK, nested(60_000)),
        (MSGPACK, nested(500)),
        (MSGPACK, nested(60_000, b"\x81\xa1k")[:65_000]),
        (MSGPACK, b"\x94\xb2Pyro.EventService\xa7publish\x92\xa1A" + nested(400) + b"\x80"),
        (MSGPACK, b"\xdd\xff\xff\xff\xff"),
        (MSGPACK, b"\xdf\xff\xff\xff\xff"),
        (MSGPACK, b"\xdc\xff\xff" * 1000 + bytes(60_000)),
        (MSGPACK, b"\xc6\xff\xff\xff\xff"),
        (MSGPACK, b"\x81\x91\x01\x02"),  # a list as a key
        (MSGPACK, b"\xc7\x04\x31" + b"9" * 4),  # an integer as text, Pyro5's own
        (MSGPACK, b"\xd8\x32" + bytes(16)),
        (MSGPACK, b"\xd7\x32" + b"\x7f\xf0" + bytes(6)),  # a date at infinity
        (MSGPACK, b"\xc1"),
        (MSGPACK, b""),
        (MSGPACK, b"\x94\xa1x\xa1y\x90\x80\x00"),
        (SERPENT, b"[" * 60_000),
        (SERPENT, b"(" * 30_000 + b")" * 30_000),
        (SERPENT, b"-" * 60_000 + b"1"),
        (SERPENT, b"9" * 60_000),
        (SERPENT, b"__import__('os').abort()"),
        (SERPENT, b"\x00"),
        (SERPENT, b"{[]: 1}"),
        (JSON, b"[" * 60_000),
        (JSON, b'{"a":' * 12_000),
        (JSON, b"9" * 60_000),
        (JSON, b"\xff\xfe"),
        (JSON, b'{"object": 5, "method": null, "params": 7, "kwargs": []}'),
        (JSON, b'{"object": "\\ud800", "method": "\\ud800", "params": [], "kwargs": {}}'),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("flags", [0, BATCH])
def test_bodies_that_cannot_be_read_are_answered(
    service: EventServiceStarter, serializer: int, body: bytes, flags: int
) -> None:
    with raw_client(service.uri) as client:
        client.send(write_frame(INVOKE, flags, serializer, 1, body))
        frame = client.frame()
        assert frame is not None and frame.type == RESULT and frame.flags & EXCEPTION, frame
        # And the connection is as good as before.
        assert client.call("publish_encoded", [["A", encode(1)]]) == 0


@pytest.mark.parametrize(
    ("serializer", "body"),
    [
        (MSGPACK, nested(1000)),
        (MSGPACK, b"\x80"),
        (MSGPACK, msgpack.packb({"object": 5})),
        (MSGPACK, msgpack.packb({"handshake": "hello", "object": "nobody"})),
        (MSGPACK, msgpack.packb([1, 2])),
        (SERPENT, b"(" * 4000),
        (SERPENT, b"{'object': 'x'}"),
        (JSON, b"[" * 4000),
        (JSON, b""),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_handshakes_that_cannot_be_read_are_answered(
    service: EventServiceStarter, serializer: int, body: bytes
) -> None:
    with raw_client(service.uri, greeted=False) as client:
        client.send(write_frame(CONNECT, 0, serializer, 1, body))
        frame = client.frame()
        assert frame is not None and frame.type == CONNECT_FAIL
        client.wait_for_end()


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("publish", [], {}),
        ("publish", ["A"], {}),
        ("publish", ["A", 1, 2], {}),
        ("publish", [], {"subjects": "A", "message": 1, "extra": 2}),
        ("publish", ["A", 1], {"caller": 1}),
        ("publish", ["A", 1], {"self": 1}),
        ("publish", ["A", 1], {"": 1}),
        ("publish", [{"a": 1}, 1], {}),
        ("publish", [b"A", 1], {}),
        ("publish", [True, 1], {}),
        ("publish", [[["A"]], 1], {}),
        ("publish", [["A", None], 1], {}),
        ("publish", [["A"] * 1001, 1], {}),
        ("publish_encoded", [], {}),
        ("publish_encoded", [[["A", "text"]]], {}),
        ("publish_encoded", [{"A": b""}], {}),
        ("publish_encoded", [[["A", b"", 1]]], {}),
        ("publish_large", [["A", b""]], {}),
        ("methods", [], {}),
        ("__init__", [None], {}),
        ("__class__", [], {}),
        ("_engine", [], {}),
        ("_subscribe", ["A", [], "PYRO:x@y:1", None], {}),
        ("", [], {}),
        ("statistics", [1], {}),
        ("subscribe", ["A"], {}),
        ("subscribe", ["A", "PYRO:x@127.0.0.1:1", {"backlog": -1}], {}),
        ("subscribeMatch", ["(", "PYRO:x@127.0.0.1:1"], {}),
        ("subscribeMatch", [["a", 5], "PYRO:x@127.0.0.1:1"], {}),
        ("unsubscribe", [5, "PYRO:x@127.0.0.1:1"], {}),
        ("unsubscribe", ["A", 5], {}),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_call_that_fails_has_published_nothing_and_changed_no_subscription(
    service: EventServiceStarter, method: str, arguments: list[Any], named: dict[str, Any]
) -> None:
    with fake_subscriber() as subscriber, raw_client(service.uri) as client:
        subscribe(service.uri, subscriber.uri, "A", backlog=7)
        before = statistics(service.uri)
        body = msgpack.packb([EVENTSERVER_NAME, method, arguments, named])
        client.send(write_frame(INVOKE, 0, MSGPACK, 9, body))
        frame = client.frame()
        assert frame is not None and frame.flags & EXCEPTION and frame.seq == 9
        assert msgpack.unpackb(frame.payload)["__class__"] in (
            "builtins.TypeError",
            "builtins.ValueError",
            "builtins.AttributeError",
        )
        after = statistics(service.uri)
        assert after["published"] == before["published"]
        assert after["subscribers"] == before["subscribers"]
        assert client.call("publish", "A", 1) == 1


def test_named_arguments_that_are_no_text(service: EventServiceStarter) -> None:
    for key in (5, b"subjects", None, (1, 2)):
        body = msgpack.packb([EVENTSERVER_NAME, "publish", ["A", 1], {key: 1}])
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, 0, MSGPACK, 1, body))
            frame = client.frame()
            assert frame is not None and frame.flags & EXCEPTION
            assert client.call("publish", "A", 1) == 0


@pytest.mark.parametrize(
    "subscriber",
    [
        "PYRONAME:somebody",
        "PYROMETA:class:x",
        "PYRO:x@./u:/tmp/socket",
        "PYRO:x@127.0.0.1:0",
        "PYRO:x@127.0.0.1:99999",
        "PYRO:x@127.0.0.1:-5",
        "PYRO:" + "x" * 2000 + "@127.0.0.1:1",
        "",
        "nonsense",
        5,
        None,
        [],
        {},
        {"__class__": "Pyro5.client.Proxy"},
        {"__class__": "Pyro5.client.Proxy", "state": ["PYRO:x@127.0.0.1:1"]},
        {"__class__": "Pyro5.client.Proxy", "state": [5, [], [], [], "hello", None]},
        {"__class__": "Pyro5.client.Proxy", "state": ["PYRONAME:x", [], ["event"], [], "hello", None]},
        {"__class__": "Pyro5.core.URI", "state": ["PYRO", 5, None, [], 1]},
        {"__class__": "Pyro5.core.URI", "state": ["PYRO", "x", "/tmp/s", None, None]},
        {"__class__": "builtins.SystemExit", "__exception__": True, "args": [], "attributes": {}},
    ],
    ids=lambda value: repr(value)[:50],
)
def test_an_object_that_is_not_a_subscriber_is_refused(
    service: EventServiceStarter, subscriber: object
) -> None:
    with raw_client(service.uri) as client:
        for method in ("subscribe", "subscribeMatch", "unsubscribe"):
            answer = client.call(method, "A", subscriber)
            assert answer["__class__"] in ("builtins.TypeError", "builtins.ValueError"), answer
        assert statistics(service.uri)["subscribers"] == []


def test_huge_batches_of_calls(service: EventServiceStarter) -> None:
    def batch(calls: Any) -> Any:
        body = msgpack.packb([EVENTSERVER_NAME, "<batch>", calls, None])
        assert len(body) <= 64 << 10
        client.send(write_frame(INVOKE, BATCH, MSGPACK, 1, body))
        frame = client.frame()
        assert frame is not None and frame.type == RESULT
        return msgpack.unpackb(frame.payload, strict_map_key=False)

    with raw_client(service.uri) as client:
        assert batch([]) == []
        assert batch([["publish", ["A", 1], {}]] * 4000) == [0] * 4000
        results = batch([["nothing", [], {}]] * 5000)
        assert len(results) == 1  # the first exception ends it
        assert batch([["<batch>", [["publish", ["A", 1], {}]], {}]])[0]["exception"]
        for nonsense in (5, "x", {"a": 1}, [5], [[1, 2, 3]], [["publish"]], [[]] * 60_000, [None]):
            assert batch(nonsense)["__exception__"] is True
        assert statistics(service.uri)["published"] == 4000
        with collecting(service.uri, "A") as collector:
            subjects = ["A"] * 1000
            assert client.call("publish_encoded", [[subjects, b"\x01"]] * 20) == 20_000
            collector.wait(20_000)


def test_what_the_method_for_large_messages_refuses(service: EventServiceStarter) -> None:
    payload = encode(bytes(70_000))
    good = call_body("publish_encoded", [["A", payload]])
    assert len(good) > 64 << 10

    def refused(body: bytes, flags: int = 0) -> bool:
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, flags, MSGPACK, 1, body))
            frame = client.frame()
            return frame is not None and bool(frame.flags & EXCEPTION)

    assert not refused(good)
    assert refused(good, BATCH)
    assert refused(good + b"\xc0")
    assert refused(good[:-1])
    assert refused(good.replace(b"\xc6", b"\xdb", 1))  # text instead of bytes
    assert refused(good.replace(len(payload).to_bytes(4, "big"), (len(payload) + 9).to_bytes(4, "big"), 1))
    assert refused(call_body("publish_encoded", [["A", payload], ["B", b""]]))
    assert refused(call_body("publish_encoded", [["A", payload, 1]]))
    assert refused(call_body("publish_encoded", [["A", payload]], more=1))
    assert refused(call_body("publish", "A", payload))
    assert refused(call_body("subscribe", ["x" * 255] * 300, "PYRO:x@127.0.0.1:1"))
    assert refused(b"\x94" + msgpack.packb("x" * 70_000) + good[19:])
    assert refused(msgpack.packb(["nobody", "publish_encoded", [[["A", payload]]], {}]))
    assert refused(nested(100_000))
    assert refused(b"\x80" * 100_000)
    assert statistics(service.uri)["published"] == 1


def test_oneway_calls_are_made_in_order_and_never_answered(service: EventServiceStarter) -> None:
    with collecting(service.uri, "A") as collector, raw_client(service.uri) as client:
        for number in range(500):
            client.send_call("publish_encoded", [["A", encode(number)]], flags=ONEWAY)
            client.send_call("publish", "", 1, flags=ONEWAY)
            client.send_call("nothing", flags=ONEWAY)
        client.send(write_frame(INVOKE, ONEWAY, MSGPACK, 1, b"\xc1"))
        large = call_body("publish_encoded", [["A", encode(bytes(70_000))]])
        client.send(write_frame(INVOKE, ONEWAY, MSGPACK, 1, large))
        assert client.call("publish_encoded", [["A", encode("last")]]) == 1  # the first answer there is
        collector.wait(502)
        assert collector.messages() == [*range(500), bytes(70_000), "last"]


def test_connections_that_come_and_go(service: EventServiceStarter) -> None:
    for _ in range(500):
        RawClient(service.uri).close()
    eventually(lambda: statistics(service.uri)["connections"] == 1)


@needs_proc
def test_a_client_that_never_reads_costs_little_and_delays_nobody(es) -> None:
    """It asks for statistics of 300 subscribers, thousands of times, and reads none of the answers."""
    with fake_subscriber() as subscriber, ExitStack() as stack:
        for number in range(300):
            subscribe(es.uri, subscriber.uri.replace("fake", f"fake{number}"), ["A" * 200, "B" * 200])
        assert_healthy(es.uri)
        before = memory(es.process.pid)
        greedy = stack.enter_context(raw_client(es.uri))
        greedy.sock.setblocking(False)
        calls = write_frame(INVOKE, 0, MSGPACK, 1, call_body("statistics")) * 1000
        sent = 0
        try:
            while sent < 50 << 20:
                sent += greedy.sock.send(calls)
        except BlockingIOError:
            pass
        assert_healthy(es.uri)
        more = memory(es.process.pid) - before
        assert more < 40, f"{more:.0f} MiB more, after {sent} bytes"
        assert_healthy(es.uri)


# What a subscriber answers is not trusted either.


def answers() -> list[Any]:
    bomb = zlib.compress(bytes(60 << 20), 9)
    exception = {"__class__": "builtins.SystemExit", "__exception__": True, "args": [[]], "attributes": 5}
    return [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="garbage"),
        pytest.param(write_frame(RESULT, 0, MARSHAL, 1, MARSHALLED), id="marshal"),
        pytest.param(write_frame(RESULT, EXCEPTION, MARSHAL, 1, MARSHALLED), id="marshal exception"),
        pytest.param(write_frame(RESULT, 0, SERPENT, 1, b"[]"), id="another serializer"),
        pytest.param(write_frame(RESULT, COMPRESSED, MSGPACK, 1, bomb), id="bomb"),
        pytest.param(write_frame(RESULT, KEEP_SERIALIZED, MSGPACK, 1, b"\x90"), id="blob"),
        pytest.param(header(RESULT, size=1 << 30), id="oversize"),
        pytest.param(write_frame(RESULT, 0, MSGPACK, 7, b"\x90"), id="wrong sequence number"),
        pytest.param(write_frame(INVOKE, 0, MSGPACK, 1, call_body("statistics")), id="a call"),
        pytest.param(write_frame(RESULT, 0, MSGPACK, 1, nested(60_000)), id="nested"),
        pytest.param(write_frame(RESULT, 0, MSGPACK, 1, b"\xdd\xff\xff\xff\xff"), id="huge list"),
        pytest.param(write_frame(RESULT, 0, MSGPACK, 1, b"\xc7\x01\x05x"), id="extension"),
        pytest.param(write_frame(RESULT, EXCEPTION, MSGPACK, 1, msgpack.packb(exception)), id="exception"),
        pytest.param(write_frame(RESULT, 0, MSGPACK, 1, b"\x90") * 3, id="too many answers"),
        pytest.param(b"", id="nothing, and it closes"),
    ]


@pytest.mark.parametrize("answer", answers())
@pytest.mark.parametrize("method", ["events", "event"])
def test_hostile_answers_of_a_subscriber(service: EventServiceStarter, answer: bytes, method: str) -> None:
    with (
        fake_subscriber() as hostile,
        collecting(service.uri, "A") as healthy,
        Publisher(es_uri=service.uri) as publisher,
    ):
        subscribe(service.uri, hostile.uri, "A")
        hostile.greet(method)
        assert publisher.publish("A", 1) == 2
        hostile.batch()
        assert hostile.sock is not None
        hostile.sock.sendall(answer)
        if not answer:
            hostile.leave()
        for number in range(50):
            publisher.publish("A", number)
        healthy.wait(51)
        hostile.leave()
        eventually(lambda: publisher.publish("A", "later") == 1)
        snapshot = statistics(service.uri)
        assert snapshot["delivered"] + sum(snapshot["lost"].values()) >= 52


@pytest.mark.parametrize("answer", answers())
def test_hostile_greetings_of_a_subscriber(
    service: EventServiceStarter, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_subscriber() as hostile, Publisher(es_uri=service.uri) as publisher:
        subscribe(service.uri, hostile.uri, "A")
        hostile.accept()
        assert hostile.sock is not None
        hostile.frame()
        hostile.sock.sendall(answer)
        if not answer:
            hostile.leave()
        eventually(lambda: publisher.publish("A", 1) == 0)
        assert hostile.uri in caplog.text


@pytest.mark.parametrize(
    "greeting",
    [5, {}, {"meta": 5}, {"meta": {"methods": 5}}, {"meta": {"methods": [5]}}, {"meta": {"methods": []}}],
    ids=repr,
)
def test_a_greeting_without_a_method_to_call(service: EventServiceStarter, greeting: object) -> None:
    with fake_subscriber() as hostile, Publisher(es_uri=service.uri) as publisher:
        subscribe(service.uri, hostile.uri, "A")
        hostile.accept()
        hostile.frame()
        hostile.send(CONNECT_OK, 0, greeting)
        eventually(lambda: publisher.publish("A", 1) == 0)
        hostile.wait_for_end()


def test_the_service_sends_a_strangers_address_nothing_but_a_handshake(service: EventServiceStarter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as affected, Publisher(es_uri=service.uri) as publisher:
        affected.settimeout(10)
        state = [f"PYRO:obj@192.0.2.9:{affected.getsockname()[1]}", [], ["event"], [], "EVIL", "EVIL"]
        with raw_client(service.uri) as client:
            answer = client.call("subscribe", "A", {"__class__": "Pyro5.client.Proxy", "state": state})
            assert answer is None
        publisher.publish("A", "secret")
        connection, _ = affected.accept()
        with connection:
            connection.settimeout(0.3)
            received = connection.recv(65536)
            assert received.startswith(b"PYRO")
            assert b"EVIL" not in received and b"secret" not in received
            with pytest.raises(TimeoutError):
                connection.recv(1)
