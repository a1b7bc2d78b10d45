"""Services that do what no decent service does, against a stream of either kind.

Whatever comes, the program sees events, a time limit that is over, or an error of ours; and when a decent
service is at the address again, the stream comes back.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from accounts import needs_proc, no_more_memory
from fake_service import FakeConnection, FakeService, fake_service
from streams import KINDS, MakeStream
from waiting import eventually

from pyro_events import EventServiceError, PayloadError, ServiceUnreachableError
from pyro_events.constants import MIB
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import (
    BATCH,
    COMPRESSED,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    JSON,
    KEEP_SERIALIZED,
    MSGPACK,
    ONEWAY,
    PING,
    RESULT,
    FrameLimits,
    write_frame,
    write_header,
)
from pyro_events.wire.handshake.capabilities import OWN_CONNECTION
from pyro_events.wire.own_connection import OBJECT_ID
from pyro_events.wire.requests import write_ping

ANSWERS = FrameLimits(types=frozenset({RESULT, PING}), size=1 << 20)
ATTACHED: dict[str, Any] = {"key": "ab" * 16, "id": "it", "subscriptions": 1}


def events(seq: int, *numbers: int, payload: Any = b"\x01") -> bytes:
    return write_events(OBJECT_ID, seq, [("A", 1.0, number, 0, payload) for number in numbers])


def called(*body: Any, flags: int = 0) -> bytes:
    return write_frame(INVOKE, flags, MSGPACK, 1, msgpack.packb(body))


class HostileService:
    """Answers calls as a decent service does, `attach` with what is in `answers` and then so too. The test
    gets the connections whose roles are swapped."""

    def __init__(self, fake: FakeService) -> None:
        self.uri = fake.uri
        self.answers: list[tuple[Any, int]] = []
        self.keys: list[str | None] = []
        self._swapped: queue.Queue[FakeConnection] = queue.Queue()
        self._fake = fake
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Empty):
                connection = self._fake._accepted.get(timeout=0.05)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: FakeConnection) -> None:
        with contextlib.suppress(OSError):
            while (frame := connection.frame()) is not None:
                _, method, arguments, _ = msgpack.unpackb(frame.payload)
                if method != "attach":
                    known = {"subscriptions": 1, "state": "active", "why": ""}
                    connection.answer(frame.seq, known if method == "statistics" else 1)
                    continue
                self.keys.append(arguments[0].get("key"))
                value, flags = self.answers.pop(0) if self.answers else (ATTACHED, 0)
                connection.answer(frame.seq, value, flags)
                if value is ATTACHED:
                    self._swapped.put(connection)
                    return

    def swapped(self) -> FakeConnection:
        """The next connection on which the service calls."""
        return self._swapped.get(timeout=20)

    def close(self) -> None:
        self._over.set()
        for connection in self._fake.connections:
            connection.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def hostile() -> Iterator[HostileService]:
    with fake_service(capabilities=[OWN_CONNECTION]) as fake:
        service = HostileService(fake)
        yield service
        service.close()


@pytest.fixture(params=KINDS)
def make_stream(request: pytest.FixtureRequest) -> MakeStream:
    """Makes a stream of one kind."""
    return KINDS[request.param]


def comes_back(stream: Any, service: HostileService) -> None:
    """The stream has made another connection, with its key, and gets events over it."""
    connection = service.swapped()
    assert service.keys[-1] == ATTACHED["key"]
    connection.sock.sendall(events(1, 1, 2))
    first, second = (stream.get(timeout=20) for _ in range(2))
    assert (first.seq, first.missed, second.seq, second.missed) == (1, None, 2, 0)
    assert stream.statistics().connected


pytestmark = needs_proc

ENDS = {
    "garbage": b"\xff" * 100,
    "HTTP": b"HTTP/1.1 200 OK\r\n\r\n",
    "TLS": b"\x15\x03\x01" + bytes(50),
    "another method": called(OBJECT_ID, "event", [[]], {}),
    "another object": called("obj_1", "events", [[]], {}),
    "no arguments": called(OBJECT_ID, "events", [], {}),
    "rows that are none": called(OBJECT_ID, "events", [[5]], {}),
    "rows that are too short": called(OBJECT_ID, "events", [[["A", 1.0]]], {}),
    "a subject that is none": called(OBJECT_ID, "events", [[[7, 1.0, 1, 0, b""]]], {}),
    "a map": called(OBJECT_ID, "events", [[["A", {}, 1, 0, b""]]], {}),
    "no call at all": called(5),
    "named arguments": called(OBJECT_ID, "events", [[]], {"a": 1}),
    "a batch of calls": called(OBJECT_ID, "<batch>", [["events", [[]], {}]], None, flags=BATCH),
    "a oneway call": write_frame(INVOKE, ONEWAY, MSGPACK, 1, events(1, 1)[40:]),
    "a kept one": write_frame(INVOKE, KEEP_SERIALIZED, MSGPACK, 1, events(1, 1)[40:]),
    "a compressed one": write_frame(INVOKE, COMPRESSED, MSGPACK, 1, b"x\x9c\x03\0\0\0\0\1"),
    "another serializer": write_frame(INVOKE, 0, JSON, 1, b"[]"),
    "marshal": write_frame(INVOKE, 0, 2, 1, b"["),
    "an answer": write_frame(RESULT, 0, MSGPACK, 1, b"\xc0"),
    "a greeting": write_frame(CONNECT_OK, 0, MSGPACK, 1, b"\x80"),
    "an unknown type": write_frame(77, 0, MSGPACK, 1, b""),
    "more than any message": write_header(INVOKE, 0, MSGPACK, 1, 1 << 31),
    "three batches": events(1, 1) + events(2, 2) + events(3, 3),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_the_connection_and_no_more(
    hostile: HostileService, make_stream: MakeStream, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with make_stream("A", es_uri=hostile.uri) as stream:
        connection = hostile.swapped()
        connection.sock.sendall(ENDS[what])
        with contextlib.suppress(TimeoutError):
            while True:
                assert stream.get(timeout=0.05).missed == 0  # what came before it
        comes_back(stream, hostile)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "answer",
    [
        *(
            (None, 0),
            (5, 0),
            ("denied", 0),
            ([], 0),
            ({}, 0),
            ({"key": "x", "id": "x", "subscriptions": 1}, 0),
        ),
        ({"key": "ab" * 16, "id": ["x"], "subscriptions": 1}, 0),
        ({"key": "ab" * 16, "id": "x", "subscriptions": None}, 0),
        ("nonsense", EXCEPTION),
        ({"__class__": "builtins.SystemExit", "args": ["no"]}, EXCEPTION),
        ({"__class__": "builtins.KeyboardInterrupt", "args": []}, EXCEPTION),
        ({"__class__": "os.system", "args": ["true"]}, EXCEPTION),
        ({"__class__": "builtins.UnicodeDecodeError", "args": [1, 2]}, EXCEPTION),
        ({"__class__": [], "args": None, "attributes": 5}, EXCEPTION),
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_attach_is_answered_with_nonsense(
    hostile: HostileService, make_stream: MakeStream, answer: tuple[Any, int]
) -> None:
    """At first the program is told; later it is tried again."""
    hostile.answers = [answer]
    with pytest.raises(EventServiceError):
        make_stream("A", es_uri=hostile.uri)
    with make_stream("A", es_uri=hostile.uri) as stream:
        hostile.answers = [answer]
        hostile.swapped().close()
        eventually(lambda: not hostile.answers)
        with pytest.raises(TimeoutError):
            stream.get(timeout=0.01)
        comes_back(stream, hostile)


def test_attach_is_not_answered(hostile: HostileService, make_stream: MakeStream) -> None:
    with fake_service(capabilities=[OWN_CONNECTION]) as silent:
        began = time.monotonic()
        with pytest.raises(ServiceUnreachableError):
            make_stream("A", es_uri=silent.uri)
        assert time.monotonic() - began < 10


def test_ten_thousand_pings(hostile: HostileService, make_stream: MakeStream) -> None:
    with make_stream("A", es_uri=hostile.uri) as stream:
        connection = hostile.swapped()
        pongs = 0
        for _ in range(100):
            connection.sock.sendall(write_ping(7) * 100)
            with pytest.raises(TimeoutError):
                stream.get(timeout=0)
            while pongs % 100 or not pongs:
                pongs += connection.sock.recv(1 << 16).count(b"PYRO")
            pongs = 0
        connection.sock.sendall(events(1, 1))
        assert stream.get(timeout=10).seq == 1
        assert stream.statistics().reconnects == 0


def test_pings_whose_answers_nobody_reads(hostile: HostileService, make_stream: MakeStream) -> None:
    """The other streams of the program are served all the same, later than usual."""
    with make_stream("A", es_uri=hostile.uri) as stream, make_stream("A", es_uri=hostile.uri) as other:
        first, second = hostile.swapped(), hostile.swapped()
        stream.fileno()  # so that the program's thread reads it at once
        first.sock.settimeout(0.5)
        with no_more_memory(os.getpid(), 30), contextlib.suppress(OSError):
            for _ in range(2000):
                first.sock.sendall(write_ping(7) * 1000)
        eventually(lambda: not stream.statistics().connected)
        for connection in (second, first):
            with contextlib.suppress(OSError):
                connection.sock.sendall(events(1, 1))
        assert other.get(timeout=20).seq == 1
        comes_back(stream, hostile)


def test_a_frame_that_never_ends(hostile: HostileService, make_stream: MakeStream) -> None:
    with make_stream("A", es_uri=hostile.uri) as stream:
        connection = hostile.swapped()
        with no_more_memory(os.getpid(), 30):
            connection.sock.sendall(write_header(INVOKE, 0, MSGPACK, 1, 16 * MIB))
            for _ in range(50):
                connection.sock.sendall(b"\x94")
                with pytest.raises(TimeoutError):
                    stream.get(timeout=0.002)
        waiting = threading.Thread(target=lambda: list(stream))
        waiting.start()
        began = time.monotonic()
        stream.close()
        waiting.join(10)
        assert not waiting.is_alive() and time.monotonic() - began < 5


def test_messages_that_cannot_be_read_are_the_programs_to_skip(
    hostile: HostileService, make_stream: MakeStream
) -> None:
    with make_stream("A", es_uri=hostile.uri) as stream:
        connection = hostile.swapped()
        for seq, payload in enumerate((b"\xc1", b"", b"\xdd\xff\xff\xff\xff", None, 5, "text")):
            connection.sock.sendall(events(seq, seq + 1, payload=payload))
            event = stream.get(timeout=10)
            with pytest.raises(PayloadError):
                assert event.msg
            frame = read_answer(connection)
            assert frame.seq == seq  # it was taken, so it is acknowledged
        assert stream.statistics().reconnects == 0


def read_answer(connection: FakeConnection) -> Any:
    connection.reader.limits = ANSWERS
    frame = connection.frame()
    assert frame is not None and frame.type == RESULT
    return frame


def test_the_end_comes_in_the_middle_of_a_frame(hostile: HostileService, make_stream: MakeStream) -> None:
    """However much of an event has come: what is whole is taken, and then the stream comes back."""
    data = write_ping(1) + events(1, 1) + events(2, 2)
    whole = [0, 0, len(events(1, 1)) + len(write_ping(1)), len(data)]
    with make_stream("A", es_uri=hostile.uri) as stream:
        for cut in (10, len(data) // 2, len(data) - 1, len(data)):
            connection = hostile.swapped()
            connection.sock.sendall(data[:cut])
            got = []
            with contextlib.suppress(TimeoutError):
                while len(got) < sum(cut >= size for size in whole[2:]):
                    got.append(stream.get(timeout=10).seq)
            assert got == [1, 2][: sum(cut >= size for size in whole[2:])]
            connection.close()
            eventually(lambda: not stream.statistics().connected or stream.statistics().reconnects)
        comes_back(stream, hostile)
