"""A guarded connection, without a daemon: what it reads and refuses, and what Pyro5 gets to see of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

import Pyro5.errors
import pytest
from Pyro5 import protocol
from reading import read_frame

from pyro_events.client.daemon.guarded_connection import (
    ConnectionTimeouts,
    GuardedConnection,
    TlsFailedError,
)
from pyro_events.constants import BATCH_BYTES, MAX_STOCK_CALL, MIB
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_FAIL,
    INVOKE,
    MSGPACK,
    ONEWAY,
    RESULT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.messages import read_connect_fail, write_connect

ANSWERS = FrameLimits(types=frozenset({CONNECT_FAIL, RESULT}), size=MIB)
HELLO = write_connect("target", "hello")


class Pair(NamedTuple):
    """A connection, and the other end of it."""

    connection: GuardedConnection
    peer: socket.socket

    def answer(self) -> Frame | None:
        return read_frame(self.peer, FrameReader(ANSWERS))


@contextlib.contextmanager
def a_pair(timeouts: ConnectionTimeouts) -> Iterator[Pair]:
    ours, peer = socket.socketpair()
    peer.settimeout(10)
    connection = GuardedConnection(ours, timeouts)
    with peer:
        yield Pair(connection, peer)
    connection.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with a_pair(ConnectionTimeouts(10.0, 10.0)) as pair:
        yield pair


@pytest.fixture
def greeted(pair: Pair) -> Pair:
    pair.peer.sendall(HELLO)
    pair.connection.read_hello()
    return pair


def call(size: int, flags: int = 0, serializer: int = MSGPACK) -> bytes:
    return write_frame(INVOKE, flags, serializer, 5, bytes(size))


def test_the_first_frame_is_a_handshake_and_pyro5_may_read_it(pair: Pair) -> None:
    pair.peer.sendall(HELLO)
    frame = pair.connection.read_hello()
    assert frame.type == CONNECT
    message = protocol.recv_stub(pair.connection)
    assert message.type == CONNECT and bytes(message.data) == bytes(frame.payload)
    with pytest.raises(Pyro5.errors.ConnectionClosedError, match="beyond the end"):
        pair.connection.recv(1)


def test_another_first_frame_is_refused_with_a_reason(pair: Pair) -> None:
    pair.peer.sendall(call(1))
    with pytest.raises(FrameError):
        pair.connection.read_hello()
    answer = pair.answer()
    assert answer is not None and answer.seq == 5
    assert "not expected" in read_connect_fail(answer)


def test_tls_towards_a_connection_without_it_is_told_apart(pair: Pair) -> None:
    pair.peer.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40))
    with pytest.raises(TlsFailedError):
        pair.connection.read_hello()


@pytest.mark.parametrize("sent", [b"", HELLO[:20]])
def test_the_first_frame_has_a_deadline(sent: bytes) -> None:
    with a_pair(ConnectionTimeouts(handshake=0.01, frame=60.0)) as pair:
        pair.peer.sendall(sent)
        with pytest.raises(Pyro5.errors.TimeoutError):
            pair.connection.read_hello()


def test_another_frame_has_one_of_its_own() -> None:
    with a_pair(ConnectionTimeouts(handshake=60.0, frame=0.01)) as pair:
        pair.peer.sendall(HELLO)
        pair.connection.read_hello()
        pair.peer.sendall(call(3)[:20])
        with pytest.raises(Pyro5.errors.TimeoutError):
            pair.connection.read_call()


def test_a_peer_that_closes_is_told_apart_from_a_slow_one(pair: Pair) -> None:
    pair.peer.close()
    with pytest.raises(Pyro5.errors.ConnectionClosedError):
        pair.connection.read_hello()


def test_only_where_batches_are_expected_a_large_call_is_read(greeted: Pair) -> None:
    sending = threading.Thread(target=greeted.peer.sendall, args=(call(BATCH_BYTES + MIB),))
    greeted.connection.expect_batches(2 * MIB)
    sending.start()
    frame = greeted.connection.read_call()
    sending.join(10)
    with pytest.raises(FrameError, match="too large"):
        greeted.connection.serve(frame)  # it is not a batch
    with pytest.raises(FrameError, match="too large"):
        greeted.peer.sendall(call(BATCH_BYTES + 3 * MIB)[:60])
        greeted.connection.read_call()


def test_without_that_only_what_a_stock_client_may_send(greeted: Pair) -> None:
    greeted.peer.sendall(call(MAX_STOCK_CALL + 1)[:60])
    with pytest.raises(FrameError, match="too large"):
        greeted.connection.read_call()


def test_the_reply_to_a_one_way_call_is_dropped(greeted: Pair) -> None:
    greeted.peer.sendall(call(1, ONEWAY))
    greeted.connection.serve(greeted.connection.read_call())
    assert not protocol.recv_stub(greeted.connection).flags & ONEWAY  # Pyro5 would start a thread
    greeted.connection.send(write_frame(RESULT, 0, MSGPACK, 1, b"dropped"))
    greeted.connection.served()
    greeted.connection.send(write_frame(RESULT, 0, MSGPACK, 2, b"sent"))
    answer = greeted.answer()
    assert answer is not None and answer.seq == 2


def test_what_reads_finds_it_shut_down(greeted: Pair) -> None:
    greeted.connection.shutdown()
    with pytest.raises(Pyro5.errors.ConnectionClosedError):
        greeted.connection.read_call()
