"""What clients can call: what is refused before anything is published, and how a call becomes entries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from Pyro5.errors import PyroError

from pyro_events.broker.accounting import Loss, TotalBytes
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.statistics import GoneSubscribers
from pyro_events.constants import MIB
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.clients.long_result import LongResult
from pyro_events.server.limits.scheduler import Scheduler
from pyro_events.server.objects import LARGE, Caller, DeferredResult
from pyro_events.server.service_methods import REMOTE_METHODS, ServiceMethods
from pyro_events.wire.frames import MSGPACK
from pyro_events.wire.own_connection import ATTACH

CALLER = Caller("192.0.2.1", MSGPACK)
SUBSCRIBER = "PYRO:s@192.0.2.1:5000"
WATCHING = {"key": "0" * 32}


class FakeClients(list[Any]):
    def named(self) -> list[tuple[str, str]]:
        return [("market", "192.0.2.1")]


class FakeWatchers(list[Any]):
    """One publisher watches subjects, with WATCHING as its key."""

    def named(self) -> list[tuple[str, str]]:
        return [("camera", "192.0.2.1")]

    def has(self, caller: Caller, key: str) -> bool:
        return key == WATCHING["key"]

    def attach(self, caller: Caller, options: Any) -> tuple[str, Any]:
        return "attached", options

    def watch(self, caller: Caller, key: str, subjects: list[str]) -> list[str]:
        return subjects

    def unwatch(self, caller: Caller, key: str, subjects: list[str]) -> list[str]:
        return subjects

    def standing(self, caller: Caller, key: str) -> Any:
        return SimpleNamespace(_asdict=lambda: {"subscriptions": 7})


class FakeEngine:
    """Notes what is published and subscribed."""

    def __init__(self) -> None:
        self.options = ServiceOptions(max_message=2 * MIB)
        self.entries: list[tuple[list[str], bytes]] = []
        self.retained: list[int] = []  # which of them
        self.broker = Broker(BacklogOptions(), MIB)
        self.calls: list[tuple[Any, ...]] = []
        self.delivered = 0
        self.refused = {"connections": 1, "subscribers": 2}
        self.clients = FakeClients([1, 2, 3])
        self.watchers = FakeWatchers([4])
        self.scheduler: Any = None
        self.broker = Broker(BacklogOptions(), 1 << 20)
        self.deliveries = SimpleNamespace(
            table={}, subscribe=self._note("subscribe"), unsubscribe=self._note("unsubscribe", 5)
        )

    def _note(self, name: str, result: Any = None) -> Any:
        def called(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return result

        return called

    def publish(self, entries: Iterable[Any], retained: Iterable[int] = ()) -> int:
        self.retained += [len(self.entries) + position for position in retained]
        self.entries += [(list(subjects), bytes(payload)) for subjects, payload in entries]
        return len(self.entries)

    def deliver(self) -> None:
        self.delivered += 1


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def service(engine: FakeEngine) -> ServiceMethods:
    return ServiceMethods(engine)  # type: ignore[arg-type]


def test_exactly_these_can_be_called(service: ServiceMethods) -> None:
    assert set(service.methods) == {*REMOTE_METHODS, ATTACH, LARGE}


def test_subscribing_says_who_where_and_to_what(service: ServiceMethods, engine: FakeEngine) -> None:
    service.subscribe(CALLER, "A", SUBSCRIBER, {"name": "market", "backlog": 5})
    service.subscribeMatch(CALLER, "^A", SUBSCRIBER)
    (_, caller, callback, names, patterns, wanted), second = engine.calls
    assert (caller, callback.uri, names, patterns) == (CALLER, SUBSCRIBER, "A", ())
    assert (wanted.name, wanted.options) == ("market", {"backlog": 5})
    assert second[3:5] == ((), "^A")
    service.subscribe(CALLER, ["A"], SUBSCRIBER, {"match": ["^B"]})
    assert engine.calls.pop()[3:5] == (["A"], ["^B"])
    assert service.unsubscribe(CALLER, ["A"], SUBSCRIBER) == 5
    assert engine.calls[-1] == ("unsubscribe", CALLER, [SUBSCRIBER], ["A"])
    with pytest.raises(TypeError):
        service.subscribe(CALLER, "A", 5)


def test_statistics_are_plain_data_about_all(service: ServiceMethods, engine: FakeEngine) -> None:
    backlog = Backlog(SUBSCRIBER, BacklogOptions(), TotalBytes())
    backlog.lose_everything(Loss.GONE)
    snapshot = GoneSubscribers().and_those([backlog.statistics(["A"], 1.0)], 7, 8, 9)
    engine.statistics = lambda: snapshot  # type: ignore[attr-defined]
    found: Any = service.statistics(CALLER)
    assert (found["connections"], found["published"]) == (4, 7)
    assert found["clients"] == [("market", "192.0.2.1"), ("camera", "192.0.2.1")]
    assert found["refused"] == {"connections": 1, "subscribers": 2}
    assert found["subscribers"][0]["subjects"] == ("A",)


def test_statistics_of_very_many_are_made_by_turns(service: ServiceMethods, engine: FakeEngine) -> None:
    engine.deliveries.table = dict.fromkeys(range(101))
    engine.statistics_in_turns = lambda address, finished: ("later", address)  # type: ignore[attr-defined]
    assert service.statistics(CALLER) == ("later", "192.0.2.1")  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("options", "error"), [("all", TypeError), ({"top": 5}, ValueError)])
def test_statistics_with_other_options_are_refused(
    service: ServiceMethods, options: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        service.statistics(CALLER, options)


def test_what_was_published_by_no_connection_is_sent_when_asked(
    service: ServiceMethods, engine: FakeEngine
) -> None:
    service.deliver()
    assert engine.delivered == 1


def test_the_listeners_of_a_few_subjects_are_counted_at_once(
    service: ServiceMethods, engine: FakeEngine
) -> None:
    engine.broker.subscribe("PYRO:a@h:1", names=["A"], patterns=[".*"])
    engine.broker.subscribe("PYRO:b@h:1", patterns=[".*"])
    assert service.listeners(CALLER, ["A", "a", "B"]) == {"A": 2, "a": 2, "B": 2}
    assert service.listeners(CALLER, "A", {}) == service.listeners(CALLER, "A", {"exact": False}) == {"A": 2}


@pytest.mark.parametrize(("count", "options"), [(1, {"exact": True}), (1000, None)])
def test_what_may_take_long_is_counted_in_turns(
    service: ServiceMethods, engine: FakeEngine, count: int, options: Any
) -> None:
    engine.broker.subscribe("PYRO:a@h:1", names=["S0"], patterns=[".*"])
    engine.broker.subscribe("PYRO:b@h:1", patterns=[".*"])

    async def ask() -> dict[str, int]:
        engine.scheduler = Scheduler()
        done: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        result = service.listeners(CALLER, [f"S{number}" for number in range(count)], options)
        assert isinstance(result, LongResult)
        result.when_done(done.set_result)
        return await done

    counts = asyncio.run(ask())
    assert len(counts) == count and counts["S0"] == (1 if options else 2)


@pytest.mark.parametrize("error", [RuntimeError("unexpected"), ValueError("wrong")])
def test_a_subscription_that_fails_after_a_search_is_answered(
    service: ServiceMethods, engine: FakeEngine, error: Exception
) -> None:
    engine.broker.retained.put("S", 1.0, b"kept")

    def fail(*arguments: Any) -> None:
        raise error

    engine.deliveries.subscribe = fail

    async def subscribe() -> Any:
        engine.scheduler = Scheduler()
        methods = ServiceMethods(engine)  # type: ignore[arg-type]
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        result = methods.subscribeMatch(CALLER, ".*", SUBSCRIBER, {"last": True})
        assert isinstance(result, DeferredResult)
        result.when_done(done.set_result)
        return await done

    answer = asyncio.run(asyncio.wait_for(subscribe(), 20))
    if isinstance(error, ValueError):
        assert answer is error
    else:
        assert isinstance(answer, PyroError) and "its log says why" in str(answer)


@pytest.mark.parametrize(
    ("subjects", "options", "error"),
    [
        ("A", "exact", TypeError),
        ("A", {"exactly": True}, ValueError),
        ("A", {"exact": 1}, ValueError),
        ("", None, ValueError),
        (["A", "$ES.SUBSCRIBER.LEFT"], None, ValueError),
        ([f"S{number}" for number in range(1001)], None, ValueError),
        (5, None, TypeError),
    ],
)
def test_listeners_are_counted_of_what_can_be_published_alone(
    service: ServiceMethods, subjects: Any, options: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        service.listeners(CALLER, subjects, options)


def test_with_the_key_of_a_publisher_that_watches_its_watching_is_changed(service: ServiceMethods) -> None:
    options = {"interest": True}
    assert service.attach(CALLER, options) == ("attached", options)
    assert service.subscribe(CALLER, "A", WATCHING) == ["A"]
    assert service.unsubscribe(CALLER, ["A", "B"], WATCHING) == ["A", "B"]
    assert service.statistics(CALLER, {"subscriber": WATCHING}) == {"subscriptions": 7}
    for refused in ("$ES.SERVICE.STOPPING", ""):
        with pytest.raises(ValueError, match="subject"):
            service.subscribe(CALLER, refused, WATCHING)
    with pytest.raises(ValueError, match="not who wants a pattern"):
        service.subscribeMatch(CALLER, ".*", WATCHING)
