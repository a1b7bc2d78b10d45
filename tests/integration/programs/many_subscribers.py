"""Many subscribers in one process, as cheap as possible: one listening socket, no Pyro5 daemon.

Usage: many_subscribers.py URI COUNT. Subscribes COUNT objects to "all" and each to its own subject; prints
"connected" when the service has done its handshake with all of them. Then, for each line `expect N` on stdin,
prints "received" when N further events have come.
"""

import asyncio
import resource
import sys

import msgpack
from Pyro5.api import URI

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

LIMITS = FrameLimits(types=frozenset({CONNECT, INVOKE, PING}), size=1 << 20)
HELLO = msgpack.packb({"handshake": "hello", "meta": {"methods": ["events"], "oneway": [], "attrs": []}})
NONE_FAILED = msgpack.packb([])


class Counters:
    """What all subscribers have in common."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.connected = asyncio.Event()
        self.expected = 0
        self.received = asyncio.Event()

    def greeted(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.connected.set()

    def got(self, events: int) -> None:
        self.expected -= events
        if self.expected <= 0:
            self.received.set()


class Many(asyncio.Protocol):
    """One of them."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.reader = FrameReader(LIMITS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (frame := self.reader.next_frame()) is not None:
            if frame.type == CONNECT:
                self.transport.write(write_frame(CONNECT_OK, 0, MSGPACK, frame.seq, HELLO))
                self.counters.greeted()
            elif frame.type == PING:
                self.transport.write(write_frame(PING, 0, MSGPACK, frame.seq, b"pong"))
            else:
                rows = msgpack.unpackb(frame.payload)[2][0]
                self.transport.write(write_frame(RESULT, 0, MSGPACK, frame.seq, NONE_FAILED))
                self.counters.got(len(rows))


async def subscribe(uri: URI, count: int, port: int) -> None:
    reader, writer = await asyncio.open_connection(uri.host, uri.port)
    body = msgpack.packb({"handshake": "hello", "object": uri.object})
    writer.write(write_frame(CONNECT, 0, MSGPACK, 0, body))
    frames = FrameReader(FrameLimits(types=frozenset({CONNECT_OK, RESULT}), size=1 << 20))
    answers = 0
    sent = 0
    while answers < count + 1:
        while sent < min(count, answers + 100):
            call = [
                uri.object,
                "subscribe",
                [["all", f"own.{sent}"], f"PYRO:many{sent}@127.0.0.1:{port}"],
                {},
            ]
            writer.write(write_frame(INVOKE, 0, MSGPACK, sent & 0xFFFF, msgpack.packb(call)))
            sent += 1
        frames.feed(await reader.read(65536))
        while (frame := frames.next_frame()) is not None:
            assert not frame.flags & 1, frame
            answers += 1
    writer.close()


async def main() -> None:
    uri, count = URI(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    counters = Counters(count)
    server = await loop.create_server(lambda: Many(counters), "127.0.0.1", 0, backlog=4096)
    await subscribe(uri, count, server.sockets[0].getsockname()[1])
    await counters.connected.wait()
    print("connected", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        counters.expected += int(line.split()[1])
        if counters.expected > 0:
            counters.received.clear()
            await counters.received.wait()
        print("received", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
