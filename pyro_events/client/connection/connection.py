"""One connected socket to the service: the handshake, calls out, replies in.

Knows: the socket and the wire. Must not know: how the socket was connected, threads (reconnecting.py makes
sure that one at a time sends and one at a time receives), or what to do when the connection has ended.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Final

import Pyro5.core
import Pyro5.errors

from ...foreign_exceptions import is_foreign
from ...transport.sockets import is_unix, polled, send_pieces, shut_down, time_limit
from ...wire.frames import Frame, FrameError, FrameReader
from ...wire.handshake.capabilities import NOTHING_SAID
from ...wire.handshake.unix_offer import NO_OFFER
from ...wire.replies import read_small_result
from ...wire.requests import PackedCall, call_opening, write_call
from .greeting import GREETING_LIMITS, REPLY_LIMITS, Greeting

# How many bytes are sent at a time when sending must end in time: less than the space that `poll` waits for.
_PIECE: Final = 4 * 1024
# A reply to a publish takes 41 bytes, so this is enough for many. A larger buffer would need a memory mapping
# for each read.
RECEIVE_SIZE: Final = 64 * 1024


class PendingReply:
    """A call that was sent. `answer` becomes its reply, or `lost` says why there will be none.

    answer: the frame, or only the number in it if it contains nothing else.
    """

    __slots__ = ("answer", "lost", "seq", "connection")

    def __init__(self, connection: Connection, seq: int) -> None:
        self.connection = connection
        self.seq = seq
        self.answer: Frame | int | None = None
        self.lost: str | None = None


class Connection:
    """A connection to the service. It can be used after the handshake (`greet`).

    dead: whether it cannot be used any more. reason: why. A caller that finds that an exception has ended
    `send` or `receive` in the middle sets `dead`, because a later reply might be taken for another.
    """

    __slots__ = (
        "_midway",
        "_opening",
        "_pending",
        "_seq",
        "address",
        "announced",
        "dead",
        "local_host",
        "offer",
        "peer",
        "reader",
        "reason",
        "remote_host",
        "sock",
        "transport",
    )

    def __init__(self, sock: socket.socket, uri: Pyro5.core.URI) -> None:
        self.sock = sock
        self.dead = False
        self.reason: str | None = None
        self.address = str(uri)
        # The largest message in bytes, if the service has said it.
        self.announced: int | None = None
        # What the service says about itself.
        self.peer = NOTHING_SAID
        # Where else it listens, or the receipt for our ticket.
        self.offer = NO_OFFER
        unix = is_unix(sock)
        # How it goes to the service.
        self.transport = "unix" if unix else "tcp"
        # This program's address, as the service sees it; a Unix domain socket has none.
        self.local_host = "" if unix else str(sock.getsockname()[0])
        # The service's address, if it is known.
        self.remote_host = "" if unix else _remote_host(sock)
        self._opening = call_opening(uri.object)
        self._pending: deque[PendingReply] = deque()
        # Cuts what comes into frames.
        self.reader = FrameReader(GREETING_LIMITS)
        # Whether a part of a reply has arrived.
        self._midway = False
        self._seq = 0

    def greet(self, deadline: float, greeting: Greeting, tried: bool) -> bool:
        """Do the handshake. False if the service wants a second attempt.

        deadline: on the monotonic clock. tried: whether this is the second attempt.
        """
        self.sock.sendall(greeting.hello)
        welcome = greeting.accepted(self._next_frame(deadline), tried)
        if welcome is None:
            return False
        self.announced = welcome.max_message
        self.peer = welcome.peer
        self.offer = welcome.offer
        self.reader.limits = REPLY_LIMITS
        self.sock.settimeout(time_limit(self.sock))
        return True

    def last_call(self, call: PackedCall, deadline: float) -> Frame:
        """Make a call by which the roles are swapped, and return its reply. The other methods are of no use
        afterwards: what follows is not a reply, and is left to `reader`.

        deadline: on the monotonic clock. Raises OSError or ProtocolError.
        """
        self._seq = seq = (self._seq + 1) & 0xFFFF
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        self.sock.sendall(write_call(self._opening, seq, call))
        frame = self._next_frame(deadline)
        if frame.seq != seq:
            raise FrameError(f"reply {frame.seq} instead of {seq}")
        self.sock.settimeout(time_limit(self.sock))
        return frame

    def _next_frame(self, deadline: float) -> Frame:
        """The next frame, no later than the deadline. Raises OSError or FrameError."""
        while (frame := self.reader.next_frame()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            data = self.sock.recv(RECEIVE_SIZE)
            if not data:
                raise ConnectionError("it closed the connection")
            self.reader.feed(data)
        return frame

    def send(self, call: PackedCall, deadline: float | None = None) -> PendingReply | None:
        """Send a call. None if this connection has ended before all of the call was sent.

        deadline: on the monotonic clock; if the call is not sent by then, the connection fails, and the reply
        says so. An exception of the program's own is passed on; then nobody knows how much was sent.
        """
        self._seq = seq = (self._seq + 1) & 0xFFFF
        reply = PendingReply(self, seq)
        start = write_call(self._opening, seq, call)
        self._pending.append(reply)
        try:
            if deadline is not None:
                self._send_by(deadline, start, *call[1:])
                return reply
            if len(call) == 1:
                self.sock.sendall(start)
            else:
                send_pieces(self.sock, (start, *call[1:]))
        except OSError as error:
            # A signal handler may raise the same exception after everything was sent.
            if error.errno is None or is_foreign(error, OSError):
                raise
            # A part may have been sent: no other call can follow. The outcome of the other calls is unknown.
            self.fail(f"sending failed: {error}")
            return None
        return reply

    def _send_by(self, deadline: float, *pieces: bytes | memoryview) -> None:
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                if not polled(self.sock, True, max(0.0, deadline - time.monotonic())):
                    self.fail("the service did not take the whole call in time")
                    return
                self.sock.sendall(piece[start : start + _PIECE])

    def receive(self) -> None:
        """Wait for bytes and give the replies among them to their calls; fail if the connection ends.

        An exception of the program's own is passed on; then a reply may be half read.
        """
        try:
            data = self.sock.recv(RECEIVE_SIZE)
        except OSError as error:
            if error.errno is None or is_foreign(error, OSError):
                raise
            self.fail(str(error))
            return
        if not data:
            self.fail("it closed the connection")
            return
        pending = self._pending
        if pending and not self._midway:
            reply = pending[0]
            number = read_small_result(data, reply.seq)
            if number is not None:  # as nearly always for a publish
                pending.popleft()
                reply.answer = number
                return
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Give the replies in what has arrived to their calls; fail if they cannot be read."""
        reader = self.reader
        try:
            reader.feed(data)
            while (frame := reader.next_frame()) is not None:
                if not self._pending:
                    raise FrameError("a reply that belongs to no call")
                reply = self._pending.popleft()
                if frame.seq != reply.seq:
                    reply.lost = "the replies are out of order"
                    raise FrameError(f"reply {frame.seq} instead of {reply.seq}")
                reply.answer = frame
            self._midway = reader.buffered > 0
        except FrameError as error:
            if is_foreign(error, FrameError):
                raise
            self.fail(str(error))

    def readable(self, timeout: float = 0.0) -> bool:
        """Whether there is something to receive, or the end, within `timeout` seconds."""
        return polled(self.sock, False, timeout)

    @property
    def waits(self) -> bool:
        """Whether a call has no reply yet."""
        return bool(self._pending)

    def closed_while_idle(self) -> bool:
        """Whether the service has ended this connection. Cheap; True only if no reply is expected."""
        return not self._pending and self.readable()

    def fail(self, reason: str) -> None:
        """End the connection: wake threads that send or receive, and give calls without a reply the
        reason."""
        self.reason = self.reason or reason
        self.dead = True
        # The reason first: a thread that wakes finds only that the connection is closed.
        waiting, self._pending = self._pending, deque()
        for reply in list(waiting):  # from which the thread that receives may just take one
            reply.lost = self.reason
        shut_down(self.sock)

    def close(self) -> None:
        """Release the socket; no thread may be using it."""
        self.sock.close()


def _remote_host(sock: socket.socket) -> str:
    try:
        return str(sock.getpeername()[0])
    except OSError as error:  # it has been reset already
        if is_foreign(error, OSError):
            raise
        return ""
