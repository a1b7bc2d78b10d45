"""One connection to the service on an event loop: the handshake, calls out, replies in.

Knows: the transport and the wire. Must not know: how the socket was connected, what a call means, or what to
do when the connection has ended.

Replies come in the order of the calls, so a call is known by its place. A call whose caller was cancelled
keeps its place, and its reply is dropped.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from typing import Final

import Pyro5.core

from ...client.connection.greeting import GREETING_LIMITS, REPLY_LIMITS
from ...constants import KIB
from ...transport.sockets import polled
from ...wire.frames import Frame, FrameError, FrameReader
from ...wire.handshake.capabilities import NOTHING_SAID
from ...wire.handshake.messages import Welcome
from ...wire.handshake.unix_offer import NO_OFFER
from ...wire.replies import SMALL_REPLY, read_small_result
from ...wire.requests import PackedCall, call_opening, write_call
from .calls import Loss, PendingCall
from .service_protocol import ServiceProtocol
from .waiting import result_by, set_once

# A reply to a publish takes 41 bytes, so this is enough for many.
_RECEIVE_SIZE: Final = 16 * KIB
# Calls of one turn of the loop are sent together, but no more than so many bytes.
_TOGETHER: Final = 64 * KIB


class Connection(ServiceProtocol):
    """A connection to the service. It can be used after `greet` and `begin`.

    announced: the largest message in bytes, if the service has said it. peer: what the service says about
    itself. used: when it was used last, on the monotonic clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, uri: Pyro5.core.URI) -> None:
        super().__init__(loop, sock, str(uri))
        self._buffer = memoryview(bytearray(_RECEIVE_SIZE))
        # Cuts what comes into frames.
        self.reader = FrameReader(GREETING_LIMITS)
        self._greeting: asyncio.Future[Frame | Exception] = loop.create_future()
        self._pending: deque[PendingCall] = deque()
        # Whether a part of a reply has arrived.
        self._midway = False
        # Calls of this turn of the loop, which are sent together; the last of those that are pending.
        self._together: list[bytes] = []
        self._together_size = 0
        self._seq = 0
        self._opening = call_opening(uri.object)
        self.announced: int | None = None
        self.peer = NOTHING_SAID
        # Where else the service listens, or the receipt for our ticket.
        self.offer = NO_OFFER
        self.used = 0.0

    # ---- what the loop calls --------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            data = self._buffer[:nbytes].tobytes()
            if not self._midway:
                data = self._take_numbers(data)
                if not data:
                    return
            self.reader.feed(data)
            while (frame := self.reader.next_frame()) is not None:
                self._take(frame)
            self._midway = self.reader.buffered > 0
        except FrameError as error:
            self.end(str(error), error)
        except BaseException:  # a reply may be half read; no other must be taken for it
            self.end("receiving was interrupted")
            raise

    def _take_numbers(self, data: bytes) -> bytes:
        """Give the replies that have nothing but a small number in them to their calls, as are nearly all
        replies to a publish. Returns what comes after these."""
        start = 0
        while self._pending:
            number = read_small_result(data[start : start + SMALL_REPLY], self._pending[0].seq)
            if number is None:
                break
            self._pending.popleft().answered(number)
            start += SMALL_REPLY
        return data[start:]

    # ---- the handshake --------------------------------------------------------------------------

    async def greet(self, hello: bytes, deadline: float) -> Frame:
        """Send the first message, and return the answer.

        deadline: on the loop's clock. Raises OSError, TimeoutError too, or FrameError.
        """
        self.write(hello)
        answer = await result_by(self._greeting, deadline, TimeoutError())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, welcome: Welcome) -> None:
        """It was accepted: calls may be sent."""
        self.announced, self.peer, self.offer = welcome.max_message, welcome.peer, welcome.offer
        self.used = time.monotonic()
        self.reader.limits = REPLY_LIMITS

    # ---- calls ----------------------------------------------------------------------------------

    def send(self, call: PackedCall, pending: PendingCall) -> None:
        """Send a call, or fail it if the connection has ended.

        It goes at once if nothing is on its way. Otherwise it goes together with other calls of this turn of
        the loop, because then the service is busy anyway, and one system call for all is much cheaper.
        """
        if self.ended is not None:
            pending.lost(Loss(self.ended, sent=False))
            return
        pending.seq = self._seq = seq = (self._seq + 1) & 0xFFFF
        start = write_call(self._opening, seq, call)
        waiting = self._pending
        waiting.append(pending)
        if len(call) > 1:
            self._write_all(start, *call[1:])
        elif len(waiting) == 1:
            self.write(start)
        else:
            if not self._together:
                self.loop.call_soon(self._flush)
            self._together.append(start)
            self._together_size += len(start)
            if self._together_size > _TOGETHER:
                self._flush()

    def send_at_once(self, call: PackedCall, pending: PendingCall) -> None:
        """The same, and do not wait for other calls of this turn of the loop."""
        self.send(call, pending)
        self._flush()

    def _write_all(self, *pieces: bytes | memoryview) -> None:
        self._flush()
        for piece in pieces:
            # The transport may keep what it is given, and the program may change its memory meanwhile, for
            # instance if its call is cancelled. Half an old and half a new picture must not be published.
            self.write(piece if isinstance(piece, bytes) else bytes(piece))

    def _flush(self) -> None:
        together = self._together
        if together:
            self._together, self._together_size = [], 0
            self.write(together[0] if len(together) == 1 else b"".join(together))

    def _take(self, frame: Frame) -> None:
        if not self._greeting.done():
            self._greeting.set_result(frame)
            return
        if not self._pending:
            raise FrameError("a reply that belongs to no call")
        call = self._pending.popleft()
        if frame.seq != call.seq:
            call.lost(Loss("the replies are out of order"))
            raise FrameError(f"reply {frame.seq} instead of {call.seq}")
        call.answered(frame)

    # ---- the end --------------------------------------------------------------------------------

    def is_usable(self, idle: float) -> bool:
        """Whether it can be used, as far as that is known; it is used from now on.

        idle: seconds after which it is looked whether the service has ended the connection. The loop may not
        have run since.
        """
        if self.ended is not None:
            return False
        now = time.monotonic()
        if now - self.used >= idle and not self._pending and polled(self.sock, False, 0.0):
            self.end("the service closed the connection")
            return False
        self.used = now
        return True

    def lost(self, error: Exception) -> None:
        """Tell every call why there will be no reply."""
        set_once(self._greeting, error)
        calls, self._pending = self._pending, deque()
        kept, self._together = len(calls) - len(self._together), []
        for number, call in enumerate(calls):
            call.lost(Loss(str(self.ended), sent=number < kept))

    def hand_over(self, other: ServiceProtocol) -> None:
        """Let another protocol have the transport, and the reader with what it has of the next frames."""
        self.reader = FrameReader(GREETING_LIMITS)
        super().hand_over(other)
