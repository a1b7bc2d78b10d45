"""Two sides of a TLS connection of the service's, joined in memory.

Knows: transports and protocols of asyncio, and the service's TLS. Must not know: what is sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from certificates import settings, use

from pyro_events.server.net.tls_connections import AcceptedTls, OutgoingTls
from pyro_events.server.net.tls_memory import COST, TlsMemory
from pyro_events.transport.tls import client_context, server_context


class Pipe:
    """A TCP transport in memory; what is written waits until `Pair.carry`."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.paused = False
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.sent += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 5000) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return len(self.sent)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.ended = "abort"


class Received(asyncio.Protocol):
    """The service's protocol of an outgoing connection."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


class BufferedReceived(asyncio.BufferedProtocol):
    """The service's protocol of a client's connection; takes little at a time."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None
        self.lost: list[Exception | None] = []
        self._space = bytearray(1000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._space)

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self._space[:nbytes]

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


class Pair:
    """A client's side and the service's, both of this program."""

    def __init__(self, client_settings: str = "") -> None:
        use(settings())
        server = server_context()
        if client_settings:
            use(settings(client_settings))
        client = client_context()
        assert server is not None and client is not None
        self.held = 0
        self.failures: list[tuple[str, str]] = []
        memory = TlsMemory(memoryview(bytearray(1 << 16)), 10 * COST, self._hold)
        self.accepted, self.outgoing = BufferedReceived(), Received()
        self.near: Any = AcceptedTls(self.accepted, server, memory, self._failed)
        self.far: Any = OutgoingTls(self.outgoing, client, memory, "localhost")
        self.pipes = {self.near: Pipe(), self.far: Pipe()}
        for layer, pipe in self.pipes.items():
            layer.connection_made(pipe)

    def _hold(self, size: int) -> None:
        self.held += size

    def _failed(self, peer: str, reason: str) -> None:
        self.failures.append((peer, reason))

    def carry(self, most: int = 1 << 20) -> None:
        """Take what was written to the other side, until neither writes anything; reading may be paused."""
        moved = True
        while moved:
            moved = False
            for layer, other in ((self.near, self.far), (self.far, self.near)):
                pipe, sent = self.pipes[other], self.pipes[layer].sent
                while sent and not pipe.paused and not pipe.ended:
                    moved = True
                    space = other.get_buffer(-1)
                    size = min(len(sent), len(space), most)
                    space[:size] = sent[:size]
                    del sent[:size]
                    other.buffer_updated(size)
