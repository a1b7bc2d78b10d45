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
from typing import Final, cast

import Pyro5.core

from ...client.connection.greeting import GREETING_LIMITS, REPLY_LIMITS
from ...constants import KIB
from ...transport.sockets import let_go, polled, shut_down
from ...wire.frames import Frame, FrameError, FrameReader
from ...wire.requests import PackedCall, call_opening, write_call
from .calls import Loss, PendingCall
from .waiting import result_by, set_once

# A reply to a publish takes 41 bytes, so this is enough for many.
_RECEIVE_SIZE: Final = 16 * KIB
# Calls of one turn of the loop are sent together, but no more than so many bytes.
_TOGETHER: Final = 64 * KIB


class Connection(asyncio.BufferedProtocol):
    """A connection to the service. It can be used after `greet` and `begin`.

    ended: why it cannot be used any more, None while it can. paused: whether nothing more can be sent now.
    announced: the largest message in bytes, if the service has said it. used: when it was used last, on the
    monotonic clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, uri: Pyro5.core.URI) -> None:
        self._loop = loop
        self.sock = sock
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_RECEIVE_SIZE))
        self._reader = FrameReader(GREETING_LIMITS)
        self._greeting: asyncio.Future[Frame | Exception] = loop.create_future()
        self._pending: deque[PendingCall] = deque()
        # Calls of this turn of the loop, which are sent together; the last of those that are pending.
        self._together: list[bytes] = []
        self._together_size = 0
        self._resumed: asyncio.Future[bool] | None = None
        self._closed: asyncio.Future[bool] = loop.create_future()
        self._seq = 0
        self._opening = call_opening(uri.object)
        self.address = str(uri)
        self.announced: int | None = None
        self.ended: str | None = None
        self.paused = False
        self.used = 0.0

    # ---- what the loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.ended is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._reader.feed(self._buffer[:nbytes].tobytes())
            while (frame := self._reader.next_frame()) is not None:
                self._take(frame)
        except FrameError as error:
            self._end(str(error), error)
        except BaseException:  # a reply may be half read; no other must be taken for it
            self.end("receiving was interrupted")
            raise

    def eof_received(self) -> None:
        self.end("it closed the connection")

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        error = error if error is not None else ConnectionError("it closed the connection")
        self._end(str(error), error)
        self._transport = None
        set_once(self._closed, True)

    # ---- the handshake --------------------------------------------------------------------------

    async def greet(self, hello: bytes, deadline: float) -> Frame:
        """Send the first message, and return the answer.

        deadline: on the loop's clock. Raises OSError, TimeoutError too, or FrameError.
        """
        self._write(hello)
        answer = await result_by(self._greeting, deadline, TimeoutError())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, announced: int | None) -> None:
        """It was accepted: calls may be sent. announced: the largest message, if the service has said it."""
        self.announced = announced
        self.used = time.monotonic()
        self._reader.limits = REPLY_LIMITS

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
            self._write(start)
        else:
            if not self._together:
                self._loop.call_soon(self._flush)
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
            self._write(piece if isinstance(piece, bytes) else bytes(piece))

    def _flush(self) -> None:
        together = self._together
        if together:
            self._together, self._together_size = [], 0
            self._write(together[0] if len(together) == 1 else b"".join(together))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

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

    async def writable(self, deadline: float | None) -> bool:
        """Wait until something can be sent, or the connection has ended. One caller at a time.

        Returns whether that was before the deadline (loop's clock).
        """
        if not self.paused or self.ended is not None:
            return True
        self._resumed = self._loop.create_future()
        return await result_by(self._resumed, deadline, late=False)

    def _wake(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            set_once(resumed, True)

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

    def end(self, reason: str) -> None:
        """End the connection; its calls are told the reason. Once ended, it does nothing."""
        self._end(reason, ConnectionError(reason))

    def _end(self, reason: str, error: Exception) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        set_once(self._greeting, error)
        self._wake()
        calls, self._pending = self._pending, deque()
        kept, self._together = len(calls) - len(self._together), []
        for number, call in enumerate(calls):
            call.lost(Loss(reason, sent=number < kept))
        # Also where a forked child has a copy of the socket, or the transport is not there yet.
        shut_down(self.sock)
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until the socket is released."""
        if self._transport is not None:
            await asyncio.shield(self._closed)

    def drop(self) -> None:
        """Release the socket, from any thread: nobody has the client any more."""
        shut_down(self.sock)
        try:
            self._loop.call_soon_threadsafe(self.end, "this program has dropped it")
        except RuntimeError:  # the loop is closed, and closes nothing any more
            self.sock.close()

    def disown(self) -> None:
        """In a forked child: release the parent's socket, without a word to the service or the loop."""
        if self.sock.fileno() >= 0:
            let_go([self.sock.fileno()])
