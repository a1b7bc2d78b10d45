"""What the suite needs from a system: a server to start, publishers, and subscribers.

Knows: the interface. Must not know: any system.

The suite and its child processes import the module of every system. It imports the system's own package only
inside the methods that run in a child, so that a missing package does no harm.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..children.counter import Counter, Decode
from ..children.tasks import ARRAY, QUOTE, Listener, size_of


class Publisher:
    """A connection that publishes. Its methods encode every message, as a program would."""

    def publish(self, subject: str, message: Any) -> None:
        """Publish one event, and wait for the system's acknowledgement."""
        raise NotImplementedError

    def send(self, subject: str, message: Any) -> None:
        """Publish one event that is sent at once, by the plain call of the system's package."""
        self.publish(subject, message)

    def acked(self, subjects: Iterable[str], message: Any) -> None:
        """Publish an event on each of the subjects, one after the other, with `publish`."""
        publish = self.publish
        for subject in subjects:
            publish(subject, message)

    def together(self, subjects: Iterable[str], message: Any, tasks: int) -> None:
        """The same by so many tasks at the same time, in an asyncio program."""
        raise NotImplementedError

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        """Publish an event on each of the subjects in the fastest way that the system has."""
        raise NotImplementedError

    def paced(self, subjects: Iterable[str], name: str, rate: float) -> None:
        """Publish at a steady rate, with `send`. The price is the time just before."""
        send = self.send
        due = time.perf_counter()
        for subject in subjects:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            send(subject, (name, time.perf_counter_ns()))

    def close(self) -> None:
        """Release its connections and threads."""


class System:
    """A system that is compared.

    name: in tables and files. title: what is measured, for a reader. packages: the Python packages that its
    children import. program: the server, if it has its own program. speaks: whether the server prints its
    address when it is ready; otherwise its port is tried. package: the folder from which its children import
    pyro_events, if that is not the clone. variables: more for the environment of its server and its clients.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    program: ClassVar[str | None] = None
    speaks: ClassVar[bool] = False
    package: ClassVar[Path | None] = None
    variables: ClassVar[Mapping[str, str]] = {}

    def missing(self) -> str | None:
        """What this machine lacks for it; None if it can be measured."""
        absent = [name for name in self.packages if not self._version(name)]
        if absent:
            return f"the Python package {' and '.join(absent)} is not installed"
        if self.program and not self._path():
            return f"the program {self.program} is not installed"
        return None

    def versions(self) -> dict[str, str]:
        """The versions of what is measured."""
        found = {name: self._version(name) or "unknown" for name in self.packages}
        if path := self._path():
            asked = subprocess.run([path, self.version_option], capture_output=True, text=True, timeout=10)
            number = re.search(r"\d+(\.\d+)+", asked.stdout)
            found[self.program or path] = number[0] if number else "unknown"
        return found

    @staticmethod
    def _version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    version_option: ClassVar[str] = "--version"

    def _path(self) -> str | None:
        if self.program is None:
            return None
        # Debian puts servers where an ordinary user's PATH does not look.
        return shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")

    def command(self, folder: Path, port: int) -> list[str] | None:
        """How to start its server; None if it is a worker of ours that runs `serve`."""
        return None

    def address(self, port: int, first_line: str) -> str:
        """The address for publishers and subscribers. first_line: what the server printed, if it `speaks`."""
        return f"127.0.0.1:{port}"

    def serve(self, ready: Callable[[str], None]) -> None:
        """Be the server, in a child, until the child is ended. ready: call it with the address."""
        raise NotImplementedError

    def publisher(self, address: str, kind: str) -> Publisher:
        """A connected publisher, in a child."""
        raise NotImplementedError

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        """Be the subscribers, in a child, until the child is ended.

        counter.take: call it once with each event. ready: call it when all have subscribed.
        """
        raise NotImplementedError

    def decoder(self, kind: str) -> Decode:
        """Makes a message from the argument of `counter.take`."""
        return unpacked(kind)

    def add_patterns(self, address: str, prefixes: Sequence[str], share: int) -> Iterator[None]:
        """Subscribe to beginnings of names, one with each step, in a child.

        share: how many each subscriber has. The first step only connects.
        """
        raise NotImplementedError

    def publish_together(
        self, publishers: Sequence[Publisher], work: Sequence[Callable[[Publisher], None]]
    ) -> None:
        """Let each publisher do its work, all at the same time, each in its own thread."""
        threads = [
            threading.Thread(target=task, args=(publisher,))
            for publisher, task in zip(publishers, work, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def packed(kind: str) -> Callable[[Any], bytes]:
    """A message as bytes, for a system that carries only bytes: json, or the plain bytes."""
    if kind == QUOTE:
        dumps = json.dumps
        return lambda message: dumps(message).encode()
    if kind == ARRAY:
        # Its shape and type are not included: the least that a program could do.
        return lambda message: bytes(message.tobytes())
    return bytes


def unpacked(kind: str) -> Decode:
    """The reverse of `packed`."""
    if kind == QUOTE:
        return json.loads
    if kind != ARRAY:
        return bytes
    import numpy

    return lambda data: numpy.frombuffer(data, numpy.float32).reshape(512, 512)


def message_of(kind: str) -> Any:
    """What is published: a tuple of a name and a price, bytes, or 1 MiB of an array."""
    if kind == QUOTE:
        return ("SUN", 22.44)
    if kind != ARRAY:
        return (bytes(range(256)) * (size_of(kind) // 256 + 1))[: size_of(kind)]
    import numpy

    return numpy.arange(512 * 512, dtype=numpy.float32).reshape(512, 512)


class OverUnix(System):
    """The same system as the one that it stands before, over Unix sockets.

    Their paths are relative to the folder of the measurement, where all its children run: however long the
    path of that folder is, these fit.
    """

    def missing(self) -> str | None:
        return super().missing() if hasattr(socket, "AF_UNIX") else "this system has no Unix sockets"


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def new_event_loop() -> Any:
    """An asyncio loop: uvloop where it is installed, because the event service uses it too."""
    if importlib.util.find_spec("uvloop"):
        return importlib.import_module("uvloop").new_event_loop()
    return asyncio.new_event_loop()


@functools.cache
def process_loop() -> Any:
    """One loop for all connections of a process."""
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


async def at_the_same_time(
    tasks: int, publish: Callable[[str, Any], Awaitable[Any]], subjects: Iterable[str], message: Any
) -> None:
    """Publish an event on each of the subjects, by so many tasks, each of which waits for its own."""
    rest = iter(subjects)

    async def some() -> None:
        for subject in rest:
            await publish(subject, message)

    if tasks == 1:
        await some()
    else:
        await asyncio.gather(*[some() for _ in range(tasks)])


def shares(items: Sequence[str], share: int) -> list[Sequence[str]]:
    """The items in lists of `share`."""
    return [items[start : start + share] for start in range(0, len(items), share)]
