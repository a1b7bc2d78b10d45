"""The frames of one connection: read one by one and in time, sent whole, and how the end is noticed."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

import Pyro5.errors
import pytest
from reading import read_frame
from waiting import eventually

from pyro_events.client.connection.frame_socket import FrameSocket
from pyro_events.constants import MIB
from pyro_events.wire.frames import (
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)

CALLS = FrameLimits(types=frozenset({INVOKE}), size=MIB)
ANSWERS = FrameLimits(types=frozenset({RESULT}), size=MIB)


class Pair(NamedTuple):
    """A connection, and the other end of it."""

    frames: FrameSocket
    peer: socket.socket


@contextlib.contextmanager
def a_pair(patience: float = 10.0) -> Iterator[Pair]:
    ours, peer = socket.socketpair()
    peer.settimeout(10)
    with ours, peer:
        yield Pair(FrameSocket(ours, FrameReader(CALLS), patience), peer)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with a_pair() as pair:
        yield pair


def call(size: int) -> bytes:
    return write_frame(INVOKE, 0, MSGPACK, 5, bytes(size))


def test_frames_that_came_together_are_read_one_by_one(pair: Pair) -> None:
    pair.peer.sendall(call(1) + call(2) + call(3)[:10])
    assert [len(pair.frames.next_frame().payload) for _ in range(2)] == [1, 2]
    assert pair.frames.has_data()
    pair.peer.sendall(call(3)[10:])
    assert len(pair.frames.next_frame().payload) == 3
    assert not pair.frames.has_data()


def test_a_large_frame_is_received_where_it_stays(pair: Pair) -> None:
    sending = threading.Thread(target=pair.peer.sendall, args=(call(MIB),))
    sending.start()
    assert len(pair.frames.next_frame().payload) == MIB
    sending.join(10)


def test_a_frame_has_a_deadline_once_it_has_begun() -> None:
    with a_pair(patience=0.01) as pair:
        frames: list[Frame] = []
        reading = threading.Thread(target=lambda: frames.append(pair.frames.next_frame()))
        reading.start()
        reading.join(0.05)  # a good while longer than a frame may take: it has not begun
        assert reading.is_alive()
        pair.peer.sendall(call(3))
        reading.join(10)
        assert [frame.type for frame in frames] == [INVOKE]
        pair.peer.sendall(call(3)[:20])
        with pytest.raises(Pyro5.errors.TimeoutError):
            pair.frames.next_frame()


def test_one_that_never_begins_has_the_deadline_that_is_given(pair: Pair) -> None:
    with pytest.raises(Pyro5.errors.TimeoutError):
        pair.frames.receive(0.0)


def test_frames_of_several_threads_do_not_mix(pair: Pair) -> None:
    def send(seq: int) -> None:
        for _ in range(20):
            pair.frames.send(write_frame(RESULT, 0, MSGPACK, seq, bytes([seq]) * 20_000))

    threads = [threading.Thread(target=send, args=(seq,)) for seq in range(4)]
    for thread in threads:
        thread.start()
    reader = FrameReader(ANSWERS)
    for _ in range(80):
        frame = read_frame(pair.peer, reader)
        assert frame is not None and bytes(frame.payload) == bytes([frame.seq]) * 20_000
    for thread in threads:
        thread.join(10)


def test_a_thread_that_reads_returns_when_the_connection_is_shut_down(pair: Pair) -> None:
    ended = threading.Event()

    def read() -> None:
        with contextlib.suppress(Pyro5.errors.ConnectionClosedError):
            pair.frames.next_frame()
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    pair.frames.shutdown()
    assert ended.wait(10)
    thread.join(10)
    pair.frames.shutdown()  # it is gone already
    with pytest.raises(Pyro5.errors.ConnectionClosedError, match="sending failed"):
        eventually(lambda: pair.frames.send(write_frame(PING, 0, MSGPACK, 1, bytes(MIB))))


def test_that_the_peer_has_left_is_seen_though_something_waits(pair: Pair) -> None:
    pair.peer.sendall(call(1))
    assert not pair.frames.is_gone()
    pair.peer.close()
    eventually(pair.frames.is_gone)
    assert len(pair.frames.next_frame().payload) == 1
    with pytest.raises(Pyro5.errors.ConnectionClosedError, match="closed by the other side"):
        pair.frames.next_frame()


def test_a_system_without_poll_sees_nothing_in_advance(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    pair.peer.sendall(call(1))
    pair.peer.close()
    assert not pair.frames.has_data() and not pair.frames.is_gone()
