"""Cancelling: whatever await of an asyncio publisher is cancelled, it can be used on, and is in step (C34).

Each publishing task numbers its events. So the subscriber sees whether they come in order, and none twice;
and the task knows which of them must have come, because their calls have returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from contract import running
from event_loops import each_loop, run
from listening import Collector, collecting

from pyro_events import EventServiceError, aio
from pyro_events.aio.connection.waiting import in_thread
from resilience.proxy import Proxy

CANCELLATIONS = 10_000
TASKS = 20


class Storm:
    """Runs calls, and cancels most of them after a random number of the loop's turns."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.cancelled = 0
        # The numbers of each task whose calls have returned.
        self.returned: dict[str, list[int]] = {}

    async def call(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Whether the call has returned."""
        task = asyncio.create_task(work)
        if self.random.random() < 0.8:
            for _ in range(self.random.choice((0, 0, 1, 1, 2, 3, 5, 10))):
                await asyncio.sleep(0)
            if self.random.random() < 0.1:
                await asyncio.sleep(self.random.random() / 500)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.cancelled += 1
            return False
        return True

    def message(self, name: str, number: int) -> tuple[str, int, bytes]:
        """Mostly small; some fill a frame, some the socket."""
        size = self.random.choices((0, 1_000, 40_000, 300_000), (100, 20, 5, 1))[0]
        return name, number, bytes(size)


async def one_by_one(storm: Storm, publisher: aio.Publisher, name: str, last: int) -> None:
    returned = storm.returned.setdefault(name, [])
    number = 0
    while storm.cancelled < last:
        number += 1
        timeout = storm.random.choice((None, None, 5.0))
        if await storm.call(publisher.publish("S", storm.message(name, number), timeout=timeout)):
            returned.append(number)


async def in_pipelines(storm: Storm, publisher: aio.Publisher, name: str, last: int) -> None:
    returned = storm.returned.setdefault(name, [])
    number = 0
    while storm.cancelled < last:
        accepted: list[int] = []
        pipeline = publisher.pipeline()
        for _ in range(storm.random.randrange(100)):
            number += 1
            if await storm.call(pipeline.publish("S", storm.message(name, number))):
                accepted.append(number)
            elif storm.random.random() < 0.1:
                await storm.call(pipeline.flush())
        await storm.call(pipeline.__aexit__(None, None, None))
        returned += accepted


def check(storm: Storm, events: list[tuple[str, int, bytes]]) -> None:
    got: dict[str, list[int]] = {}
    for name, number, _ in events:
        got.setdefault(name, []).append(number)
    for name, numbers in got.items():
        assert numbers == sorted(set(numbers)), f"{name} is out of order, or has events twice"
    for name, returned in storm.returned.items():
        assert set(returned) <= set(got.get(name, ())), f"events of {name} were acknowledged and are lost"


@each_loop
@pytest.mark.parametrize("seed", [1, 2])
def test_c34_ten_thousand_cancellations(loop: str, seed: int) -> None:
    storm = Storm(seed)

    async def main(uri: str) -> None:
        async with aio.Publisher(es_uri=uri) as publisher:
            kinds = (one_by_one, in_pipelines)
            work = [kinds[n % 2](storm, publisher, f"task {n}", CANCELLATIONS) for n in range(TASKS)]
            await asyncio.gather(*work)
            assert await publisher.publish("S", ("end", 1, b"")) == 1
            statistics = publisher.statistics()
            assert statistics.connected and statistics.reconnects == 0
            assert statistics.queued == statistics.published > 0

    # A backlog that is often full, so that publishers are often held up in the middle of something.
    with running(backlog=50) as service, collecting(service.uri, "S") as collector:
        run(main(service.uri), loop, 100)
        collector.wait(1)
        received = until_end(collector)
    check(storm, received)
    assert storm.cancelled >= CANCELLATIONS


def until_end(collector: Collector) -> list[tuple[str, int, bytes]]:
    """The messages up to the last one, which is published after all others have been accepted."""
    from waiting import eventually

    eventually(lambda: collector.events and collector.events[-1].msg[0] == "end")
    return collector.messages()


# Streams


class Taking:
    """Takes events from a stream by calls that are cancelled most of the time, and keeps them in order."""

    def __init__(self, storm: Storm, stream: aio.EventStream) -> None:
        self._storm = storm
        self._stream = stream
        self.got: list[tuple[str, int]] = []

    async def _get(self, timeout: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            event = await self._stream.get(timeout)
            self.got.append((event.subject, event.msg))

    async def _loop(self, most: int) -> None:
        async for event in self._stream:
            self.got.append((event.subject, event.msg))
            most -= 1
            if most <= 0:
                return

    async def _resubscribe(self, number: int) -> None:
        await self._stream.subscribe(f"OTHER.{number}")
        await self._stream.unsubscribe(f"OTHER.{number}")

    async def run(self, last: int) -> None:
        chance = self._storm.random
        while self._storm.cancelled < last:
            kind = chance.random()
            if kind < 0.5:
                await self._storm.call(self._get(chance.choice((None, 0, 0.001))))
            elif kind < 0.98:
                await self._storm.call(self._loop(chance.randrange(50)))
            else:
                await self._storm.call(self._resubscribe(chance.randrange(5)))


async def publish_all_the_time(publisher: aio.Publisher, done: asyncio.Event) -> int:
    """Publishes numbers until it is done, in bursts; returns the last one."""
    number = 0
    async with publisher.pipeline() as fast:
        while not done.is_set():
            for _ in range(100):
                number += 1
                await fast.publish("S", number)
            await asyncio.sleep(0.001)
    return number


@each_loop
@pytest.mark.parametrize("seed", [1, 2])
def test_c34_ten_thousand_cancellations_of_a_stream(loop: str, seed: int) -> None:
    storm = Storm(seed)

    async def main(uri: str) -> None:
        async with aio.Publisher(es_uri=uri) as publisher, aio.EventStream("S", es_uri=uri) as stream:
            taking, done = Taking(storm, stream), asyncio.Event()
            publishing = asyncio.create_task(publish_all_the_time(publisher, done))
            await asyncio.gather(*[taking.run(CANCELLATIONS) for _ in range(3)])
            done.set()
            last = taking.got[-1][1]  # perhaps all of them were taken already
            while not publishing.done() or last < publishing.result():
                try:
                    event = await stream.get(0.1)
                except TimeoutError:
                    continue
                taking.got.append((event.subject, event.msg))
                last = event.msg
            assert taking.got == [("S", number) for number in range(1, last + 1)]
            found = stream.statistics()
            assert found.reconnects == 0 and found.taken == last and found.waiting == 0

    with running(backlog=500) as service:
        run(main(service.uri), loop, 100)
    assert storm.cancelled >= CANCELLATIONS


# Connections that break


@each_loop
@pytest.mark.parametrize("seed", [1, 2])
def test_c34_cancellations_while_connections_break_publish_nothing_twice(loop: str, seed: int) -> None:
    storm = Storm(seed)
    broken = 0

    async def publish(publisher: aio.Publisher, name: str, last: int) -> None:
        nonlocal broken
        returned = storm.returned.setdefault(name, [])
        number = 0
        while storm.cancelled < last:
            number += 1
            try:
                if await storm.call(publisher.publish("S", storm.message(name, number))):
                    returned.append(number)
            except EventServiceError:  # it was broken, or the new connection is at once
                broken += 1

    async def pipelines(publisher: aio.Publisher, name: str, last: int) -> None:
        number = 0
        while storm.cancelled < last:
            with contextlib.suppress(EventServiceError):
                pipeline = publisher.pipeline()
                for _ in range(storm.random.randrange(100)):
                    number += 1
                    await storm.call(pipeline.publish("S", storm.message(name, number)))
                await storm.call(pipeline.__aexit__(None, None, None))

    async def main(proxy: Proxy) -> None:
        async with aio.Publisher(es_uri=f"127.0.0.1:{proxy.port}") as publisher:
            kinds = (publish, pipelines)
            tasks = [asyncio.ensure_future(kinds[n % 2](publisher, f"task {n}", 3_000)) for n in range(TASKS)]
            breaks = 0
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0.01)
                await in_thread(proxy.reset)
                breaks += 1
            await asyncio.gather(*tasks)
            assert breaks > 3 and publisher.statistics().reconnects > 0
            assert await publisher.publish("S", ("end", 1, b"")) == 1

    with running(backlog=500) as service, collecting(service.uri, "S") as collector:
        target = int(str(service.uri).rpartition(":")[2])
        with contextlib.closing(Proxy(seed, target)) as proxy:
            run(main(proxy), loop, 100)
            received = until_end(collector)
    assert max(Counter((name, number) for name, number, _ in received).values()) == 1
    got = {(name, number) for name, number, _ in received}
    lost = {(name, n) for name, numbers in storm.returned.items() for n in numbers} - got
    assert not lost and storm.cancelled >= 3_000


@each_loop
def test_c34_connecting_and_closing_may_be_cancelled_at_any_step(loop: str) -> None:
    async def one(uri: str, make: Callable[[], Any], turns: tuple[int, int]) -> None:
        client = make()
        for call, wait in zip((client.connect, client.close), turns, strict=True):
            task = asyncio.ensure_future(call())
            for _ in range(wait):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        await client.close()

    async def main(uri: str) -> None:
        for first in range(25):
            for second in range(0, 12, 3):
                for make in (
                    lambda: aio.Publisher(es_uri=uri),
                    lambda: aio.EventStream("S", es_uri=uri),
                ):
                    await one(uri, make, (first, second))
        async with aio.EventStream("S", es_uri=uri) as stream, aio.Publisher(es_uri=uri) as publisher:
            assert await publisher.publish("S", 1) == 1
            assert (await stream.get(10)).msg == 1

    with running() as service:
        run(main(service.uri), loop, 100)
