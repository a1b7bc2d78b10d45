"""A service made of one thread and no rules, for tests of what a client does when things go wrong.

Knows: frames. Must not know: the client.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgpack
from reading import read_frame

from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    RESULT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)

LIMITS = FrameLimits(types=frozenset({CONNECT, INVOKE}), size=1 << 24)
SAID: dict[str, Any] = {
    "handshake": "hello",
    "meta": {"methods": ["publish_encoded"], "oneway": [], "attrs": []},
}


class FakeConnection:
    """One accepted connection: read its calls, answer them as the test likes."""

    def __init__(self, sock: socket.socket, hello: bytes) -> None:
        self.sock = sock
        self._hello = hello
        self.reader = FrameReader(LIMITS)
        sock.settimeout(10)

    def frame(self) -> Frame | None:
        """The next frame, None at the end."""
        return read_frame(self.sock, self.reader)

    def call(self) -> tuple[int, str, list[Any]]:
        """The next call: its sequence number, method and arguments."""
        frame = self.frame()
        assert frame is not None, "the client closed its connection"
        _, method, arguments, _ = msgpack.unpackb(frame.payload)
        return frame.seq, method, arguments

    def answer(self, seq: int, value: Any, flags: int = 0) -> None:
        self.sock.sendall(write_frame(RESULT, flags, MSGPACK, seq, msgpack.packb(value)))

    def greet(self) -> None:
        frame = self.frame()
        assert frame is not None and frame.type == CONNECT
        self.sock.sendall(write_frame(CONNECT_OK, 0, MSGPACK, frame.seq, self._hello))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class FakeService:
    """Accepts and greets; the test takes each connection from `next()` and plays the service."""

    def __init__(
        self,
        port: int = 0,
        capabilities: Sequence[str] = (),
        more: Callable[[socket.socket], dict[str, Any]] = lambda sock: {},
    ) -> None:
        """more: what else it says to an accepted connection."""
        self._said = {**SAID, "capabilities": list(capabilities)}
        self._more = more
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self.listener.getsockname()[1]
        self.uri = f"PYRO:Pyro.EventService@127.0.0.1:{self.port}"
        self._accepted: queue.Queue[FakeConnection] = queue.Queue()
        self.connections: list[FakeConnection] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            connection = FakeConnection(sock, msgpack.packb({**self._said, **self._more(sock)}))
            self.connections.append(connection)
            try:
                connection.greet()
            except (OSError, AssertionError):
                connection.close()
            else:
                self._accepted.put(connection)

    def next(self) -> FakeConnection:
        """The next connection that a client has made."""
        return self._accepted.get(timeout=10)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(10)
        for connection in self.connections:
            connection.close()


@contextlib.contextmanager
def fake_service(
    port: int = 0,
    capabilities: Sequence[str] = (),
    more: Callable[[socket.socket], dict[str, Any]] = lambda sock: {},
) -> Iterator[FakeService]:
    """A FakeService, closed at the end of the block."""
    service = FakeService(port, capabilities, more)
    try:
        yield service
    finally:
        service.close()


class Answering:
    """A thread that acknowledges every publish_encoded on one connection, and keeps the batches."""

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.batches: list[list[Any]] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := self.connection.frame()) is not None:
                _, _, (batch,), _ = msgpack.unpackb(frame.payload)
                self.batches.append(batch)
                self.connection.answer(frame.seq, len(batch))

    def join(self) -> None:
        self.thread.join(10)
        assert not self.thread.is_alive()
