"""How a client is accepted or refused by its first frame, and what its bytes are answered with."""

from __future__ import annotations

import time
from typing import Any

import Pyro5.errors
import pytest
from Pyro5.core import DAEMON_NAME

from pyro_events.constants import MAX_STOCK_CALL
from pyro_events.options import ServiceOptions
from pyro_events.server.access import AccessControl
from pyro_events.server.clients.handshake import accept_hello, call_limits, error_reply
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    MSGPACK,
    ONEWAY,
    PING,
    RESULT,
    SERPENT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    FrameTooLargeError,
)
from pyro_events.wire.handshake.messages import Hello, read_connect_fail, read_connect_ok, write_connect
from pyro_events.wire.handshake.passphrase import Identity, identity_of
from pyro_events.wire.handshake.proofs import NONCE_SIZE, UNKNOWN_RUN, ClientProof
from pyro_events.wire.handshake.unix_offer import NO_OFFER, UnixOffer

ANSWERS = FrameLimits(types=frozenset({CONNECT_OK, CONNECT_FAIL, RESULT}), size=1 << 16)
HELLOS = FrameLimits(types=frozenset({CONNECT}), size=1 << 16)


class Desk:
    """An object that can be called."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {"publish": print, "statistics": print}


OBJECTS = {"desk": Desk(), "other": Desk(), DAEMON_NAME: Desk()}


def read(data: bytes | None, limits: FrameLimits = ANSWERS) -> Frame:
    assert data is not None
    reader = FrameReader(limits)
    reader.feed(data)
    frame = reader.next_frame()
    assert frame is not None
    return frame


def accepted(
    hello: bytes, access: AccessControl | None = None, offer: UnixOffer = NO_OFFER
) -> tuple[Any, Frame]:
    caller, answer = accept_hello(
        read(hello, HELLOS),
        "192.0.2.9",
        access or AccessControl(),
        OBJECTS,
        max_message=5000,
        introduce=lambda hello: ("192.0.2.1", offer),
    )
    return caller, read(answer)


def test_a_client_learns_what_it_may_call_and_how_much_it_may_send() -> None:
    caller, answer = accepted(write_connect("desk", "hello", name="market"))
    welcome = read_connect_ok(answer)
    assert (welcome.methods, welcome.max_message) == ({"publish", "statistics"}, 5000)
    assert (caller.host, caller.name, caller.proved) == ("192.0.2.1", "market", False)
    assert set(caller.objects) == set(OBJECTS)


def test_a_client_is_told_of_the_unix_socket() -> None:
    offer = UnixOffer("/run/es.sock", "0" * 32, "1" * 32, ("127.0.0.1", 7))
    assert read_connect_ok(accepted(write_connect("desk", "hello"), offer=offer)[1]).offer == offer


def test_a_client_that_was_not_introduced_is_told_why() -> None:
    def refuse(hello: Hello) -> tuple[str, UnixOffer]:
        assert hello.ticket == "2" * 32
        raise Pyro5.errors.DaemonError("no such ticket")

    hello = read(write_connect("desk", "hello", ticket="2" * 32), HELLOS)
    caller, answer = accept_hello(hello, "192.0.2.9", AccessControl(), OBJECTS, 5000, refuse)
    assert caller is None and read_connect_fail(read(answer)) == "no such ticket"


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (write_connect("nothing", "hello"), "there is no object 'nothing' here"),
        (write_connect("desk", "hello", name="a\nforged line"), "cannot be printed"),
        (write_connect("desk", "hello", name=5), "name must be a str"),  # type: ignore[arg-type]
    ],
    ids=("no object", "forged name", "no name"),
)
def test_a_client_that_cannot_be_served_is_told_why(hello: bytes, reason: str) -> None:
    caller, answer = accepted(hello)
    assert caller is None and answer.type == CONNECT_FAIL
    assert reason in read_connect_fail(answer)


def test_a_stranger_does_not_learn_which_objects_there_are() -> None:
    access = AccessControl(identity_of("secret"))
    refusals = {
        read_connect_fail(accepted(write_connect(name, "hello"), access)[1]) for name in ("desk", "nothing")
    }
    assert len(refusals) == 1


def test_the_service_learns_which_user_a_client_is() -> None:
    alice = Identity(b"key", "alice")
    access = AccessControl(users={"alice": alice}.get)
    client = ClientProof(alice, "desk", UNKNOWN_RUN, time.time(), bytes(NONCE_SIZE))
    again = client.again(read_connect_fail(accepted(write_connect("desk", client.hello), access)[1]))
    assert again is not None
    client = ClientProof(alice, "desk", again.run, time.time(), bytes(NONCE_SIZE))
    caller, answer = accepted(write_connect("desk", client.hello), access)
    assert (caller.user, caller.proved, set(caller.objects)) == ("alice", True, {"desk", DAEMON_NAME})
    assert client.accepts(read_connect_ok(answer).handshake)
    caller, _ = accepted(write_connect("desk", "hello"), access)
    assert (caller.user, caller.proved, set(caller.objects)) == ("", False, set(OBJECTS))


def test_calls_may_be_as_large_as_messages_but_stock_calls_may_not() -> None:
    options = ServiceOptions(max_message=1 << 20)
    limits = call_limits(options)
    assert limits.types == {INVOKE, PING}
    assert limits.size == MAX_STOCK_CALL
    assert limits.large == options.max_message + MAX_STOCK_CALL


def header(kind: int, flags: int = 0, serializer: int = MSGPACK) -> Frame:
    return Frame(kind, flags, serializer, 7, b"", b"")


@pytest.mark.parametrize(
    ("error", "inside"),
    [
        (FrameError("not a Pyro message"), True),
        (FrameError("marshal", header(INVOKE, serializer=2)), True),
        (FrameError("too early", header(INVOKE)), False),
        (FrameError("oneway", header(INVOKE, ONEWAY)), True),
    ],
    ids=("no header", "unreadable", "stranger", "oneway"),
)
def test_what_cannot_be_answered_is_not(error: FrameError, inside: bool) -> None:
    assert error_reply(error, inside) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [(FrameError, b"ProtocolError"), (FrameTooLargeError, b"MessageTooLargeError")],
)
def test_a_call_that_cannot_be_accepted_is_answered_with_the_error(kind: Any, name: bytes) -> None:
    answer = read(error_reply(kind("over the limit", header(INVOKE)), inside=True))
    assert (answer.type, answer.seq) == (RESULT, 7) and answer.flags & EXCEPTION
    assert name in bytes(answer.payload) and b"over the limit" in bytes(answer.payload)


def test_a_handshake_that_cannot_be_accepted_is_refused_in_its_own_serializer() -> None:
    answer = read(error_reply(FrameError("compressed", header(CONNECT, serializer=SERPENT)), inside=False))
    assert (answer.type, answer.serializer_id) == (CONNECT_FAIL, SERPENT)
    assert b"compressed" in bytes(answer.payload)
