"""Connecting to what may not be a name server, calling it, and what is said when either fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5.errors
import pytest
import serpent
from certificates import needs_openssl, settings, use
from fake_name_server import FakeNameServer
from identities import service_proof
from name_servers import port_of, stock_name_server
from raising_handler import needs_signals, raising

from pyro_events.errors import (
    AccessDeniedError,
    ClocksDifferError,
    NameServerDeniedError,
    ServiceNotFoundError,
)
from pyro_events.transport import authentication, connecting
from pyro_events.transport.name_server_connection import (
    UNGUARDED,
    NameServerConnection,
    NameServerFailedError,
    NobodyThereError,
    shown,
)
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    RESULT,
    SERPENT,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proof_memory import MAX_SKEW
from pyro_events.wire.handshake.proofs import DENIED, AgainError

LOOPBACK = "127.0.0.1"
NAME = "Pyro.NameServer"
META = {"methods": ["lookup"], "oneway": [], "attrs": []}
GREETING = {"handshake": "hello", "meta": META}


@pytest.fixture
def fake() -> Iterator[FakeNameServer]:
    with FakeNameServer() as fake:
        yield fake


def asked(fake: FakeNameServer, seconds: float = 5.0, **others: Any) -> NameServerConnection:
    others.setdefault("identity", None)
    return NameServerConnection(LOOPBACK, fake.port, deadline=time.monotonic() + seconds, **others)


def greeting(answer: Any = GREETING, kind: int = CONNECT_OK) -> bytes:
    return write_frame(kind, 0, SERPENT, 0, serpent.dumps(answer))


def result(value: Any, flags: int = 0) -> bytes:
    return write_frame(RESULT, flags, SERPENT, 1, serpent.dumps(value))


def error(name: object, *args: Any) -> bytes:
    return result({"__class__": name, "__exception__": True, "args": args, "attributes": {}}, EXCEPTION)


# Connecting


def test_nothing_listens_there(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(NobodyThereError, match=f"was found at 127.0.0.1:{port}: nothing listens there"):
        NameServerConnection(LOOPBACK, port, None, time.monotonic() + 5)


def test_connecting_may_have_an_earlier_deadline(fake: FakeNameServer) -> None:
    with pytest.raises(NobodyThereError, match="no connection in time"):
        asked(fake, 60, connect_by=time.monotonic() - 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (greeting("busy", CONNECT_FAIL), "refuses the connection: busy"),
        (greeting({"handshake": "hello", "meta": {"methods": ["ping"]}}), "no method `lookup`"),
        (greeting(5), "no method `lookup`"),
        (greeting({"meta": 5}), "no method `lookup`"),
        (write_frame(CONNECT_OK, 0, SERPENT, 0, b"(("), "cannot be read"),
        # Reading marshal from a stranger can kill the interpreter.
        (write_frame(CONNECT_OK, 0, 2, 0, b"i\x01\x00\x00\x00"), "the serializer marshal is not accepted"),
        (b"SSH-2.0-OpenSSH\r\n", "not a Pyro message"),
        (b"", "it closed the connection"),
    ],
)
def test_a_peer_that_is_not_a_name_server(fake: FakeNameServer, answer: bytes, reason: str) -> None:
    fake.answers = [answer]
    with pytest.raises(ServiceNotFoundError, match=f"is not a name server: .*{reason}.*PYRO_NS_HOST"):
        asked(fake)


def test_one_that_answers_in_drops_has_one_deadline(fake: FakeNameServer) -> None:
    fake.answers = [greeting()]
    fake.pause = 0.02  # for each byte: far less than a socket's timeout
    began = time.monotonic()
    with pytest.raises(ServiceNotFoundError, match="does not answer"):
        asked(fake, 0.5)
    assert time.monotonic() - began < 5


def test_a_unix_domain_socket_has_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket.socketpair()
    monkeypatch.setattr(connecting, "connect", lambda host, port, deadline: near)
    with far:
        far.sendall(greeting())
        with NameServerConnection("./u:names", 0, None, time.monotonic() + 5) as found:
            assert (found.where, found.local_host, found.peer_host) == ("./u:names", "", "")


@needs_openssl
def test_tls_is_named_where_one_side_alone_speaks_it(fake: FakeNameServer) -> None:
    fake.answers = [greeting()]
    use(settings())
    with pytest.raises(ServiceNotFoundError, match="does not speak TLS, and this program does") as caught:
        asked(fake)
    assert not caught.value.temporary


@needs_openssl
def test_a_name_server_behind_tls() -> None:
    use(settings())
    with stock_name_server("localhost") as names:
        until = time.monotonic() + 20
        with NameServerConnection("localhost", port_of(names), None, until) as found:
            assert found.call("count") == 1


# The passphrase


class Guarded:
    """Answers a greeting as a name server does that asks for a passphrase.

    ahead: seconds by which its clock is ahead of ours.
    """

    def __init__(self, ahead: float = 0.0) -> None:
        self.gate = service_proof(Identity(b"ours"))
        self.ahead = ahead

    def __call__(self, asked: bytes) -> bytes:
        reader = FrameReader(FrameLimits(types=frozenset({CONNECT}), size=1 << 16))
        reader.feed(asked)
        frame = reader.next_frame()
        assert frame is not None
        hello = serpent.loads(frame.payload)["handshake"]
        try:
            answer = self.gate.verify(hello, NAME, time.time() + self.ahead).answer
        except AgainError as error:
            return greeting(str(error), CONNECT_FAIL)
        return greeting({"handshake": answer, "meta": META})


@pytest.fixture
def nothing_known() -> None:
    authentication._runs.clear()


def test_the_second_attempt_knows_what_the_first_one_was_told(
    fake: FakeNameServer, nothing_known: None
) -> None:
    fake.answers = [Guarded(), result(5)]
    with asked(fake, identity=Identity(b"ours")) as found:
        assert found.call("count") == 5


def test_clocks_that_differ(fake: FakeNameServer, nothing_known: None) -> None:
    fake.answers = [Guarded(ahead=2 * MAX_SKEW)]
    with pytest.raises(ClocksDifferError, match="ahead of ours"):
        asked(fake, identity=Identity(b"ours"))


def test_one_that_proves_no_passphrase(fake: FakeNameServer) -> None:
    fake.answers = [greeting()]
    with pytest.raises(NameServerDeniedError, match="does not prove that it knows") as caught:
        asked(fake, identity=Identity(b"ours"))
    assert UNGUARDED in str(caught.value)


@pytest.mark.parametrize(
    ("identity", "text"),
    [(None, "requires a passphrase"), (Identity(b"theirs"), "does not accept the passphrase")],
    ids=["none", "another"],
)
def test_a_passphrase_that_is_not_accepted(
    fake: FakeNameServer, identity: Identity | None, text: str
) -> None:
    fake.answers = [greeting(DENIED, CONNECT_FAIL)]
    with pytest.raises(NameServerDeniedError, match=text):
        asked(fake, identity=identity)


# Calling


def test_a_call_returns_plain_data_and_may_have_a_patience_of_its_own() -> None:
    with (
        stock_name_server() as names,
        NameServerConnection(
            LOOPBACK, port_of(names), None, time.monotonic() + 5, patience=60, connect_by=time.monotonic() + 4
        ) as found,
    ):
        before = time.monotonic()
        assert found.call("count") == 1
        assert found.deadline >= before + 60
        assert found.call("list", prefix := "Pyro.Name") == {NAME: str(names.uriFor(prefix + "Server"))}
        assert (found.local_host, found.peer_host) == (LOOPBACK, LOOPBACK)
        with pytest.raises(Pyro5.errors.NamingError, match="unknown name: x"):
            found.call("lookup", "x")
        found.close()


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (error("Pyro5.errors.NamingError", "no", 5), Pyro5.errors.NamingError, "^no, 5$"),
        (error("builtins.OSError", "no"), NameServerFailedError, "fails: builtins.OSError: no$"),
        (error(["x"], "no" * 200), NameServerFailedError, r"fails: \['x'\]: (no){100}$"),
        (result({"__class__": "x", "args": 5}, EXCEPTION), NameServerFailedError, "fails: x: $"),
        (result(5, EXCEPTION), NameServerFailedError, "fails: None: $"),
        (write_frame(INVOKE, 0, SERPENT, 1, b"1"), ServiceNotFoundError, "does not answer: .*type"),
        (write_frame(RESULT, 0, SERPENT, 1, b"(("), ServiceNotFoundError, "answer that cannot be read"),
        (b"", ServiceNotFoundError, "does not answer: it closed the connection"),
    ],
)
def test_what_a_call_may_end_in(
    fake: FakeNameServer, answer: bytes, kind: type[Exception], text: str
) -> None:
    fake.answers = [greeting(), answer]
    with asked(fake) as found, pytest.raises(kind, match=text) as caught:
        found.call("lookup", "x")
    assert caught.value.__cause__ is None


def test_a_call_after_the_deadline(fake: FakeNameServer) -> None:
    fake.answers = [greeting(), lambda frame: b""]
    with asked(fake) as found:
        found.deadline = time.monotonic() - 1
        with pytest.raises(ServiceNotFoundError, match="does not answer: no answer in time"):
            found.call("lookup", "x")


# Signals


@needs_signals
@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("pyro_events.transport.connecting.connect", OSError),
        ("pyro_events.transport.name_server_connection.write_connect", OSError),
        ("pyro_events.transport.name_server_connection.write_connect", AccessDeniedError),
        ("pyro_events.transport.name_server_connection.write_connect", KeyboardInterrupt),
        ("pyro_events.transport.authentication.ClientHandshake.check", AccessDeniedError),
        ("serpent.loads", ValueError),
    ],
)
def test_what_a_signals_handler_raises_while_connecting_comes_through(
    fake: FakeNameServer, place: str, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [greeting()]
    enough = kind("enough")
    with raising(enough) as interrupt:
        monkeypatch.setattr(place, interrupt)
        with pytest.raises(kind) as caught:
            asked(fake)
    assert caught.value is enough


@needs_signals
def test_what_a_signals_handler_raises_during_a_call_comes_through(
    fake: FakeNameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [greeting()]
    enough = TimeoutError("enough")
    with asked(fake) as found, raising(enough) as interrupt:
        monkeypatch.setattr(found, "_answer", interrupt)
        with pytest.raises(TimeoutError) as caught:
            found.call("lookup", "x")
    assert caught.value is enough


# Text of strangers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 300, "x" * 200),
        (10**5000, "<int>"),
        ([[[[[[[[1]]]]]]]], "[[[[[[[...]]]]]]]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"),
        (None, "None"),
    ],
    ids=["text", "number", "depth", "length", "nothing"],
)
def test_what_a_stranger_sent_is_shown_in_short(value: object, text: str) -> None:
    assert shown(value) == text
