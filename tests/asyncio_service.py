"""A service on the test's own event loop, without rules: the test answers the calls, or does not.

Knows: frames. Must not know: the client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgpack
from fake_service import LIMITS, SAID

from pyro_events.wire.frames import CONNECT, CONNECT_OK, MSGPACK, RESULT, FrameReader, write_frame


class ServedConnection:
    """One accepted connection: read its calls, answer them as the test likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._in, self.writer = reader, writer
        self._frames = FrameReader(LIMITS)

    async def frame(self) -> Any:
        """The next frame, None at the end."""
        while (frame := self._frames.next_frame()) is None:
            try:
                data = await self._in.read(1 << 16)
            except OSError:
                return None
            if not data:
                return None
            self._frames.feed(data)
        return frame

    async def call(self) -> tuple[int, list[Any]]:
        """The next call of publish_encoded: its sequence number and its batch."""
        frame = await self.frame()
        assert frame is not None, "the client closed its connection"
        _, _, (batch,), _ = msgpack.unpackb(frame.payload)
        return frame.seq, batch

    async def any_call(self) -> tuple[int, str, list[Any]]:
        """The next call: its sequence number, method and arguments."""
        frame = await self.frame()
        assert frame is not None, "the client closed its connection"
        _, method, arguments, _ = msgpack.unpackb(frame.payload)
        return frame.seq, method, arguments

    def answer(self, seq: int, value: Any, flags: int = 0) -> None:
        self.writer.write(write_frame(RESULT, flags, MSGPACK, seq, msgpack.packb(value)))

    def close(self) -> None:
        self.writer.close()


class AsyncioService:
    """Accepts and greets; the test takes each connection from `next()` and plays the service."""

    def __init__(self, capabilities: Sequence[str] = ()) -> None:
        self._said = {**SAID, "capabilities": list(capabilities)}
        self._accepted: asyncio.Queue[ServedConnection] = asyncio.Queue()
        self.connections: list[ServedConnection] = []
        self.uri = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServedConnection(reader, writer)
        self.connections.append(connection)
        frame = await connection.frame()
        if frame is not None:
            assert frame.type == CONNECT
            writer.write(write_frame(CONNECT_OK, 0, MSGPACK, frame.seq, msgpack.packb(self._said)))
            self._accepted.put_nowait(connection)

    async def next(self) -> ServedConnection:
        """The next connection that a client has made."""
        return await asyncio.wait_for(self._accepted.get(), 10)


@contextlib.asynccontextmanager
async def asyncio_service(port: int = 0, capabilities: Sequence[str] = ()) -> AsyncIterator[AsyncioService]:
    """An AsyncioService, closed at the end of the block."""
    service = AsyncioService(capabilities)
    server = await asyncio.start_server(service.accept, "127.0.0.1", port)
    service.uri = f"PYRO:Pyro.EventService@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for connection in service.connections:
            connection.close()
        for connection in service.connections:
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()
        await server.wait_closed()
