"""A program of mistakes, each of which mypy --strict must find in its line, and no others.

After each stands the code of mypy's error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pyro_events
from pyro_events import Event, EventService, EventServiceStarter, Overflow, Pipeline, Publisher, Subscriber


class Listening(Subscriber, threading.Thread):
    def event(self, event: int) -> None:  # override
        pass


class Both(Publisher, Subscriber):
    pass


def publish(publisher: Publisher, pipeline: Pipeline) -> None:
    publisher.publish(5, "message")  # call-overload
    publisher.publish(["A", 5], "message")  # list-item
    publisher.publish(b"A", "message")  # arg-type
    publisher.publish("A")  # call-overload
    publisher.publish("A", "message", "another")  # call-overload
    publisher.publish("A", "message", timeout="2")  # call-overload
    publisher.publish("A", "message", retain="yes")  # call-overload
    publisher.clear_retained(5)  # arg-type
    publisher.publsh("A", "message")  # attr-defined
    publisher.statistics()["published"]  # index
    print(publisher.statistics().handled)  # attr-defined
    pipeline.publish(5, "message")  # arg-type
    pipeline.publish("A", "message", retain="yes")  # arg-type
    pipeline.flush("2")  # arg-type
    with publisher.pipeline() as fast:
        fast.publish(None, "message")  # arg-type
    publisher.background(overflow="block")  # arg-type
    publisher.on_interest("A")  # call-arg
    publisher.on_interest(["A"], call=print)  # arg-type
    publisher.listeners(5)  # arg-type
    with publisher.background() as instrument:
        instrument.publish(None, "message")  # arg-type
        print(instrument.statistics().lost)  # attr-defined


def subscribe(subscriber: Subscriber, names: Iterable[int]) -> None:
    subscriber.subscribe(3)  # arg-type
    subscriber.subscribe(names)  # arg-type
    subscriber.subscribe("A", overflow="latst")  # arg-type
    subscriber.subscribe("A", overflow="LATEST")  # arg-type
    subscriber.subscribe("A", overflow=Overflow.LATST)  # attr-defined
    subscriber.subscribe("A", backlog="100")  # arg-type
    subscriber.subscribe("A", backlogs=100)  # call-arg
    subscriber.subscribe("A", last="yes")  # arg-type
    subscriber.subscribe("A", group=5)  # arg-type
    subscriber.subscribe("A", group="workers", ahead="1")  # arg-type
    subscriber.subscribe("A", max_age="60")  # arg-type
    subscriber.subscribeMatch(None)  # arg-type
    subscriber.subscribeMatch("^A", overflow="latst")  # arg-type
    subscriber.unsubscribe(3)  # arg-type
    subscriber.setThreading("no")  # arg-type
    subscriber.statistics()["handled"]  # index
    print(subscriber.statistics().published)  # attr-defined
    subscriber.daemon = True  # arg-type
    number: int = subscriber.daemon.sockets  # assignment
    print(number)


def functions(subscriber: Subscriber) -> None:
    @subscriber.on("A")
    def show(event: Event) -> int:
        return len(event.subject)

    @subscriber.on("A")  # type-var
    def number(event: int) -> None:
        print(event)

    @subscriber.on("A")  # type-var
    def nothing() -> None:
        pass

    print(show("A"))  # arg-type
    text: str = show(Event("A"))  # assignment
    subscriber.on(5)  # arg-type
    subscriber.on(["A", "B"])  # arg-type
    subscriber.on(show)  # arg-type
    subscriber.on("A", match=5)  # arg-type
    subscriber.on("A", via=5)  # arg-type
    subscriber.on("A", via=show)  # arg-type
    subscriber.on("A", overflow="latst")  # arg-type
    subscriber.on("A", backlogs=5)  # call-arg
    subscriber.on("A")(5)  # type-var
    subscriber.off("A")  # arg-type
    subscriber.off(show, 5)  # arg-type
    print(text)


def both(both: Both, listening: Listening) -> None:
    print(both.statistics().published)  # attr-defined
    print(both.statistics().publisher.handled)  # attr-defined
    print(listening.daemon.sockets)  # attr-defined


def construct(event: Event) -> None:
    Publisher(wait="30")  # arg-type
    Publisher(names="market")  # call-arg
    Publisher(user=5)  # arg-type
    Publisher(5)  # arg-type
    Subscriber(ns_port="9090")  # arg-type
    EventServiceStarter(options={"backlog": 100})  # arg-type
    EventService(100)  # arg-type
    pyro_events.BacklogOptions(overflow="latst")  # arg-type
    pyro_events.register_classes(5)  # arg-type
    event.subject = 5  # assignment
    text: str = event.retained  # assignment
    print(event.sequence, text)  # attr-defined
