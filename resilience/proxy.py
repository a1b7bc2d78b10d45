"""A bad network: a TCP proxy that delays, slows down, truncates, resets, drops, cuts and restores.

Knows: bytes and connections. Must not know: which programs are connected through it, or by which protocol.

Its loop runs in its own thread. Every method may be called from any thread, and has taken effect when it
returns. Random choices depend on the seed.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TypeVar

from .ports import LOOPBACK, free_port

T = TypeVar("T")

_PIECE: Final = 65536
_PATIENCE: Final = 10.0
# With this, closing sends a reset instead of an orderly end.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Weather:
    """What happens to bytes. delay: seconds for each piece, plus or minus `jitter`. piece: bytes at a time.
    budget: how many more bytes each connection forwards before it is closed; None: any number."""

    delay: float = 0.0
    jitter: float = 0.0
    piece: int = _PIECE
    budget: int | None = None


class Proxy:
    """Forwards connections to a port of 127.0.0.1, which may be set later."""

    def __init__(self, seed: int, target: int | None = None) -> None:
        self._chance = random.Random(seed)
        self._weather = Weather()
        self._transports: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self.port = free_port()  # which is released and taken again
        self.connections = 0  # so far
        self._ask(self._begin)
        if target is not None:
            self.aim(target)

    async def _begin(self) -> None:
        self._aimed, self._there, self._back = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._there.set()
        self._back.set()
        self._target = 0
        self._server: asyncio.Server | None = None
        await self._open()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, LOOPBACK, self.port)

    def _ask(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work(*arguments), self._loop).result(_PATIENCE)

    # The faults.

    def aim(self, target: int) -> None:
        """Set where connections go, also those that are waiting."""

        async def work() -> None:
            self._target = target
            self._aimed.set()

        self._ask(work)

    def delay(self, seconds: float, jitter: float = 0.0) -> None:
        """Every piece arrives so much later."""
        self._set(Weather(delay=seconds, jitter=jitter))

    def drip(self, size: int, pause: float) -> None:
        """So many bytes at a time, with a pause before each piece."""
        self._set(Weather(delay=pause, piece=size))

    def truncate(self, size: int) -> None:
        """Each connection, also a new one, ends after so many more bytes."""
        self._set(Weather(budget=size))

    def calm(self) -> None:
        """No delay, no limit and no drops from now on; connections that were cut stay cut."""
        self._set(Weather())

    def _set(self, weather: Weather) -> None:
        async def work() -> None:
            self._weather = weather
            self._there.set()
            self._back.set()

        self._ask(work)

    def vanish(self, *, there: bool = True, back: bool = True) -> None:
        """Half-open connections: nothing arrives any more, not even that one side has closed.

        there: drop what comes from the connecting side. back: drop what comes from the target.
        """

        async def work() -> None:
            if there:
                self._there.clear()
            if back:
                self._back.clear()

        self._ask(work)

    def strand(self) -> None:
        """Nothing ever arrives again on the present connections; new ones work."""

        async def work() -> None:
            self._there.clear()
            self._back.clear()
            self._there, self._back = asyncio.Event(), asyncio.Event()
            self._there.set()
            self._back.set()

        self._ask(work)

    def reset(self) -> None:
        """Every connection ends with a reset, now; new ones work."""

        async def work() -> None:
            for writer in list(self._transports):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()

        self._ask(work)

    def cut(self) -> None:
        """Every connection is closed, and new ones are refused until `restore`."""

        async def work() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for writer in list(self._transports):
                writer.transport.abort()

        self._ask(work)

    def restore(self) -> None:
        """Accept connections again, without faults."""
        self._ask(self._open)
        self.calm()

    # Forwarding.

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._transports.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        other: asyncio.StreamWriter | None = None
        try:
            await self._aimed.wait()
            # A new connection needs both directions.
            await self._there.wait()
            await self._back.wait()
            answers, other = await asyncio.open_connection(LOOPBACK, self._target)
            self._transports.add(other)
            left = [self._weather.budget]
            await asyncio.gather(
                self._pump(reader, other, left, self._there), self._pump(answers, writer, left, self._back)
            )
        except (OSError, asyncio.CancelledError):
            pass  # an end of the connection is expected here
        finally:
            self._tasks.discard(task)
            for each in (writer, other):
                if each is not None:
                    self._transports.discard(each)
                    each.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int | None],
        flowing: asyncio.Event,
    ) -> None:
        """Forward one direction. left: how many more bytes the connection may forward, both ways together."""
        while True:
            data = await reader.read(self._weather.piece)
            await flowing.wait()
            weather = self._weather
            if weather.delay:
                await asyncio.sleep(weather.delay + self._chance.uniform(-weather.jitter, weather.jitter))
                await flowing.wait()
            if weather.budget is not None:
                left[0] = weather.budget if left[0] is None else left[0]
                data, left[0] = data[: left[0]], left[0] - len(data)
            else:
                left[0] = None
            writer.write(data)
            await writer.drain()
            if not data or (left[0] is not None and left[0] <= 0):
                raise ConnectionError("this is the end")

    # The end.

    def close(self) -> None:
        """End all connections and the thread."""

        async def work() -> None:
            if self._server is not None:
                self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)

        self._ask(work)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
