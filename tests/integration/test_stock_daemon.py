"""EventService() registered in a stock Pyro5 daemon of the user's own (docs/guide.md)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import Pyro5
import pytest
from listening import collecting
from Pyro5.api import Daemon, Proxy
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, EventService, Publisher


@pytest.fixture
def uri() -> Iterator[str]:
    """The URI of an EventService in a stock daemon that runs in a thread."""
    with Daemon(host="127.0.0.1") as daemon:
        service = EventService()
        uri = daemon.register(service, EVENTSERVER_NAME)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        yield str(uri)
        daemon.shutdown()
        thread.join()
        service.close()


def test_our_publisher_and_subscriber(uri: str) -> None:
    with collecting(uri, "A") as collector, Publisher(es_uri=uri) as publisher:
        collector.subscribeMatch(r"^B\.")
        message = {"tuple": (1, 2), "bytes": b"\x00", "set": {1}}
        assert publisher.publish(["A", "B.1", "C"], message) == 2
        assert [event.subject for event in collector.wait(2)] == ["A", "B.1"]
        assert collector.events[0].msg == message
        assert collector.events[0].time == collector.events[1].time
        collector.unsubscribe(["A", r"^B\."])
        assert publisher.publish(["A", "B.1"], None) == 0


def test_a_pipeline(uri: str) -> None:
    with collecting(uri, "A") as collector, Publisher(es_uri=uri) as publisher:
        with publisher.pipeline() as fast:
            for number in range(1000):
                fast.publish("A", number)
        collector.wait(1000)
        assert collector.messages() == list(range(1000))


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_a_stock_proxy(uri: str, serializer: str) -> None:
    Pyro5.config.SERIALIZER = serializer
    with collecting(uri, "A") as collector, Proxy(uri) as stock:
        assert stock.publish("A", {"name": "SUN"}) == 1
        assert collector.wait(1)[0].msg == {"name": "SUN"}
        with pytest.raises(ValueError):
            stock.publish("", 1)
        with pytest.raises(TypeError):
            stock.publish(5, 1)
        assert "'A'" in repr(stock.statistics())


def test_a_subscriber_that_leaves_is_forgotten(uri: str) -> None:
    with Publisher(es_uri=uri) as publisher:
        with collecting(uri, "A") as collector:
            assert publisher.publish("A", 1) == 1
            collector.wait(1)
        eventually(lambda: publisher.publish("A", 2) == 0)


def test_a_second_service_in_one_daemon() -> None:
    with Daemon(host="127.0.0.1") as daemon:
        services = [EventService(), EventService()]
        uris = [str(daemon.register(service, name)) for service, name in zip(services, "ab", strict=True)]
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with collecting(uris[0], "A") as collector, Publisher(es_uri=uris[1]) as elsewhere:
                assert elsewhere.publish("A", 1) == 0
                with Publisher(es_uri=uris[0]) as publisher:
                    assert publisher.publish("A", 2) == 1
                collector.wait(1)
        finally:
            daemon.shutdown()
            thread.join()
            for service in services:
                service.close()
