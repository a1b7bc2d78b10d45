"""The frames of one connection on which the service calls: reading them, and sending answers.

Knows: sockets, deadlines of frames, and how to tell that the other side has closed. Must not know: who has
made the connection, what is in a frame, or threads.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Final

import Pyro5.errors

from ...constants import FRAME_TIMEOUT, KIB
from ...transport.sockets import shut_down, time_limit
from ...transport.tls_socket import TlsSocket
from ...wire.frames import PING, Frame, FrameReader
from ...wire.large_body import CLIENTS

# One read is enough for a batch of a few thousand small events. With more, the memory allocator would map and
# unmap memory each time.
RECEIVE_SIZE: Final = 64 * KIB

_GONE: Final = getattr(select, "POLLRDHUP", 0) | getattr(select, "POLLHUP", 0) | getattr(select, "POLLERR", 0)


class FrameSocket:
    """One connection. One thread at a time reads; any may send.

    sock: blocking. reader: cuts what comes into frames; its limits may be changed between two of them.
    """

    def __init__(self, sock: socket.socket, reader: FrameReader, patience: float = FRAME_TIMEOUT) -> None:
        """patience: seconds for a frame, after it has begun."""
        self.sock = sock
        self.reader = reader
        self._patience = patience
        self._limit = time_limit(sock)
        self._plain = not isinstance(sock, TlsSocket)  # decrypted bytes come in pieces of another size
        self._sending = threading.Lock()

    def next_frame(self) -> Frame:
        """The next frame, however long it takes until it begins.

        Raises FrameError, and Pyro5's TimeoutError and ConnectionClosedError.
        """
        frame = self.reader.next_frame() or self.receive(None)
        if frame.type == PING:  # nothing else has come for a while
            CLIENTS.trim()
        return frame

    def receive(self, deadline: float | None) -> Frame:
        """The next frame, of which not all has been received, by `deadline`; None: within the time for a
        frame, after it has begun. Raises as `next_frame`."""
        sock, reader = self.sock, self.reader
        try:
            while True:
                if deadline is None and reader.buffered:
                    deadline = time.monotonic() + self._patience
                if deadline is not None:
                    sock.settimeout(max(deadline - time.monotonic(), 0.001))
                space = reader.space() if self._plain else None
                if space is None:
                    data = sock.recv(RECEIVE_SIZE)
                    reader.feed(data)
                    received = len(data)
                else:
                    received = sock.recv_into(space)
                    reader.filled(received)
                if not received:
                    raise Pyro5.errors.ConnectionClosedError("it was closed by the other side")
                frame = reader.next_frame()
                if frame is not None:
                    if deadline is not None:
                        sock.settimeout(self._limit)
                    return frame
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError
        except TimeoutError:
            raise Pyro5.errors.TimeoutError("the rest of a message did not come in time") from None
        except OSError as error:
            raise Pyro5.errors.ConnectionClosedError(f"receiving failed: {error}") from None

    def send(self, data: bytes) -> None:
        """Send a whole frame; frames of different threads do not mix. Raises Pyro5's
        ConnectionClosedError."""
        with self._sending:
            try:
                self.sock.sendall(data)
            except OSError as error:
                raise Pyro5.errors.ConnectionClosedError(f"sending failed: {error}") from None

    def has_data(self) -> bool:
        """Whether a frame, or a part of one, waits to be read."""
        return bool(self.reader.buffered) or bool(self._polled(readable=True))

    def is_gone(self) -> bool:
        """Whether the other side has closed, even if there is something left to read."""
        return bool(self._polled() & _GONE)

    def _polled(self, readable: bool = False) -> int:
        """The poll events of the socket now; 0 for none, or if there is no poll."""
        if not hasattr(select, "poll"):
            return 0
        poller = select.poll()
        poller.register(self.sock, (select.POLLIN if readable else 0) | getattr(select, "POLLRDHUP", 0))
        found = poller.poll(0)
        return found[0][1] if found else 0

    def shutdown(self) -> None:
        """End the connection: threads that read or send find it closed. The socket must still be closed."""
        shut_down(self.sock)
        CLIENTS.trim()
