"""Waiting on an event loop until a time, and for work that blocks.

Knows: futures, tasks, and the one kind of thread that this package starts on a loop. Must not know: what is
waited for.

`asyncio.wait_for` is not used: in Python 3.10 and 3.11 it may lose a cancellation, or a result.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def set_once(future: asyncio.Future[T], result: T) -> None:
    """Give a future its result, unless it has one, or nobody waits for it any more."""
    if not future.done():
        future.set_result(result)


async def result_by(future: asyncio.Future[T], deadline: float | None, late: T) -> T:
    """The result of a future of our own; it becomes `late` if it has none by the deadline (loop's clock)."""
    if deadline is None:
        return await future
    timer = future.get_loop().call_at(deadline, set_once, future, late)
    try:
        return await future
    finally:
        timer.cancel()


async def in_time(work: Coroutine[Any, Any, T], deadline: float) -> T:
    """The result of a coroutine. Raises TimeoutError if it has none by the deadline (loop's clock); it has
    ended then."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    expired: list[bool] = []

    def expire() -> None:
        expired.append(True)
        task.cancel()

    timer = loop.call_at(deadline, expire)
    try:
        return await task  # a cancellation is passed on to the task
    except asyncio.CancelledError:
        if expired:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


async def in_thread(work: Callable[[], T]) -> T:
    """The result of a function that blocks, such as a look-up, in a thread of its own.

    The thread does not keep the program from ending, as one of the loop's executor would. If nobody waits
    any more, its result is dropped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()

    def run() -> None:
        outcome: tuple[T | None, BaseException | None]
        try:
            outcome = work(), None
        except BaseException as error:  # it belongs to the coroutine that waits
            outcome = None, error
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(set_once, future, outcome)

    threading.Thread(target=run, name="pyro_events-lookup", daemon=True).start()
    result, error = await future
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
