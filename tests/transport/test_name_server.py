"""Finding a name server, and what is made of one that is not as it should be."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import Pyro5
import Pyro5.errors
import Pyro5.nameserver
import pytest
import serpent
from certificates import needs_openssl, settings, use
from fake_name_server import FakeNameServer
from name_servers import port_of, stock_name_server
from Pyro5.core import URI
from Pyro5.nameserver import NameServerDaemon

from pyro_events import (
    EventServiceStarter,
    NameServerDeniedError,
    Publisher,
    ServiceNotFoundError,
    ServiceUnreachableError,
)
from pyro_events.transport import connecting
from pyro_events.transport.name_server import NameServer, UnusableEntryError
from pyro_events.transport.name_server_search import find_name_server
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK, EXCEPTION, INVOKE, RESULT, SERPENT, write_frame
from pyro_events.wire.passphrase import identity_of

LOOPBACK = "127.0.0.1"
WANTED = URI("PYRONAME:x")
HERE = URI("PYRO:x@127.0.0.1:1")


# Where it is


def test_the_usual_place() -> None:
    with stock_name_server() as names:
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = LOOPBACK, port_of(names)
        names.nameserver.register("x", str(HERE))
        with find_name_server(None, None, None) as found:
            assert found.where == f"{LOOPBACK}:{port_of(names)}"
            assert found.local_host == LOOPBACK
            assert found.find(WANTED, 0) == HERE
            with pytest.raises(Pyro5.errors.NamingError, match="unknown name"):
                found.lookup("y")
            found.register("y", "PYRO:y@127.0.0.1:2")
            assert str(found.lookup("y")) == "PYRO:y@127.0.0.1:2"
            found.remove("y")
            found.remove("y")


def test_the_address_of_the_machine_s_own_name(free_port: Callable[[], int]) -> None:
    """Debian gives that 127.0.1.1, and Pyro5 looks there too."""
    try:
        socket.create_server(("127.0.1.1", 0)).close()
    except OSError:
        pytest.skip("this system has no address 127.0.1.1")
    with stock_name_server("127.0.1.1") as names:
        Pyro5.config.NS_PORT = port_of(names)
        with find_name_server(None, None, None) as found:
            assert found.host == "127.0.1.1"
        for explicit in ((LOOPBACK, None), (None, port_of(names))):
            with pytest.raises(ServiceNotFoundError):
                find_name_server(*explicit, None)


@contextlib.contextmanager
def broadcasting_name_server() -> Iterator[int]:
    """The port of a stock name server that answers broadcasts at NS_BCPORT."""
    with stock_name_server() as names:
        answering = Pyro5.nameserver.BroadcastServer(
            names.uriFor("Pyro.NameServer"), LOOPBACK, Pyro5.config.NS_BCPORT
        )
        answering.runInThread()
        try:
            yield port_of(names)
        finally:
            answering.close()


def test_a_broadcast(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.NS_BCPORT = free_port(), free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK]
    with broadcasting_name_server() as port:
        with find_name_server(None, None, None) as found:
            assert found.port == port
        with pytest.raises(ServiceNotFoundError) as caught:  # anybody may answer a broadcast
            find_name_server(None, None, identity_of("secret"))
        assert "broadcast" not in str(caught.value)


def test_what_answers_a_broadcast_may_be_anything(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK, "no-such-host.invalid"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind((LOOPBACK, 0))
        Pyro5.config.NS_BCPORT = answering.getsockname()[1]

        def answer() -> None:
            _, peer = answering.recvfrom(100)
            for text in (
                b"\xff",
                b"PYRONAME:x",
                b"PYRO:x@./u:/nowhere",
                b"PYRO:x@127.0.0.1:%d" % free_port(),
            ):
                answering.sendto(text, peer)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ServiceNotFoundError, match="one has answered the broadcast, but no name server"):
            find_name_server(None, None, None)
        thread.join(10)


def test_a_place_that_swallows_what_comes_leaves_time_for_the_broadcast(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_HOST, Pyro5.config.NS_BCPORT = LOOPBACK, free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK]
    with socket.socket() as full, broadcasting_name_server() as port:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        Pyro5.config.NS_PORT = full.getsockname()[1]
        with (
            socket.create_connection(full.getsockname()),
            find_name_server(None, None, None) as found,
        ):
            assert found.port == port


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    Pyro5.config.POLLTIMEOUT = 0.05
    path = str(tmp_path / "names")
    with NameServerDaemon(unixsocket=path) as names:
        names.nameserver.register("Pyro.EventService", "PYRO:Pyro.EventService@127.0.0.1:1")
        thread = threading.Thread(target=names.requestLoop)
        thread.start()
        with NameServer(f"./u:{path}", 0, None, time.monotonic() + 5) as found:
            assert found.local_host == ""
        for place in ({"ns_host": f"./u:{path}"}, {"es_uri": f"PYRONAME:Pyro.EventService@./u:{path}"}):
            with pytest.raises(ServiceUnreachableError, match=f"name server at ./u:{path} has it"):
                Publisher(**place)
        names.shutdown()
        thread.join(10)
    with pytest.raises(ServiceNotFoundError, match="no name server was found at ./u:"):
        Publisher(ns_host=f"./u:{path}")


@pytest.mark.parametrize(
    ("setting", "value"), [("NS_HOST", "lab:9090"), ("NS_HOST", "a b"), ("NS_PORT", 70000)]
)
def test_a_setting_that_cannot_be(setting: str, value: object) -> None:
    setattr(Pyro5.config, setting, value)
    with pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="):
        Publisher(wait=60)
    with (
        pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="),
        EventServiceStarter(LOOPBACK, 0),
    ):
        raise AssertionError("it has not started")


def test_looking_up_the_host_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *a, **k: silent.wait(20) and [])
    with pytest.raises(TimeoutError, match="looking up the host 'lab' takes too long"):
        connecting.connect("lab", 1, time.monotonic() + 0.05)
    silent.set()


def test_a_first_address_that_is_dead_does_not_hide_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, socket.create_server((LOOPBACK, 0)) as alive:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            places = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", sock.getsockname()) for sock in (full, alive)
            ]
            monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *a, **k: places)
            with connecting.connect("lab", 1, time.monotonic() + 1) as sock:
                assert sock.getpeername() == alive.getsockname()


# What it answers


@pytest.fixture
def fake() -> Iterator[FakeNameServer]:
    with FakeNameServer() as fake:
        yield fake


def asked(fake: FakeNameServer, seconds: float = 5.0) -> NameServer:
    return NameServer(LOOPBACK, fake.port, None, time.monotonic() + seconds)


GREETING = {"handshake": "hello", "meta": {"methods": ["lookup"], "oneway": [], "attrs": []}}


def greeting(answer: Any = GREETING, kind: int = CONNECT_OK) -> bytes:
    return write_frame(kind, 0, SERPENT, 0, serpent.dumps(answer))


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
def test_what_is_no_name_server(fake: FakeNameServer, answer: bytes, reason: str) -> None:
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


def result(value: Any, flags: int = 0) -> bytes:
    return write_frame(RESULT, flags, SERPENT, 1, serpent.dumps(value))


def error(name: str) -> bytes:
    return result({"__class__": name, "__exception__": True, "args": ("no",), "attributes": {}}, EXCEPTION)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (error("Pyro5.errors.NamingError"), ServiceNotFoundError, "knows no x"),
        (error("builtins.OSError"), ServiceNotFoundError, "fails: builtins.OSError: no"),
        (result(5, EXCEPTION), ServiceNotFoundError, "fails: None"),
        (result(5), UnusableEntryError, "does not have a URI"),
        (result("nonsense"), UnusableEntryError, "does not have a URI under x: 'nonsense'"),
        (result({"__class__": "Pyro5.core.URI", "state": 1}), UnusableEntryError, "does not have a URI"),
        (result({"__class__": "Pyro5.core.URI"}), UnusableEntryError, "does not have a URI"),
        (write_frame(INVOKE, 0, SERPENT, 1, b"1"), ServiceNotFoundError, "does not answer"),
        (b"", ServiceNotFoundError, "does not answer: it closed the connection"),
    ],
)
def test_answers_that_are_no_address(
    fake: FakeNameServer, answer: bytes, kind: type[Exception], reason: str
) -> None:
    fake.answers = [greeting(), answer]
    with asked(fake) as names, pytest.raises(kind, match=reason) as caught:
        names.find(WANTED, 0)
    assert isinstance(caught.value, ServiceNotFoundError)
    assert caught.value.__cause__ is None


# The event service's entry


def test_a_service_is_told_why_it_cannot_be_entered(free_port: Callable[[], int]) -> None:
    def started(port: int, **arguments: Any) -> None:
        with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port, **arguments):
            raise AssertionError("it has not started")

    with pytest.raises(
        ServiceNotFoundError, match="refused.*--embed-ns.*PYRO_NS_HOST|PYRO_NS_HOST.*--embed-ns"
    ):
        started(free_port())
    with stock_name_server() as names, pytest.raises(NameServerDeniedError, match="does not prove"):
        started(port_of(names), ident="secret")
    with EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_port=0, ident="secret") as guarded:
        port = URI(guarded.ns_uri).port
        for ident, text in ((None, "requires a passphrase"), ("another", "does not accept the passphrase")):
            with pytest.raises(NameServerDeniedError, match=text):
                started(port, ident=ident)


@needs_openssl
def test_a_service_is_told_that_tls_is_why() -> None:
    def started(port: int) -> None:
        with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port):
            raise AssertionError("it has not started")

    with stock_name_server() as names:
        use(settings())
        with pytest.raises(ServiceNotFoundError, match="does not speak TLS, and this program does"):
            started(port_of(names))
        use({})
    use(settings())
    with stock_name_server() as names:
        use({})
        with pytest.raises(ServiceNotFoundError, match="speaks TLS, and this program does not"):
            started(port_of(names))
        use(settings())


def test_a_junk_entry_under_our_name_is_replaced() -> None:
    with stock_name_server() as names:
        names.nameserver.storage["Pyro.EventService"] = (5, frozenset())
        with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port_of(names)) as es:
            assert str(names.nameserver.lookup("Pyro.EventService")) == es.uri
