"""A subscriber whose every answer is the test's: it can be slow, frozen, or wrong.

Knows: frames. It has no thread: what the service sends waits in the socket until the test looks.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import msgpack
from Pyro5.api import Proxy
from reading import read_frame

from pyro_events.codec.message import decode
from pyro_events.wire.frames import (
    BATCH,
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)

LIMITS = FrameLimits(types=frozenset({CONNECT, INVOKE, PING}), size=1 << 24)


class FakeSubscriber:
    """An address that can be subscribed, and the connection that the service makes to it.

    window: how many batches the service sends an object with `event` alone before it acknowledges one.
    """

    window = 1

    def __init__(self, object_id: str = "fake", port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self.uri = f"PYRO:{object_id}@127.0.0.1:{self.port}"
        self.sock: socket.socket | None = None
        self._reader = FrameReader(LIMITS)
        self.seq = 0  # of the last call
        self._acknowledgement: list[Any] = []

    def subscribe(self, uri: str, subjects: Any, **options: Any) -> None:
        """Subscribe at the service with that URI, as a stock client would."""
        with Proxy(uri) as es:
            es.subscribe(subjects, self.uri, options or None)

    def rename(self) -> None:
        """Call itself something else when it subscribes next."""
        self.uri = f"PYRO:another@127.0.0.1:{self.port}"

    def unsubscribe(self, uri: str, subjects: Any) -> None:
        with Proxy(uri) as es:
            es.unsubscribe(subjects, self.uri)

    def accept(self) -> None:
        """Accept the service's connection, without sending anything."""
        self.leave()
        self.sock, _ = self._listener.accept()
        self.sock.settimeout(10)
        self._reader = FrameReader(LIMITS)

    def greet(self, *methods: str) -> None:
        """Take the connection and shake hands as an object with these methods, `events` by default."""
        self.accept()
        frame = self.frame()
        assert frame is not None and frame.type == CONNECT
        metadata = {"methods": list(methods or ("events",)), "oneway": [], "attrs": []}
        self.send(CONNECT_OK, frame.seq, {"handshake": "hello", "meta": metadata})

    def connected(self) -> bool:
        """Whether the service is connecting to us, or has."""
        self._listener.setblocking(False)
        try:
            self.sock, _ = self._listener.accept()
        except BlockingIOError:
            return False
        finally:
            self._listener.settimeout(10)
        self.sock.settimeout(10)
        return True

    def send(self, kind: int, seq: int, value: Any, flags: int = 0) -> None:
        assert self.sock is not None
        self.sock.sendall(write_frame(kind, flags, MSGPACK, seq, msgpack.packb(value)))

    def frame(self) -> Frame | None:
        """The next frame, None at the end of the connection; raises TimeoutError after 10 s."""
        assert self.sock is not None
        return read_frame(self.sock, self._reader)

    def batch(self) -> list[list[Any]]:
        """The rows of the next call: [subject, time, seq, missed, payload], True too for a retained event."""
        frame = self.frame()
        assert frame is not None and frame.type == INVOKE, frame
        self.seq = frame.seq
        _, method, arguments, _ = msgpack.unpackb(frame.payload, strict_map_key=False)
        if frame.flags & BATCH:
            assert method == "<batch>"
            self._acknowledgement = [None] * len(arguments)
            states = [call[1][0] for call in arguments]
            names = "subject", "time", "seq", "missed", "payload"
            return [[state[name] for name in names] + [True] * ("retained" in state) for state in states]
        assert method == "events"
        self._acknowledgement = []
        rows: list[list[Any]] = arguments[0]
        return rows

    def answer(self, value: Any = ..., flags: int = 0) -> None:
        """Acknowledge the last batch that was read, or answer it with something else."""
        self.send(RESULT, self.seq, self._acknowledgement if value is ... else value, flags)

    def take(self, count: int) -> list[list[Any]]:
        """At least `count` rows, each batch acknowledged."""
        rows: list[list[Any]] = []
        while len(rows) < count:
            rows += self.batch()
            self.answer()
        return rows

    def messages(self, count: int) -> list[Any]:
        """The messages of at least `count` events, acknowledged."""
        return [decode(row[4]) for row in self.take(count)]

    def wait_for_end(self) -> None:
        """Read until the service closes the connection."""
        while self.frame() is not None:
            pass

    def leave(self) -> None:
        """Close the connection; the address stays."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def close(self) -> None:
        self.leave()
        self._listener.close()


@contextlib.contextmanager
def fake_subscriber(object_id: str = "fake") -> Iterator[FakeSubscriber]:
    """A FakeSubscriber, closed at the end of the block."""
    subscriber = FakeSubscriber(object_id)
    try:
        yield subscriber
    finally:
        subscriber.close()
