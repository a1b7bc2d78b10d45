"""One own connection of a stream, and the service at its other end, which does what the test says.

Knows: frames. Must not know: the service.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from pyro_events.client.stream.inbox import EventInbox
from pyro_events.client.stream.link import StreamLink
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import PING, RESULT, FrameLimits, FrameReader
from pyro_events.wire.own_connection import OBJECT_ID, delivery_limits

ANSWERS = FrameLimits(types=frozenset({RESULT, PING}), size=1 << 20)


class FakeService:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(10)
        self._reader = FrameReader(ANSWERS)

    def send(self, seq: int, *numbers: int) -> None:
        self.sock.sendall(write_events(OBJECT_ID, seq, [("A", 1.0, each, 0, b"\x01") for each in numbers]))

    def answer(self) -> tuple[int, int]:
        """The type and the number of the next answer."""
        while (frame := self._reader.next_frame()) is None:
            data = self.sock.recv(4096)
            assert data
            self._reader.feed(data)
        return frame.type, frame.seq


@contextlib.contextmanager
def stream_ends() -> Iterator[tuple[StreamLink, FakeService]]:
    """A connection, and its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    link = StreamLink(near, EventInbox(FrameReader(delivery_limits(1 << 20))))
    with far:
        yield link, FakeService(far)
    link.close(1.0)
