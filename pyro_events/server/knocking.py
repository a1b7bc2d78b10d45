"""Knocking: letting subscribers know that they were given up.

Knows: where they are, and how often and how long to try. Must not know: why they were given up, links, or
what is subscribed.

Whoever is given up because the line is cut does not hear of it: TCP repeats the end of a connection less
and less often, so that word of it comes long after the line is back, and until then he takes silence for a
quiet day. So we connect to his daemon as soon as that is possible, and leave without a word. His program
then subscribes again, which does no harm where there was no need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ..constants import KNOCK_EVERY, KNOCK_FOR

# Hosts that are tried at a time. A host whose line is cut has as many subscribers as it likes.
_MOST_HOSTS: Final = 100

Address = tuple[str, int]


class Knocking:
    """All knocking of one service: one attempt at a time for each host."""

    def __init__(self, is_back: Callable[[str], bool]) -> None:
        """is_back: whether a subscriber, by its name, has come back by itself."""
        self._is_back = is_back
        self._loop = asyncio.get_running_loop()
        # By host and name: where each absent subscriber is, and when to let it be.
        self._absent: dict[str, dict[str, tuple[Address, float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, subscriber: str, address: Address) -> None:
        """A subscriber was given up, and may not hear of it."""
        host = address[0]
        absent = self._absent.get(host)
        if absent is None:
            if len(self._absent) >= _MOST_HOSTS:
                return
            absent = self._absent[host] = {}
            task = self._loop.create_task(self._knock_at(host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        absent[subscriber] = address, self._loop.time() + KNOCK_FOR

    def stop(self) -> None:
        """Knock no more."""
        for task in self._tasks:
            task.cancel()

    async def _knock_at(self, host: str) -> None:
        """Knock at the doors of one host until nobody there is absent."""
        absent = self._absent[host]
        try:
            while absent:
                # Most have heard of it, and are back before the first attempt.
                await asyncio.sleep(KNOCK_EVERY)
                await self._knock_at_each(absent)
        finally:
            del self._absent[host]

    async def _knock_at_each(self, absent: dict[str, tuple[Address, float]]) -> None:
        """Knock at each door, as far as the host can be reached."""
        for subscriber, (address, until) in list(absent.items()):
            concerned = self._loop.time() < until and not self._is_back(subscriber)
            if concerned and not await self._answered(address):
                return
            del absent[subscriber]

    async def _answered(self, address: Address) -> bool:
        """Connect and leave; returns whether there was an answer, be it a refusal."""
        connecting = self._loop.create_connection(asyncio.Protocol, *address)
        try:
            transport, _ = await asyncio.wait_for(connecting, KNOCK_EVERY)
        except ConnectionRefusedError:  # the program has ended: nobody is waiting
            return True
        except (OSError, asyncio.TimeoutError):
            return False
        transport.close()
        return True
