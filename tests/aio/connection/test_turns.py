"""Turns: one task at a time, in order, and no turn is lost by a cancellation or a deadline."""

from __future__ import annotations

import asyncio
import random

import pytest
from event_loops import each_loop, run

from pyro_events.aio.connection.turns import Turns


@each_loop
def test_they_come_in_order(loop: str) -> None:
    async def main() -> None:
        turns, order = Turns(), []

        async def one(number: int) -> None:
            assert await turns.take()
            order.append(number)
            await asyncio.sleep(0)
            turns.give()

        await asyncio.gather(*map(one, range(10)))
        assert order == list(range(10)) and not turns.taken

    run(main(), loop)


def test_one_that_comes_just_when_a_turn_is_over_overtakes_nobody() -> None:
    async def main() -> None:
        turns = Turns()
        await turns.take()
        waiting = asyncio.ensure_future(turns.take())
        await asyncio.sleep(0)
        turns.give()
        assert turns.taken
        assert await waiting
        turns.give()
        assert not turns.taken

    run(main())


def test_a_deadline_is_kept_and_its_turn_goes_to_the_next() -> None:
    async def main() -> None:
        loop, turns = asyncio.get_running_loop(), Turns()
        await turns.take()
        late = asyncio.ensure_future(turns.take(loop.time() + 0.01))
        patient = asyncio.ensure_future(turns.take())
        assert await late is False
        turns.give()
        assert await patient is True
        turns.give()
        assert not turns.taken

    run(main())


@each_loop
@pytest.mark.parametrize("seed", range(3))
def test_no_turn_is_lost_by_cancellations(loop: str, seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        turns, inside, done = Turns(), 0, 0

        async def one() -> None:
            nonlocal inside, done
            if await turns.take():
                try:
                    inside += 1
                    assert inside == 1
                    await asyncio.sleep(0)
                    inside -= 1
                    done += 1
                except asyncio.CancelledError:
                    inside -= 1
                    raise
                finally:
                    turns.give()

        tasks: list[asyncio.Task[None]] = []
        for _ in range(2_000):
            tasks.append(asyncio.ensure_future(one()))
            if chance.random() < 0.7:
                chance.choice(tasks[-20:]).cancel()
            if chance.random() < 0.4:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(each is None or isinstance(each, asyncio.CancelledError) for each in outcomes)
        assert done > 0 and not turns.taken

    run(main(), loop)


def test_a_few_at_a_time() -> None:
    async def main() -> None:
        turns, inside, most = Turns(3), 0, 0

        async def one() -> None:
            nonlocal inside, most
            await turns.take()
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            turns.give()

        await asyncio.gather(*[one() for _ in range(20)])
        assert most == 3 and not turns.taken
        assert [await turns.take() for _ in range(3)] and turns.taken

    run(main())
