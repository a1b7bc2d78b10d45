"""The inside of a stream, as the reconnector sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from contract import in_background, statistics
from raw_client import raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.reconnect.events import SubscriptionStatus
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.client.stream.event_source import NothingCameError
from pyro_events.client.stream.stream_receiver import StreamReceiver
from pyro_events.client.stream.watcher import StreamWatcher
from pyro_events.errors import EventServiceError


@pytest.fixture
def receiver(service: EventServiceStarter) -> Iterator[StreamReceiver]:
    """One that nothing but the test looks at."""
    locator = ServiceLocator(service.uri, name="test")
    receiver = StreamReceiver(locator, {"backlog": 10}, watcher=StreamWatcher(3600.0), times=ReconnectTimes())
    receiver.subscribe("subscribe", ["A"], {})
    receiver.start()
    yield receiver
    receiver.close()


def test_what_the_service_knows_about_it(receiver: StreamReceiver) -> None:
    answer = receiver.ask(5.0)
    assert (answer.status, answer.connected) == (SubscriptionStatus.KNOWN, True)
    assert receiver.wanted() and receiver.own_address() == f"stream {receiver.attached.id}"
    assert receiver.address().startswith("PYRO:Pyro.EventService@")


def test_another_connection_takes_the_place_of_one_that_ended(
    service: EventServiceStarter, receiver: StreamReceiver
) -> None:
    activity, key = receiver.activity(), receiver.attached.key
    receiver.hang_up([receiver.source.link, object()])
    with pytest.raises(NothingCameError):
        while True:
            receiver.source.take(0.0)  # finds the end, and has it made again
    eventually(lambda: receiver.statistics().reconnects == 1 and receiver.statistics().connected)
    assert receiver.activity() != activity and receiver.attached.key == key
    eventually(lambda: [one["backlog"] for one in statistics(service.uri)["subscribers"]] == [0])
    with Publisher(es_uri=service.uri) as publisher:
        eventually(lambda: publisher.publish("A", 1))
    row = receiver.source.take(None)
    assert row is not None and row[3] is None
    # The connection for calls, which a thousand streams would have as well, is released again.
    eventually(lambda: statistics(service.uri)["connections"] == 1, 4.0)


def test_a_service_that_has_forgotten_it_is_told_again(
    service: EventServiceStarter, receiver: StreamReceiver
) -> None:
    with raw_client(service.uri) as thief:  # somebody with the key has taken over
        thief.call("attach", {"key": receiver.attached.key})
        eventually(lambda: receiver.look() and receiver.source.link.dead)
        receiver.look()
        eventually(lambda: receiver.statistics().connected)
        thief.wait_for_end()
    assert receiver.statistics().reconnects == 1


def test_a_thread_that_waits_for_a_connection_does_not_keep_another_from_waiting(
    receiver: StreamReceiver,
) -> None:
    receiver.reconnection.closed()  # so that nothing is made again
    receiver.source.link.fail("for the test")
    waiting = in_background(lambda: receiver.source.take(None))
    eventually(lambda: receiver.source._waiting)
    with pytest.raises(NothingCameError):
        receiver.source.take(0.0)
    receiver.close()
    assert waiting.result() is None
    eventually(lambda: not [one for one in threading.enumerate() if one.name == "pyro_events-streams"])


def test_a_closed_one_takes_no_subscription(receiver: StreamReceiver) -> None:
    receiver.close()
    for use in (lambda: receiver.subscribe("subscribe", ["B"], {}), lambda: receiver.unsubscribe(["A"])):
        with pytest.raises(EventServiceError, match="this stream is closed"):
            use()
    assert receiver.source.take(None) is None and not receiver.wanted()
