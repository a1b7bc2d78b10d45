"""A subscriber that keeps what it gets, and a way to let it listen during a test.

Knows: the public Subscriber. Must not know: the service.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waiting import eventually

from pyro_events import Event, Subscriber
from pyro_events.client.reconnect.times import ReconnectTimes


class Collector(Subscriber):
    """Keeps its events, one after the other, in the order in which they arrive."""

    def __init__(self, es_uri: str | None = None, ident: str | None = None, **others: Any) -> None:
        super().__init__(ident, es_uri, **others)
        self.setThreading(False)
        self.events: list[Event] = []
        self.reasons: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def on_reconnect(self, reason: str) -> None:
        self.reasons.append(reason)

    def messages(self) -> list[Any]:
        """The messages of the events so far."""
        return [event.msg for event in self.events]

    def wait(self, count: int, timeout: float = 20.0) -> list[Event]:
        """The events, when at least `count` have come."""
        eventually(lambda: len(self.events) >= count, timeout, f"{count} events, there are {self.events}")
        return list(self.events)


def set_times(subscriber: Subscriber, **times: float) -> None:
    """Have it reconnect by other times than the usual ones; as for ReconnectTimes, in seconds."""
    reconnection = subscriber._Subscriber__receiver.reconnection  # type: ignore[attr-defined]
    reconnection.times = ReconnectTimes(**times)  # type: ignore[arg-type]


@contextmanager
def listening(subscriber: Subscriber) -> Iterator[None]:
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


@contextmanager
def collecting(es_uri: str | None = None, *subjects: str, ident: str | None = None) -> Iterator[Collector]:
    """A Collector that listens and has subscribed to `subjects`."""
    collector = Collector(es_uri, ident)
    with listening(collector):
        if subjects:
            collector.subscribe(subjects)
        yield collector
