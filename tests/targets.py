"""A service and a subscriber to attack, in processes that end if marshal is ever asked to read.

Knows: the program that they run, and how to see that they are in good health. Must not know: attacks.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
from listening import collecting
from processes import Process, Spawner
from raw_client import RawClient

from pyro_events import Publisher
from pyro_events.wire.frames import CONNECT_OK
from pyro_events.wire.handshake.messages import write_connect

ROOT = Path(__file__).resolve().parent.parent
WATCHED = str(ROOT / "tests" / "hostile" / "programs" / "watched.py")

_numbers = itertools.count(1)


class Installation:
    """A service and a subscriber, each in a process of its own.

    uri: the service's. target: the subscriber's.
    """

    def __init__(self, spawn: Spawner, *options: str, loop: str = "uvloop") -> None:
        self._spawn = spawn
        self.env = {"PYTHONPATH": str(ROOT), "PYTHON_LOOP": loop}
        self.service = self._start("service", "-N", "--host", "127.0.0.1", "--port", "0", *options)
        self.uri = self.service.wait_for(r"^URI = (\S+)")[1]
        self.subscriber = self._start("subscriber", self.uri, "health")
        self.target = self.subscriber.wait_for(r"^URI = (\S+)")[1]
        self.check()

    def _start(self, *arguments: str) -> Process:
        return self._spawn(WATCHED, *arguments, env=self.env, ready="^URI =", timeout=30)

    def check(self, within: float = 10.0) -> None:
        """A new client publishes; the subscriber, and a new one, receive it, within so many seconds."""
        number = next(_numbers)
        began = time.monotonic()
        with collecting(self.uri, "health") as newcomer, Publisher(es_uri=self.uri) as publisher:
            assert publisher.publish("health", number) == 2, self.service
            newcomer.wait(1, within)
            self.subscriber.wait_for(f"^got {number}$", within)
        assert time.monotonic() - began < within
        for process in (self.service, self.subscriber):
            assert process.returncode is None, process
            assert "Traceback" not in process.stderr, process


class Target:
    """What is attacked: an address, an object there, and the process behind it."""

    def __init__(self, installation: Installation, name: str) -> None:
        service = name == "service"
        self.uri = installation.uri if service else installation.target
        self.pid = (installation.service if service else installation.subscriber).pid
        self.object_id = self.uri.partition(":")[2].partition("@")[0]
        self.method = "publish" if service else "events"

    @contextlib.contextmanager
    def stranger(self, greeted: bool = True) -> Iterator[RawClient]:
        with RawClient(self.uri) as client:
            if greeted:
                client.send(write_connect(self.object_id, "hello"))
                frame = client.frame()
                assert frame is not None and frame.type == CONNECT_OK
            yield client

    def call(self, *arguments: object) -> bytes:
        body: bytes = msgpack.packb([self.object_id, self.method, arguments, {}])
        return body
