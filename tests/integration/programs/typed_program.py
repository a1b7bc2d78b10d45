"""A program that mypy --strict must accept: what programs for Pyro3 call, and what is new."""

from __future__ import annotations

import asyncio
import math
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
    EventStream,
    IdentProxy,
    InterestStatistics,
    InterestWatch,
    Overflow,
    Pipeline,
    Publisher,
    PublisherStatistics,
    Subscriber,
    SubscriberDaemon,
    SubscriberStatistics,
    aio,
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
    publisher.publish("STATE", "on", retain=True)
    forgotten: int = publisher.clear_retained(iter(["STATE", "LAMP"]))
    with publisher.pipeline() as fast:
        fill(fast)
    figures: PublisherStatistics = publisher.statistics()
    return figures.published + forgotten


def measure(publisher: Publisher, policy: Overflow) -> int:
    with publisher.background(limit=10, overflow="latest") as instrument:
        instrument.publish(["A", "B"], 1, retain=policy is Overflow.LATEST)
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
    pipeline.publish({"A", "B"}, 1, retain=True)
    pipeline.flush(timeout=2.5)


def subscribe(subscriber: Subscriber, policy: Overflow) -> tuple[str, ...]:
    subscriber.subscribe(("A", "B"), overflow=policy, backlog=100)
    subscriber.subscribe(iter("AB"), overflow="drop-oldest", last=True, max_age=5)
    subscriber.subscribeMatch("^A", last=True, max_age=math.inf)
    subscriber.unsubscribe(["A", "^B"])
    daemon: SubscriberDaemon = subscriber.daemon
    daemon.events(daemon.sockets)
    figures: SubscriberStatistics = subscriber.statistics()
    return figures.subscriptions


def functions(subscriber: Subscriber, calls: queue.SimpleQueue[Callable[[], object]]) -> str:
    @subscriber.on("A", "B", match=["^C"], via=calls.put, overflow="latest", last=True)
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


def share(es_uri: str) -> int | None:
    with EventStream("WORK", match="^JOB", es_uri=es_uri, group="workers", ahead=1, max_age=60) as jobs:
        jobs.subscribe("MORE", group="workers", ahead=2)
        with Publisher(es_uri=es_uri) as publisher:
            publisher.publish("WORK", 1)
        job: Event = jobs.get(timeout=10)
        retained: bool = job.retained
        return job.missed if retained else job.seq


async def in_a_loop(es_uri: str) -> int:
    async with aio.Publisher(es_uri=es_uri) as publisher:
        await publisher.publish("STATE", "on", retain=True)
        async with aio.EventStream("STATE", es_uri=es_uri, last=True, max_age=5) as states:
            await states.subscribeMatch("^S", last=True)
            state: Event = await states.get(timeout=10)
        watching: aio.InterestWatch = await publisher.on_interest("A", call=lambda subject, count: None)
        async with watching as same:
            figures: InterestStatistics = same.statistics()
        counts: dict[str, int] = await publisher.listeners(["A"], exact=True)
        forgotten: int = await publisher.clear_retained("STATE")
        return forgotten + counts["A"] + figures.calls + state.seq


def as_a_user(es_uri: str) -> None:
    IdentProxy(es_uri, "a passphrase", user="alice")


def test_a_program(event_service: LocalEventService) -> None:
    address: str = event_service.uri
    with collect(("A", "B"), "^C", address, overflow="latest", last=True) as seen, Publisher() as publisher:
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
        print(share(es_uri), asyncio.run(in_a_loop(es_uri)))
        as_a_user(es_uri)
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
