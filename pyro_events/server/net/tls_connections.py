"""TLS connections of the service: those that it accepts, and those that it makes.

Knows: when the protocol above is told of a connection, and what a failed handshake is called. Must not know:
how bytes are secured, frames, or what the other side may do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from ...transport.tls import failure_of
from .tls_layer import TlsLayer
from .tls_memory import TlsMemory


class AcceptedTls(TlsLayer):
    """The service's side of a client's connection. Its protocol is told at once, and limits the time of the
    handshake."""

    __slots__ = ("_failed",)

    def __init__(
        self,
        protocol: asyncio.BufferedProtocol,
        context: ssl.SSLContext,
        memory: TlsMemory,
        failed: Callable[[str, str], None],
    ) -> None:
        """failed: called with the client's host and the reason when the handshake fails."""
        super().__init__(protocol, context, memory)
        self._failed = failed

    def _begin(self) -> None:
        self._known = True
        self._protocol.connection_made(self)

    def _ready(self) -> None:
        """The protocol waits for its client to speak."""

    def _refused(self, error: BaseException | None) -> None:
        if self._first:  # not for a client that only checks whether the port is open
            name = self._raw.get_extra_info("peername")
            self._failed(name[0] if name else "", failure_of(error, self._first))


class OutgoingTls(TlsLayer):
    """The service's side of a connection that it makes. Its protocol is told when TLS is set up."""

    __slots__ = ("secured",)

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, memory: TlsMemory, name: str
    ) -> None:
        super().__init__(protocol, context, memory, name)
        # Empty, or why the handshake failed.
        self.secured: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def _begin(self) -> None:
        self._shake()

    def _ready(self) -> None:
        self._known = True
        self._protocol.connection_made(self)
        if not self.secured.done():
            self.secured.set_result("")

    def _refused(self, error: BaseException | None) -> None:
        if not self.secured.done():
            self.secured.set_result(failure_of(error, self._first))
