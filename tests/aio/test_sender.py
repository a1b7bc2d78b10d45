"""Sending in order from many tasks: what goes at once, what waits for its turn, and what is counted."""

from __future__ import annotations

import asyncio

import pytest
from asyncio_service import asyncio_service
from event_loops import each_loop, run, true

from pyro_events.aio.connection.connection import Connection
from pyro_events.aio.sender import Sender
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import (
    AnswerTimeoutError,
    EventServiceError,
    MessageTooLargeError,
    ServiceUnreachableError,
)

BUSY = ConnectTimes(idle=60.0)


def sender(uri: str) -> Sender:
    return Sender(ServiceLocator(uri, name="a test"), 0.0, BUSY)


class Buffered:
    """A pipeline with something in its buffer, which can be sent at once or not."""

    buffered = 1

    def __init__(self, at_once: bool, in_time: bool = True) -> None:
        self._at_once, self._in_time = at_once, in_time
        self.asked: list[str] = []

    def send_now(self) -> bool:
        self.asked.append("now")
        return self._at_once

    async def send_buffered(self, deadline: float | None = None) -> bool:
        self.asked.append("in turn")
        return self._in_time


@each_loop
def test_what_a_pipeline_has_buffered_goes_first(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            connection = await fake.next()
            for buffer, asked in ((Buffered(True), ["now"]), (Buffered(False), ["now", "in turn"])):
                one.current = buffer
                call = asyncio.ensure_future(one.publish(("S", b"x"), 1, None))
                connection.answer((await connection.call())[0], 2)
                assert await call == 2 and buffer.asked == asked
            one.current = Buffered(False, in_time=False)
            with pytest.raises(AnswerTimeoutError, match="it was not made"):
                await one.publish(("S", b"x"), 1, 5.0)
            assert one.statistics().published == 2 and one.statistics().unknown == 0
            await one.close()

    run(main(), loop)


@each_loop
def test_a_turn_that_does_not_come_in_time(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            await one.turns.take()
            assert one.at_once() is None
            with pytest.raises(AnswerTimeoutError, match="it was not made"):
                await one.publish(("S", b"x"), 1, 0.01)
            one.turns.give()
            assert isinstance(one.at_once(), Connection)
            await one.close()
            with pytest.raises(EventServiceError, match="has called close"):
                one.check()

    run(main(), loop)


@each_loop
def test_a_cancelled_call_is_unknown_and_its_reply_is_dropped(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            connection = await fake.next()
            call = asyncio.ensure_future(one.publish(("S", b"x"), 3, None))
            first = await connection.call()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert one.statistics().unknown == 3
            call = asyncio.ensure_future(one.publish(("S", b"y"), 1, None))
            second = await connection.call()
            connection.answer(first[0], 100)
            connection.answer(second[0], 200)
            assert await call == 200 and one.statistics().queued == 200
            await one.close()

    run(main(), loop)


@each_loop
def test_what_was_not_sent_is_sent_on_a_new_connection_but_not_for_ever(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            await fake.next()
            first = asyncio.ensure_future(one.publish(("S", b"x"), 1, None))
            kept = asyncio.ensure_future(one.publish(("S", b"y"), 1, None))
            await asyncio.sleep(0)
            connection = one.at_once()
            assert connection is not None
            connection.end("as if the service had gone in the middle of a turn")
            with pytest.raises(EventServiceError, match="broke before it had answered"):
                await first
            again = await fake.next()
            seq, batch = await again.call()
            assert batch == [["S", b"y"]]
            again.answer(seq, 5)
            assert await kept == 5
            await one.close()

    run(main(), loop)


@each_loop
def test_a_service_that_closes_every_connection(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            send = Connection.send

            def refusing(connection: Connection, call: object, pending: object) -> None:
                connection.end("it closes every connection")
                send(connection, call, pending)  # type: ignore[arg-type]

            monkeypatch.setattr(Connection, "send", refusing)
            with pytest.raises(ServiceUnreachableError, match="closes every connection"):
                await one.publish(("S", b"x"), 1, None)
            await one.close()

    run(main(), loop)


@each_loop
def test_a_new_service_with_another_limit(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            one = sender(fake.uri)
            await one.connect()
            one.connection.max_message = 10
            with pytest.raises(MessageTooLargeError, match="11 bytes, and the limit .* is 10"):
                await one.check_size(11)
            (await fake.next()).close()
            await true(lambda: not one.connection.connected)
            await one.check_size(11)  # it was asked again
            with pytest.raises(MessageTooLargeError):
                one.connection.max_message = 10
                await one.turns.take()
                call = asyncio.ensure_future(one.publish(("S", bytes(100_000)), 1, None))
                await asyncio.sleep(0)
                one.turns.give()
                await call
            await one.close()

    run(main(), loop)


def test_in_a_forked_child_it_belongs_to_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sender("127.0.0.1:9095")
    one.forked()
    assert one.home.loop is None and one.connection.closed
