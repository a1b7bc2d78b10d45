"""Knocking: letting subscribers know that they were given up.

Knows: where they are, how often and how long to try. Must not know: why they were given up, links, or
what is subscribed.

Whoever is given up because the line is cut does not hear of it: TCP repeats the end of a connection less
and less often, so that word of it comes long after the line is back, and until then he takes silence for a
quiet day. So we connect to his daemon as soon as that is possible, and leave without a word. His program
then asks how it stands with us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

from ...constants import KNOCK_EVERY, KNOCK_FOR
from ...log.background import get_logger

log = get_logger("pyro_events.delivery")

# How long one attempt may take, in seconds: no longer than a lost SYN, which the next one repeats.
_PATIENCE: Final = 1.0
# Attempts at a time: at one host that has answered, and in all.
_AT_ONE_HOST: Final = 4
_AT_ONCE: Final = 32
# Who comes when so many are absent finds out by itself, when it next asks for a sign of life.
_MOST_ABSENT: Final = 10_000

Address = tuple[str, int]


class ReconnectHint:
    """All knocking of one service."""

    def __init__(self, is_back: Callable[[str], bool]) -> None:
        """is_back: whether a subscriber, by its name, has come back by itself."""
        self._is_back = is_back
        self._loop = asyncio.get_running_loop()
        # By host and name: where each absent subscriber is, and when to let it be.
        self._absent: dict[str, dict[str, tuple[Address, float]]] = {}
        self._count = 0
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, subscriber: str, address: Address) -> None:
        """A subscriber was given up, and may not hear of it."""
        if self._count >= _MOST_ABSENT:
            log.info("%s is not looked for: %d others are", subscriber, self._count, about="full")
            return
        host = address[0]
        absent = self._absent.get(host)
        if absent is None:
            absent = self._absent[host] = {}
            task = self._loop.create_task(self._knock_at(host, absent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._count += subscriber not in absent
        absent[subscriber] = address, self._loop.time() + KNOCK_FOR

    async def stop(self) -> None:
        """Knock no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _knock_at(self, host: str, absent: dict[str, tuple[Address, float]]) -> None:
        """Knock at the doors of one host until nobody there is absent."""
        while absent:
            # Most have heard of it, and are back before the first attempt.
            await asyncio.sleep(KNOCK_EVERY)
            now = self._loop.time()
            for subscriber in [each for each, (_, until) in absent.items() if now >= until]:
                self._forget(absent, subscriber)
            doors = 1
            while absent and await self._knock_at_some(absent, doors):
                doors = _AT_ONE_HOST
        del self._absent[host]

    async def _knock_at_some(self, absent: dict[str, tuple[Address, float]], doors: int) -> bool:
        """Knock at the next few doors; returns whether it is worth while to go on with others there."""
        next_few: dict[str, Address] = {}
        for subscriber, (address, _) in list(islice(absent.items(), doors)):
            if self._is_back(subscriber):
                self._forget(absent, subscriber)
            else:
                next_few[subscriber] = address
        answers = await asyncio.gather(*map(self._answered, next_few.values()))
        for subscriber, answered in zip(next_few, answers, strict=True):
            if answered:
                self._forget(absent, subscriber)
            else:  # one door that stays shut shall not keep us from the others
                absent[subscriber] = absent.pop(subscriber)
        return any(answers) or not answers

    def _forget(self, absent: dict[str, tuple[Address, float]], subscriber: str) -> None:
        del absent[subscriber]
        self._count -= 1

    async def _answered(self, address: Address) -> bool:
        """Connect and leave; returns whether there was an answer, be it a refusal."""
        async with self._room:
            try:
                await asyncio.wait_for(self._loop.create_connection(_Visit, *address), _PATIENCE)
            except ConnectionRefusedError:  # the program has ended: nobody is waiting
                return True
            except (OSError, asyncio.TimeoutError):
                return False
        return True


class _Visit(asyncio.Protocol):
    """A connection that ends as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
