"""The connection in use on a loop: one attempt for all that wait, made again, closed, dropped."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Iterator

import pytest
from event_loops import each_loop, event_loop, run, true
from fake_service import FakeService, fake_service

from pyro_events.aio.connection.current import CurrentConnection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import AnswerTimeoutError, EventServiceError, ServiceUnreachableError

TIMES = ConnectTimes(first_pause=0.001, last_pause=0.01)


def current(uri: str) -> CurrentConnection:
    return CurrentConnection(ServiceLocator(uri, name="a test"), TIMES)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def closed(one: CurrentConnection) -> None:
    one.close()
    await one.released()


@each_loop
def test_all_that_wait_get_the_same_connection(loop: str) -> None:
    async def main(fake: FakeService) -> None:
        one = current(fake.uri)
        assert not one.connected and one.usable() is None and one.address is None
        found = await asyncio.gather(*[one.open() for _ in range(5)])
        assert len(set(map(id, found))) == 1 and one.usable() is found[0]
        assert (one.connected, one.address, one.name) == (True, fake.uri, "a test")
        assert (one.announced, one.max_message, one.reconnects) == (None, MAX_MESSAGE, 0)
        found[0].end("as if the service had gone")
        assert one.usable() is None and not one.connected
        assert await one.open() is not found[0] and one.reconnects == 1
        await closed(one)

    with fake_service() as fake:
        run(main(fake), loop)


@each_loop
def test_one_that_is_cancelled_or_late_leaves_the_others_waiting(loop: str, silent: str) -> None:
    async def main() -> None:
        one = current(silent)
        patient = asyncio.ensure_future(one.open())
        given_up = asyncio.ensure_future(one.open())
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        with pytest.raises(AnswerTimeoutError, match="could not be sent"):
            await one.open(deadline=asyncio.get_running_loop().time() + 0.01)
        assert not patient.done() and one.in_use
        await closed(one)
        with pytest.raises(EventServiceError, match="has called close"):
            await patient
        with pytest.raises(EventServiceError, match="has called close"):
            await one.open()
        assert not one.in_use

    run(main(), loop)


@each_loop
def test_a_failure_is_told_to_all_and_the_next_attempt_is_a_new_one(
    loop: str, free_port: Callable[[], int]
) -> None:
    async def main() -> None:
        one = current(f"127.0.0.1:{free_port()}")
        found = await asyncio.gather(*[one.open() for _ in range(2)], return_exceptions=True)
        assert [type(each) for each in found] == [ServiceUnreachableError] * 2
        with pytest.raises(ServiceUnreachableError):
            await one.open()

    run(main(), loop)


def test_a_failure_that_nobody_waits_for_is_not_reported(free_port: Callable[[], int]) -> None:
    async def main() -> None:
        one = current(f"127.0.0.1:{free_port()}")
        task = asyncio.ensure_future(one.open())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await true(lambda: not one.in_use)

    run(main())


@each_loop
def test_the_first_connection_is_waited_for(loop: str, free_port: Callable[[], int]) -> None:
    port = free_port()

    async def main() -> None:
        one = current(f"127.0.0.1:{port}")
        with pytest.raises(ServiceUnreachableError, match="nothing listens"):
            await one.open_first(0.0)
        with pytest.raises(ServiceUnreachableError, match=r"\(after waiting 0.05 s\)$"):
            await one.open_first(0.05)
        waiting = asyncio.ensure_future(one.open_first(math.inf))
        await asyncio.sleep(0.02)
        with fake_service(port):
            await waiting
            assert one.connected
            await closed(one)

    run(main(), loop)


@each_loop
def test_the_first_connection_is_not_made_when_nobody_waits_for_it_any_more(loop: str, silent: str) -> None:
    async def main() -> None:
        one = current(silent)
        waiting = asyncio.ensure_future(one.open_first(math.inf))
        await true(lambda: one.in_use)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not one.in_use

    run(main(), loop)


@each_loop
def test_an_attempt_that_the_program_has_cancelled_does_not_close_it(loop: str, silent: str) -> None:
    """As a program does that cancels all tasks of its loop."""

    async def main() -> None:
        one = current(silent)
        before = asyncio.all_tasks()
        waiting = asyncio.ensure_future(one.open())
        await true(lambda: one.in_use)
        for task in asyncio.all_tasks() - before - {waiting}:
            task.cancel()
        with pytest.raises(
            EventServiceError, match="was cancelled by this program.*the next call tries again"
        ):
            await waiting
        assert not one.in_use
        again = asyncio.ensure_future(one.open())
        await true(lambda: one.in_use)
        await closed(one)
        with pytest.raises(EventServiceError, match="its program has called close"):
            await again

    run(main(), loop)


def test_what_was_opened_for_nobody_is_closed() -> None:
    async def main(fake: FakeService) -> None:
        one = current(fake.uri)
        made = await one.open()
        task: asyncio.Task[object] = asyncio.ensure_future(asyncio.sleep(0, made))
        await task
        one._opened(task)  # type: ignore[arg-type]
        assert made.ended == "nobody waits for it"
        await closed(one)

    with fake_service() as fake:
        run(main(fake))


def test_it_is_dropped_and_disowned() -> None:
    async def main(fake: FakeService) -> None:
        one = current(fake.uri)
        connection = await one.open()
        one.drop()
        await connection.released()
        assert one.closed and not one.connected
        CurrentConnection(ServiceLocator(fake.uri), TIMES).drop()
        other = current(fake.uri)
        connection = await other.open()
        with connection.sock.dup() as parents:
            other.disown()
            assert other.closed and not other.in_use
            assert parents.getpeername()
        await closed(other)
        connection.end("the test is over")
        await connection.released()

    with fake_service() as fake, event_loop() as loop:
        loop.run_until_complete(main(fake))
