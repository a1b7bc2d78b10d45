"""The first message to a service, and what its answer, or the lack of one, means."""

from __future__ import annotations

import ssl

import msgpack
import Pyro5.core
import pytest

from pyro_events.client.connection.greeting import (
    GREETING_LIMITS,
    Greeting,
    host_of,
    no_answer,
    unreachable,
)
from pyro_events.errors import AccessDeniedError, ServiceUnreachableError
from pyro_events.transport.failures import Trouble
from pyro_events.wire.frames import (
    CONNECT_FAIL,
    CONNECT_OK,
    MSGPACK,
    Frame,
    FrameReader,
    TlsSpokenError,
    write_frame,
)
from pyro_events.wire.handshake.messages import HELLO_LIMITS, read_connect
from pyro_events.wire.handshake.passphrase import Identity

URI = Pyro5.core.URI("PYRO:es@lab:9095")
WELCOME = {"handshake": "hello", "meta": {"methods": ["publish_encoded"]}, "max_message": 1_000_000}


def frame(kind: int, value: object) -> Frame:
    reader = FrameReader(GREETING_LIMITS)
    reader.feed(write_frame(kind, 0, MSGPACK, 0, msgpack.packb(value)))
    read = reader.next_frame()
    assert read is not None
    return read


def greeting(identity: Identity | None = None) -> Greeting:
    return Greeting(identity, URI, "a test")


def test_it_says_what_it_wants_and_its_name() -> None:
    reader = FrameReader(HELLO_LIMITS)
    reader.feed(greeting().hello)
    sent = reader.next_frame()
    assert sent is not None
    hello = read_connect(sent)
    assert (hello.object_id, hello.name, hello.handshake) == ("es", "a test", "hello")


def test_it_is_accepted() -> None:
    welcome = greeting().accepted(frame(CONNECT_OK, WELCOME), tried=False)
    assert welcome is not None and welcome.max_message == 1_000_000


@pytest.mark.parametrize(
    ("kind", "answer", "error", "text"),
    [
        (CONNECT_FAIL, "too many", ServiceUnreachableError, "es@lab:9095 refused the connection: too many"),
        (CONNECT_FAIL, "denied", AccessDeniedError, "requires a passphrase"),
        (CONNECT_OK, {"meta": {"methods": ["f"]}}, ServiceUnreachableError, "is not an event service"),
    ],
)
def test_why_it_is_not_accepted(kind: int, answer: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        greeting().accepted(frame(kind, answer), tried=False)


def test_the_service_must_prove_the_passphrase_too() -> None:
    with pytest.raises(AccessDeniedError, match="does not prove"):
        greeting(Identity(b"ours")).accepted(frame(CONNECT_OK, WELCOME), tried=False)


def test_what_no_connection_and_no_answer_say() -> None:
    assert str(unreachable(URI, True, OSError(5, "Input/output error"))) == (
        "the event service at lab:9095 (over TLS) cannot be reached: Input/output error"
    )
    silent = no_answer(URI, False, TimeoutError(), None)
    assert "lab:9095 does not answer as an event service: no answer in time" in str(silent)
    assert silent.temporary and not silent.tls
    assert no_answer(URI, False, TlsSpokenError(), None).tls
    uncertain = no_answer(URI, True, ssl.SSLError(1, "x"), Trouble("it refuses TLS", False))
    assert uncertain.temporary and uncertain.tls and str(uncertain).endswith("it refuses TLS")
    certain = no_answer(URI, True, ConnectionError("gone"), Trouble("it does not speak TLS", True))
    assert not certain.temporary and certain.tls


def test_the_host_of_an_address() -> None:
    assert host_of(URI) == "lab"
    assert host_of(Pyro5.core.URI("PYRO:es@./u:/run/es")) == "./u:/run/es"
