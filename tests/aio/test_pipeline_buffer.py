"""What a pipeline on a loop has buffered: when it is sent, at once, in turn or by a task, and what fails."""

from __future__ import annotations

import asyncio

import pytest
from asyncio_service import asyncio_service
from event_loops import each_loop, run, true

from pyro_events.aio.pipeline_buffer import PipelineBuffer
from pyro_events.aio.sender import Sender
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.publishing.frames import WINDOW
from pyro_events.errors import ServiceUnreachableError


def buffer_of(uri: str) -> tuple[PipelineBuffer, Sender]:
    sender = Sender(ServiceLocator(uri, name="a test"), 0.0)
    return PipelineBuffer(sender), sender


@each_loop
def test_it_is_sent_at_the_next_turn_and_then_with_each_acknowledgement(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            connection = await fake.next()
            buffer.append(("S", b"1"), 10)
            buffer.append(("S", b"2"), 10)
            assert (buffer.buffered, buffer.size, buffer.pending) == (2, 20, 2)
            seq, batch = await connection.call()
            assert len(batch) == 2 and (buffer.buffered, buffer.size, buffer.pending) == (0, 0, 2)
            buffer.append((["S", "T"], b"3"), 10)
            await asyncio.sleep(0.01)
            assert buffer.buffered == 1 and buffer.pending == 4
            connection.answer(seq, 2)
            seq, batch = await connection.call()
            assert len(batch) == 1
            connection.answer(seq, 0)
            assert await buffer.settle()
            assert buffer.account.published == 4 and buffer.pending == 0
            await sender.close()

    run(main(), loop)


@each_loop
def test_where_something_has_to_be_waited_for_a_task_does_it(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            (await fake.next()).close()
            await true(lambda: not sender.connection.connected)
            buffer.append(("S", b"1"), 10)
            connection = await fake.next()  # made by that task
            connection.answer((await connection.call())[0], 1)
            assert await buffer.settle() and buffer.account.published == 1
            await sender.turns.take()
            buffer.append(("S", b"2"), 10)
            await asyncio.sleep(0.01)
            assert buffer.buffered == 1 and not buffer.send_now()
            sender.turns.give()
            connection.answer((await connection.call())[0], 1)
            assert await buffer.settle()
            await sender.close()

    run(main(), loop)


@each_loop
def test_a_full_window_and_a_deadline(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            now = asyncio.get_running_loop().time
            for number in range(WINDOW):
                buffer.append(("S", b"%d" % number), 10)
                assert buffer.send_now()
            buffer.append(("S", b"more"), 10)
            assert not buffer.send_now()
            assert not await buffer.send_buffered(now() + 0.01)
            assert not await buffer.settle(now() + 0.01)
            await sender.turns.take()
            assert not await buffer.settle(now() + 0.01)
            sender.turns.give()
            assert buffer.pending == WINDOW + 1
            connection = await fake.next()
            for _ in range(WINDOW + 1):
                connection.answer((await connection.call())[0], 1)
            assert await buffer.settle(now() + 60)
            await sender.close()

    run(main(), loop)


@each_loop
def test_a_service_that_cannot_be_reached_any_more(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            await fake.next()
        await true(lambda: not sender.connection.connected)
        buffer.append(("S", b"1"), 10)
        assert await buffer.settle()
        await buffer.send_alone(("S", bytes(100_000)), 1)
        account = buffer.account
        assert account.not_published == 2 and isinstance(account.cause, ServiceUnreachableError)
        buffer.append(("S", b"1"), 10)
        await sender.close()
        await asyncio.sleep(0.01)
        assert buffer.pending == 1, "nobody waits for it, and nothing is sent after close"

    run(main(), loop)


def test_what_nobody_is_told_is_logged_when_it_is_known(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            connection = await fake.next()
            buffer.append(("S", b"1"), 10)
            await connection.call()
            buffer.abandon()
            assert not buffer.account.trouble
            connection.close()
            await true(lambda: not buffer.pending)
            assert not buffer.account.trouble, "it has been told: to the log"
            await sender.close()

    run(main())
    assert "could not send everything: of the events of a pipeline 0 were published" in caplog.text


@each_loop
def test_the_same_where_no_frame_could_be_sent_any_more(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            buffer, sender = buffer_of(fake.uri)
            await sender.connect()
            await fake.next()
        await true(lambda: not sender.connection.connected)
        buffer.append(("S", b"1"), 10)
        buffer.abandon()
        await true(lambda: not buffer.pending)
        await true(lambda: not buffer.account.trouble)
        await sender.close()

    run(main(), loop)
    assert (
        "could not send everything: of the events of a pipeline 0 were published, 1 were not" in caplog.text
    )
