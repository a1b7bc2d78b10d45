"""One socket to the service: calls out, replies in step, and the end."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import msgpack
import Pyro5.core
import pytest
from reading import read_frame
from waiting import eventually

from pyro_events.client.connection.connection import Connection
from pyro_events.client.connection.greeting import Greeting
from pyro_events.client.connection.outcome import outcome
from pyro_events.constants import MAX_REPLY
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    RESULT,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)

URI = Pyro5.core.URI("PYRO:es@127.0.0.1:1")
CALL = (msgpack.packb("f") + msgpack.packb([1]) + msgpack.packb({}),)


class Service:
    """The other end of a connection, which is the test's."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            self.sock, _ = listener.accept()
        self.sock.settimeout(10)
        self.reader = FrameReader(FrameLimits(types=frozenset({CONNECT, INVOKE}), size=1 << 24))
        self.connection = Connection(ours, URI)

    def greet(self) -> None:
        greeting = {"handshake": "hello", "meta": {"methods": ["publish_encoded"]}}
        self.sock.sendall(write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb(greeting)))
        assert self.connection.greet(time.monotonic() + 10, Greeting(None, URI, "a test"), tried=False)
        hello = read_frame(self.sock, self.reader)
        assert hello is not None and hello.type == CONNECT

    def call(self) -> tuple[int, list[object]]:
        frame = read_frame(self.sock, self.reader)
        assert frame is not None
        return frame.seq, msgpack.unpackb(frame.payload)

    def answer(self, seq: int, value: object) -> None:
        self.sock.sendall(write_frame(RESULT, 0, MSGPACK, seq, msgpack.packb(value)))


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    service.greet()
    stack = contextlib.closing(service.sock), contextlib.closing(service.connection)
    with stack[0], stack[1]:
        yield service


def test_calls_are_numbered_and_replies_belong_to_them(service: Service) -> None:
    connection = service.connection
    first, second = connection.send(CALL), connection.send(CALL)
    assert first is not None and second is not None
    assert service.call() == (1, ["es", "f", [1], {}]) and service.call()[0] == 2
    service.answer(1, "one")
    service.answer(2, "two")
    while second.answer is None:
        connection.receive()
    assert (outcome(first), outcome(second)) == ("one", "two")


def test_small_results_that_arrive_one_by_one_together_and_in_pieces(service: Service) -> None:
    connection = service.connection
    replies = [connection.send(CALL) for _ in range(6)]
    frames = [write_frame(RESULT, 0, MSGPACK, seq, bytes([seq])) for seq in range(1, 7)]
    for data in (frames[0], frames[1] + frames[2], frames[3][:20], frames[3][20:], frames[4], frames[5]):
        service.sock.sendall(data)
        connection.receive()
    assert [outcome(reply) for reply in replies if reply is not None] == [1, 2, 3, 4, 5, 6]


def test_the_end_of_a_result_is_not_taken_for_a_reply(service: Service) -> None:
    connection = service.connection
    first, second = connection.send(CALL), connection.send(CALL)
    assert first is not None and second is not None
    inside = write_frame(RESULT, 0, MSGPACK, 1, b"\x07")
    whole = write_frame(RESULT, 0, MSGPACK, 1, msgpack.packb(inside))
    for data in (whole[: -len(inside)], inside, write_frame(RESULT, 0, MSGPACK, 2, b"\x08")):
        service.sock.sendall(data)
        connection.receive()
    assert (outcome(first), outcome(second)) == (inside, 8)


def test_a_call_in_pieces(service: Service) -> None:
    head = msgpack.packb("f") + b"\x91\xc6" + (100_000).to_bytes(4, "big")
    pending = service.connection.send((head, memoryview(bytes(100_000)), b"\x80"), time.monotonic() + 10)
    assert pending is not None and pending.lost is None
    assert service.call() == (1, ["es", "f", [bytes(100_000)], {}])


def test_what_cannot_leave_in_time_fails_the_connection(service: Service) -> None:
    large = bytes(1 << 24)
    pending = service.connection.send((CALL[0], large), time.monotonic())
    assert pending is not None and service.connection.dead
    assert pending.lost == "the service did not take the whole call in time"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([(2, "two")], "out of order"),
        ([(2, 2)], "out of order"),
        ([(1, "one"), (2, "two")], "a reply that belongs to no call"),
        ([(1, 1), (2, 2)], "a reply that belongs to no call"),
    ],
)
def test_replies_out_of_step_end_it(service: Service, answers: list[tuple[int, object]], reason: str) -> None:
    connection = service.connection
    pending = connection.send(CALL)
    assert pending is not None
    for seq, value in answers:
        service.answer(seq, value)
    while not connection.dead:
        connection.receive()
    assert reason in f"{pending.lost} {connection.reason}"


def test_a_reply_that_is_too_large_ends_it(service: Service) -> None:
    connection = service.connection
    connection.send(CALL)
    header = write_frame(RESULT, 0, MSGPACK, 1, b"")
    length = (MAX_REPLY + 1).to_bytes(4, "big")
    service.sock.sendall(header[:12] + length + header[16:])
    while not connection.dead:
        connection.receive()
    assert connection.reason


def test_the_end_is_told_to_every_call(service: Service) -> None:
    connection = service.connection
    pending = [connection.send(CALL) for _ in range(3)]
    assert not connection.closed_while_idle()  # replies are awaited
    service.sock.close()
    while not connection.dead:
        connection.receive()
    assert len({reply.lost for reply in pending if reply is not None}) == 1
    eventually(lambda: connection.send(CALL) is None)  # and nothing more leaves


def test_an_end_while_idle_is_found(service: Service) -> None:
    assert not service.connection.closed_while_idle()
    service.sock.close()
    assert service.connection.readable(10) and service.connection.closed_while_idle()


def test_the_first_reason_stays(service: Service) -> None:
    service.connection.fail("the first")
    service.connection.fail("the second")
    assert service.connection.reason == "the first"


def test_a_greeting_that_never_comes() -> None:
    service = Service()
    with (
        contextlib.closing(service.sock),
        contextlib.closing(service.connection),
        pytest.raises(TimeoutError),
    ):
        service.connection.greet(time.monotonic(), Greeting(None, URI, "a test"), tried=False)


def test_a_last_call_leaves_what_follows_its_reply(service: Service) -> None:
    service.answer(1, "the reply")
    follows = write_frame(INVOKE, 0, MSGPACK, 1, b"a call")
    service.sock.sendall(follows)
    frame = service.connection.last_call(CALL, time.monotonic() + 10)
    assert msgpack.unpackb(frame.payload) == "the reply" and service.call()[0] == 1
    reader = service.connection.reader
    reader.limits = FrameLimits(types=frozenset({INVOKE}), size=1 << 20)
    later = read_frame(service.connection.sock, reader)
    assert later is not None and later.payload == b"a call"
    assert service.connection.sock.gettimeout() is None


def test_a_last_call_gets_no_other_reply(service: Service) -> None:
    service.answer(7, "another")
    with pytest.raises(FrameError, match="reply 7 instead of 1"):
        service.connection.last_call(CALL, time.monotonic() + 10)


def test_a_last_call_has_a_deadline(service: Service) -> None:
    with pytest.raises(TimeoutError):
        service.connection.last_call(CALL, time.monotonic())
