"""The batches of a listener's own connection: what the service may send on it, and how it ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from reading import read_frame
from waiting import eventually

from pyro_events.client.dispatch.workers import ConnectionEnded
from pyro_events.client.own_connection.opening import OwnConnection
from pyro_events.client.own_connection.own_batches import OwnBatches
from pyro_events.constants import MAX_STOCK_CALL
from pyro_events.wire.event_answers import ANSWER_LIMITS, read_events_answer
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import INVOKE, MSGPACK, PING, RESULT, Frame, FrameReader, write_frame
from pyro_events.wire.own_connection import OBJECT_ID, Attached, delivery_limits
from pyro_events.wire.requests import write_ping

ATTACHED = Attached(32 * "a", "an id")


def rows(count: int) -> list[tuple[Any, ...]]:
    return [("S", 1.5, number + 1, 0, b"m") for number in range(count)]


class Line:
    """A connection whose roles are swapped; the test is the service."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(10)
        self.sock = ours
        self.said: list[object] = []
        own = OwnConnection(ours, FrameReader(delivery_limits(1 << 16)), ATTACHED, "there")
        self._answers = FrameReader(ANSWER_LIMITS)
        self.batches = OwnBatches(self, own, patience=0.01)

    def heard(self) -> None:
        self.said.append("heard")

    def ended(self, source: OwnBatches) -> None:
        self.said.append(source)

    def answer(self) -> Frame:
        frame = read_frame(self.peer, self._answers)
        assert frame is not None
        return frame


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    with line.peer, line.sock:
        yield line


def test_batches_are_read_and_acknowledged(line: Line) -> None:
    line.peer.sendall(write_events(OBJECT_ID, 1, rows(2)) + write_events(OBJECT_ID, 2, rows(3)))
    for seq, count, failed in (1, 2, []), (2, 3, [0, 2]):
        batch = line.batches.read()
        assert (batch.seq, list(batch.rows)) == (seq, rows(count))
        batch.failed = list(failed)
        line.batches.acknowledge(batch)
        answer = line.answer()
        assert answer.seq == seq and read_events_answer(answer, count) == failed


def test_heartbeats_are_answered_meanwhile(line: Line) -> None:
    line.peer.sendall(write_ping(7) + write_ping(8) + write_events(OBJECT_ID, 9, rows(1)))
    assert line.batches.read().seq == 9
    answers = [line.answer(), line.answer()]
    assert [(answer.type, answer.seq) for answer in answers] == [(PING, 7), (PING, 8)]
    assert line.said == ["heard", "heard"]


def test_the_first_event_after_a_gap_says_that_nobody_knows_how_many_were_missed(line: Line) -> None:
    line.batches.gap = True
    for seq, count in (1, 0), (2, 2), (3, 1):
        line.peer.sendall(write_events(OBJECT_ID, seq, rows(count)))
    assert line.batches.read().rows == ()
    assert [row[3] for row in line.batches.read().rows] == [None, 0]
    assert [row[3] for row in line.batches.read().rows] == [0]


OTHER = write_frame(INVOKE, 0, MSGPACK, 9, msgpack.packb([OBJECT_ID, "shutdown", [], {}]))
ELSEWHERE = write_events("another", 1, [("S", 1.5, 1, 0, b"m")])
LARGE = write_frame(INVOKE, 0, MSGPACK, 9, bytes(MAX_STOCK_CALL + 1))[:12] + b"\x7f\xff\xff\xff"


@pytest.mark.parametrize(
    "data",
    [
        OTHER,
        ELSEWHERE,
        write_frame(RESULT, 0, MSGPACK, 1, b"x"),
        bytes(50),
        ELSEWHERE[:20],
        LARGE + bytes(24),
    ],
)
def test_whatever_else_comes_ends_it_with_a_word(
    line: Line, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    line.peer.sendall(data)
    with pytest.raises(ConnectionEnded):
        line.batches.read()
    assert "the connection for events is closed" in caplog.text


def test_a_service_that_leaves_ends_it_in_silence(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.peer.close()
    with pytest.raises(ConnectionEnded):
        line.batches.read()
    assert not caplog.records


def test_what_waits_and_whether_it_has_left_is_seen_without_reading(line: Line) -> None:
    assert not line.batches.has_data() and not line.batches.is_gone()
    line.peer.sendall(write_events(OBJECT_ID, 1, rows(1)))
    eventually(line.batches.has_data)
    line.peer.close()
    eventually(line.batches.is_gone)
    assert line.batches.read().seq == 1


def test_a_shutdown_is_told_at_once_and_again_at_the_end(line: Line) -> None:
    line.batches.shutdown()
    assert line.batches.over and line.said == [line.batches]
    with pytest.raises(ConnectionEnded):
        line.batches.read()
    line.batches.close()
    assert line.said == [line.batches] * 2 and line.sock.fileno() == -1


def test_what_cannot_be_acknowledged_ends_the_connection(line: Line) -> None:
    line.peer.sendall(write_events(OBJECT_ID, 1, rows(1)))
    batch = line.batches.read()
    line.peer.close()
    for _ in range(2):
        line.batches.acknowledge(batch)
    with pytest.raises(ConnectionEnded):
        line.batches.read()


def test_a_forked_child_releases_it_without_a_word(line: Line) -> None:
    with line.sock.dup() as parents:
        line.batches.disown()
        assert line.batches.over and line.sock.fileno() == -1 and not line.said
        parents.sendall(b"it goes on")
        assert line.peer.recv(100) == b"it goes on"
