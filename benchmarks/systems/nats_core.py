"""Core NATS (no JetStream) with nats-py.

Knows: nats-server's settings and nats-py. Must not know: any other system.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..children.counter import Counter
from ..children.tasks import Listener
from .base import Publisher, System, at_the_same_time, packed, process_loop

_SETTINGS = """\
host: 127.0.0.1
port: {port}
max_payload: 67108864
# A subscriber that lags would otherwise be disconnected.
max_pending: 1073741824
write_deadline: "60s"
max_subscriptions: 0
"""
# nats-py's own limits on a subscription would drop events that a slow subscriber has not handled.
_PENDING = 10_000_000


async def _connect(address: str) -> Any:
    import nats

    return await nats.connect(f"nats://{address}", allow_reconnect=False)


class NatsPublisher(Publisher):
    """Publishes on the loop; no code of ours runs between two events."""

    def __init__(self, address: str, kind: str) -> None:
        self._connection = process_loop().run_until_complete(_connect(address))
        self._pack = packed(kind)

    def publish(self, subject: str, message: Any) -> None:
        self.acked([subject], message)

    def acked(self, subjects: Iterable[str], message: Any) -> None:
        process_loop().run_until_complete(self.flush_each(subjects, message))

    async def flush_each(self, subjects: Iterable[str], message: Any) -> None:
        """Publish and flush, which waits for the server's pong.

        nats-py sends the ping ahead of what it still buffers, so this is a little less than an
        acknowledgement of the event; but users of nats-py do it this way.
        """
        connection, pack = self._connection, self._pack
        for subject in subjects:
            await connection.publish(subject, pack(message))
            await connection.flush()

    def together(self, subjects: Iterable[str], message: Any, tasks: int) -> None:
        async def one(subject: str, message: Any) -> None:
            await connection.publish(subject, pack(message))
            await connection.flush()

        connection, pack = self._connection, self._pack
        process_loop().run_until_complete(at_the_same_time(tasks, one, subjects, message))

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        async def stream() -> None:
            connection, pack = self._connection, self._pack
            for subject in subjects:
                await connection.publish(subject, pack(message))
            await self._settle()

        process_loop().run_until_complete(stream())

    def paced(self, subjects: Iterable[str], name: str, rate: float) -> None:
        async def pace() -> None:
            connection, pack = self._connection, self._pack
            due = time.perf_counter()
            for subject in subjects:
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await connection.publish(subject, pack((name, time.perf_counter_ns())))
            await self._settle()

        process_loop().run_until_complete(pace())

    async def _settle(self) -> None:
        """Make sure that nats-py's buffer is empty, because the loop does not run between phases."""
        while self._connection.pending_data_size:
            await asyncio.sleep(0)
        await self._connection.flush(60)

    def close(self) -> None:
        process_loop().run_until_complete(self._connection.close())


class Nats(System):
    """nats-server as Debian packages it; publishers and subscribers with nats-py on uvloop."""

    name = "nats"
    title = "nats-server, nats-py"
    packages = ("nats-py",)
    program = "nats-server"

    def command(self, folder: Path, port: int) -> list[str]:
        settings = folder / "nats.conf"
        settings.write_text(_SETTINGS.format(port=port), "utf-8")
        return [self._path() or "", "-c", str(settings)]

    def publisher(self, address: str, kind: str) -> Publisher:
        return NatsPublisher(address, kind)

    def publish_together(
        self, publishers: Sequence[Publisher], work: Sequence[Callable[[Publisher], None]]
    ) -> None:
        """All on the one loop: each piece of work leaves its coroutine here instead of running it."""
        waiting: list[Awaitable[None]] = []

        class Leaving(NatsPublisher):
            def __init__(self, publisher: NatsPublisher) -> None:
                self._connection, self._pack = publisher._connection, publisher._pack

            def acked(self, subjects: Iterable[str], message: Any) -> None:
                waiting.append(self.flush_each(subjects, message))

        for publisher, task in zip(publishers, work, strict=True):
            assert isinstance(publisher, NatsPublisher)
            task(Leaving(publisher))

        async def together() -> None:
            await asyncio.gather(*waiting)

        process_loop().run_until_complete(together())

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        take = counter.take

        async def handle(message: Any) -> None:
            take(message.data)

        async def listen() -> None:
            for listener in listeners:
                connection = await _connect(address)
                for name in [*listener.subjects, *[f"{prefix}>" for prefix in listener.prefixes]]:
                    await connection.subscribe(
                        name, cb=handle, pending_msgs_limit=_PENDING, pending_bytes_limit=0
                    )
                await connection.flush(30)
            ready()
            await asyncio.Event().wait()

        process_loop().run_until_complete(listen())
