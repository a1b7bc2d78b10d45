"""The reader of one connection's batches: what is a batch, what else is called, and how it ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import msgpack
import Pyro5.errors
import pytest
from reading import read_frame
from waiting import eventually

from pyro_events.client.daemon.batch_reader import BatchReader
from pyro_events.client.daemon.guarded_connection import ConnectionTimeouts, GuardedConnection
from pyro_events.client.dispatch.workers import ConnectionEnded
from pyro_events.constants import MIB
from pyro_events.wire.event_answers import read_events_answer
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import (
    CONNECT,
    INVOKE,
    MSGPACK,
    RESULT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.messages import write_connect

ANSWERS = FrameLimits(types=frozenset({RESULT}), size=MIB)


def rows(count: int) -> list[tuple[Any, ...]]:
    return [("S", 1.5, number + 1, 0, b"m") for number in range(count)]


class Owner:
    """A daemon that notes what its reader says."""

    def __init__(self) -> None:
        self.calls: list[Frame] = []
        self.fails: BaseException | None = None
        self.said: list[tuple[str, object]] = []

    def make_call(self, connection: GuardedConnection, frame: Frame) -> None:
        self.calls.append(frame)
        if self.fails is not None:
            raise self.fails

    def disconnected(self, reader: BatchReader) -> None:
        self.said.append(("disconnected", reader))

    def remove(self, connection: GuardedConnection) -> None:
        self.said.append(("remove", connection))


class Line:
    """A reader whose connection has had its handshake, and the other end."""

    def __init__(self, object_id: str = "target") -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(10)
        self.owner = Owner()
        self.connection = GuardedConnection(ours, ConnectionTimeouts(10.0, 0.01))
        self.peer.sendall(write_connect("target", "hello"))
        self.connection.read_hello()
        self.reader = BatchReader(self.owner, self.connection, object_id)

    def answer(self) -> Frame | None:
        return read_frame(self.peer, FrameReader(ANSWERS))

    def close(self) -> None:
        self.peer.close()
        self.connection.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


def other_call(object_id: str = "target", method: str = "echo") -> bytes:
    return write_frame(INVOKE, 0, MSGPACK, 9, msgpack.packb([object_id, method, [1], {}]))


def test_batches_are_read_and_acknowledged(line: Line) -> None:
    line.peer.sendall(write_events("target", 1, rows(2)) + write_events("target", 2, rows(3)))
    for seq, count, failed in (1, 2, []), (2, 3, [0, 2]):
        batch = line.reader.read()
        assert (batch.seq, list(batch.rows)) == (seq, rows(count))
        batch.failed = list(failed)
        line.reader.acknowledge(batch)
        answer = line.answer()
        assert answer is not None and answer.seq == seq
        assert read_events_answer(answer, count) == failed
    assert not line.owner.calls


def test_other_calls_that_come_before_a_batch_are_made(line: Line) -> None:
    line.peer.sendall(other_call() + other_call("another", "events") + write_events("target", 3, rows(1)))
    assert line.reader.read().seq == 3
    assert [frame.seq for frame in line.owner.calls] == [9, 9]


def test_without_an_object_every_call_is_made() -> None:
    line = Line(object_id="")
    line.peer.sendall(write_events("target", 1, rows(1)) + other_call())
    line.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionEnded):
        line.reader.read()
    assert [frame.seq for frame in line.owner.calls] == [1, 9]
    line.close()


def test_the_first_event_after_a_gap_says_that_nobody_knows_how_many_were_missed(line: Line) -> None:
    line.reader.gap = True
    for seq, count in (1, 0), (2, 2), (3, 1):
        line.peer.sendall(write_events("target", seq, rows(count)))
    assert line.reader.read().rows == ()
    assert [row[3] for row in line.reader.read().rows] == [None, 0]
    assert [row[3] for row in line.reader.read().rows] == [0]


@pytest.mark.parametrize(
    "error",
    [Pyro5.errors.ConnectionClosedError("closed"), Pyro5.errors.SecurityError("no"), OSError(9, "bad")],
)
def test_a_call_that_fails_for_the_connection_ends_it_in_silence(
    line: Line, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    line.owner.fails = error
    line.peer.sendall(other_call())
    with pytest.raises(ConnectionEnded):
        line.reader.read()
    assert not caplog.records


def test_a_call_that_fails_otherwise_is_for_the_caller_to_log(line: Line) -> None:
    line.owner.fails = ZeroDivisionError()
    line.peer.sendall(other_call())
    with pytest.raises(ZeroDivisionError):
        line.reader.read()


@pytest.mark.parametrize("data", [write_frame(CONNECT, 0, MSGPACK, 1, b"x"), other_call()[:20], bytes(50)])
def test_what_a_peer_does_wrong_ends_the_connection_with_a_word(
    line: Line, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    line.peer.sendall(data)
    with pytest.raises(ConnectionEnded):
        line.reader.read()
    assert "a connection is closed" in caplog.text


def test_one_that_leaves_ends_it_in_silence(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.peer.close()
    with pytest.raises(ConnectionEnded):
        line.reader.read()
    assert not caplog.records


def test_what_waits_to_be_read_is_seen_without_reading_it(line: Line) -> None:
    assert not line.reader.has_data()
    line.peer.sendall(write_events("target", 1, rows(1)) + write_events("target", 2, rows(1)))
    eventually(line.reader.has_data)
    line.reader.read()
    assert line.reader.has_data()  # it was received with the first
    line.reader.read()
    assert not line.reader.has_data()


def test_that_the_peer_has_left_is_seen_though_something_waits(line: Line) -> None:
    line.peer.sendall(write_events("target", 1, rows(1)))
    assert not line.reader.is_gone()
    line.peer.close()
    eventually(line.reader.is_gone)
    assert line.reader.read().seq == 1


def test_a_shutdown_is_told_at_once_and_the_rest_at_the_end(line: Line) -> None:
    line.reader.shutdown()
    assert line.owner.said == [("disconnected", line.reader)]
    with pytest.raises(ConnectionEnded):
        line.reader.read()
    line.reader.close()
    assert line.owner.said[1:] == [("disconnected", line.reader), ("remove", line.connection)]
    assert line.connection.sock.fileno() == -1


def test_what_cannot_be_acknowledged_ends_the_connection(line: Line) -> None:
    line.peer.sendall(write_events("target", 1, rows(1)))
    batch = line.reader.read()
    line.peer.close()
    for _ in range(2):
        line.reader.acknowledge(batch)
    with pytest.raises(ConnectionEnded):
        line.reader.read()
