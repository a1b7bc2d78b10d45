"""Event loops for tests of asyncio programs: asyncio's own and, where it is installed, uvloop.

Knows: how a loop is made, run and closed. Must not know: what runs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
each_loop = pytest.mark.parametrize("loop", LOOPS)


@contextlib.contextmanager
def event_loop(name: str = "asyncio") -> Iterator[asyncio.AbstractEventLoop]:
    """A loop, closed at the end. Nothing that it could not handle itself may have been reported to it."""
    made: asyncio.AbstractEventLoop = importlib.import_module(name).new_event_loop()
    reported: list[dict[str, Any]] = []
    made.set_exception_handler(lambda loop, context: reported.append(context))
    try:
        yield made
    finally:
        rest = asyncio.all_tasks(made)
        for task in rest:
            task.cancel()
        if rest:
            made.run_until_complete(asyncio.wait(rest))
        made.run_until_complete(made.shutdown_asyncgens())
        made.close()
    assert reported == []


def run(work: Coroutine[Any, Any, T], name: str = "asyncio", seconds: float = 60.0) -> T:
    """The result of a coroutine, on a loop of that kind. It must come within so many seconds."""
    with event_loop(name) as loop:
        return loop.run_until_complete(asyncio.wait_for(work, seconds))


async def true(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until a condition is true. Raises AssertionError if that takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    pause = 0.0
    while not condition():
        assert loop.time() < end, f"not within {seconds} s: {condition}"
        await asyncio.sleep(pause)
        pause = min(0.05, pause * 2 + 0.0005)


class LoopThread:
    """A loop in a thread of its own, until `close`.

    Nothing that it could not handle may have been reported to it.
    """

    def __init__(self, name: str = "asyncio") -> None:
        self._loop: asyncio.AbstractEventLoop = importlib.import_module(name).new_event_loop()
        self._reported: list[dict[str, Any]] = []
        self._loop.set_exception_handler(lambda loop, context: self._reported.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, which must come within a minute."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call a function soon."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()
        assert self._reported == []
