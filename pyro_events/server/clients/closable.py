"""ClosableProtocol: the socket of a client, from the connection's first moment to its last, with a time limit
for both.

Knows: the transport, the peer's address and name, and how to close the connection without waiting for the
peer. Must not know: frames, calls, or why it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from ...client_name import described
from ...transport.addresses import is_same_machine, unmapped
from ..net.sockets import descriptor
from ..objects import Caller, RoleSwap

# How long a client may take to read its last answers, in seconds.
_LAST_ANSWERS: Final = 5.0


class ClosableProtocol(asyncio.BufferedProtocol):
    """Base of a client's connection. peer: its host. unix: whether it has come by the Unix socket. closing:
    whether it is closed or being closed."""

    __slots__ = ("_began", "_blocked", "_swap", "_timer", "_transport", "closing", "peer", "unix")

    def __init__(self, unix: bool = False) -> None:
        self._transport: asyncio.Transport
        self._blocked = False  # the client does not read our answers
        self._swap: RoleSwap | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = asyncio.get_running_loop().time()  # before TLS
        self.closing = False
        self.peer = ""
        self.unix = unix

    @property
    def descriptor(self) -> int:
        """Its file descriptor."""
        return descriptor(self._transport)

    @property
    def unsent(self) -> int:
        """How many bytes of answers are held because the client does not read them."""
        return self._transport.get_write_buffer_size() if self._blocked else 0

    def _connected(self, transport: asyncio.BaseTransport) -> None:
        """The connection is made, with or without TLS."""
        # uvloop's transports do what asyncio.Transport does, but do not derive from it.
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        if self.unix:
            self.peer = "127.0.0.1"  # until it is known which address of this machine it counts for
        else:
            self.peer = unmapped(name[0]) if name else ""

    @property
    def seen(self) -> tuple[str, int] | None:
        """The address and the port of a client of the same machine; None if it is of another one, or cannot
        be known."""
        peer, ours = [self._transport.get_extra_info(name) for name in ("peername", "sockname")]
        if not peer or not ours or self.unix:
            return None
        return (self.peer, peer[1]) if is_same_machine(ours[0], self.peer) else None

    @property
    def caller(self) -> Caller | None:
        """Who the client is, None before it was accepted."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What the client calls itself, "" if it did not say."""
        return self.caller.name if self.caller is not None else ""

    @property
    def user(self) -> str:
        """The user whose passphrase it has proved, "" if there is none."""
        return self.caller.user if self.caller is not None else ""

    @property
    def label(self) -> str:
        """The name of the client in the log."""
        return described(self.name, self.peer)

    def hold(self) -> None:
        """A call has to wait: read no more until it is done."""
        self._transport.pause_reading()

    def _give_time(self, seconds: float, too_late: Callable[..., object], *arguments: Any) -> None:
        """Call `too_late` so many seconds after the connection began, unless `_in_time` is called before."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._began + seconds, too_late, *arguments)

    def _in_time(self) -> None:
        """The expected has come in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """Close after everything is sent, but do not wait for a client that does not read."""
        self.closing = True
        self._in_time()
        swap, self._swap = self._swap, None
        if swap is not None:
            swap.abandon()
        self._transport.close()
        self._timer = asyncio.get_running_loop().call_later(_LAST_ANSWERS, self.abort)

    def send(self) -> None:
        """Send the pending answers."""
        raise NotImplementedError

    def _leave(self) -> bool:
        """The client is gone from here. Returns whether it has sent nothing that was not read."""
        raise NotImplementedError

    def swap_roles(self, swap: RoleSwap) -> None:
        """Send the pending answers, then give the connection away; not within the call that reads from it."""
        self._swap = swap
        self._transport.pause_reading()
        self.send()
        asyncio.get_running_loop().call_soon(self._swap_now)

    def _swap_now(self) -> None:
        swap, self._swap = self._swap, None
        if swap is not None:  # otherwise the connection has ended
            self.closing = True
            swap.take_over(self._transport, self._leave())

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        self._in_time()
        swap, self._swap = self._swap, None
        if swap is not None:
            swap.abandon()
