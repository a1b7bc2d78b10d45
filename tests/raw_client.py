"""A client made of a socket, for bytes that no decent client sends.

Knows: frames. Must not know: the service.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import msgpack
from Pyro5.api import URI
from reading import read_frame

from pyro_events import EVENTSERVER_NAME
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_FAIL,
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

LIMITS = FrameLimits(types=frozenset({CONNECT_OK, CONNECT_FAIL, RESULT, INVOKE, PING}), size=1 << 26)
CONNECT_BODY = msgpack.packb({"handshake": "hello", "object": EVENTSERVER_NAME})


def call_body(method: str, *args: Any, **kwargs: Any) -> bytes:
    """The msgpack of a call."""
    body: bytes = msgpack.packb([EVENTSERVER_NAME, method, args, kwargs])
    return body


class RawClient:
    """One connection; nothing is read that is not asked for."""

    def __init__(self, uri: str, source: str = "") -> None:
        """source: the address to call from, any of the loopback interface; "" for the usual one."""
        parsed = URI(uri)
        self.sock = socket.create_connection((parsed.host, parsed.port), 10, (source, 0) if source else None)
        self._reader = FrameReader(LIMITS)
        self._seq = 0

    def send(self, data: bytes) -> None:
        """Send any bytes; the service may have closed the connection meanwhile."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def frame(self) -> Frame | None:
        """The next frame, None when the service has closed the connection."""
        return read_frame(self.sock, self._reader)

    def say(self, handshake: Any, object_id: str = EVENTSERVER_NAME) -> tuple[int, Any]:
        """Offer a handshake; returns the kind of the answer and what it says."""
        body = msgpack.packb({"handshake": handshake, "object": object_id})
        self.send(write_frame(CONNECT, 0, MSGPACK, 0, body))
        frame = self.frame()
        assert frame is not None
        return frame.type, msgpack.unpackb(frame.payload)

    def greet(self) -> Frame:
        """Shake hands."""
        self.send(write_frame(CONNECT, 0, MSGPACK, 0, CONNECT_BODY))
        frame = self.frame()
        assert frame is not None and frame.type == CONNECT_OK
        return frame

    def packed(self, method: str, *args: Any) -> bytes:
        """The frame of a call, to be sent later, by any client."""
        self._seq += 1
        return write_frame(INVOKE, 0, MSGPACK, self._seq, call_body(method, *args))

    def send_packed(self, kind: int, flags: int, body: Any) -> None:
        """Send a frame with any body."""
        self._seq += 1
        self.send(write_frame(kind, flags, MSGPACK, self._seq, msgpack.packb(body)))

    def send_call(self, method: str, *args: Any, flags: int = 0, **kwargs: Any) -> int:
        """Send a call; returns its sequence number."""
        self._seq += 1
        self.send(write_frame(INVOKE, flags, MSGPACK, self._seq, call_body(method, *args, **kwargs)))
        return self._seq

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Make a call: its result, or the dictionary that describes its exception."""
        seq = self.send_call(method, *args, **kwargs)
        frame = self.frame()
        assert frame is not None and frame.type == RESULT and frame.seq == seq, frame
        return msgpack.unpackb(frame.payload, strict_map_key=False)

    def attach(self, **options: Any) -> dict[str, str]:
        """Swap the roles on this connection; returns what stands for it in place of a proxy."""
        answer = self.call("attach", options)
        return {"key": answer["key"]}

    def batch(self) -> tuple[int, list[list[Any]]]:
        """After `attach`: the number of the next call of `events`, and its rows."""
        frame = self.frame()
        assert frame is not None and frame.type == INVOKE, frame
        object_id, method, (rows,), _ = msgpack.unpackb(frame.payload, strict_map_key=False)
        assert (object_id, method) == ("own-connection", "events")
        return frame.seq, rows

    def acknowledge(self, seq: int, failed: Any = ()) -> None:
        """Answer a call of `events`."""
        self.send(write_frame(RESULT, 0, MSGPACK, seq, msgpack.packb(failed)))

    def take(self, count: int) -> list[list[Any]]:
        """At least so many rows, each batch acknowledged."""
        rows: list[list[Any]] = []
        while len(rows) < count:
            seq, some = self.batch()
            self.acknowledge(seq)
            rows += some
        return rows

    def wait_for_end(self) -> None:
        """Read until the service closes the connection; raises TimeoutError after 10 s."""
        while self.frame() is not None:
            pass

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


@contextlib.contextmanager
def raw_client(uri: str, *, greeted: bool = True, source: str = "") -> Iterator[RawClient]:
    """A RawClient that has shaken hands, closed at the end of the block."""
    with RawClient(uri, source) as client:
        if greeted:
            client.greet()
        yield client
