"""A subscriber, and a stream, that keep what they get, and a way to let them listen during a test.

Knows: the public Subscriber and EventStream. Must not know: the service.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias

import pytest
from waiting import eventually

from pyro_events import Event, EventStream, Subscriber
from pyro_events.client.reconnect.times import ReconnectTimes


class _Collected:
    """What a collector has: events, one after the other, in the order in which they arrive."""

    def _begin(self) -> None:
        self.events: list[Event] = []
        self.reasons: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def messages(self) -> list[Any]:
        """The messages of the events so far."""
        return [event.msg for event in self.events]

    def wait(self, count: int, timeout: float = 20.0) -> list[Event]:
        """The events, when at least `count` have come."""
        eventually(lambda: len(self.events) >= count, timeout, f"{count} events, there are {self.events}")
        return list(self.events)


class Collector(_Collected, Subscriber):
    """Keeps its events."""

    def __init__(self, es_uri: str | None = None, ident: str | None = None, **others: Any) -> None:
        super().__init__(ident, es_uri, **others)
        self.setThreading(False)
        self._begin()

    @property
    def known_as(self) -> str:
        """What the service calls it."""
        uri = self.statistics().uri
        return uri if uri.startswith("PYRO:") else f"OWN:{uri}@127.0.0.1"

    @property
    def is_connected(self) -> bool:
        """Whether the service has connected to it."""
        return self.statistics().connections > 0

    def on_reconnect(self, reason: str) -> None:
        self.reasons.append(reason)


class OwnCollector(Collector):
    """The same for a subscriber that makes the connection for its events itself."""

    def __init__(self, es_uri: str | None = None, ident: str | None = None, **others: Any) -> None:
        super().__init__(es_uri, ident, callback=False, **others)


class StreamCollector(_Collected, EventStream):
    """The same for a stream, which a thread takes the events of."""

    def __init__(self, es_uri: str | None = None, ident: str | None = None, **others: Any) -> None:
        super().__init__(es_uri=es_uri, ident=ident, **others)
        self._begin()

    @property
    def known_as(self) -> str:
        """What the service calls it."""
        return f"OWN:{self.statistics().id}@127.0.0.1"

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection to the service."""
        return self.statistics().connected

    def listen(self) -> None:
        """Take events until `abort`."""
        for event in self:
            if event.missed is None:
                self.reasons.append("connected again")
            self.event(event)

    def abort(self) -> None:
        """End `listen`."""
        self.close()


def set_times(subscriber: Subscriber, **times: float) -> None:
    """Have it reconnect by other times than the usual ones; as for ReconnectTimes, in seconds."""
    receiver_of(subscriber).reconnection.times = ReconnectTimes(**times)  # type: ignore[arg-type]


def receiver_of(subscriber: Subscriber) -> Any:
    """The inside of a subscriber."""
    return subscriber._Subscriber__receiver  # type: ignore[attr-defined]


def disconnect(subscriber: Subscriber) -> None:
    """End the connections over which its events come; whoever has made them may do so again."""
    receiver = receiver_of(subscriber)
    if receiver.way.own:
        receiver.way.attachment._source._frames.shutdown()
    else:
        receiver.daemon.disconnect()


def listens(subscriber: Subscriber) -> bool:
    """Whether it is in `listen`, so that an `abort` from now on ends it."""
    receiver = receiver_of(subscriber)
    server = None if receiver.way.own else receiver.daemon.transportServer
    return receiver.port.running if server is None else server._loop_thread is not None


class Listening(Protocol):
    """A subscriber, or a stream that is like one."""

    def listen(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def listening(subscriber: Listening) -> Iterator[None]:
    """Let it listen in a thread; at the end of the block it is closed."""
    thread = threading.Thread(target=subscriber.listen)
    thread.start()
    try:
        yield
    finally:
        subscriber.abort()
        thread.join(10)
        subscriber.close()
        assert not thread.is_alive(), "listen did not return within 10 s of abort"


# For tests of faults: a listener of each kind is affected.
each_listener = pytest.mark.parametrize("scenario", ["callback", "own connection", "stream"], indirect=True)

AnyCollector: TypeAlias = Collector | StreamCollector


class Collecting(Protocol):
    """The type of `collecting` with a kind chosen."""

    def __call__(
        self, es_uri: str | None = None, *subjects: str, ident: str | None = None, user: str | None = None
    ) -> AbstractContextManager[AnyCollector]: ...


@contextmanager
def collecting(
    es_uri: str | None = None,
    *subjects: str,
    ident: str | None = None,
    user: str | None = None,
    kind: type[Any] = Collector,
) -> Iterator[Any]:
    """A Collector, or another kind, that listens and has subscribed to `subjects`."""
    collector = kind(es_uri, ident, user=user)
    with listening(collector):
        if subjects:
            collector.subscribe(subjects)
        yield collector
