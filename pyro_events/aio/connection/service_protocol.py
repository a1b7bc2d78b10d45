"""What all connections to the service on an event loop have in common: the transport, its end, its release.

Knows: transports, and what happens to them in other threads and in forked children. Must not know: what comes
over the connection, or what is sent.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, cast

from ...transport.sockets import is_unix, let_go, shut_down
from .waiting import result_by, set_once

# Seconds after which a transport that nobody wants is closed.
_LATER: Final = 0.01


class ServiceProtocol(asyncio.BufferedProtocol):
    """A connection. sock: its socket. served: whether the loop has been given the socket. ended: why it
    cannot be used any more, None while it can. paused: whether nothing more can be sent now."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, address: str) -> None:
        self.loop = loop
        self.sock = sock
        self.address = address
        # How it goes to the service.
        self.transport = "unix" if is_unix(sock) else "tcp"
        self.served = False
        self.ended: str | None = None
        self.paused = False
        self._transport: asyncio.Transport | None = None
        self._resumed: asyncio.Future[bool] | None = None
        self._released: asyncio.Future[bool] = loop.create_future()

    # ---- what the loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.ended is not None:
            # Not at once, because uvloop takes charge of the socket's object only afterwards.
            self.loop.call_later(_LATER, self._transport.abort)

    def eof_received(self) -> None:
        self.end("it closed the connection")

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        error = error if error is not None else ConnectionError("it closed the connection")
        self.end(str(error), error)
        self._transport = None
        set_once(self._released, True)

    # ---- sending --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes; nothing is sent when the connection is lost."""
        if self._transport is not None:
            self._transport.write(data)

    async def writable(self, deadline: float | None) -> bool:
        """Wait until something can be sent, or the connection has ended. One caller at a time.

        Returns whether that was before the deadline (loop's clock).
        """
        if not self.paused or self.ended is not None:
            return True
        self._resumed = self.loop.create_future()
        return await result_by(self._resumed, deadline, late=False)

    def _wake(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            set_once(resumed, True)

    # ---- the end --------------------------------------------------------------------------------

    def end(self, reason: str, error: Exception | None = None) -> None:
        """End the connection; once ended, this does nothing. error: what has ended it, if that was not us."""
        if self.ended is not None:
            return
        self.ended = reason
        if self.loop.is_closed():  # then it tells nobody anything, and closes nothing
            shut_down(self.sock)
            self.sock.close()
            return
        self._wake()
        self.lost(error if error is not None else ConnectionError(reason))
        # Also where a forked child has a copy of the socket, or the transport is not there yet.
        shut_down(self.sock)
        if self._transport is not None:
            self._transport.abort()
        elif not self.served:
            self.sock.close()

    def lost(self, error: Exception) -> None:
        """It has just ended: tell everybody who waits for something that comes over it."""
        raise NotImplementedError

    async def released(self) -> None:
        """Wait until the socket of a connection that has ended is released."""
        if self._transport is not None and not self.loop.is_closed():
            await asyncio.shield(self._released)

    def hand_over(self, other: ServiceProtocol) -> None:
        """Let another protocol have the transport, from the next byte on; it has the same socket."""
        transport = self._transport
        assert transport is not None, "something has just come over it"
        self.ended = "it was handed over"
        self._transport = None
        set_once(self._released, True)
        transport.set_protocol(other)
        other.connection_made(transport)

    def drop(self) -> None:
        """Release the socket, from any thread: nobody has the client any more."""
        shut_down(self.sock)
        try:
            self.loop.call_soon_threadsafe(self.end, "this program has dropped it")
        except RuntimeError:  # the loop is closed, and closes nothing any more
            self.sock.close()

    def disown(self) -> None:
        """In a forked child: release the parent's socket, without a word to the service or the loop."""
        if self.sock.fileno() >= 0:
            let_go([self.sock.fileno()])
