"""The inside of a stream on a loop: when its connection is made again, and what the service is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncio_service import asyncio_service
from asyncio_stream import KEY, TIMES, Served, streaming
from event_loops import each_loop, run, true

from pyro_events.aio.streaming.stream_receiver import StreamReceiver
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.client.subscribing.subscriptions import NAME
from pyro_events.constants import NOT_KNOWN
from pyro_events.errors import EventServiceError
from pyro_events.wire.handshake.capabilities import OWN_CONNECTION


@each_loop
def test_a_lost_connection_is_made_again_with_its_key_and_its_subscriptions(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            served.refuse = 2
            served.subscribed.clear()
            served.own[0].close()
            await true(lambda: receiver.statistics().reconnects == 1)
            assert served.keys == ["", KEY] and served.subscribed == [["A"]]
            served.send(1, 1)
            row = await receiver.source.next(None)
            assert row is not None and row[3] is None

    run(main(), loop)


@each_loop
def test_silence_is_a_question(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with streaming(ReconnectTimes(first_delay=0.001, heartbeat=0.02, tries=1)) as (
            receiver,
            served,
        ):
            await true(lambda: served.asked >= 3)
            assert receiver.source.connected and len(served.own) == 1, "the service knows it, so it waits"
            served.standing = "nonsense"
            before = served.asked
            await true(lambda: served.asked > before)
            served.standing = {"subscriptions": NOT_KNOWN, "state": "", "why": ""}
            await true(lambda: len(served.own) >= 2)

    run(main(), loop)


@each_loop
def test_a_subscription_that_the_service_could_not_relate_brings_a_new_connection(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):

            async def not_known(*arguments: Any) -> bool:
                return False

            receiver.remote.subscribe = not_known  # type: ignore[assignment]
            await receiver.subscribe(NAME, ["B"], {})
            await true(lambda: receiver.statistics().reconnects == 1)

    run(main(), loop)


@each_loop
def test_what_fails_at_first_leaves_nothing_connected_and_may_be_tried_again(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service(capabilities=[OWN_CONNECTION]) as fake:
            served = Served(fake)
            served.refuse = 1
            receiver = StreamReceiver(ServiceLocator(fake.uri, name="a test"), {}, 0.0, TIMES)
            assert not receiver.in_use and not receiver.source.connected
            with pytest.raises(EventServiceError):
                await receiver.connect([(NAME, ["A"])])
            assert not receiver.source.connected
            await asyncio.gather(*[receiver.connect([(NAME, ["A"])]) for _ in range(3)])
            assert receiver.source.connected and len(served.own) == 1
            await receiver.close()
            with pytest.raises(EventServiceError, match="this stream is closed"):
                await receiver.connect([])
            served.end()

    run(main(), loop)
