"""The frames of the raw limit: as large as ours, and read into one buffer that is never replaced.

Knows: how many bytes an event of pyro_events takes on the wire. Must not know: what the bytes mean, or who
sends which frame.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Final

# A Pyro header takes 40 bytes; ours uses some of them: the length of what follows, the number of events, the
# size of one event's payload, and when it was sent (nanoseconds).
_HEADER: Final = struct.Struct("!IIIQ20x")
ACKNOWLEDGEMENT: Final = _HEADER.pack(1, 0, 0, 0) + b"\0"
# The bytes around the events of a call: object id, method and the arrays.
_PUBLISH_ENVELOPE: Final = 45
_EVENTS_ENVELOPE: Final = 55
# Large enough for two full frames. A new buffer of this size for each read would cost more than all the rest.
_BUFFER: Final = 1 << 17

Header = tuple[int, int, int, int]
_SIZE: Final = _HEADER.size
_unpack: Final[Callable[[bytearray, int], Header]] = _HEADER.unpack_from


def publish_frame(subject: str, payload: int, count: int, sent: int = 0) -> bytes:
    """A frame as large as our call that publishes `count` events of `payload` bytes."""
    size = _PUBLISH_ENVELOPE + count * (1 + 1 + len(subject) + (2 if payload < 256 else 5) + payload)
    return _HEADER.pack(size, count, payload + len(subject), sent) + bytes(size)


def events_frame(width: int, count: int, sent: int = 0) -> bytes:
    """A frame as large as our call that delivers; width: of subject and payload together."""
    size = _EVENTS_ENVELOPE + count * (1 + 1 + 9 + 3 + 1 + (2 if width < 256 else 5) + width)
    return _HEADER.pack(size, count, width, sent) + bytes(size)


class Stream:
    """Frames from a blocking socket. Of a frame only the header is kept."""

    def __init__(self, sock: socket.socket) -> None:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._read = sock.recv_into
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        # The header of a frame of which `_missing` bytes have not come.
        self._begun: Header | None = None
        self._missing = 0

    def receive(self) -> bool:
        """Read what is there, or wait for something. False at the end."""
        rest = self._end - self._start
        self._start = 0
        if not rest:
            self._end = self._read(self._buffer)
            return self._end > 0
        # A part of a header.
        self._buffer[:rest] = self._buffer[self._end - rest : self._end]
        count = self._read(self._view[rest:])
        self._end = rest + count
        return count > 0

    def header(self) -> Header | None:
        """Remove the next whole frame and return its header; None if there is none.

        Call it until it returns None before the next `receive`.
        """
        start, end = self._start, self._end
        found = self._begun
        if found is None:
            if end - start < _SIZE:
                return None
            found = _unpack(self._buffer, start)
            whole = start + _SIZE + found[0]
            if whole <= end:  # as nearly always
                self._start = whole
                return found
            self._start += _SIZE
            self._missing = found[0]
        here = end - self._start
        if here < self._missing:
            self._begun = found
            self._missing -= here
            self._start = self._end
            return None
        self._start += self._missing
        self._begun = None
        return found

    def wait(self) -> Header:
        """The header of the next frame. Raises EOFError."""
        while (found := self.header()) is None:
            if not self.receive():
                raise EOFError
        return found
