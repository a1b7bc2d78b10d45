"""Control calls on a loop: answers, errors, outcomes, and a connection that is closed when it is not used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from asyncio_service import AsyncioService, asyncio_service
from event_loops import each_loop, run, true

from pyro_events.aio.connection.connection import Connection
from pyro_events.aio.connection.control_calls import ControlCalls
from pyro_events.aio.connection.current import CurrentConnection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import (
    AnswerTimeoutError,
    EventServiceError,
    OutcomeUnknownError,
    ServiceUnreachableError,
)


@contextlib.asynccontextmanager
async def calling(idle: float = 60.0) -> AsyncIterator[tuple[ControlCalls, AsyncioService]]:
    async with asyncio_service() as fake:
        calls = ControlCalls(CurrentConnection(ServiceLocator(fake.uri, name="a test"), ConnectTimes()), idle)
        try:
            yield calls, fake
        finally:
            calls.close()
            await calls.connection.released()


@each_loop
def test_answers_and_errors(loop: str) -> None:
    async def main() -> None:
        async with calling() as (calls, fake):
            task = asyncio.ensure_future(calls.call("add", 1, [2]))
            connection = await fake.next()
            seq, method, arguments = await connection.any_call()
            assert (method, arguments) == ("add", [1, [2]])
            connection.answer(seq, {"sum": 3})
            assert await task == {"sum": 3}
            task = asyncio.ensure_future(calls.call("divide", 1, 0))
            error = {"__class__": "builtins.ValueError", "args": ["by zero"], "attributes": {}}
            connection.answer((await connection.any_call())[0], error, flags=1)
            with pytest.raises(ValueError, match="by zero"):
                await task

    run(main(), loop)


@each_loop
def test_no_answer_and_a_broken_connection(loop: str) -> None:
    async def main() -> None:
        async with calling() as (calls, fake):
            with pytest.raises(AnswerTimeoutError):
                await calls.call("f", timeout=0.05)
            task = asyncio.ensure_future(calls.call("f"))
            connection = await fake.next()
            for _ in range(2):
                await connection.any_call()
            connection.close()
            with pytest.raises(OutcomeUnknownError, match="broke before"):
                await task
            calls.close()
            with pytest.raises(EventServiceError, match="has called close"):
                await calls.call("f")

    run(main(), loop)


@each_loop
def test_a_service_that_closes_every_connection(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Connection.send

    def refusing(connection: Connection, call: object, pending: object) -> None:
        connection.end("it closes every connection")
        send(connection, call, pending)  # type: ignore[arg-type]

    async def main() -> None:
        async with calling() as (calls, _):
            monkeypatch.setattr(Connection, "send", refusing)
            with pytest.raises(ServiceUnreachableError, match="closes every connection"):
                await calls.call("f")

    run(main(), loop)


@each_loop
def test_the_connection_is_closed_when_it_is_not_used_and_made_again(loop: str) -> None:
    async def main() -> None:
        async with calling(idle=0.02) as (calls, fake):
            for number in range(2):
                task = asyncio.ensure_future(calls.call("f"))
                connection = await fake.next()
                seq, _, _ = await connection.any_call()
                await asyncio.sleep(0.05)
                assert calls.connection.connected, "it waits for an answer"
                connection.answer(seq, number)
                assert await task == number
                await true(lambda: not calls.connection.connected)
            assert calls.connection.reconnects == 1

    run(main(), loop)
