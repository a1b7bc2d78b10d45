"""A guarded connection: limits what a stranger may send to a subscriber's daemon.

Knows: the frames' limits and deadlines, and how Pyro5's own code reads. Must not know: objects, calls, or
what happens to an event.

Pyro5 reads with `recv` and gives a body to the serializer that its header names. Here every frame is judged
by its header and read whole before Pyro5 gets a byte of it: never marshal, kept-serialized or compressed
frames, nothing too large, nothing that comes too slowly.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace
from typing import Final

import Pyro5.errors
from Pyro5.socketutil import SocketConnection

from ...constants import FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_STOCK_CALL
from ...transport.authentication import STOCK_HELLO
from ...transport.tls import failure_of
from ...transport.tls_socket import TlsSocket
from ...wire.event_batch import BESIDE_MESSAGE
from ...wire.frames import (
    CORRELATED,
    INVOKE,
    MSGPACK,
    ONEWAY,
    PING,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    FrameTooLargeError,
    TlsSpokenError,
    write_again,
)
from ...wire.handshake.messages import HELLO_LIMITS, write_connect_fail
from ..connection.frame_socket import FrameSocket

_CALL_LIMITS: Final = FrameLimits(types=frozenset({INVOKE, PING}), size=MAX_STOCK_CALL, compressed=False)


@dataclass(frozen=True)
class ConnectionTimeouts:
    """How long a peer may take.

    handshake: seconds for the first frame, TLS included. frame: seconds for any other frame, after it has
    begun.
    """

    handshake: float = HANDSHAKE_TIMEOUT
    frame: float = FRAME_TIMEOUT


DEFAULT_TIMEOUTS: Final = ConnectionTimeouts()


class TlsFailedError(Pyro5.errors.CommunicationError):
    """A connection failed because of TLS, and another one from there would fail too."""


class GuardedConnection(SocketConnection):
    """A connection to the daemon. One thread at a time reads; any may send.

    frames: reads and sends them.
    """

    def __init__(self, sock: socket.socket, timeouts: ConnectionTimeouts = DEFAULT_TIMEOUTS) -> None:
        super().__init__(sock)
        self._timeouts = timeouts
        self.frames = FrameSocket(sock, FrameReader(HELLO_LIMITS), timeouts.frame)
        self._replay = memoryview(b"")
        self._mute = False
        # The answer to the handshake, after it has been judged.
        self.greeting: object = STOCK_HELLO

    def read_hello(self) -> Frame:
        """Read the first frame, for Pyro5's handshake to `recv`, within the time for a handshake, TLS
        included.

        Raises FrameError after telling the peer why, TlsFailedError, Pyro5's TimeoutError, or its
        ConnectionClosedError for a peer that has closed.
        """
        deadline = time.monotonic() + self._timeouts.handshake
        if isinstance(self.sock, TlsSocket):
            try:
                self.sock.handshake(deadline)
            except TimeoutError as error:
                raise Pyro5.errors.TimeoutError(str(error)) from error
            except OSError as error:
                if not self.sock.first:
                    raise Pyro5.errors.ConnectionClosedError(
                        "it closed the connection without sending anything"
                    ) from error
                raise TlsFailedError(failure_of(error, self.sock.first)) from error
        try:
            frame = self.frames.receive(deadline)
        except FrameError as error:
            self.refuse(error.header.seq if error.header is not None else 0, str(error))
            if isinstance(error, TlsSpokenError):
                raise TlsFailedError(str(error)) from error
            raise
        self.frames.reader.limits = _CALL_LIMITS
        self.serve(frame)
        return frame

    def expect_batches(self, max_message: int) -> None:
        """From now on batches of events may come, whose last message may have so many bytes."""
        self.frames.reader.limits = replace(_CALL_LIMITS, large=BESIDE_MESSAGE + max_message)

    def refuse(self, seq: int, reason: str) -> None:
        """Answer the first frame with a refusal."""
        # With msgpack, because Pyro5 would use marshal for a peer that it cannot understand.
        self.send(write_connect_fail(MSGPACK, seq, reason))

    def read_call(self) -> Frame:
        """The next frame, however long it takes until it begins. Raises as `read_hello`."""
        return self.frames.next_frame()

    def serve(self, frame: Frame) -> None:
        """Let Pyro5's own code `recv` a frame that has been judged.

        Raises FrameError for one so large that only a batch of events may be.
        """
        if len(frame.payload) + len(frame.annotations) > MAX_STOCK_CALL:
            raise FrameTooLargeError(f"message too large (at most {MAX_STOCK_CALL} bytes)", frame)
        # A one-way call is made like any other, in this thread, and its reply is dropped: Pyro5 would start a
        # thread for each.
        self._mute = bool(frame.flags & ONEWAY)
        frame.flags &= ~(ONEWAY | CORRELATED)
        self._replay = memoryview(write_again(frame))

    def recv(self, size: int) -> bytes:
        """The bytes that Pyro5 asks for, from the frame that is being served."""
        if size > len(self._replay):
            raise Pyro5.errors.ConnectionClosedError("read beyond the end of a message")
        data, self._replay = bytes(self._replay[:size]), self._replay[size:]
        return data

    def served(self) -> None:
        """Pyro5 has handled the frame that was served to it."""
        self._mute = False

    def send(self, data: bytes) -> None:
        """Send a whole frame; frames of different threads do not mix."""
        if not self._mute:
            self.frames.send(data)

    def shutdown(self) -> None:
        """End the connection: threads that read or send find it closed. `close` must still be called."""
        self.frames.shutdown()
