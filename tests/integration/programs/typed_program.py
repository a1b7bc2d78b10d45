"""A program that mypy --strict must accept: what programs for Pyro3 call, and what is new."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable

from Pyro5.api import URI, Proxy

from pyro_events import (
    BackgroundPublisher,
    BackgroundStatistics,
    Event,
    EventServiceStarter,
    InterestStatistics,
    InterestWatch,
    Overflow,
    Pipeline,
    Publisher,
    PublisherStatistics,
    Subscriber,
    SubscriberDaemon,
    SubscriberStatistics,
)
from pyro_events.testing import LocalEventService, collect


class Ticker(Subscriber):
    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri, name="ticker")
        self.setThreading(0)
        self.setThreading(threaded=False)
        self.setThreading(threading=1)
        self.subscribe("A")
        self.subscribeMatch(subjectPatterns="^B")
        self.subscribeMatch(["^C"], overflow="latest")

    def event(self, event: Event) -> None:
        print(event.subject, event.msg)

    def on_reconnect(self, reason: str) -> None:
        print(reason)


class Both(Publisher, Subscriber):
    """One `__init__` for both."""


class Other(Subscriber, Publisher):
    """The same in the other order."""


class Listening(Subscriber, threading.Thread):
    """Programs for Pyro3 inherit from both."""

    def run(self) -> None:
        self.listen()


class Threaded(threading.Thread, Subscriber):
    """The same in the other order."""


def threads(listening: Listening) -> bool:
    listening.daemon = True
    daemon: SubscriberDaemon = listening.getDaemon()
    return listening.daemon and bool(daemon.sockets)


def publish(publisher: Publisher, names: list[str]) -> int:
    publisher.publish(map(str.upper, names), {"any": [None]}, timeout=2)
    publisher.publish((name for name in names), None)
    with publisher.pipeline() as fast:
        fill(fast)
    figures: PublisherStatistics = publisher.statistics()
    return figures.published


def measure(publisher: Publisher, policy: Overflow) -> int:
    with publisher.background(limit=10, overflow="latest") as instrument:
        instrument.publish(["A", "B"], 1)
        done: bool = instrument.flush(timeout=1)
    another: BackgroundPublisher = publisher.background(limit_bytes=1 << 20, overflow=policy)
    another.close()
    figures: BackgroundStatistics = instrument.statistics()
    return figures.dropped["latest"] + done


def watch(publisher: Publisher) -> int:
    def switch(subject: str, listeners: int) -> None:
        print(subject.lower(), listeners + 1)

    with publisher.on_interest("A", "B", call=switch) as watching:
        figures: InterestStatistics = watching.statistics()
    another: InterestWatch = publisher.on_interest("A", call=lambda subject, listeners: None)
    another.close()
    counts: dict[str, int] = publisher.listeners(iter("AB"), exact=True)
    return counts["A"] + figures.calls


def fill(pipeline: Pipeline) -> None:
    pipeline.publish("A", 1)
    pipeline.publish({"A", "B"}, 1)
    pipeline.flush(timeout=2.5)


def subscribe(subscriber: Subscriber, policy: Overflow) -> tuple[str, ...]:
    subscriber.subscribe(("A", "B"), overflow=policy, backlog=100)
    subscriber.subscribe(iter("AB"), overflow="drop-oldest")
    subscriber.unsubscribe(["A", "^B"])
    daemon: SubscriberDaemon = subscriber.daemon
    daemon.events(daemon.sockets)
    figures: SubscriberStatistics = subscriber.statistics()
    return figures.subscriptions


def functions(subscriber: Subscriber, calls: queue.SimpleQueue[Callable[[], object]]) -> str:
    @subscriber.on("A", "B", match=["^C"], via=calls.put, overflow="latest")
    def show(event: Event, width: int = 80) -> str:
        return f"{event.subject:{width}}"

    class Screen:
        def show(self, event: Event) -> None:
            print(event)

    screen = Screen()
    subscriber.on(match="^A", via=asyncio.new_event_loop().call_soon_threadsafe)(screen.show)
    subscriber.on("A")(print)
    subscriber.off(screen.show)
    subscriber.off(show, "A", "^C")
    subscriber.off(print)
    text: str = show(Event("A"), width=20)  # it has kept its type
    return text


def test_a_program(event_service: LocalEventService) -> None:
    address: str = event_service.uri
    with collect(("A", "B"), "^C", address, overflow="latest") as seen, Publisher() as publisher:
        publisher.publish("A", event_service.ns_port)
        first: Event = seen.wait_for(1, timeout=2.5)[0]
        events: list[Event] = seen.events
        print(first, events)
    event_service.wait_for_subscriber("A", count=2)
    event_service.stop()


def use(es_uri: str) -> int:
    with Ticker(es_uri).listen_in_background() as ticker, Both(es_uri=URI(es_uri)) as both:
        proxy: Proxy = ticker.getProxy()
        sockets: list[socket.socket] = ticker.getDaemon().getServerSockets()
        ticker.getDaemon().handleRequests(timeout=0)
        stopped: bool = ticker.abortListen
        ticker.abortListen = True
        print(proxy, sockets, stopped, ticker.getES(), repr(both))
        print(both.statistics().publisher.published, both.statistics().subscriber.handled)
        with Publisher(es_uri=es_uri) as publisher:
            print(publish(publisher, ["A"]))
        print(functions(ticker, queue.SimpleQueue()))
        print(subscribe(ticker, Overflow.LATEST), threads(Listening(es_uri=es_uri)))
        return both.publish("A", msg=1) + both.publish(subjects=["A"], message=None)


def main() -> None:
    starter = EventServiceStarter(identification=None)
    starter.initialize("127.0.0.1", 0, useNameServer=0, norange=1)
    print(use(starter.uri), starter.getServerSockets())
    starter.handleRequests(timeout=0)
    starter.shutdown(None)


if __name__ == "__main__":
    main()
