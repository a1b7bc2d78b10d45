"""The subscriber's daemon: a Pyro5 daemon for stock clients, and what it refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import msgpack
import Pyro5.api
import Pyro5.errors
import Pyro5.server
import pytest
from Pyro5.serializers import MarshalSerializer
from reading import read_frame
from waiting import eventually

from pyro_events.client.daemon.connection_limits import ConnectionLimits
from pyro_events.client.daemon.daemon import SubscriberDaemon
from pyro_events.client.daemon.guarded_connection import ConnectionTimeouts
from pyro_events.client.dispatch.dispatcher import Dispatcher
from pyro_events.codec.message import encode
from pyro_events.constants import MAX_HANDSHAKE, MAX_STOCK_CALL, MIB
from pyro_events.event import Event
from pyro_events.wire.event_answers import read_events_answer
from pyro_events.wire.event_batch import write_events
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
    PING,
    RESULT,
    SERPENT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.greeting_notes import GreetingNotes
from pyro_events.wire.handshake.messages import read_connect_ok, write_connect
from pyro_events.wire.requests import write_ping

ANSWERS = FrameLimits(types=frozenset({CONNECT_OK, CONNECT_FAIL, RESULT, PING}), size=MIB)


@Pyro5.api.expose
class Target:
    """What is registered in the daemon."""

    def __init__(self) -> None:
        self.got: list[Event] = []
        self.calls: list[Any] = []

    def events(self, batch: Any) -> Any:
        self.calls.append(batch)
        return ["the stock way"]

    def echo(self, value: Any) -> Any:
        self.calls.append(value)
        return value

    @Pyro5.api.oneway
    def forget(self, value: Any) -> None:
        self.calls.append((value, threading.current_thread().name))

    def fail(self) -> None:
        raise ZeroDivisionError("on purpose")


class Stranger:
    """A plain socket that speaks frames."""

    def __init__(self, daemon: SubscriberDaemon, source: str = "") -> None:
        host, port = daemon.locationStr.split(":")
        self.sock = socket.create_connection((host, int(port)), 10, (source, 0) if source else None)
        self.reader = FrameReader(ANSWERS)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> Frame | None:
        """The next frame; None when the daemon has closed the connection."""
        return read_frame(self.sock, self.reader)

    def greet(self) -> Frame | None:
        self.send(write_connect("target", "hello"))
        return self.answer()


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def daemon(target: Target) -> Iterator[SubscriberDaemon]:
    dispatcher = Dispatcher(lambda: target.got.append)
    daemon = SubscriberDaemon("127.0.0.1")
    daemon.register(target, "target")
    daemon.deliver_to("target", dispatcher)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    yield daemon
    daemon.close()
    dispatcher.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def stranger(daemon: SubscriberDaemon) -> Iterator[Stranger]:
    stranger = Stranger(daemon)
    yield stranger
    stranger.sock.close()


@pytest.fixture(autouse=True)
def no_marshal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading marshal from a stranger can kill the interpreter; here it would fail the test."""

    def refuse(*arguments: object) -> None:
        pytest.fail("marshal was used for what came over the network, or for its answer")

    for name in ("loads", "loadsCall", "dumps"):
        monkeypatch.setattr(MarshalSerializer, name, refuse)
    monkeypatch.setattr(Pyro5.server.Daemon, "_Daemon__deserializeBlobArgs", refuse)


def rows(count: int, payload: bytes = encode("m")) -> list[list[Any]]:
    return [["S", 1.5, number + 1, 0, payload] for number in range(count)]


class CountingListener:
    """A listener that counts hints."""

    max_message = None

    def __init__(self, service: str = "") -> None:
        self.hints = 0
        self.service = service

    def is_at(self, address: str) -> bool:
        return address == self.service

    def connected(self, connection: object, notes: GreetingNotes) -> bool:
        return False

    def disconnected(self, connection: object) -> None:
        """Nothing here needs that."""

    def probed(self) -> None:
        self.hints += 1

    def resumed(self) -> None:
        """Nothing here needs that."""


def test_a_peer_that_closes_without_sending_anything_is_a_hint(daemon: SubscriberDaemon) -> None:
    listener = CountingListener()
    daemon.deliver_to("target", Dispatcher(lambda: lambda event: None), listener)
    client, publisher, silent = Stranger(daemon), Stranger(daemon), Stranger(daemon)
    client.greet()
    publisher.send(b"this is not Pyro's protocol at all, and is refused")
    assert publisher.answer() is not None
    for stranger in (client, publisher, silent):
        stranger.sock.close()
    eventually(lambda: listener.hints == 1)
    eventually(lambda: not daemon.connections)
    assert listener.hints == 1


