"""Reading frames from a blocking socket, for tests that act as one end of a connection.

Knows: frames. Must not know: what is at either end.
"""

from __future__ import annotations

import socket

from pyro_events.wire.frames import Frame, FrameReader


def read_frame(sock: socket.socket, reader: FrameReader) -> Frame | None:
    """The next frame, None at the end of the connection; raises TimeoutError when the socket's time is up."""
    while (frame := reader.next_frame()) is None:
        try:
            data = sock.recv(65536)
        except ConnectionError:
            return None
        if not data:
            return None
        reader.feed(data)
    return frame
