"""Idle subscribers: thousands of subscribers of pyro_events that only acknowledge.

Knows: the part of Pyro5's protocol that a subscriber must answer. Must not know: anything about the inside of
the service.

A real Subscriber has its own daemon and threads; with thousands of them, the benchmark would measure those.
For the service an idle subscriber is like any other: an object with `events`, on its own connection. They
subscribe through a stock Pyro5 proxy, by their URIs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgpack

from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    FrameLimits,
    FrameReader,
    write_frame,
)

from ..systems.base import new_event_loop
from .tasks import IdleSubscribers

_LIMITS = FrameLimits(types=frozenset({CONNECT, INVOKE, PING}), size=1 << 24)
_GREETING = msgpack.packb(
    {"handshake": "hello", "meta": {"methods": ["event", "events"], "oneway": [], "attrs": []}}
)
_NONE_FAILED = msgpack.packb([])


class Count:
    """What all subscribers together have received."""

    def __init__(self, task: IdleSubscribers, say: Callable[..., None]) -> None:
        self.greeted = 0
        self.events = 0
        self.batches = 0
        self._stages = list(task.stages)
        self._say = say

    def batch(self, events: int) -> None:
        """A batch has come. Reports when a stage is complete, and then counts from 0 again."""
        self.events += events
        self.batches += 1
        if self._stages and self.events >= self._stages[0]:
            del self._stages[0]
            self._say(
                at=time.perf_counter(), cpu=time.process_time(), events=self.events, batches=self.batches
            )
            self.events = self.batches = 0


class IdleSubscriber(asyncio.Protocol):
    """The service's connection to one idle subscriber."""

    _transport: asyncio.Transport

    def __init__(self, count: Count) -> None:
        self._count = count
        self._reader = FrameReader(_LIMITS)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (frame := self._reader.next_frame()) is not None:
            if frame.type == INVOKE:
                rows = msgpack.unpackb(frame.payload)[2][0]
                self._transport.write(write_frame(RESULT, 0, MSGPACK, frame.seq, _NONE_FAILED))
                self._count.batch(len(rows))
            elif frame.type == CONNECT:
                self._count.greeted += 1
                self._transport.write(write_frame(CONNECT_OK, 0, MSGPACK, frame.seq, _GREETING))
            else:
                self._transport.write(write_frame(PING, 0, MSGPACK, frame.seq, b"pong"))


def keep_idle_subscribers(task: IdleSubscribers, wait: Callable[[], str], say: Callable[..., None]) -> None:
    """Have as many subscribers as the next of `counts` says, with each line of `wait`; reports `subscribers`
    when the service has connected to all of them."""
    count = Count(task, say)
    loop = new_event_loop()
    asyncio.set_event_loop(loop)

    async def keep() -> None:
        server = await loop.create_server(lambda: IdleSubscriber(count), "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
        say(ready=True)
        made = 0
        for wanted in task.counts:
            await loop.run_in_executor(None, wait)
            await loop.run_in_executor(None, _subscribe, task, port, made, wanted)
            made = wanted
            while count.greeted < wanted:
                await asyncio.sleep(0.01)
            say(subscribers=wanted)
        await asyncio.Event().wait()

    loop.run_until_complete(keep())


def _subscribe(task: IdleSubscribers, port: int, first: int, beyond: int) -> None:
    from Pyro5.api import Proxy

    with Proxy(task.address) as service:
        for number in range(first, beyond):
            subject = task.subject or f"POST.{number}"
            service.subscribe(subject, f"PYRO:post.{number}@127.0.0.1:{port}")
