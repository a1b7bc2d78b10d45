"""EventService as a plain object: its engine begins with the first call, and ends once for all."""

from __future__ import annotations

from collections.abc import Iterator

import Pyro5.errors
import pytest
from fake_subscriber import fake_subscriber
from Pyro5.api import Proxy

from pyro_events.codec.message import encode
from pyro_events.options import ServiceOptions
from pyro_events.server.service import EventService
from pyro_events.server.service_methods import REMOTE_METHODS


@pytest.fixture
def service() -> Iterator[EventService]:
    service = EventService(ServiceOptions(drain=0.1))
    yield service
    service.close()


def test_its_engine_begins_with_the_first_call(service: EventService) -> None:
    assert "not used yet" in repr(service)
    assert service.publish(["A", "B"], {"any": "object"}) == 0
    assert "in use" in repr(service)
    assert service.statistics()["published"] == 2


def test_a_mistake_publishes_nothing(service: EventService) -> None:
    with pytest.raises(ValueError):
        service.publish(["A", ""], 5)
    with pytest.raises(TypeError):
        service.publish_encoded("A")
    assert service.publish_encoded([["A", encode(5)]]) == 0
    assert service.statistics()["published"] == 1


def test_subscriptions_come_and_go(service: EventService) -> None:
    with fake_subscriber() as subscriber, Proxy(subscriber.uri) as proxy:
        service.subscribe(["A", "B"], proxy)
        service.subscribeMatch("^C", proxy, {"backlog": 5})
        assert service.publish(["A", "C.1", "D"], 1) == 2
        (found,) = service.statistics()["subscribers"]
        assert (list(found["subjects"]), found["subscriptions"]) == (["A", "B", "^C"], 3)
        assert service.unsubscribe(["A", "^C"], proxy) == 1
        assert service.statistics({"subscriber": proxy})["subscriptions"] == 1


def test_a_closed_service_stays_closed(service: EventService) -> None:
    service.publish("A", 1)
    service.close()
    service.close()
    with pytest.raises(Pyro5.errors.PyroError, match="closed"):
        service.publish("A", 1)
    assert "closed" in repr(service)


def test_one_that_was_never_used_can_be_closed() -> None:
    service = EventService()
    service.close()
    with pytest.raises(Pyro5.errors.PyroError, match="closed"):
        service.statistics()


def test_only_its_remote_methods_are_exposed() -> None:
    exposed = {
        name for name in dir(EventService) if getattr(getattr(EventService, name), "_pyroExposed", False)
    }
    assert exposed == set(REMOTE_METHODS)
