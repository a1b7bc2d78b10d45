"""Clients for asyncio programs: pyro_events.aio, and redis-py's asyncio interface. nats-py has no other.

Knows: the public interface of pyro_events.aio, and redis.asyncio. Must not know: the servers, which are those
of the other clients.

All run on one loop for each process. redis.asyncio uses a connection of its pool for each task that publishes
at the same time, which is what it is made for.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from ..children.counter import Counter
from ..children.tasks import Listener
from .base import Publisher, System, at_the_same_time, packed, process_loop
from .ours import PyroEvents
from .redis_pubsub import Redis, RedisUnix, pipeline_of, place_of


class _LoopPublisher(Publisher):
    """Publishes on the loop of the process; no code of ours runs between two events."""

    async def one(self, subject: str, message: Any) -> None:
        """Publish one event, and wait for the acknowledgement."""
        raise NotImplementedError

    async def stream(self, subjects: Iterable[str], message: Any) -> None:
        """Publish in the fastest way that the system has."""
        raise NotImplementedError

    def publish(self, subject: str, message: Any) -> None:
        process_loop().run_until_complete(self.one(subject, message))

    def acked(self, subjects: Iterable[str], message: Any) -> None:
        process_loop().run_until_complete(at_the_same_time(1, self.one, subjects, message))

    def together(self, subjects: Iterable[str], message: Any, tasks: int) -> None:
        process_loop().run_until_complete(at_the_same_time(tasks, self.one, subjects, message))

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        process_loop().run_until_complete(self.stream(subjects, message))

    def paced(self, subjects: Iterable[str], name: str, rate: float) -> None:
        async def pace() -> None:
            one = self.one
            due = time.perf_counter()
            for subject in subjects:
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await one(subject, (name, time.perf_counter_ns()))

        process_loop().run_until_complete(pace())


class _AioPublisher(_LoopPublisher):
    def __init__(self, address: str) -> None:
        from pyro_events import aio

        self._publisher = aio.Publisher(es_uri=address)
        process_loop().run_until_complete(self._publisher.connect())
        self.one = self._publisher.publish  # type: ignore[method-assign]

    async def stream(self, subjects: Iterable[str], message: Any) -> None:
        async with self._publisher.pipeline() as pipeline:
            publish = pipeline.publish
            for subject in subjects:
                await publish(subject, message)

    def close(self) -> None:
        process_loop().run_until_complete(self._publisher.close())


class PyroEventsAio(PyroEvents):
    """The same service, with the publisher and the streams for asyncio programs on uvloop."""

    name = "pyro_events-aio"
    title = "pyro_events.aio"

    def publisher(self, address: str, kind: str) -> Publisher:
        return _AioPublisher(address)

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        from pyro_events import aio

        take = counter.take

        async def receive(stream: aio.EventStream) -> None:
            async for event in stream:
                take(event)

        async def listen() -> None:
            waiting: list[Awaitable[None]] = []
            for listener in listeners:
                stream = aio.EventStream(
                    listener.subjects,
                    match=map(re.escape, listener.prefixes),
                    es_uri=address,
                    **listener.options,
                )
                waiting.append(receive(await stream.connect()))
            ready()
            await asyncio.gather(*waiting)

        process_loop().run_until_complete(listen())


class _RedisPublisher(_LoopPublisher):
    def __init__(self, address: str, kind: str) -> None:
        self._redis = _redis(address)
        process_loop().run_until_complete(self._redis.ping())
        self._pack = packed(kind)
        self._together = pipeline_of(kind)

    async def one(self, subject: str, message: Any) -> None:
        await self._redis.publish(subject, self._pack(message))

    async def stream(self, subjects: Iterable[str], message: Any) -> None:
        pack = self._pack
        rest = iter(subjects)
        while some := list(itertools.islice(rest, self._together)):
            pipeline = self._redis.pipeline(transaction=False)
            for subject in some:
                pipeline.publish(subject, pack(message))
            await pipeline.execute()

    def close(self) -> None:
        process_loop().run_until_complete(self._redis.aclose())


class RedisAsyncio(Redis):
    """The same server, with redis-py's asyncio interface on uvloop."""

    name = "redis-asyncio"
    title = "redis-server, redis.asyncio"

    def publisher(self, address: str, kind: str) -> Publisher:
        return _RedisPublisher(address, kind)

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        take = counter.take

        async def receive(pubsub: Any) -> None:
            async for item in pubsub.listen():
                if item["type"] in ("message", "pmessage"):
                    take(item["data"])

        async def listen() -> None:
            waiting: list[Awaitable[None]] = []
            for listener in listeners:
                pubsub = _redis(address).pubsub()
                wanted = [*listener.subjects, *listener.prefixes]
                await pubsub.subscribe(*listener.subjects)
                if listener.prefixes:
                    await pubsub.psubscribe(*[f"{prefix}*" for prefix in listener.prefixes])
                for _ in wanted:
                    assert await pubsub.get_message(timeout=10.0) is not None
                waiting.append(receive(pubsub))
            ready()
            await asyncio.gather(*waiting)

        process_loop().run_until_complete(listen())


class RedisAsyncioUnix(RedisUnix, RedisAsyncio):
    """The same over a Unix socket."""

    name = "redis-asyncio-unix"
    title = "redis-server, redis.asyncio (Unix)"


def _redis(address: str) -> Any:
    import redis.asyncio

    return redis.asyncio.Redis(**place_of(address))


ASYNCIO: tuple[System, ...] = (PyroEventsAio(), RedisAsyncio(), RedisAsyncioUnix())
