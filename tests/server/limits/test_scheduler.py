"""The loop's time, and the pool's, are shared: with a real loop, and no sockets."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from pyro_events.server.clients.long_result import LongResult
from pyro_events.server.limits.scheduler import Scheduler, SharedPool


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 10))


def busy(seconds: float) -> None:
    end = monotonic() + seconds
    while monotonic() < end:
        pass


def test_a_little_work_loads_nothing() -> None:
    async def work() -> None:
        scheduler = Scheduler()
        participant = scheduler.join("10.0.0.1", lambda: None)
        scheduler.used(participant, 0.0005)
        assert not scheduler.loaded
        scheduler.used(participant, 0.0006)
        assert scheduler.loaded
        await asyncio.sleep(0)
        assert not scheduler.loaded

    run(work)


def test_one_of_another_host_waits_for_one_turn_and_not_for_two_hundred() -> None:
    async def work() -> None:
        scheduler = Scheduler()
        order: list[str] = []
        done = asyncio.Event()

        def greedy(participant: list[Any]) -> None:
            order.append("greedy")
            busy(0.011)
            if not done.is_set():
                scheduler.wait(participant[0])

        for _ in range(200):
            participant: list[Any] = []
            participant.append(
                scheduler.join("10.0.0.1", lambda participant=participant: greedy(participant))
            )
            scheduler.wait(participant[0])
        await asyncio.sleep(0)  # they are at it

        def modest() -> None:
            order.append("modest")
            done.set()

        other = scheduler.join("10.0.0.2", modest)
        assert scheduler.loaded
        before = len(order)
        scheduler.wait(other)
        await done.wait()
        assert order.index("modest") - before <= 2

    run(work)


def test_a_host_has_one_thread_of_the_pool_at_a_time() -> None:
    async def work() -> None:
        with ThreadPoolExecutor(2) as executor:
            pool = SharedPool(executor, 2)
            release, results = threading.Event(), []
            for _ in range(10):
                pool.submit("10.0.0.1", release.wait).when_done(results.append)
            other = asyncio.get_running_loop().create_future()
            pool.submit("10.0.0.2", lambda: 1 // 0).when_done(other.set_result)
            assert isinstance(await other, ZeroDivisionError)
            assert results == []
            release.set()
            while len(results) < 10:
                await asyncio.sleep(0.001)
            assert results == [True] * 10

    run(work)


def test_a_pool_that_has_stopped_begins_nothing() -> None:
    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            pool = SharedPool(executor, 1)
            release, results = threading.Event(), []
            for _ in range(2):
                pool.submit("10.0.0.1", release.wait).when_done(results.append)
            pool.stop()
            release.set()
            while not results:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            assert results == [True]

    run(work)


def test_work_that_nobody_wants_any_more_is_neither_done_nor_kept() -> None:
    """Or a program that sends large calls and leaves could fill the service, and keep the others of its host
    waiting for minutes."""

    class Call:
        def __call__(self) -> None:
            done.append("by one who has left")

    done: list[Any] = []

    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            pool = SharedPool(executor, 1)
            release = threading.Event()
            pool.submit("10.0.0.1", release.wait).when_done(done.append)
            left = [pool.submit("10.0.0.1", Call()) for _ in range(5)]
            kept = weakref.ref(left[0].call)  # type: ignore[arg-type]
            for each in left:
                each.when_done(done.append)
                each.abandon()
            gc.collect()
            assert kept() is None
            last = asyncio.get_running_loop().create_future()
            pool.submit("10.0.0.1", lambda: "last").when_done(last.set_result)
            release.set()
            assert await last == "last"
            assert done == [True]

    run(work)


def test_a_turn_that_fails_does_not_end_the_others() -> None:
    async def work() -> None:
        loop, scheduler, done, errors = asyncio.get_running_loop(), Scheduler(), asyncio.Event(), []
        loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        scheduler.wait(scheduler.join("10.0.0.1", lambda: [].pop()))
        scheduler.wait(scheduler.join("10.0.0.1", done.set))
        await done.wait()
        assert [type(error) for error in errors] == [IndexError]
        assert not scheduler.loaded

    run(work)


def pieces(made: list[int], seconds: float = 0.0) -> Generator[None, None, str]:
    for number in range(4):
        busy(seconds)
        made.append(number)
        yield
    return "whole"


def test_a_long_result_is_made_while_others_have_their_turns() -> None:
    async def work() -> None:
        scheduler, made = Scheduler(), list[int]()
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        LongResult(scheduler, "10.0.0.1", pieces(made, 0.011), str.upper).when_done(done.set_result)
        seen = []
        scheduler.wait(scheduler.join("10.0.0.2", lambda: seen.append(len(made))))
        assert await done == "WHOLE"
        assert made == [0, 1, 2, 3] and seen and seen[0] <= 1
        assert not scheduler.loaded

    run(work)


def test_a_short_one_takes_one_turn_and_one_that_nobody_wants_none() -> None:
    async def work() -> None:
        scheduler, made, unwanted = Scheduler(), list[int](), list[int]()
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        given_up = LongResult(scheduler, "10.0.0.1", pieces(unwanted), str.upper)
        given_up.abandon()
        LongResult(scheduler, "10.0.0.1", pieces(made), str.upper).when_done(done.set_result)
        await done
        assert (made, unwanted) == ([0, 1, 2, 3], [])

    run(work)
