"""C40a: a listener of any kind that blocked publishers for too long cannot do so for a while, and is told."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from contract import account, running, statistics
from listening import Collector, OwnCollector, listening
from Pyro5.api import Daemon, Proxy, expose
from streams import KINDS
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher

TAKEN = "it has drop-oldest in place of block for"
BLOCKED = "blocked a publisher for 0.3 s"


class Slow:
    """Handles one event until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Event()

    def handle(self, event: Event) -> None:
        self.begun.set()
        if event.msg == "wait":
            self.go_on.wait(20)


def hold_up(service: EventServiceStarter, come_back: Callable[[], object]) -> None:
    """Publish to a subscriber that takes nothing, until it was disconnected and is there again."""
    with Publisher(es_uri=service.uri) as publisher:
        eventually(lambda: publisher.publish("A", "more") >= 0 and come_back(), 20)


def policies(service: EventServiceStarter) -> list[str]:
    """The policies that its subscribers have."""
    return [one["overflow"] for one in statistics(service.uri)["subscribers"]]


@pytest.mark.parametrize("own", [False, True], ids=["callback", "own connection"])
@pytest.mark.parametrize("by", ["event", "function"])
def test_a_subscriber_hears_it_when_it_comes_back(
    own: bool, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    kind = OwnCollector if own else Collector
    with running(backlog=1, delivery_deadline=0.3) as service:
        slow, collector = Slow(), kind(service.uri)
        with listening(collector):
            if by == "function":
                collector.on("A")(slow.handle)
            else:
                collector.event = slow.handle  # type: ignore[method-assign]
                collector.subscribe("A")
            assert collector.wait_until_connected(10)
            with Publisher(es_uri=service.uri) as publisher:
                publisher.publish("A", "wait")
            slow.begun.wait(20)
            hold_up(service, lambda: collector.reasons)
            slow.go_on.set()
            assert BLOCKED in collector.reasons[0] and TAKEN in collector.reasons[0]
            found = eventually(lambda: account(service.uri, collector.known_as))
            assert found["overflow"] == "drop-oldest"
        assert "has drop-oldest in place of block for" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_says_so_in_its_log(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pyro_events.stream")
    with (
        running(backlog=1, delivery_deadline=0.3) as service,
        KINDS[kind]("A", es_uri=service.uri) as stream,
    ):
        hold_up(service, lambda: policies(service) in ([], ["drop-oldest"]))

        def told() -> list[str]:
            with contextlib.suppress(TimeoutError):  # what it had fetched, or what comes now
                stream.get(0.01)
            return [line for line in caplog.messages if "subscribed again" in line]

        (line,) = eventually(told)
        assert BLOCKED in line and TAKEN in line
        assert policies(service) == ["drop-oldest"]


@expose
class Plain:
    def __init__(self, slow: Slow) -> None:
        self._slow = slow

    def event(self, event: Event) -> None:
        self._slow.handle(event)


def test_a_plain_object_has_it_when_it_is_subscribed_again(caplog: pytest.LogCaptureFixture) -> None:
    """It does not come back by itself, and cannot be told."""
    with running(backlog=1, delivery_deadline=0.3) as service, Daemon(host="127.0.0.1") as daemon:
        slow = Slow()
        plain: Any = Plain(slow)
        daemon.register(plain)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with Proxy(service.uri) as es:
                es.subscribe("A", plain)
                assert es.publish("A", "wait") == 1
                slow.begun.wait(20)
                hold_up(service, lambda: policies(service) == [])
                slow.go_on.set()
                es.subscribe("A", plain)
                assert policies(service) == ["drop-oldest"]
                assert [es.publish("A", number) for number in range(10)] == [1] * 10
        finally:
            slow.go_on.set()
            daemon.shutdown()
            thread.join()
        assert "has drop-oldest in place of block for" in caplog.text
