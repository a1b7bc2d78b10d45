"""The contract on the service's own events (docs/contract.md, C39), with real services and sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5
import pytest
from Pyro5.api import Proxy

from pyro_events import EventServiceStarter, Publisher, aio
from pyro_events.codec.message import encode
from pyro_events.testing import collect

SPELLINGS = ["$ES.SUBSCRIBER.JOINED", "$es.anything", "$Eſ.X", "$ES.TEST."]
REFUSED = "only the event service itself publishes"


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def in_pipeline(publisher: Publisher, subjects: Any, message: Any) -> None:
    with publisher.pipeline() as fast:
        fast.publish(subjects, message)


def in_background(publisher: Publisher, subjects: Any, message: Any) -> None:
    with publisher.background() as background:
        background.publish(subjects, message)


def large(publisher: Publisher, subjects: Any, message: Any) -> None:
    publisher.publish(subjects, bytes(1 << 20))


def by_asyncio(publisher: Publisher, subjects: Any, message: Any) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=publisher.statistics().address) as other:
            await other.publish(subjects, message)

    asyncio.run(main())


def by_stock_proxy(publisher: Publisher, subjects: Any, message: Any) -> None:
    with Proxy(publisher.statistics().address) as stock:
        stock.publish(subjects, message)


def unchecked(publisher: Publisher, subjects: Any, message: Any) -> None:
    Pyro5.config.SERIALIZER = "msgpack"
    with Proxy(publisher.statistics().address) as client:
        client.publish_encoded([["A", encode(message)], [subjects, encode(message)]])


WAYS = [Publisher.publish, in_pipeline, in_background, large, by_asyncio, by_stock_proxy, unchecked]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_c39_nobody_else_publishes_them_and_nothing_of_such_a_call_is_published(
    service: EventServiceStarter, publisher: Publisher, way: Callable[[Publisher, Any, Any], object]
) -> None:
    publisher.publish("first", 0)
    with collect(["A", *SPELLINGS[:3], "last"], es_uri=service.uri) as seen:
        for name in SPELLINGS:
            for subjects in (name, ["A", name]):
                with pytest.raises(ValueError, match=REFUSED) as error:
                    way(publisher, subjects, 1)
                assert repr(name) in str(error.value)
        publisher.publish("last", 2)
        assert [event.subject for event in seen.wait_for(1)] == ["last"]


@pytest.mark.parametrize("way", WAYS[:-1], ids=lambda way: way.__name__)
def test_c39_subjects_for_tests_are_anybodys_and_no_pattern_matches_them(
    service: EventServiceStarter, publisher: Publisher, way: Callable[[Publisher, Any, Any], object]
) -> None:
    publisher.publish("first", 0)
    name = "$ES.TEST.5f3a"
    patterns = [r"\$ES\.TEST", "^.", r"^\$ES\..*"]
    with (
        collect(name, es_uri=service.uri) as exact,
        collect(match=patterns, es_uri=service.uri) as matching,
    ):
        way(publisher, name, 1)
        publisher.publish("last", 2)
        assert [event.subject for event in exact.wait_for(1)] == [name]
        assert [event.subject for event in matching.wait_for(1)] == ["last"]


def test_c39_a_batch_of_a_stock_client(service: EventServiceStarter) -> None:
    Pyro5.config.SERIALIZER = "json"
    with Proxy(service.uri) as stock, pytest.raises(ValueError, match=REFUSED):
        stock.publish(["A", "$ES.X"], {"a": 1})
