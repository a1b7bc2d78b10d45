"""Taking the events of a stream on a loop: who is woken, and when a batch is acknowledged."""

from __future__ import annotations

import asyncio

import msgpack
from asyncio_stream import streaming
from event_loops import each_loop, run, true

from pyro_events.aio.home_loop import HomeLoop
from pyro_events.aio.streaming.event_source import EventSource
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.wire.frames import INVOKE, MSGPACK, RESULT, write_frame
from pyro_events.wire.own_connection import OBJECT_ID

# None comes back while a test runs.
SLOW = ReconnectTimes(first_delay=60.0, most_delay=60.0, heartbeat=60.0)


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
def test_what_is_in_the_fields_of_a_row_is_not_checked_here(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            rows = [["A", "no time", [], 0, 1]]
            served.own[-1].writer.write(
                write_frame(INVOKE, 0, MSGPACK, 1, msgpack.packb([OBJECT_ID, "events", [rows], {}]))
            )
            await true(lambda: receiver.source.waiting == 1)
            assert receiver.source.take() == ("A", "no time", (), 0, 1)

    run(main(), loop)


@each_loop
def test_the_loop_has_a_turn_between_two_batches(loop: str) -> None:
    async def main() -> None:
        async with streaming() as (receiver, served):
            source = receiver.source
            served.send(1, 1, 2)
            served.send(2, 3)
            await true(lambda: receiver.statistics().waiting == 3)
            turns: list[int] = []
            asyncio.get_running_loop().call_soon(turns.append, 1)
            assert [row[2] for row in (source.take(), source.take()) if row] == [1, 2]
            assert source.take() is None and source.waiting == 1
            row = await source.next(None)
            assert row is not None and row[2] == 3 and turns
            for seq in (1, 2):
                answer = await served.own[0].frame()
                assert (answer.type, answer.seq) == (RESULT, seq)

    run(main(), loop)


@each_loop
def test_what_was_taken_is_acknowledged_when_the_loop_goes_on_or_the_stream_ends(loop: str) -> None:
    """Not before, so that the program has the event first."""

    async def main() -> None:
        async with streaming() as (receiver, served):
            source, events = receiver.source, receiver.source.events
            assert events is not None
            for seq, goes_on in enumerate((True, False), 1):
                served.send(seq, seq)
                await true(lambda: source.waiting == 1)
                row = source.take()
                assert row is not None and row[2] == seq
                assert events.inbox.finished
                if not goes_on:
                    source.end("this program closed it")
                    assert not events.inbox.finished
                assert (await served.own[0].frame()).seq == seq
                assert not events.inbox.finished

    run(main(), loop)


@each_loop
def test_what_has_come_before_the_connection_broke_can_all_be_taken(loop: str) -> None:
    async def main() -> None:
        async with streaming(SLOW) as (receiver, served):
            source = receiver.source
            served.send(1, 1)
            served.send(2, 2)
            await true(lambda: source.waiting == 2)
            served.own[0].close()
            await true(lambda: not source.connected)
            source.abandon()
            rows = [await source.next(None) for _ in range(2)]
            assert [row[2] for row in rows if row] == [1, 2]
            assert await source.next(None) is None

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
