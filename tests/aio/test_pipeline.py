"""aio.Pipeline: order, frames, acknowledgements, and what a broken connection leaves behind (C34)."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from asyncio_service import ServedConnection, asyncio_service
from event_loops import each_loop, run, true
from listening import collecting

from pyro_events import EventServiceStarter, aio
from pyro_events.client.publishing.frames import FRAME_EVENTS, WINDOW
from pyro_events.codec.message import decode
from pyro_events.errors import (
    AnswerTimeoutError,
    EventServiceError,
    MessageTooLargeError,
    PipelineError,
    PipelineOutcomeUnknownError,
    UnsupportedTypeError,
)


def numbers(error: PipelineError) -> tuple[int, int, int, int]:
    return error.published, error.not_published, error.unknown, error.pending


async def answering(connection: ServedConnection, batches: list[list[Any]]) -> None:
    """Acknowledges every call, and keeps the batches."""
    while True:
        seq, batch = await connection.call()
        batches.append(batch)
        connection.answer(seq, len(batch))


@each_loop
def test_everything_arrives_in_order_beside_single_events_and_other_pipelines(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            async with publisher.pipeline() as first, publisher.pipeline() as second:
                for number in range(3000):
                    which = number % 700
                    if which < 600:
                        await first.publish("S", number)
                    elif which < 690:
                        await second.publish("S", number)
                    elif which == 690:
                        await second.publish("S", (number, bytes(100_000))[0:1] + (b"x" * 100_000,))
                    else:
                        assert await publisher.publish("S", number) == 1
            assert first.queued + second.queued + 9 * 4 == 3000
            assert publisher.statistics().published == 3000

    with collecting(service.uri, "S") as collector:
        run(main(), loop)
        collector.wait(3000)
    got = [message[0] if isinstance(message, tuple) else message for message in collector.messages()]
    assert got == list(range(3000))


@each_loop
def test_frames_are_full_where_much_is_published(loop: str) -> None:
    async def main() -> None:
        batches: list[list[Any]] = []
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            served = asyncio.ensure_future(answering(await fake.next(), batches))
            async with publisher.pipeline() as fast:
                for number in range(10_000):
                    await fast.publish("S", number)
                assert await fast.flush() == 10_000 and await fast.flush() == 0
                assert fast.frames == len(batches) and fast.buffered == 0
            assert max(map(len, batches)) == FRAME_EVENTS and len(batches) < 50
            assert [decode(payload) for batch in batches for _, payload in batch] == list(range(10_000))
            served.cancel()

    run(main(), loop)


@each_loop
def test_one_event_is_sent_without_waiting_for_more(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            async with publisher.pipeline() as fast:
                await fast.publish("S", 1)
                assert fast.buffered == 1
                first = await connection.call()
                for number in range(10):
                    await fast.publish("S", number)
                await asyncio.sleep(0.02)
                assert fast.buffered == 10, "they wait for the acknowledgement"
                connection.answer(first[0], 1)
                seq, batch = await connection.call()
                assert len(batch) == 10
                connection.answer(seq, 10)
            assert fast.queued == 11

    run(main(), loop)


@each_loop
def test_no_more_than_so_much_is_unacknowledged(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            fast = publisher.pipeline()
            done = 0

            async def publish() -> None:
                nonlocal done
                for number in range(FRAME_EVENTS * (WINDOW + 2)):
                    await fast.publish("S", number)
                    done += 1

            task = asyncio.ensure_future(publish())
            calls = [await connection.call() for _ in range(WINDOW)]
            await asyncio.sleep(0.02)
            assert fast.frames == WINDOW and done < FRAME_EVENTS * (WINDOW + 1)
            with pytest.raises(AnswerTimeoutError, match="they stay in it"):
                await fast.flush(0.01)
            for seq, _ in calls:
                connection.answer(seq, FRAME_EVENTS)
            for _ in range(2):
                connection.answer((await connection.call())[0], FRAME_EVENTS)
            await task
            await fast.__aexit__(None, None, None)
            assert fast.queued == FRAME_EVENTS * (WINDOW + 2)

    run(main(), loop)


@each_loop
def test_a_broken_connection_is_told_once_and_the_next_events_go_on(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            batches: list[list[Any]] = []
            async with publisher.pipeline() as fast:
                await fast.publish("S", 1)
                await connection.call()
                connection.close()
                await true(lambda: not publisher.statistics().connected)
                with pytest.raises(PipelineOutcomeUnknownError, match="broke before it had answ") as caught:
                    await fast.publish("S", 2)
                assert numbers(caught.value) == (0, 0, 1, 0)
                await fast.publish("S", 3)
                served = asyncio.ensure_future(answering(await fake.next(), batches))
                assert await fast.flush() == 1
            assert publisher.statistics().unknown == 1 and publisher.statistics().published == 1
            served.cancel()

    run(main(), loop)


@each_loop
def test_the_end_of_the_block_says_what_was_not_published(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            with pytest.raises(PipelineError, match="1 were not published.*has called close") as caught:
                async with publisher.pipeline() as fast:
                    await fast.publish("S", 1)
                    await publisher.close()
            assert numbers(caught.value) == (0, 1, 0, 0)

    run(main(), loop)


def test_after_the_block(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            async with publisher.pipeline() as fast:
                pass
            with pytest.raises(EventServiceError, match="this pipeline is finished"):
                await fast.publish("S", 1)

    run(main())


@each_loop
def test_an_exception_leaves_the_block_after_everything_was_sent(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            with pytest.raises(LookupError):
                async with publisher.pipeline() as fast:
                    await fast.publish("S", 1)
                    raise LookupError
            assert publisher.statistics().published == 1 and fast.queued == 0

    run(main(), loop)


@each_loop
def test_what_was_accepted_is_sent_though_leaving_the_block_was_cancelled(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()

            async def leave(*subjects: str) -> None:
                async with publisher.pipeline() as fast:
                    for subject in subjects:
                        await fast.publish(subject, 1)

            task = asyncio.ensure_future(leave("A", "B"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            last = asyncio.ensure_future(publisher.publish("C", 3))
            subjects = []
            while "C" not in subjects:
                seq, batch = await connection.call()
                subjects += [name for name, _ in batch]
                connection.answer(seq, len(batch))
            assert subjects == ["A", "B", "C"] and await last == 1
            task = asyncio.ensure_future(leave("D"))
            await connection.call()
            task.cancel()
            await asyncio.wait({task})
            connection.close()
            await true(lambda: not publisher.statistics().connected)
            assert publisher.statistics().unknown == 1

    run(main(), loop)
    assert "a pipeline left by an exception could not send everything: of the events" in caplog.text


@each_loop
def test_a_refused_frame_is_told(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            with pytest.raises(PipelineError, match="a bad name") as caught:
                async with publisher.pipeline() as fast:
                    await fast.publish("S", 1)
                    seq, _ = await connection.call()
                    error = {"__class__": "builtins.ValueError", "args": ["a bad name"], "attributes": {}}
                    connection.answer(seq, error, flags=1)
            assert numbers(caught.value) == (0, 1, 0, 0)
            assert isinstance(caught.value.__cause__, ValueError)

    run(main(), loop)


@each_loop
def test_the_numbers_of_an_error_that_leaves_the_block_are_brought_up_to_date(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            with pytest.raises(PipelineError) as caught:
                async with publisher.pipeline() as fast:
                    for _ in range(FRAME_EVENTS * 2):
                        await fast.publish("S", 1)
                    seq, batch = await connection.call()
                    error = {"__class__": "builtins.ValueError", "args": ["no"], "attributes": {}}
                    connection.answer(seq, error, flags=1)
                    await true(lambda: fast._account.trouble)
                    later = asyncio.ensure_future(connection.call())
                    try:
                        await fast.publish("S", 2)
                    finally:
                        connection.answer((await later)[0], FRAME_EVENTS)
            assert numbers(caught.value) == (FRAME_EVENTS, FRAME_EVENTS, 0, 0)

    run(main(), loop)


@each_loop
def test_what_cannot_be_published(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
            with pytest.raises(ValueError, match="subject"):
                await fast.publish("", 1)
            with pytest.raises(UnsupportedTypeError):
                await fast.publish("S", object())
            with pytest.raises(MessageTooLargeError):
                await fast.publish("S", bytes(17 << 20))
            await fast.publish([], 1)
            await fast.publish(["a", "b"], 1)
            assert await fast.flush() == 0 and publisher.statistics().published == 2
            state = "open, 0 events pending, 0 deliveries queued"
            assert repr(fast).startswith("<aio.Pipeline of ") and repr(fast).endswith(f", {state}>")
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                pickle.dumps(fast)
        assert "finished" in repr(fast)

    run(main(), loop)


@each_loop
def test_many_tasks_share_one(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:

            async def publish(name: int) -> None:
                for number in range(300):
                    await fast.publish("S", (name, number))
                    if number % 50 == 0:
                        await asyncio.sleep(0)

            await asyncio.gather(*map(publish, range(20)))
            await fast.flush()
            assert fast.queued == 6000

    with collecting(service.uri, "S") as collector:
        run(main(), loop)
        collector.wait(6000)
    for name in range(20):
        assert [number for one, number in collector.messages() if one == name] == list(range(300))
