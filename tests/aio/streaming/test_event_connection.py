"""A stream's own connection on a loop: the roles are swapped between two bytes, and then events come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from asyncio_service import AsyncioService, ServedConnection, asyncio_service
from event_loops import each_loop, run, true

from pyro_events.aio.streaming.event_connection import EventConnection, open_event_connection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import ServiceUnreachableError
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import (
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.capabilities import OWN_CONNECTION
from pyro_events.wire.own_connection import OBJECT_ID, Attached

ANSWERS = FrameLimits(types=frozenset({INVOKE, RESULT, PING}), size=1 << 20)
ATTACHED = Attached("0" * 32, "an id")


def batch(seq: int, *numbers: int) -> bytes:
    return write_events(OBJECT_ID, seq, [("A", 1.0, each, 0, b"\x01") for each in numbers])


def answer(seq: int, value: Any, flags: int = 0) -> bytes:
    return write_frame(RESULT, flags, MSGPACK, seq, msgpack.packb(value))


def opening(
    fake: AsyncioService, again: bool = False, changes: list[int] | None = None, seconds: float = 10.0
) -> asyncio.Task[tuple[EventConnection, Attached]]:
    locator = ServiceLocator(fake.uri, name="a test")
    noted = changes if changes is not None else []
    work = open_event_connection(
        locator, {"backlog": 7}, ConnectTimes(), seconds, again, lambda: noted.append(len(noted))
    )
    return asyncio.ensure_future(work)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[AsyncioService]:
    async with asyncio_service(capabilities=[OWN_CONNECTION]) as fake:
        yield fake


async def closed(events: EventConnection) -> None:
    events.end("the test is over")
    await events.released()


async def attached(fake: AsyncioService, more: bytes = b"") -> ServedConnection:
    """Answer `attach`, with what comes in the same piece."""
    connection = await fake.next()
    seq, method, arguments = await connection.any_call()
    assert (method, arguments) == ("attach", [{"backlog": 7}])
    connection.writer.write(answer(seq, ATTACHED.plain()) + more)
    connection._frames = FrameReader(ANSWERS)
    return connection


@each_loop
def test_events_that_come_with_the_answer_and_later(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            changes: list[int] = []
            task = opening(fake, changes=changes)
            connection = await attached(fake, batch(1, 1, 2) + batch(2, 3))
            events, said = await task
            assert said == ATTACHED and events.ended is None
            assert not events.inbox.rows and events.begin()
            assert [row[2] for row in events.inbox.rows] == [1, 2] and events.inbox.waiting == 3
            assert events.inbox.rows[0][3] == 0
            before = len(changes)
            events.inbox.rows.clear()
            assert not events.begin()  # the first one is not acknowledged
            events.acknowledge_soon()
            assert (await connection.frame()).seq == 1 and events.begin()
            assert events.inbox.rows[0][2] == 3
            connection.writer.write(batch(3, *range(500))[:7])
            connection.writer.write(batch(3, *range(500))[7:] + write_frame(PING, 0, MSGPACK, 9, b"ping"))
            await true(lambda: events.inbox.waiting == 501 and len(changes) > before)
            pong = await connection.frame()
            assert (pong.type, pong.seq) == (PING, 9)
            await closed(events)

    run(main(), loop)


@each_loop
def test_the_first_event_of_another_connection_may_follow_a_gap(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            task = opening(fake, again=True)
            await attached(fake, batch(1, 1, 2))
            events, _ = await task
            assert events.begin()
            assert [row[3] for row in events.inbox.rows] == [None, 0]
            await closed(events)

    run(main(), loop)


@each_loop
def test_a_large_event_is_received_where_it_stays(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            task = opening(fake)
            connection = await attached(fake)
            events, _ = await task
            payload = bytes(range(256)) * 4096
            frame = write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0, payload)])
            connection.writer.write(frame + batch(2, 2))
            await true(lambda: events.inbox.waiting == 2)
            assert events.begin()
            assert bytes(events.inbox.rows[0][4]) == payload
            await closed(events)

    run(main(), loop)


@each_loop
@pytest.mark.parametrize(
    "nonsense",
    [b"SSH-2.0-OpenSSH", answer(7, 1), write_frame(INVOKE, 0, MSGPACK, 1, msgpack.packb(["x", "f", [], {}]))],
    ids=("stranger", "answer", "call"),
)
def test_what_may_not_come_ends_it(loop: str, nonsense: bytes) -> None:
    async def main() -> None:
        async with serving() as fake:
            changes: list[int] = []
            task = opening(fake, changes=changes)
            connection = await attached(fake)
            events, _ = await task
            before = len(changes)
            connection.writer.write(nonsense)
            await true(lambda: events.ended)
            assert len(changes) > before
            await events.released()

    run(main(), loop)


@each_loop
def test_a_batch_that_cannot_be_read_ends_it_when_its_first_event_is_wanted(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            changes: list[int] = []
            task = opening(fake, changes=changes)
            await attached(fake, write_events(OBJECT_ID, 1, [(5, 1.0, 1, 0, b"")]))  # type: ignore[list-item]
            events, _ = await task
            assert events.inbox.waiting == 1 and events.ended is None
            before = len(changes)
            assert not events.begin()
            assert "other than events" in str(events.ended) and len(changes) > before
            await events.released()

    run(main(), loop)


@each_loop
def test_an_exception_in_the_middle_of_reading_ends_it(loop: str) -> None:
    class Interrupted:
        finished = False

        def begin(self) -> None:
            raise LookupError("of a signal's handler")

    async def main() -> None:
        async with serving() as fake:
            task = opening(fake)
            await attached(fake, batch(1, 1))
            events, _ = await task
            events.inbox = Interrupted()  # type: ignore[assignment]
            with pytest.raises(LookupError):
                events.begin()
            assert events.ended == "reading was interrupted"
            await events.released()

    run(main(), loop)


@each_loop
def test_a_service_that_refuses_or_answers_nonsense_or_nothing(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            task = opening(fake)
            connection = await fake.next()
            error = {"__class__": "builtins.ValueError", "args": ["backlog is too large"], "attributes": {}}
            connection.answer((await connection.any_call())[0], error, flags=1)
            with pytest.raises(ValueError, match="backlog is too large"):
                await task
            task = opening(fake)
            connection = await fake.next()
            connection.answer((await connection.any_call())[0], "no key")
            with pytest.raises(ServiceUnreachableError, match="did not take over .*has not answered"):
                await task
            task = opening(fake, seconds=0.1)
            connection = await fake.next()
            with pytest.raises(ServiceUnreachableError, match="did not take over .*no answer in time"):
                await task
            task = opening(fake)
            connection = await fake.next()
            connection.close()
            with pytest.raises(ServiceUnreachableError, match="broke before it had answered"):
                await task

    run(main(), loop)


@each_loop
def test_a_service_that_has_no_such_connections(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            with pytest.raises(ServiceUnreachableError, match="or is older"):
                await opening(fake)

    run(main(), loop)


@each_loop
@pytest.mark.parametrize("answered", [True, False])
def test_a_cancelled_attempt_leaves_nothing_open(loop: str, answered: bool) -> None:
    async def main() -> None:
        async with serving() as fake:
            task = opening(fake)
            connection = await fake.next()
            seq, _, _ = await connection.any_call()
            task.cancel()
            if answered:
                connection.writer.write(answer(seq, ATTACHED.plain()) + batch(1, 1))
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await connection.frame() is None

    run(main(), loop)


@each_loop
def test_an_exception_in_the_middle_of_receiving_ends_it(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with serving() as fake:
            task = opening(fake)
            connection = await attached(fake)
            events, _ = await task

            def fail(data: bytes) -> bytes:
                raise LookupError("of a signal's handler")

            failing = {"feed": staticmethod(fail), "space": lambda self: None, "finished": False}
            events.inbox = type("Failing", (), failing)()
            connection.writer.write(batch(1, 1))
            await true(lambda: events.ended == "receiving was interrupted")
            await events.released()

    run(main(), loop)


@each_loop
def test_a_service_that_asks_and_does_not_read_the_answers_is_given_up(loop: str) -> None:
    async def main() -> None:
        async with serving() as fake:
            task = opening(fake)
            connection = await attached(fake)
            events, _ = await task
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pings = write_frame(PING, 0, MSGPACK, 9, b"ping") * 1000
            while events.ended is None:
                connection.writer.write(pings)
                await asyncio.sleep(0)
            assert events.ended == "the service does not read what it is answered"
            await events.released()

    run(main(), loop)
