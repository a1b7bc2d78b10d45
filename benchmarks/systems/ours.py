"""pyro_events, and the plain way to use it: a stock Pyro5 proxy that publishes with serpent.

Knows: the public interface of pyro_events. Must not know: its internals.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from ..children.counter import Counter, Decode, Take
from ..children.tasks import Listener
from ..clone import COMPILED, PACKAGE
from .base import Publisher, System, shares

# One call takes no more.
_SUBJECTS_PER_CALL = 1_000


class _Publisher(Publisher):
    def __init__(self, address: str) -> None:
        import pyro_events

        self._publisher = pyro_events.Publisher(es_uri=address)

    def publish(self, subject: str, message: Any) -> None:
        self._publisher.publish(subject, message)

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        with self._publisher.pipeline() as pipeline:
            publish = pipeline.publish
            for subject in subjects:
                publish(subject, message)

    def close(self) -> None:
        self._publisher.close()


class _StockPublisher(Publisher):
    def __init__(self, address: str) -> None:
        from Pyro5.api import Proxy, config

        config.SERIALIZER = "serpent"
        self._proxy = Proxy(address)
        self._proxy._pyroBind()

    def publish(self, subject: str, message: Any) -> None:
        self._proxy.publish(subject, message)

    def close(self) -> None:
        self._proxy._pyroRelease()


class PyroEvents(System):
    """The event service as `python -m pyro_events.es` starts it, with Publisher and Subscriber."""

    name = "pyro_events"
    title = "pyro_events, Publisher"
    packages: ClassVar[tuple[str, ...]] = ("Pyro5", "msgpack", "google-re2", "uvloop")
    speaks = True

    def missing(self) -> str | None:
        return None  # the suite is about this system; without uvloop it runs on asyncio

    def versions(self) -> dict[str, str]:
        import pyro_events

        return {"pyro_events": pyro_events.__version__, **super().versions()}

    def command(self, folder: Path, port: int) -> list[str]:
        # All clients of the suite are on one host, which may usually have only half of the connections.
        service = [sys.executable, "-m", "pyro_events.es", "-N", "-n", "127.0.0.1", "-p", "0"]
        return [*service, "--max-per-host", "10000"]

    def address(self, port: int, first_line: str) -> str:
        return first_line.partition("URI = ")[2].strip()

    def publisher(self, address: str, kind: str) -> Publisher:
        return _Publisher(address)

    def decoder(self, kind: str) -> Decode:
        return attrgetter("msg")

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        made = [_subscriber(address, counter.take) for _ in listeners]
        for subscriber, listener in zip(made, listeners, strict=True):
            for some in shares(listener.subjects, _SUBJECTS_PER_CALL):
                subscriber.subscribe(some, **listener.options)
            subscriber.subscribeMatch(map(re.escape, listener.prefixes), **listener.options)
        for subscriber in made[1:]:
            threading.Thread(target=subscriber.listen, daemon=True).start()
        ready()
        made[0].listen()

    def add_patterns(self, address: str, prefixes: Sequence[str], share: int) -> Iterator[None]:
        pieces = shares(prefixes, share)
        made = [_subscriber(address, lambda event: None) for _ in pieces]
        for subscriber in made:
            threading.Thread(target=subscriber.listen, daemon=True).start()
        yield
        for subscriber, piece in zip(made, pieces, strict=True):
            for prefix in piece:
                subscriber.subscribeMatch(re.escape(prefix))
                yield


def _subscriber(address: str, take: Take) -> Any:
    import pyro_events

    class Counter(pyro_events.Subscriber):
        def event(self, event: pyro_events.Event) -> None:
            take(event)

    return Counter(es_uri=address)


class Compiled(PyroEvents):
    """The same, compiled."""

    name = "pyro_events-compiled"
    title = "pyro_events (compiled), Publisher"
    package = COMPILED

    def missing(self) -> str | None:
        there = (COMPILED / PACKAGE).is_dir()
        return super().missing() if there else "scripts/benchmark --compiled builds it"


# For the service and its clients.
_TCP_ONLY = {"PYROEVENTS_UNIX_SOCKET": "off"}


class OverTcp(PyroEvents):
    """The same with its Unix socket switched off."""

    name = "pyro_events-tcp"
    title = "pyro_events (TCP), Publisher"
    variables = _TCP_ONLY


class CompiledOverTcp(Compiled):
    """The compiled form with its Unix socket switched off."""

    name = "pyro_events-compiled-tcp"
    title = "pyro_events (compiled, TCP), Publisher"
    variables = _TCP_ONLY


class StockProxy(PyroEvents):
    """The same service and subscriber, but a publisher that knows only Pyro5."""

    name = "stock-proxy"
    title = "pyro_events, stock Proxy (serpent)"
    packages = (*PyroEvents.packages, "serpent")

    def publisher(self, address: str, kind: str) -> Publisher:
        return _StockPublisher(address)
