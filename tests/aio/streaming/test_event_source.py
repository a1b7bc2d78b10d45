"""Taking the events of a stream on a loop: who is woken, and when a batch is acknowledged."""

from __future__ import annotations

import asyncio

from asyncio_stream import streaming
from event_loops import each_loop, run, true

from pyro_events.aio.home_loop import HomeLoop
from pyro_events.aio.streaming.event_source import EventSource
from pyro_events.wire.frames import RESULT


def test_before_there_is_a_connection() -> None:
    source = EventSource(HomeLoop("stream"))
    assert not source.connected and source.waiting == 0 and source.take() is None
    source.changed()
    source.end("nothing to end")


@each_loop
def test_those_that_wait_are_woken_in_order_and_a_cancelled_one_passes_it_on(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            waiting = [asyncio.ensure_future(receiver.source.next(None)) for _ in range(3)]
            await asyncio.sleep(0)
            served.send(1, 1)
            await true(lambda: waiting[0].done())
            waiting[1].cancel()
            served.send(2, 2)
            row = await waiting[2]
            assert row is not None and row[2] == 2 and waiting[1].cancelled()
            assert receiver.source.take() is None
            assert await receiver.source.next(asyncio.get_running_loop().time() + 0.01) is None
            assert await receiver.source.next(asyncio.get_running_loop().time() - 1) is None
            assert not receiver.source._waiting

    run(main(), loop)


@each_loop
def test_one_that_is_cancelled_just_when_it_was_woken_loses_nothing(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            first = asyncio.ensure_future(receiver.source.next(None))
            second = asyncio.ensure_future(receiver.source.next(None))
            await asyncio.sleep(0)
            served.send(1, 1)
            await true(lambda: len(receiver.source._waiting) == 1)
            first.cancel()  # it may have been woken, and has not run yet
            await asyncio.wait({first})
            row = await second if first.cancelled() else first.result()
            assert row is not None and row[2] == 1
            second.cancel()
            await asyncio.wait({second})

    run(main(), loop)


@each_loop
def test_the_loop_has_a_turn_between_two_batches(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            served.send(1, 1, 2)
            served.send(2, 3)
            await true(lambda: receiver.statistics().waiting == 3)
            assert [row[2] for row in (receiver.source.take(), receiver.source.take()) if row] == [1, 2]
            assert not receiver.source.ready
            row = await receiver.source.next(None)
            assert row is not None and row[2] == 3 and receiver.source.ready
            for seq in (1, 2):
                answer = await served.own[0].frame()
                assert (answer.type, answer.seq) == (RESULT, seq)

    run(main(), loop)


@each_loop
def test_another_connection_replaces_the_last_one(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            source, first = receiver.source, receiver.source.events
            assert first is not None
            now = asyncio.get_running_loop().time
            assert not await source.lost(now() + 0.01)
            served.send(1, 1, 2)
            await true(lambda: source.waiting == 2)
            served.own[0].close()
            await true(lambda: receiver.statistics().reconnects == 1)
            assert source.events is not first and first.ended and source.waiting == 0
            source.close()
            assert not source.close() and source.take() is None
            assert await source.next(None) is None

    run(main(), loop)


@each_loop
def test_one_that_comes_after_the_end_is_closed(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, _):
            source, events = receiver.source, receiver.source.events
            assert events is not None
            source.closed, source.events = True, None
            source.replace(events)
            assert events.ended == "this program closed it" and await source.lost(0.0)

    run(main(), loop)
