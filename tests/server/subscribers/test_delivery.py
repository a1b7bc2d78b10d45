"""The delivery to one subscriber: what the contract's tests do not reach."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from contract import account, in_background, running, statistics, subscribe
from fake_subscriber import fake_subscriber
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.server.subscribers import delivery
from pyro_events.server.subscribers.coalescing import FEW, FEW_BYTES, Coalescer
from pyro_events.wire.frames import CONNECT_FAIL, EXCEPTION, PING, RESULT

SERIALIZE_ERROR = {
    "__class__": "Pyro5.errors.SerializeError",
    "__exception__": True,
    "args": ["don't know how to serialize class Thing"],
    "attributes": {},
}


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


@pytest.mark.parametrize("method", ["event", "events"])
@pytest.mark.parametrize("closes", [True, False])
def test_a_result_that_could_not_be_serialized_costs_a_connection_and_not_the_subscription(
    service: EventServiceStarter, publisher: Publisher, method: str, closes: bool
) -> None:
    """Pyro5's daemon answers and closes; one that does not close is left all the same."""
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet(method)
        for number in range(5):
            publisher.publish("A", number)
        (first,) = subscriber.batch()
        assert first[2] == 1
        in_flight = 1 if method == "event" else 2  # whose outcome nobody knows
        eventually(lambda: (account(service.uri, subscriber.uri) or {})["unacknowledged"] >= in_flight)
        subscriber.answer(SERIALIZE_ERROR, EXCEPTION)
        if closes:
            subscriber.leave()
        else:
            while subscriber.frame() is not None:
                pass
        subscriber.greet(method)
        rows = subscriber.take(5 - in_flight)
        assert [row[2] for row in rows] == list(range(in_flight + 1, 6))
        eventually(lambda: not statistics(service.uri)["waiting"])
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["lost"] == {"unconfirmed": in_flight}
        assert found["delivered"] == 5 - in_flight


def test_a_connection_that_cannot_be_made_again_ends_it(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet("event")
        publisher.publish("A", 1)
        publisher.publish("A", 2)
        subscriber.batch()
        subscriber.answer(SERIALIZE_ERROR, EXCEPTION)
        subscriber.close()
        eventually(lambda: not statistics(service.uri)["subscribers"])
        assert statistics(service.uri)["lost"] == {"unconfirmed": 1, "gone": 1}


def test_a_daemon_whose_threads_are_all_taken_is_explained(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.accept()
        subscriber.frame()
        subscriber.send(CONNECT_FAIL, 0, "no free workers, increase server threadpool size")
        eventually(lambda: not statistics(service.uri)["subscribers"])
        eventually(lambda: "no free workers" in caplog.text)


def test_events_in_close_succession_wait_a_moment_for_each_other(
    service: EventServiceStarter, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "Coalescer", partial(Coalescer, close=3600.0, moment=1.0, alone=0))
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet("events")
        publisher.publish("A", 1)
        assert len(subscriber.batch()) == 1  # the first goes at once
        subscriber.answer()
        publisher.publish("A", 2)
        publisher.publish("A", 3)
        assert [row[2] for row in subscriber.batch()] == [2, 3]


@pytest.mark.parametrize(("events", "size"), [(FEW, 0), (2, FEW_BYTES)])
def test_what_is_more_than_a_few_does_not_wait(
    service: EventServiceStarter,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    events: int,
    size: int,
) -> None:
    monkeypatch.setattr(delivery, "Coalescer", partial(Coalescer, close=3600.0, moment=3600.0, alone=0))
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet("events")
        publisher.publish("A", 1)
        subscriber.batch()
        subscriber.answer()
        for _ in range(events):
            publisher.publish("A", bytes(size // 2))
        assert subscriber.batch()[0][2] == 2


@pytest.mark.parametrize("policy", ["drop-newest", "drop-oldest", "latest", "disconnect"])
def test_few_do_not_wait_where_the_backlog_is_small(
    service: EventServiceStarter, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Nor is an idle subscriber called slow, or disconnected."""
    monkeypatch.setattr(delivery, "Coalescer", partial(Coalescer, close=3600.0, moment=3600.0, alone=0))
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A", backlog=1, overflow=policy)
        subscriber.greet("events")
        for number in range(5):
            publisher.publish("A", number)
            assert subscriber.messages(1) == [number]
        assert statistics(service.uri)["lost"] == {}


def test_subscribing_again_to_nothing_ends_the_delivery(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    """And holds nobody up."""
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A", backlog=2)
        subscriber.greet("events")
        held = in_background(lambda: [publisher.publish("A", number) for number in range(6)])
        eventually(lambda: (account(service.uri, subscriber.uri) or {})["backlog"] >= 2)
        subscribe(service.uri, subscriber.uri, [], anew=True)
        assert held.result()[-1] == 0
        assert statistics(service.uri)["subscribers"] == []


def test_batches_are_bounded_by_bytes(service: EventServiceStarter, publisher: Publisher) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        with publisher.pipeline() as fast:
            for _ in range(300):
                fast.publish("A", bytes(10_000))
        sizes = []
        while sum(sizes) < 300:
            sizes.append(len(subscriber.batch()))
            subscriber.answer()
        assert 1 < max(sizes) <= 27  # 256 KiB


def test_an_event_larger_than_a_batch_goes_alone(service: EventServiceStarter, publisher: Publisher) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        for _ in range(3):
            publisher.publish("A", bytes(1 << 20))
        subscriber.greet()
        assert [len(subscriber.take(1)) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("kind", [PING, RESULT])
def test_a_subscriber_that_sends_something_unexpected_is_disconnected(
    service: EventServiceStarter, publisher: Publisher, kind: int
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        publisher.publish("A", 1)
        subscriber.take(1)
        subscriber.send(kind, subscriber.seq, [])
        subscriber.wait_for_end()
        eventually(lambda: publisher.publish("A", 2) == 0)


def test_signs_of_life_may_come_late_and_together() -> None:
    with running(heartbeat=0.1, heartbeat_answer=0.1) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        for _ in range(2):
            for _ in range(2):
                frame = subscriber.frame()
                assert frame is not None and frame.type == PING
            for _ in range(2):
                subscriber.send(PING, 0, "pong")
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", 1) == 1


def test_a_delivery_is_closed_while_it_connects() -> None:
    with running(first_contact=60) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
    # The service has ended before anybody answered; nothing is left behind.