def test_an_error_of_the_subscriber_ends_one_connection(
    daemon: SubscriberDaemon, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(CountingListener):
        def connected(self, connection: object, notes: GreetingNotes) -> bool:
            self.hints += 1
            if self.hints == 1:
                raise SystemExit("on purpose")
            return False

    dispatcher = Dispatcher(lambda: target.got.append)
    daemon.deliver_to("target", dispatcher, Failing())
    failed, later = Stranger(daemon), Stranger(daemon)
    failed.greet()
    assert failed.answer() is None
    later.greet()
    later.send(write_events("target", 1, rows(3)))
    assert later.answer() is not None
    for stranger in (failed, later):
        stranger.sock.close()
    eventually(lambda: not daemon.connections and not dispatcher._connections)
    assert len(target.got) == 3 and "on purpose" in caplog.text
    dispatcher.close()


def test_a_batch_of_events_takes_the_short_way(stranger: Stranger, target: Target) -> None:
    greeting = stranger.greet()
    assert greeting is not None and greeting.type == CONNECT_OK
    assert "events" in (read_connect_ok(greeting).methods or ())
    for seq in (1, 2):
        stranger.send(write_events("target", seq, rows(3)))
    for seq in (1, 2):
        answer = stranger.answer()
        assert answer is not None and (answer.type, answer.seq) == (RESULT, seq)
        assert read_events_answer(answer, 3) == []
    assert [event.msg for event in target.got] == ["m"] * 6
    assert (target.got[2].subject, target.got[2].time, target.got[2].seq) == ("S", 1.5, 3)
    assert not target.calls


def test_a_batch_with_large_events(stranger: Stranger, target: Target) -> None:
    stranger.greet()
    batch = rows(2)
    batch[-1][-1] = encode(bytes(4 * MIB))  # it is the last that makes it large
    stranger.send(write_events("target", 1, batch))
    answer = stranger.answer()
    assert answer is not None and read_events_answer(answer, 2) == []
    assert [len(event.msg) for event in target.got] == [1, 4 * MIB]


@pytest.mark.parametrize(
    "body",
    [
        ["target", "events", [{"a": 1}], {}],
        ["target", "events", [[{"a": 1}]], {}],
        ["target", "events", [5], {}],
        ["target", "events", [msgpack.ExtType(5, b"")], {}],
    ],
)
def test_a_call_that_is_not_a_batch_goes_the_stock_way(stranger: Stranger, target: Target, body: Any) -> None:
    stranger.greet()
    stranger.send(write_frame(INVOKE, 0, MSGPACK, 1, msgpack.packb(body)))
    answer = stranger.answer()
    assert answer is not None and answer.type == RESULT
    assert not target.got


def test_stock_proxies(daemon: SubscriberDaemon, target: Target) -> None:
    for serializer in ("serpent", "json", "msgpack"):
        with Pyro5.api.Proxy(daemon.uriFor("target")) as proxy:
            proxy._pyroSerializer = serializer
            assert proxy.echo("a") == "a"
            with pytest.raises(ZeroDivisionError, match="on purpose"):
                proxy.fail()
            with pytest.raises(AttributeError):
                proxy.unknown()
            batch = Pyro5.api.BatchProxy(proxy)
            batch.echo(1)
            batch.echo(2)
            assert list(batch()) == [1, 2]
            proxy._pyroBind()
    with Pyro5.api.Proxy(daemon.uriFor("target")) as proxy:
        proxy._pyroSerializer = "msgpack"
        assert proxy.events(rows(2)) == []
        assert len(target.got) == 2


def test_annotations_and_metadata_of_stock_calls(daemon: SubscriberDaemon) -> None:
    with Pyro5.api.Proxy(daemon.uriFor("Pyro.Daemon")) as proxy:
        Pyro5.api.current_context.annotations = {"TEST": b"annotation"}
        try:
            assert sorted(proxy.registered()) == ["Pyro.Daemon", "target"]
            assert "127.0.0.1" in proxy.info()
            assert "echo" in proxy.get_metadata("target")["methods"]
        finally:
            Pyro5.api.current_context.annotations = {}


def test_a_one_way_call_has_no_thread_of_its_own(daemon: SubscriberDaemon, target: Target) -> None:
    with Pyro5.api.Proxy(daemon.uriFor("target")) as proxy:
        for number in range(5):
            proxy.forget(number)
        assert proxy.echo("x") == "x"
    assert [call[0] for call in target.calls[:-1]] == [0, 1, 2, 3, 4]
    assert {call[1] for call in target.calls[:-1]} == {"pyro_events-subscriber"}


def test_pings(stranger: Stranger) -> None:
    stranger.greet()
    stranger.send(write_ping(9))
    answer = stranger.answer()
    assert answer is not None and (answer.type, answer.seq, answer.payload) == (PING, 9, b"pong")


@pytest.mark.parametrize(
    "hello, reason",
    [
        (write_frame(CONNECT, 0, 2, 3, b"\xf3" * 12), "marshal is not accepted"),
        (write_frame(CONNECT, 0, 9, 3, b"x"), "serializer 9"),
        (write_frame(CONNECT, COMPRESSED, MSGPACK, 3, zlib.compress(b"x" * 1000)), "compressed"),
        (write_frame(CONNECT, KEEP_SERIALIZED, MSGPACK, 3, b"x"), "blobs"),
        (write_frame(CONNECT, 0, MSGPACK, 3, bytes(MAX_HANDSHAKE + 1)), "too large"),
        (write_frame(INVOKE, 0, MSGPACK, 3, b"x"), "not expected"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a Pyro message"),
    ],
)
def test_a_bad_beginning_is_answered_and_closed(stranger: Stranger, hello: bytes, reason: str) -> None:
    stranger.send(hello)
    answer = stranger.answer()
    assert answer is not None and (answer.type, answer.serializer_id) == (CONNECT_FAIL, MSGPACK)
    assert reason in msgpack.unpackb(answer.payload)
    assert stranger.answer() is None


@pytest.mark.parametrize(
    "frame",
    [
        write_frame(INVOKE, 0, 2, 1, b"\xf3" * 12),
        write_frame(INVOKE, KEEP_SERIALIZED, MSGPACK, 1, b"x"),
        write_frame(INVOKE, COMPRESSED, MSGPACK, 1, zlib.compress(bytes(1000))),
        write_frame(INVOKE, 0, SERPENT, 1, bytes(MAX_STOCK_CALL + 1)),
        write_frame(INVOKE, 0, JSON, 1, bytes(MAX_STOCK_CALL + 1)),
        write_frame(INVOKE, BATCH, MSGPACK, 1, bytes(MAX_STOCK_CALL + 1)),
        write_frame(INVOKE, 0, MSGPACK, 1, bytes(MAX_STOCK_CALL + 1)),
        write_frame(CONNECT, 0, MSGPACK, 1, b"x"),
        write_frame(RESULT, 0, MSGPACK, 1, b"x"),
        b"PYRO\x01\x00" + bytes(34),
    ],
)
def test_a_bad_frame_ends_the_connection_alone(
    daemon: SubscriberDaemon, stranger: Stranger, frame: bytes
) -> None:
    stranger.greet()
    with contextlib.suppress(ConnectionError):
        stranger.send(frame)
        assert stranger.answer() is None
    with Pyro5.api.Proxy(daemon.uriFor("target")) as proxy:
        assert proxy.echo(1) == 1


@pytest.mark.parametrize("serializer", [MSGPACK, SERPENT, JSON])
@pytest.mark.parametrize("body", [b"", b"\xc1\xff\x00", b"\x94" * 900, b"[" * 900, b"{'a'", b"\x80"])
def test_nonsense_in_a_call_is_answered(stranger: Stranger, serializer: int, body: bytes) -> None:
    stranger.greet()
    stranger.send(write_frame(INVOKE, 0, serializer, 4, body))
    answer = stranger.answer()
    assert answer is None or (answer.flags & EXCEPTION and answer.seq == 4)


def test_a_slow_beginning_has_a_deadline() -> None:
    with (
        serving(CountingListener(), timeouts=ConnectionTimeouts(handshake=0.05)) as daemon,
        Stranger(daemon).sock as silent,
        Stranger(daemon).sock as dripping,
    ):
        dripping.sendall(b"PY")
        assert silent.recv(100) == b"" and dripping.recv(100) == b""


def test_a_slow_frame_has_a_deadline() -> None:
    with serving(CountingListener(), timeouts=ConnectionTimeouts(frame=0.05)) as daemon:
        stranger = Stranger(daemon)
        with stranger.sock:
            stranger.greet()
            stranger.send(write_ping(1)[:20])
            assert stranger.answer() is None


def test_a_frame_in_pieces(stranger: Stranger, target: Target) -> None:
    stranger.greet()
    whole = write_events("target", 1, rows(1))
    for position in range(0, len(whole), 7):
        stranger.send(whole[position : position + 7])
    answer = stranger.answer()
    assert answer is not None and read_events_answer(answer, 1) == []
    stranger.send(write_events("target", 2, rows(1)))
    assert stranger.answer() is not None


@contextlib.contextmanager
def serving(listener: CountingListener, **options: Any) -> Iterator[SubscriberDaemon]:
    """A daemon with other options, in a thread that accepts."""
    with SubscriberDaemon("127.0.0.1", **options) as daemon:
        daemon.register(Target(), "target")
        dispatcher = Dispatcher(lambda: lambda event: None)
        daemon.deliver_to("target", dispatcher, listener)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.close()
            dispatcher.close()
            thread.join(10)


def test_connections_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    listener = CountingListener()
    with (
        serving(listener, limits=ConnectionLimits(most=3, ungreeted=2, kept=1)) as daemon,
        contextlib.ExitStack() as stack,
    ):
        friends = [Stranger(daemon) for _ in range(2)]
        for friend in friends:
            stack.callback(friend.sock.close)
            assert friend.greet() is not None
        with Stranger(daemon).sock as refused:
            refused.sendall(write_connect("target", "hello"))
            answer = read_frame(refused, FrameReader(ANSWERS))
            assert answer is not None and answer.type == CONNECT_FAIL
            assert b"reached its limit of connections" in answer.payload
        listener.service = "127.0.0.1"
        service = eventually(lambda: admitted(daemon))
        service.sock.close()
        friends.pop().sock.close()
        listener.service = ""
        last = eventually(lambda: admitted(daemon))
        last.sock.close()
        eventually(lambda: "reached its limit of connections" in caplog.text)


def admitted(daemon: SubscriberDaemon) -> Stranger | None:
    """A stranger that has shaken hands, None if it was refused."""
    stranger = Stranger(daemon)
    with contextlib.suppress(ConnectionResetError):
        answer = stranger.greet()
        if answer is not None and answer.type == CONNECT_OK:
            return stranger
    stranger.sock.close()
    return None


def test_silent_connections_keep_nobody_out(daemon: SubscriberDaemon) -> None:
    """They replace each other, and are not taken for a service's hint."""
    listener = CountingListener()
    daemon.deliver_to("target", Dispatcher(lambda: lambda event: None), listener)
    with contextlib.ExitStack() as stack:
        for _ in range(260):
            stack.callback(Stranger(daemon).sock.close)
        for _ in range(3):
            with Stranger(daemon).sock as service:
                service.sendall(write_connect("target", "hello"))
                answer = read_frame(service, FrameReader(ANSWERS))
                assert answer is not None and answer.type == CONNECT_OK
        assert daemon.connections <= 40
        assert listener.hints == 0


def test_the_loop_ends_at_once() -> None:
    """And not when it looks around the next time."""
    Pyro5.config.POLLTIMEOUT = 60.0
    daemon = SubscriberDaemon("127.0.0.1")
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    eventually(lambda: daemon.transportServer._loop_thread is thread)  # type: ignore[union-attr]
    daemon.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(Pyro5.errors.PyroError, match="closed"):
        daemon.requestLoop()
    daemon.close()


def test_the_loop_asks_its_condition() -> None:
    with SubscriberDaemon("127.0.0.1") as daemon:
        answers = iter([True, True, False])
        daemon.requestLoop(lambda: next(answers))


def test_an_external_loop(target: Target) -> None:
    with SubscriberDaemon("127.0.0.1") as daemon:
        daemon.register(target, "target")
        (listening,) = daemon.sockets
        assert listening is daemon.sock
        stranger = Stranger(daemon)
        daemon.events([])
        daemon.events([listening])
        assert stranger.greet() is not None
        stranger.sock.close()
        eventually(lambda: daemon.connections == 0)


def test_it_is_a_pyro_daemon(daemon: SubscriberDaemon) -> None:
    assert isinstance(daemon, Pyro5.server.Daemon)
    assert "SubscriberDaemon" in repr(daemon) and "127.0.0.1" in repr(daemon.transportServer)
    assert str(daemon.uriFor("target")) == f"PYRO:target@{daemon.locationStr}"
    assert daemon.proxyFor("target")._pyroMethods >= {"echo", "events"}
    with pytest.raises(TypeError):
        daemon.combine(daemon)
    with pytest.raises(TypeError):
        daemon.transportServer.combine_loop(None)  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        _ = daemon.selector


def test_the_nat_address_is_in_the_uri() -> None:
    Pyro5.config.NATHOST, Pyro5.config.NATPORT = "outside.example", 0
    with SubscriberDaemon("127.0.0.1") as daemon:
        port = daemon.locationStr.split(":")[1]
        assert daemon.uriFor("x").location == f"outside.example:{port}"
        assert daemon.uriFor("x", nat=False).location == f"127.0.0.1:{port}"
    Pyro5.config.NATPORT = 4711
    with SubscriberDaemon("127.0.0.1") as daemon:
        assert daemon.uriFor("x").location == "outside.example:4711"


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with SubscriberDaemon("::1") as daemon:
        assert daemon.locationStr.startswith("[::1]:")
