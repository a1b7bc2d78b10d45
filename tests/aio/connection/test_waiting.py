"""Waiting until a time: results, lateness, cancellation, and work in a thread."""

from __future__ import annotations

import asyncio
import threading

import pytest
from event_loops import each_loop, event_loop, run, true

from pyro_events.aio.connection.waiting import in_thread, in_time, result_by, set_once


def test_a_result_is_given_once() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        set_once(future, 1)
        set_once(future, 2)
        assert await future == 1

    run(main())


@each_loop
def test_a_future_is_late_or_not(loop: str) -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        assert await result_by(here.create_future(), here.time() + 0.01, "late") == "late"
        soon = here.create_future()
        here.call_soon(soon.set_result, "in time")
        assert await result_by(soon, here.time() + 60, "late") == "in time"
        soon = here.create_future()
        here.call_soon(soon.set_result, "any time")
        assert await result_by(soon, None, "late") == "any time"

    run(main(), loop)


@each_loop
def test_a_coroutine_that_takes_too_long_has_ended(loop: str) -> None:
    ended = []

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def main() -> None:
        now = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await in_time(long(), now + 0.01)
        assert ended == [True]
        assert await in_time(asyncio.sleep(0, "done"), now + 60) == "done"
        task = asyncio.ensure_future(in_time(long(), now + 60))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(ended) == 2

    run(main(), loop)


@each_loop
def test_work_that_blocks_is_done_in_a_thread(loop: str) -> None:
    def fail() -> None:
        raise LookupError("unknown")

    async def main() -> None:
        here = threading.current_thread()
        assert await in_thread(threading.current_thread) is not here
        with pytest.raises(LookupError, match="unknown"):
            await in_thread(fail)

    run(main(), loop)


def test_nobody_waits_for_it_any_more() -> None:
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(20)
        done.set()

    async def main() -> None:
        task = asyncio.ensure_future(in_thread(work))
        await true(lambda: any(thread.name == "pyro_events-lookup" for thread in threading.enumerate()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with event_loop() as loop:
        loop.run_until_complete(main())
    go_on.set()  # the loop is closed by now
    assert done.wait(20)
