"""A stream of an asyncio program, and the service at its other end, which does what the test says.

Knows: what a stream asks of its service. Must not know: how the stream works.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from asyncio_service import AsyncioService, ServedConnection, asyncio_service

from pyro_events.aio.streaming.stream_receiver import StreamReceiver
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.client.subscribing.subscriptions import NAME
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import INVOKE, PING, RESULT, FrameLimits, FrameReader
from pyro_events.wire.handshake.capabilities import OWN_CONNECTION
from pyro_events.wire.own_connection import OBJECT_ID, Attached

ANSWERS = FrameLimits(types=frozenset({INVOKE, RESULT, PING}), size=1 << 20)
TIMES = ReconnectTimes(first_delay=0.001, most_delay=0.01, heartbeat=60.0, tries=1)
KEY = "0" * 32


class Served:
    """The service's side of one stream: it answers every call, and the test sends events.

    standing: what it says of the stream. subscribed: the names of the last subscribing call.
    """

    def __init__(self, fake: AsyncioService) -> None:
        self._fake = fake
        self.own: list[ServedConnection] = []
        self.standing: Any = {"subscriptions": 1, "state": "active", "why": ""}
        self.asked = 0
        self.subscribed: list[Any] = []
        self.keys: list[str] = []
        self.refuse = 0
        self._tasks = [asyncio.ensure_future(self._accept())]

    async def _accept(self) -> None:
        while True:
            self._tasks.append(asyncio.ensure_future(self._serve(await self._fake._accepted.get())))

    async def _serve(self, connection: ServedConnection) -> None:
        with contextlib.suppress(AssertionError):
            while True:
                seq, method, arguments = await connection.any_call()
                if method == "attach":
                    if self.refuse:
                        self.refuse -= 1
                        connection.close()
                        return
                    self.keys.append(arguments[0].get("key", ""))
                    connection.answer(seq, Attached(KEY, "an id").plain())
                    connection._frames = FrameReader(ANSWERS)
                    self.own.append(connection)
                    return
                if method == "statistics":
                    self.asked += 1
                else:
                    self.subscribed.append(arguments[0])
                if method != "statistics" or self.standing is not None:
                    connection.answer(seq, self.standing if method == "statistics" else 1)

    def send(self, seq: int, *numbers: int) -> None:
        rows = [("A", 1.0, number, 0, b"\x01") for number in numbers]
        self.own[-1].writer.write(write_events(OBJECT_ID, seq, rows))

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def streaming(times: ReconnectTimes = TIMES) -> AsyncIterator[tuple[StreamReceiver, Served]]:
    async with asyncio_service(capabilities=[OWN_CONNECTION]) as fake:
        served = Served(fake)
        receiver = StreamReceiver(ServiceLocator(fake.uri, name="a test"), {}, 0.0, times)
        await receiver.connect([(NAME, ["A"]), (NAME, [])])
        try:
            yield receiver, served
        finally:
            await receiver.close()
            served.end()
