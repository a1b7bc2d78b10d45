"""Redis Pub/Sub with redis-py.

Knows: redis-server's options and redis-py. Must not know: any other system.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..children.counter import Counter, Take
from ..children.tasks import Listener, size_of
from .base import OverUnix, Publisher, System, host_and_port, packed, shares

# What users of redis-py do, and what the case "pipelined" of the README names.
PIPELINE = 100
# The path of its Unix socket, in the folder of the measurement.
_PATH = "./redis"
# A pipeline is kept in memory until it is executed, so fewer messages of 1 MiB are sent together: 8.
_PIPELINE_BYTES = 8 * 1024 * 1024


def pipeline_of(kind: str) -> int:
    """How many messages of that kind go together."""
    return max(1, min(PIPELINE, _PIPELINE_BYTES // size_of(kind)))


class _Publisher(Publisher):
    def __init__(self, address: str, kind: str) -> None:
        self._redis = _connect(address)
        self._redis.ping()
        self._pack = packed(kind)
        self._together = pipeline_of(kind)

    def publish(self, subject: str, message: Any) -> None:
        self._redis.publish(subject, self._pack(message))

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        pack = self._pack
        rest = iter(subjects)
        while some := list(itertools.islice(rest, self._together)):
            pipeline = self._redis.pipeline(transaction=False)
            for subject in some:
                pipeline.publish(subject, pack(message))
            pipeline.execute()

    def close(self) -> None:
        self._redis.close()


class Redis(System):
    """redis-server without persistence; publishers and subscribers with redis-py and hiredis."""

    name = "redis"
    title = "redis-server, redis-py"
    packages = ("redis", "hiredis")
    program = "redis-server"

    def command(self, folder: Path, port: int) -> list[str]:
        options = {
            "--port": str(port),
            "--bind": "127.0.0.1",
            "--dir": str(folder),
            "--save": "",
            "--appendonly": "no",
            # A subscriber that lags behind would otherwise be disconnected at 32 MB.
            "--client-output-buffer-limit": "pubsub 0 0 0",
            "--maxclients": "15000",
        }
        return [self._path() or "", *itertools.chain.from_iterable(options.items())]

    def publisher(self, address: str, kind: str) -> Publisher:
        return _Publisher(address, kind)

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        take = counter.take
        made = [_subscribed(address, listener) for listener in listeners]
        for pubsub in made[1:]:
            threading.Thread(target=_receive, args=(pubsub, take), daemon=True).start()
        ready()
        _receive(made[0], take)

    def add_patterns(self, address: str, prefixes: Sequence[str], share: int) -> Iterator[None]:
        pieces = shares(prefixes, share)
        made = [_connect(address).pubsub() for _ in pieces]
        yield
        for pubsub, piece in zip(made, pieces, strict=True):
            for prefix in piece:
                pubsub.psubscribe(f"{prefix}*")
                _confirmed(pubsub, 1)
                yield


class RedisUnix(OverUnix, Redis):
    """The same over a Unix socket."""

    name = "redis-unix"
    title = "redis-server, redis-py (Unix)"

    def command(self, folder: Path, port: int) -> list[str]:
        # It listens on the port too, and a moment later on the path: before any child can have started.
        return [*super().command(folder, port), "--unixsocket", _PATH]

    def address(self, port: int, first_line: str) -> str:
        return _PATH


def place_of(address: str) -> dict[str, Any]:
    """The arguments with which both clients of redis-py connect to an address or a path."""
    if "/" in address:
        return {"unix_socket_path": address}
    host, port = host_and_port(address)
    return {"host": host, "port": port}


def _connect(address: str) -> Any:
    import redis

    return redis.Redis(**place_of(address))


def _subscribed(address: str, listener: Listener) -> Any:
    pubsub = _connect(address).pubsub()
    if listener.subjects:
        pubsub.subscribe(*listener.subjects)
    if listener.prefixes:
        pubsub.psubscribe(*[f"{prefix}*" for prefix in listener.prefixes])
    _confirmed(pubsub, len(listener.subjects) + len(listener.prefixes))
    return pubsub


def _confirmed(pubsub: Any, count: int) -> None:
    """Wait until the server has confirmed that many subscriptions."""
    while count:
        item = pubsub.get_message(timeout=10.0)
        count -= item is not None and item["type"] in ("subscribe", "psubscribe")


def _receive(pubsub: Any, take: Take) -> None:
    for item in pubsub.listen():
        if item["type"] in ("message", "pmessage"):
            take(item["data"])
