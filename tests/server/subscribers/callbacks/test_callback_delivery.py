"""A delivery over a connection that the service makes: a subscriber that can connect itself is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from fake_subscriber import FakeSubscriber, fake_subscriber
from raw_client import RawClient, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.wire.frames import CONNECT_FAIL, RESULT


def _fails_by_closing(subscriber: FakeSubscriber) -> None:
    subscriber.accept()
    subscriber.leave()


def _fails_by_refusing(subscriber: FakeSubscriber) -> None:
    subscriber.accept()
    subscriber.send(CONNECT_FAIL, 0, "unknown object")


def _fails_by_another_object(subscriber: FakeSubscriber) -> None:
    subscriber.greet("ping")


def _fails_by_nonsense(subscriber: FakeSubscriber) -> None:
    subscriber.accept()
    assert subscriber.sock is not None
    subscriber.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def standing(control: RawClient, subscriber: str) -> Any:
    return control.call("statistics", {"subscriber": subscriber})


@pytest.mark.parametrize(
    "fail",
    [_fails_by_closing, _fails_by_refusing, _fails_by_another_object, _fails_by_nonsense],
    ids=("closes", "refuses", "another object", "no Pyro daemon"),
)
@pytest.mark.parametrize("falls_back", [False, True])
def test_a_wrong_greeting_ends_it_unless_the_subscriber_connects_itself(
    service: EventServiceStarter, fail: Callable[[FakeSubscriber], None], falls_back: bool
) -> None:
    with fake_subscriber() as subscriber, raw_client(service.uri) as control:
        control.call("subscribe", "A", subscriber.uri, {"falls_back": falls_back})
        with Publisher(es_uri=service.uri) as publisher:
            publisher.publish("A", 1)
        fail(subscriber)
        ended = "unreachable" if falls_back else ""
        eventually(lambda: standing(control, subscriber.uri)["state"] == ended)
        found = standing(control, subscriber.uri)
        if falls_back:
            assert found["subscriptions"] == 1 and found["why"]
            waiting = account(service.uri, subscriber.uri)
            assert waiting is not None and waiting["backlog"] == 1
        else:
            assert found["subscriptions"] == -1 and "1 events that waited for it were lost" in found["why"]


def test_one_that_has_got_events_is_not_waited_for(service: EventServiceStarter) -> None:
    with fake_subscriber() as subscriber, raw_client(service.uri) as control:
        control.call("subscribe", "A", subscriber.uri, {"falls_back": True})
        subscriber.greet()
        eventually(lambda: standing(control, subscriber.uri)["state"] == "active")
        subscriber.send(RESULT, 9, [])
        eventually(lambda: standing(control, subscriber.uri)["subscriptions"] == -1)


def test_publishers_are_not_held_up_for_longer_than_the_delivery_deadline(
    free_port: Callable[[], int],
) -> None:
    with running(delivery_deadline=0.2) as service, raw_client(service.uri) as control:
        proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
        control.call("subscribe", "A", proxy, {"falls_back": True, "backlog": 1})
        with Publisher(es_uri=service.uri) as publisher:
            publisher.publish("A", 1)
            publisher.publish("A", 2)
        assert statistics(service.uri)["subscribers"] == []


def test_one_that_has_unsubscribed_from_everything_is_not_waited_for(service: EventServiceStarter) -> None:
    with fake_subscriber() as subscriber, raw_client(service.uri) as control:
        control.call("subscribe", "A", subscriber.uri, {"falls_back": True})
        subscriber.accept()
        assert control.call("unsubscribe", "A", subscriber.uri) == 0
        subscriber.leave()
        eventually(lambda: standing(control, subscriber.uri)["subscriptions"] == -1)


def test_a_service_that_stops_waits_for_nobody_who_would_have_to_connect(
    free_port: Callable[[], int],
) -> None:
    with running(drain=60.0) as service, raw_client(service.uri) as control:
        proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
        control.call("subscribe", "A", proxy, {"falls_back": True})
        eventually(lambda: standing(control, proxy)["state"] == "unreachable")
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", 1) == 1
        in_background(service.shutdown).result(20)
