"""The methods by which a program subscribes: what they accept, and that their options reach the service."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pyro_events import EventServiceError, EventServiceStarter, EventStream, Subscriber
from pyro_events.client.subscribe_methods import SubscribeMethods, use_subscriptions
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN


class Record:
    """What was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        self.calls.append((how, texts, options))

    def unsubscribe(self, texts: list[str]) -> None:
        self.calls.append(("unsubscribe", texts))


def test_what_is_told() -> None:
    methods, record = SubscribeMethods(), Record()
    use_subscriptions(methods, record)
    methods.subscribe("A", backlog=5, max_age=math.inf, last=True)
    methods.subscribeMatch(("^A", "^B"), group="workers", ahead=1)
    methods.subscribeMatch(subjectPatterns="^C", overflow="latest")
    methods.unsubscribe(["A", "^B"])
    assert record.calls == [
        (NAME, ["A"], {"backlog": 5, "max_age": math.inf, "last": True}),
        (PATTERN, ["^A", "^B"], {"group": "workers", "ahead": 1}),
        (PATTERN, ["^C"], {"overflow": "latest"}),
        ("unsubscribe", ["A", "^B"]),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_age": 0},
        {"max_age": True},
        {"group": ""},
        {"ahead": 0},
        {"last": "yes"},
        {"last": True, "group": "workers"},
    ],
)
def test_a_wrong_option_subscribes_to_nothing(wrong: dict[str, Any]) -> None:
    methods, record = SubscribeMethods(), Record()
    use_subscriptions(methods, record)
    for subscribe in (methods.subscribe, methods.subscribeMatch):
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            subscribe("A", **wrong)
    assert record.calls == []


def test_a_subscriber_and_a_stream_share_them(service: EventServiceStarter) -> None:
    with Subscriber(es_uri=service.uri) as subscriber, EventStream(es_uri=service.uri) as stream:
        for client in (subscriber, stream):
            client.subscribe("A", max_age=5)
            client.subscribeMatch("^B", max_age=math.inf)
            assert client.statistics().subscriptions == ("A", "^B")
            client.unsubscribe(("A", "^B"))
            assert client.statistics().subscriptions == ()


@pytest.mark.parametrize("kind", [Subscriber, EventStream])
def test_before_init_the_error_says_what_to_call(kind: Any) -> None:
    client = object.__new__(kind)
    with pytest.raises(EventServiceError, match=f"call {kind.__name__}.__init__ first"):
        client.subscribe("A")
