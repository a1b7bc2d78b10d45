"""Reconnect hint: lets subscribers know that they were disconnected.

Knows: where they are, how often and how long to try. Must not know: why they were disconnected, deliveries,
or subscriptions.

After a network failure a subscriber may not learn that it was disconnected: TCP retransmits the end of a
connection at growing intervals, so that it arrives long after the network is back. Until then the subscriber
takes the silence for a time without events. So the service connects to the subscriber's daemon as soon as
possible, and closes that connection at once. The subscriber then asks the service whether it is still
subscribed.

A shorter heartbeat of the subscribers would not do the same. To find a loss within the two seconds that are
promised, each of them would have to ask every second. That costs the service 50 µs each time: half a core for
10,000 subscribers, while nothing happens. And a question that was sent while the network was away is
retransmitted at the same growing intervals. The hint costs nothing until a subscriber is disconnected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

from ....constants import HINT_DURATION, HINT_INTERVAL
from ....log.background import get_logger

log = get_logger("pyro_events.delivery")

# How long one attempt may take, in seconds: no longer than a lost SYN, because the next attempt sends
# another.
_ATTEMPT: Final = 1.0
# How many attempts there are at a time: at one host that has answered, and in all.
_AT_ONE_HOST: Final = 4
_AT_ONCE: Final = 32
# If so many subscribers are waiting for their hint, another one gets none; it finds out by itself when it
# next asks for a sign of life.
_MOST_ABSENT: Final = 10_000

Address = tuple[str, int]


class ReconnectHint:
    """All hints of one service."""

    def __init__(self, is_back: Callable[[str], bool]) -> None:
        """is_back: whether a subscriber, by its name, has reconnected by itself."""
        self._is_back = is_back
        self._loop = asyncio.get_running_loop()
        # By host and name: the address of each subscriber, and until when to try.
        self._absent: dict[str, dict[str, tuple[Address, float]]] = {}
        self._count = 0
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, subscriber: str, address: Address) -> None:
        """A subscriber was disconnected, and may not learn of it."""
        if self._count >= _MOST_ABSENT:
            log.info(
                "%s gets no reconnect hint: %d others wait for theirs", subscriber, self._count, about="full"
            )
            return
        host = address[0]
        absent = self._absent.get(host)
        if absent is None:
            absent = self._absent[host] = {}
            task = self._loop.create_task(self._hint_host(host, absent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._count += subscriber not in absent
        absent[subscriber] = address, self._loop.time() + HINT_DURATION

    async def stop(self) -> None:
        """Try no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hint_host(self, host: str, absent: dict[str, tuple[Address, float]]) -> None:
        """Connect to the subscribers of one host until each has had its hint."""
        while absent:
            # Most have learned of it, and are back before the first attempt.
            await asyncio.sleep(HINT_INTERVAL)
            now = self._loop.time()
            for subscriber in [each for each, (_, until) in absent.items() if now >= until]:
                self._forget(absent, subscriber)
            count = 1
            while absent and await self._hint_some(absent, count):
                count = _AT_ONE_HOST
        del self._absent[host]

    async def _hint_some(self, absent: dict[str, tuple[Address, float]], count: int) -> bool:
        """Connect to the next few subscribers. Returns whether to go on with others of that host."""
        next_few: dict[str, Address] = {}
        for subscriber, (address, _) in list(islice(absent.items(), count)):
            if self._is_back(subscriber):
                self._forget(absent, subscriber)
            else:
                next_few[subscriber] = address
        answers = await asyncio.gather(*map(self._answered, next_few.values()))
        for subscriber, answered in zip(next_few, answers, strict=True):
            if answered:
                self._forget(absent, subscriber)
            else:  # a subscriber that does not answer must not delay the others
                absent[subscriber] = absent.pop(subscriber)
        return any(answers) or not answers

    def _forget(self, absent: dict[str, tuple[Address, float]], subscriber: str) -> None:
        del absent[subscriber]
        self._count -= 1

    async def _answered(self, address: Address) -> bool:
        """Connect and disconnect. Returns whether there was an answer; a refusal is one, too."""
        async with self._slots:
            try:
                await asyncio.wait_for(self._loop.create_connection(_HintConnection, *address), _ATTEMPT)
            except ConnectionRefusedError:  # the program has ended, so nothing waits for a hint
                return True
            except (OSError, asyncio.TimeoutError):
                return False
        return True


class _HintConnection(asyncio.Protocol):
    """A connection that ends as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
