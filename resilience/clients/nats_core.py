"""Core NATS with nats-py; each publish is flushed, which is the nearest thing to an acknowledgement.

Knows: nats-py. Must not know: the server.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any

import nats

from ..programs.record import Record
from . import Handle

_PATIENCE = 5


class _Connection:
    """A connection on a loop in its own thread."""

    port = 0

    def __init__(self, address: str, record: Record | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._record = record
        self._connection: Any = self.run(self._connect(address))

    async def _connect(self, address: str) -> Any:
        async def again() -> None:
            if self._record is not None:
                self._record.returns.append("connected again")

        async def complain(error: Exception) -> None:
            """Without this, nats-py logs every attempt."""

        return await nats.connect(
            f"nats://{address}",
            reconnected_cb=again,
            error_cb=complain,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def publish(self, subject: str, message: Any) -> int:
        async def work() -> None:
            await self._connection.publish(subject, json.dumps(message).encode())
            await self._connection.flush(_PATIENCE)

        self.run(work())
        return 1

    def unknown(self, error: Exception) -> bool:
        return True  # it may be in the client's buffer

    def subscribe(self, subjects: list[str], handle: Handle) -> None:
        async def arrived(message: Any) -> None:
            handle(json.loads(message.data))

        async def work() -> None:
            for subject in subjects:
                await self._connection.subscribe(subject, cb=arrived)
            await self._connection.flush(_PATIENCE)

        self.run(work())

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self.run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class System:
    """As clients.Client."""

    def __init__(self, name: str) -> None:
        self.publisher = _Connection

    def subscriber(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> _Connection:
        connection = _Connection(address, record)
        connection.subscribe(subjects, handle)
        return connection
