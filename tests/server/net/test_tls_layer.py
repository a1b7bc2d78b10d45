"""TLS on the event loop, two sides joined in memory: what one writes reaches the other's protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from certificates import needs_openssl, settings, use

from pyro_events.server.net.tls_connections import AcceptedTls, OutgoingTls
from pyro_events.server.net.tls_memory import COST, TlsMemory
from pyro_events.transport.tls import client_context, server_context

pytestmark = needs_openssl


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


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", [1, 1 << 20], ids=["byte by byte", "at once"])
def test_what_is_written_arrives_however_the_network_cuts_it(piece: int) -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry(piece)
        assert pair.far.secured.result() == ""
        data = bytes(range(256)) * 20
        pair.near.write(data)
        pair.far.writelines([data, data])
        pair.carry(piece if piece > 1 else 700)
        assert (pair.outgoing.data, pair.accepted.data) == (data, 2 * data)
        assert pair.near.get_extra_info("ssl_object").getpeercert()

    run(work)


def test_a_client_is_heard_of_before_its_handshake_and_a_server_after_it() -> None:
    async def work() -> None:
        pair = Pair()
        assert pair.accepted.transport is pair.near and pair.outgoing.transport is None
        pair.near.write(b"goes nowhere")
        pair.carry()
        assert pair.outgoing.transport is pair.far and pair.outgoing.data == b""

    run(work)


def test_memory_is_held_from_the_first_moment_to_the_last() -> None:
    async def work() -> None:
        pair = Pair()
        assert pair.held == 2 * COST
        pair.carry()
        for layer in pair.pipes:
            layer.connection_lost(None)
        assert pair.held == 0
        assert (pair.accepted.lost, pair.outgoing.lost) == ([None], [None])

    run(work)


def test_who_does_not_read_gets_the_rest_when_it_reads_again() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.far.write(b"first")
        pair.carry()
        pair.near.pause_reading()
        pair.far.write(b"second")
        pair.carry()
        assert pair.accepted.data == b"first"
        pair.near.resume_reading()
        pair.carry()
        await asyncio.sleep(0)
        assert pair.accepted.data == b"firstsecond"

    run(work)


def test_the_end_is_said_and_not_waited_for() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.near.write(b"last")
        pair.carry()
        pair.near.close()
        pair.near.close()
        assert pair.near.is_closing() and pair.pipes[pair.near].ended == "close"
        pair.near.write(b"too late")
        pair.carry()
        assert pair.outgoing.data == b"last"
        pair.far.connection_lost(None)
        assert pair.outgoing.lost == [None]

    run(work)


def test_a_connection_that_is_not_secured_yet_is_cut() -> None:
    async def work() -> None:
        pair = Pair()
        pair.near.close()
        assert pair.pipes[pair.near].ended == "abort"
        pair.near.connection_lost(None)
        assert pair.failures == []  # our own doing

    run(work)


def test_why_a_handshake_failed_is_known_on_both_sides() -> None:
    async def work() -> None:
        pair = Pair(client_settings="other")
        pair.carry()
        assert "not accepted" in pair.far.secured.result()
        for layer in pair.pipes:
            layer.connection_lost(None)
        ((peer, reason),) = pair.failures
        assert peer == "192.0.2.1" and reason

    run(work)


def test_who_speaks_no_tls_is_told_from_who_only_looks() -> None:
    async def work() -> None:
        for first, failures in ((b"GET / HTTP/1.1\r\n\r\n", 1), (b"", 0)):
            pair = Pair()
            if first:
                space = pair.near.get_buffer(-1)
                space[: len(first)] = first
                pair.near.buffer_updated(len(first))
            pair.near.connection_lost(None)
            assert [reason for _, reason in pair.failures if "does not speak TLS" in reason] == [
                reason for _, reason in pair.failures
            ]
            assert len(pair.failures) == failures

    run(work)


def test_what_is_no_record_ends_a_secured_connection_with_the_error() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.pipes[pair.far].sent += b"garbage" * 10
        pair.carry()
        assert pair.pipes[pair.near].ended == "abort"
        pair.near.connection_lost(None)
        (error,) = pair.accepted.lost
        assert isinstance(error, ssl.SSLError)

    run(work)
