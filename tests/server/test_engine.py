"""The engine on a loop of the test's own, with a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from fake_subscriber import FakeSubscriber, fake_subscriber
from waiting import eventually

from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.engine import Engine
from pyro_events.server.limits.flow_control import BlockedPublish
from pyro_events.server.objects import Caller
from pyro_events.server.subscribers.callbacks.callback_address import Callback
from pyro_events.server.subscribers.subscribe_options import SubscribeOptions

NOW = 1234.5


@asynccontextmanager
async def engine(**options: object) -> AsyncIterator[Engine]:
    wanted = ServiceOptions(**{"drain": 0.2, **options})  # type: ignore[arg-type]
    one = Engine(wanted, now=lambda: NOW)
    try:
        yield one
    finally:
        await one.stop()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(), 20)

    asyncio.run(bounded())


def subscribe(one: Engine, subscriber: FakeSubscriber, *subjects: str) -> None:
    callback = Callback(("127.0.0.1", subscriber.port), "fake", subscriber.uri, "127.0.0.1")
    one.deliveries.subscribe(Caller("127.0.0.1", 4), callback, subjects, (), SubscribeOptions(None))


async def elsewhere(work: Callable[[], object]) -> object:
    """Let the fake subscriber, which blocks, do its part."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until a condition holds, which is looked at on the loop's thread."""
    loop = asyncio.get_running_loop()

    async def look() -> object:
        return condition()

    await elsewhere(lambda: eventually(lambda: asyncio.run_coroutine_threadsafe(look(), loop).result(10)))


def test_events_carry_the_engines_time() -> None:
    async def work() -> None:
        async with engine() as one:
            with fake_subscriber() as subscriber:
                subscribe(one, subscriber, "A", "B")
                await elsewhere(subscriber.greet)
                assert one.publish([(["A", "B"], b"1")]) == 2
                one.deliver()
                rows = await elsewhere(lambda: subscriber.take(2))
                assert rows == [["A", NOW, 1, 0, b"1"], ["B", NOW, 2, 0, b"1"]]

    run(work)


def test_a_full_backlog_makes_a_publication_that_comes_later() -> None:
    async def work() -> None:
        async with engine(backlog=BacklogOptions(backlog=2)) as one:
            with fake_subscriber() as subscriber:
                subscribe(one, subscriber, "A")
                held = one.publish((["A"], bytes([number])) for number in range(6))
                assert isinstance(held, BlockedPublish)
                done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                held.when_done(done.set_result)
                assert one.statistics().published == 3  # the third found it full
                await elsewhere(subscriber.greet)
                rows = await elsewhere(lambda: subscriber.take(6))
                assert isinstance(rows, list)
                assert [row[4] for row in rows] == [bytes([number]) for number in range(6)]
                assert await done == 6

    run(work)


def test_the_end_answers_what_is_held_and_counts_what_is_left() -> None:
    async def work() -> None:
        async with engine(backlog=BacklogOptions(backlog=2)) as one:
            with fake_subscriber() as subscriber:
                subscribe(one, subscriber, "A")
                held = one.publish((["A"], b"x") for _ in range(3))
                assert isinstance(held, BlockedPublish)
                answers: list[int] = []
                held.when_done(answers.append)
                await one.stop()
                assert answers == [3]
                found = one.statistics()
                assert (found.accepted, dict(found.lost), found.waiting) == (3, {"stopped": 3}, 0)
                with pytest.raises(ValueError, match="stopping"):
                    subscribe(one, subscriber, "A")

    run(work)


def test_an_engine_that_nobody_uses_ends_at_once() -> None:
    async def work() -> None:
        async with engine(drain=60) as one:
            assert one.publish([(["A"], b"x")]) == 0
            assert len(one.clients) == 0

    run(work)


def test_nothing_is_kept_of_subscribers_that_are_gone() -> None:
    async def work() -> None:
        async with engine() as one:
            for number in range(50):
                with fake_subscriber() as subscriber:
                    subscribe(one, subscriber, f"A.{number}")
                    await elsewhere(subscriber.greet)
            await until(lambda: not one.statistics().subscribers)
            assert one.broker.backlogs() == []
            assert not one.deliveries.table and not one.deliveries.lingering
            assert one.statistics().backlog_bytes == 0

    run(work)
