"""A listener's attachment: when it connects, what its connection's thread does, and how it ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from contract import account, running
from fake_locator import FakeLocator
from raw_client import RawClient, raw_client
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher
from pyro_events.client.dispatch.dispatcher import Dispatcher
from pyro_events.client.own_connection.attachment import Attachment
from pyro_events.errors import EventServiceError
from pyro_events.wire.handshake.greeting_notes import GreetingNotes


class Subscriber:
    """Notes what it is told. missed: what it answers to a connection."""

    def __init__(self, uri: str) -> None:
        locator: Any = FakeLocator(uri)
        self.events: queue.Queue[Event] = queue.Queue()
        self.dispatcher = Dispatcher(lambda: self.events.put)
        self.attachment = Attachment(locator, self.dispatcher, self)
        self.connections: queue.Queue[object] = queue.Queue()
        self.gone: list[object] = []
        self.missed: Any = lambda: False

    def attached(self, connection: object, notes: GreetingNotes) -> bool:
        self.connections.put(connection)
        return bool(self.missed())

    def disconnected(self, connection: object) -> None:
        self.gone.append(connection)

    def close(self) -> None:
        self.attachment.close()
        self.dispatcher.close()


@pytest.fixture
def es() -> Iterator[EventServiceStarter]:
    with running(heartbeat=0.05, heartbeat_answer=0.05) as es:
        yield es


@pytest.fixture
def control(es: EventServiceStarter) -> Iterator[RawClient]:
    with raw_client(es.uri) as client:
        yield client


@pytest.fixture
def subscriber(es: EventServiceStarter) -> Iterator[Subscriber]:
    subscriber = Subscriber(es.uri)
    yield subscriber
    subscriber.close()


def publish(es: EventServiceStarter, message: object) -> None:
    with Publisher(es_uri=es.uri) as market:
        market.publish("A", message)


def test_it_connects_once(es: EventServiceStarter, control: RawClient, subscriber: Subscriber) -> None:
    attachment = subscriber.attachment
    assert not attachment.connected and not attachment.id
    stands = attachment.attach()
    assert attachment.attach(quick=True) == stands and attachment.connected
    assert control.call("subscribe", "A", stands) == 1
    publish(es, "hello")
    assert subscriber.events.get(timeout=10).msg == "hello"
    found = account(es.uri, f"OWN:{attachment.id}@127.0.0.1")
    assert found is not None and found["name"] == "a test"


def test_heartbeats_are_answered_before_anything_is_handled(subscriber: Subscriber) -> None:
    subscriber.dispatcher.pause()
    subscriber.attachment.attach()
    eventually(lambda: subscriber.attachment.heartbeats > 5)
    assert subscriber.attachment.connected


def test_one_that_the_service_does_not_know_connects_again_with_its_key(
    es: EventServiceStarter, control: RawClient, subscriber: Subscriber
) -> None:
    stands = subscriber.attachment.attach()
    first = subscriber.connections.get(timeout=10)
    subscriber.missed = lambda: True
    assert subscriber.attachment.attach(again=True) == stands
    assert subscriber.connections.get(timeout=10) is not first and first in subscriber.gone
    control.call("subscribe", "A", stands)
    publish(es, 1)
    assert subscriber.events.get(timeout=10).missed is None


def test_one_that_ends_is_told_and_made_again(
    es: EventServiceStarter, control: RawClient, subscriber: Subscriber
) -> None:
    subscriber.attachment.attach()
    first: Any = subscriber.connections.get(timeout=10)
    first.shutdown()
    eventually(lambda: not subscriber.attachment.connected)
    assert subscriber.gone[0] is first
    subscriber.attachment.attach()
    assert subscriber.connections.get(timeout=10) is not first and subscriber.attachment.connected


def test_what_cannot_be_told_ends_the_connection(
    subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise ZeroDivisionError

    subscriber.missed = fail
    subscriber.attachment.attach()
    eventually(lambda: not subscriber.attachment.connected)
    assert "the connection for events is closed" in caplog.text


def test_it_cannot_be_used_in_the_middle_of_itself(es: EventServiceStarter) -> None:
    """By a signal handler, say: it has no connection yet that could be used, and waits for nothing."""
    subscriber = Subscriber(es.uri)
    locator: Any = subscriber.attachment._opener._locator
    errors: list[EventServiceError] = []

    def interrupted(uri: object) -> str:
        with pytest.raises(EventServiceError, match="in the middle of connecting") as raised:
            subscriber.attachment.attach()
        errors.append(raised.value)
        return ""

    locator.was_good = interrupted
    assert subscriber.attachment.attach()["key"] and len(errors) == 1
    subscriber.close()


def test_without_a_thread_there_is_no_connection(
    es: EventServiceStarter, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(EventServiceError, match="gets no thread: can't start"):
            subscriber.attachment.attach()
    assert not subscriber.attachment.connected
    subscriber.attachment.attach()
    assert subscriber.attachment.connected


def test_nothing_is_connected_after_close(subscriber: Subscriber) -> None:
    subscriber.attachment.attach()
    subscriber.attachment.close()
    assert not subscriber.attachment.connected
    with pytest.raises(EventServiceError, match="its program has called close"):
        subscriber.attachment.attach()


def test_a_connection_that_comes_too_late_is_closed(subscriber: Subscriber) -> None:
    subscriber.dispatcher.close()
    subscriber.attachment.attach()
    eventually(lambda: not subscriber.attachment.connected)
    assert subscriber.connections.empty()


def test_a_forked_child_has_no_connection(es: EventServiceStarter, subscriber: Subscriber) -> None:
    stands = subscriber.attachment.attach()
    connection: Any = subscriber.connections.get(timeout=10)
    sock = connection._frames.sock
    with sock.dup() as parents:
        subscriber.dispatcher.disown()
        subscriber.attachment.disown()
        assert not subscriber.attachment.connected and not subscriber.gone
        with raw_client(es.uri) as client:
            assert client.call("subscribe", "A", stands) == 1
        parents.shutdown(2)
