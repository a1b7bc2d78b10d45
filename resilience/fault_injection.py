"""Fault injection: the faults of the soak test, each from its beginning to its end.

Knows: subscribers and their connections, and the service's address. Must not know: what is checked, or for
how long it goes on.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from Pyro5.api import Proxy as StockProxy

import pyro_events
from pyro_events.errors import EventServiceError
from pyro_events.wire.frames import CONNECT, INVOKE, MSGPACK, write_frame

from .member import Member
from .ports import LOOPBACK
from .processes import Cast
from .proxy import Proxy
from .servers import Ours


class Scene:
    """The parts that faults are made of."""

    def __init__(self, cast: Cast, server: Ours, members: Sequence[Member], chance: random.Random) -> None:
        self.cast, self.server, self.members, self.chance = cast, server, members, chance
        self._promised = self._unknown = 0
        self._waiting = threading.Event()

    def wait(self, seconds: float) -> None:
        self._waiting.wait(seconds)

    def affected(self) -> Member:
        """A subscriber, chosen at random."""
        return self.chance.choice(self.members)

    @contextmanager
    def publisher(self) -> Iterator[pyro_events.Publisher]:
        """A publisher whose deliveries are counted as well."""
        with pyro_events.Publisher(es_uri=self.server.address) as publisher:
            yield publisher
            statistics = publisher.statistics()
        self._promised += statistics.queued
        self._unknown += statistics.unknown

    def promise(self, deliveries: int) -> None:
        """Count the deliveries that another publisher was told of."""
        self._promised += deliveries

    def published(self) -> dict[str, int]:
        """Count a publisher's report."""
        return {"promised": self._promised, "unknown": self._unknown}

    def repair(self) -> None:
        """Restore every connection, and let every process run."""
        for member in self.members:
            for proxy in member.proxies:
                proxy.restore()
            member.actor.thaw()


def kill(scene: Scene) -> None:
    member = scene.affected()
    member.actor.kill()
    scene.cast.dismiss(member.actor)
    scene.wait(scene.chance.uniform(0, 1))
    member.start()


def freeze(scene: Scene) -> None:
    member = scene.affected()
    member.actor.freeze()
    scene.wait(scene.chance.uniform(0.2, 6))
    member.actor.thaw()


def _weather(change: Callable[[Proxy, random.Random], None]) -> Callable[[Scene], None]:
    def fault(scene: Scene) -> None:
        member = scene.affected()
        for proxy in member.proxies:
            change(proxy, scene.chance)
        scene.wait(scene.chance.uniform(0.5, 6))
        for proxy in member.proxies:
            proxy.restore()

    return fault


def garbage(scene: Scene) -> None:
    """Strangers that send garbage, stop in the middle, or send nothing; half of them end with a reset."""
    hello = write_frame(CONNECT, 0, MSGPACK, 0, b"\x82")
    call = write_frame(INVOKE, 0, MSGPACK, 1, bytes(3000))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            sock = stack.enter_context(socket.create_connection((LOOPBACK, scene.server.port), 5))
            kind = scene.chance.randrange(4)
            data = (b"", hello[: scene.chance.randrange(60)], hello + call, scene.chance.randbytes(200))[kind]
            with contextlib.suppress(OSError):
                sock.sendall(data)
                if scene.chance.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        scene.wait(scene.chance.uniform(0, 3))


def burst(scene: Scene) -> None:
    """A pipeline, as fast as it can, to a subscriber that loses events if it is slow."""
    subject = scene.members[1].subject
    with scene.publisher() as publisher, publisher.pipeline() as pipeline:
        name = f"burst {scene.chance.random()}"
        for number in range(5000):
            pipeline.publish(subject, [name, number, 0.0, ""])


def large(scene: Scene) -> None:
    with scene.publisher() as publisher:
        publisher.publish("nobody's", scene.chance.randbytes(4 << 20))
        with contextlib.suppress(EventServiceError):
            publisher.publish("nobody's", bytes(9 << 20))  # refused


def come_and_go(scene: Scene) -> None:
    """Subscribers that come, get a few events, and go; half of them without unsubscribing."""
    with contextlib.ExitStack() as stack:
        for number in range(10):
            sock = socket.create_server((LOOPBACK, 0))
            stack.enter_context(sock)
            with StockProxy(scene.server.address) as stock:
                uri = f"PYRO:nobody-{number}@{LOOPBACK}:{sock.getsockname()[1]}"
                stock.subscribe([f"odd-{number}", "calm"] if number % 2 else "odd", uri)
        with scene.publisher() as publisher:
            publisher.publish([f"odd-{number}" for number in range(10)], "hello")


def stock(scene: Scene) -> None:
    """A stock client with its own serializer, and its mistakes."""
    with StockProxy(scene.server.address) as service:
        for _ in range(20):
            scene.promise(service.publish(["odd", "even"], {"a": (1, 2), "b": None}))
        with contextlib.suppress(ValueError):
            service.subscribeMatch("(unbalanced", "PYRO:x@127.0.0.1:1")
        with contextlib.suppress(ValueError):
            service.publish("", 1)


FAULTS: Final[dict[str, Callable[[Scene], None]]] = {
    "kill": kill,
    "freeze": freeze,
    "delay": _weather(lambda proxy, chance: proxy.delay(0.1, 0.05)),
    "drip": _weather(lambda proxy, chance: proxy.drip(chance.randrange(20, 200), 0.002)),
    "truncate": _weather(lambda proxy, chance: proxy.truncate(chance.randrange(50, 5000))),
    "half-open": _weather(lambda proxy, chance: proxy.vanish()),
    "cut": _weather(lambda proxy, chance: proxy.cut()),
    "reset": _weather(lambda proxy, chance: proxy.reset()),
    "garbage": garbage,
    "burst": burst,
    "large": large,
    "come and go": come_and_go,
    "stock client": stock,
}
