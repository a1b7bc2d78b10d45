"""Connecting to what may not be a name server, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serpent
from certificates import needs_openssl, settings, use
from fake_name_server import FakeNameServer
from name_servers import port_of, stock_name_server
from Pyro5.core import URI

from pyro_events import (
    EventServiceStarter,
    NameServerDeniedError,
    ServiceNotFoundError,
)
from pyro_events.transport.name_server import NameServer
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK, SERPENT, write_frame

LOOPBACK = "127.0.0.1"


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
