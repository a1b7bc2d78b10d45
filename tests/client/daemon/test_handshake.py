"""Which peers may connect to a subscriber's daemon, judged by the first frame."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from stock_wire import changed

from pyro_events.client.daemon.guarded_connection import GuardedConnection
from pyro_events.client.daemon.handshake import HandshakeCheck
from pyro_events.constants import MAX_HANDSHAKE, MAX_MESSAGE, MIB
from pyro_events.transport.authentication import STOCK_HELLO
from pyro_events.wire.frames import CONNECT, JSON, MSGPACK, Frame, FrameLimits, FrameReader
from pyro_events.wire.handshake.greeting_notes import GreetingNotes
from pyro_events.wire.handshake.messages import write_connect
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import NONCE_SIZE, CallbackCheck, CallbackProof

OURS = Identity(b"ours")
SERVICE = "192.0.2.1"
READS = FrameLimits(types=frozenset({CONNECT}), size=MAX_HANDSHAKE)


class Listener:
    """A subscriber whose service is at one address."""

    def __init__(self, max_message: int | None = None) -> None:
        self.max_message = max_message

    def connected(self, connection: object, notes: GreetingNotes) -> bool:
        raise AssertionError("the daemon tells this, not the check")

    def disconnected(self, connection: object) -> None:
        raise AssertionError("the daemon tells this, not the check")

    def is_at(self, address: str) -> bool:
        return address == SERVICE

    def probed(self) -> None:
        raise AssertionError("the daemon tells this, not the check")

    def resumed(self) -> None:
        raise AssertionError("the daemon tells this, not the check")


@pytest.fixture
def connection() -> Iterator[GuardedConnection]:
    ours, theirs = socket.socketpair()
    connection = GuardedConnection(ours)
    with theirs:
        yield connection
    connection.close()


@pytest.fixture
def gate() -> CallbackCheck:
    return CallbackCheck(OURS)


def a_check(
    gate: CallbackCheck | None = None, listener: Listener | None = None, object_id: str = "target"
) -> HandshakeCheck:
    check = HandshakeCheck(gate, "here:1")
    check.object_id, check.listener = object_id, listener
    return check


def hello(
    handshake: str = "hello",
    object_id: str = "target",
    max_message: int | None = None,
    serializer: int = MSGPACK,
) -> Frame:
    reader = FrameReader(READS)
    reader.feed(write_connect(object_id, handshake, max_message=max_message, serializer_id=serializer))
    frame = reader.next_frame()
    assert frame is not None
    return frame


def proof(gate: CallbackCheck, identity: Identity = OURS, object_id: str = "target") -> CallbackProof:
    nonce = gate.call(os.urandom(NONCE_SIZE), anew=True)
    return CallbackProof(identity, object_id, nonce, os.urandom(NONCE_SIZE))


def test_without_a_passphrase_everybody_is_accepted(connection: GuardedConnection) -> None:
    assert a_check().accept(connection, hello())
    assert connection.greeting == STOCK_HELLO


def test_with_one_a_service_that_proves_it_and_it_gets_a_proof(
    connection: GuardedConnection, gate: CallbackCheck
) -> None:
    service = proof(gate)
    assert a_check(gate).accept(connection, hello(service.hello))
    assert service.accepts(connection.greeting)
    assert not a_check(gate).accept(connection, hello(service.hello))  # a second time


def test_all_others_are_denied_and_logged(
    connection: GuardedConnection, gate: CallbackCheck, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pyro_events.daemon")
    check = a_check(gate)
    for frame in (
        hello(),
        hello(proof(gate, Identity(b"theirs")).hello),
        hello(proof(gate, object_id="other").hello),
        hello(proof(gate).hello, serializer=JSON),
        changed(hello(), payload=b"\xc1"),
    ):
        assert not check.accept(connection, frame)
        assert connection.greeting == STOCK_HELLO
    assert "denied" in caplog.text


def test_a_service_is_trusted_for_its_passphrase_or_its_address(gate: CallbackCheck) -> None:
    assert a_check(gate).trusts("192.0.2.9")
    assert a_check(listener=Listener()).trusts(SERVICE)
    assert not a_check(listener=Listener()).trusts("192.0.2.9")
    assert not a_check().trusts(SERVICE)


@pytest.mark.parametrize(
    "announced, known, proved, bound",
    [
        (None, None, False, MAX_MESSAGE),
        (2 * MIB, None, False, 2 * MIB),
        (2 * MIB, MIB, False, MIB),  # anybody can say so
        (MIB, 2 * MIB, False, MIB),
        (2 * MIB, MIB, True, 2 * MIB),  # the service was started again with another bound
        (None, MIB, True, MAX_MESSAGE),
    ],
)
def test_how_large_the_service_s_messages_may_be(
    announced: int | None, known: int | None, proved: bool, bound: int, gate: CallbackCheck
) -> None:
    check = a_check(gate if proved else None, Listener(known))
    said = check.service_hello(hello(max_message=announced))
    assert said is not None and said.max_message == bound


def test_what_is_not_for_our_subscriber_is_not_the_service_s() -> None:
    check = a_check()
    assert check.service_hello(hello(object_id="another")) is None
    assert check.service_hello(hello(serializer=JSON)) is None
    assert check.service_hello(changed(hello(), payload=b"\xc1")) is None
    assert check.service_hello(hello()) is not None


def test_a_failure_of_tls_is_logged_once_for_each_peer_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    check = a_check()
    for host, reason in ("a", "x"), ("a", "x"), ("a", "y"), ("b", "z"), ("a", "x"):
        check.tls_failed(host, reason)
    assert [record.getMessage() for record in caplog.records] == [
        f"a connection from {host} to this subscriber's daemon at here:1 failed: {reason}"
        for host, reason in (("a", "x"), ("a", "y"), ("b", "z"))
    ]
