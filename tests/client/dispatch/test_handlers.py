"""Handlers that would run nothing: coroutine functions, generators, and what hides them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from Pyro5.api import Proxy
from Pyro5.client import _RemoteMethod
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher, Subscriber
from pyro_events.client.dispatch.handlers import check_handler, check_result, check_takes_event
from pyro_events.wire.handshake.greeting_notes import NO_NOTES


async def coroutine(*_: Any) -> None: ...


def generator(*_: Any) -> Iterator[None]:
    yield


async def async_generator(*_: Any) -> AsyncIterator[None]:
    yield


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as most are."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


class Callable_:
    """An object that is called; `kind` is what its `__call__` does."""

    def __init__(self, kind: Callable[..., Any]) -> None:
        self.__class__ = type("Calls", (), {"__call__": kind})  # type: ignore[assignment]


class Holder:
    def __init__(self, kind: Callable[..., Any]) -> None:
        self.method = types.MethodType(kind, self)


ASYNCHRONOUS = (coroutine, generator, async_generator)
# Ways in which a class may come to its handler.
DISGUISES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda kind: kind,
    "partial": lambda kind: functools.partial(kind, 1),
    "partial of a partial": lambda kind: functools.partial(functools.partial(kind, 1), 2),
    "partialmethod": lambda kind: functools.partialmethod(kind, 1),
    "decorated": wrapping,
    "decorated twice": lambda kind: wrapping(wrapping(kind)),
    "decorated partial": lambda kind: wrapping(functools.partial(kind, 1)),
    "cached": functools.lru_cache,
    "staticmethod": staticmethod,
    "classmethod": classmethod,
    "staticmethod of a decorated": lambda kind: staticmethod(wrapping(kind)),
    "singledispatchmethod": functools.singledispatchmethod,
    "callable object": Callable_,
    "callable object, decorated": lambda kind: Callable_(wrapping(kind)),
    "bound method of another object": lambda kind: Holder(kind).method,
}
if_not_singledispatch = [name for name in DISGUISES if name not in ("singledispatchmethod", "partialmethod")]


@pytest.mark.parametrize("name", ["event", "on_reconnect"])
@pytest.mark.parametrize("kind", ASYNCHRONOUS)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_class_with_such_a_handler_cannot_be_made(
    service: EventServiceStarter, disguise: str, kind: Callable[..., Any], name: str
) -> None:
    ticker = type("Ticker", (Subscriber,), {name: DISGUISES[disguise](kind)})
    with pytest.raises(TypeError, match=rf"Ticker\.{name} is an? .*(async def|yield).*call_soon_threadsafe"):
        ticker(es_uri=service.uri)
    derived = type("Derived", (ticker,), {})
    with pytest.raises(TypeError, match=rf"Derived\.{name} is an? "):
        derived(es_uri=service.uri)


@pytest.mark.parametrize("kind", ASYNCHRONOUS)
@pytest.mark.parametrize("disguise", if_not_singledispatch)
def test_one_that_is_set_on_the_object_is_found_when_it_subscribes(
    service: EventServiceStarter, disguise: str, kind: Callable[..., Any]
) -> None:
    handler = DISGUISES[disguise](kind)
    if isinstance(handler, (staticmethod, classmethod)):
        handler = handler.__get__(None, Subscriber)
    with Subscriber(es_uri=service.uri) as ticker:
        ticker.event = handler  # type: ignore[method-assign]
        for subscribe in (ticker.subscribe, ticker.subscribeMatch):
            with pytest.raises(TypeError, match=r"Subscriber\.event is an? "):
                subscribe("A")
        assert ticker.statistics().subscriptions == ()

    class Early(Subscriber):
        def __init__(self) -> None:
            self.event = handler
            super().__init__(es_uri=service.uri)

    with pytest.raises(TypeError, match=r"Early\.event is an? "):
        Early()


@pytest.mark.parametrize("bad", [5, None, "event", ["event"]])
def test_something_that_cannot_be_called_is_not_a_handler(service: EventServiceStarter, bad: object) -> None:
    for name in ("event", "on_reconnect"):
        with pytest.raises(TypeError, match=rf"Ticker\.{name} must be a function"):
            type("Ticker", (Subscriber,), {name: bad})(es_uri=service.uri)
    with Subscriber(es_uri=service.uri) as ticker:
        ticker.event = bad  # type: ignore
        with pytest.raises(TypeError, match=r"Subscriber\.event must be a function"):
            ticker.subscribe("A")


def test_what_runs_when_it_is_called_is_a_handler() -> None:
    def plain(event: object) -> None:
        """What follows is about callables."""

    class Endless:
        """Invents what it is asked for, as a Pyro proxy's methods do."""

        def __getattr__(self, name: str) -> Endless:
            return Endless()

        def __call__(self, *_: object) -> None:
            plain(1)

    good = plain, print, list, Holder, [].append, functools.partial(plain), wrapping(plain), MagicMock()
    for handler in (
        *good,
        Endless(),
        _RemoteMethod(print, "event", 0),
        staticmethod(plain),
        Callable_(plain),
    ):
        check_handler("event", handler)
        check_handler("event", functools.partial(handler, 1))
    looped = wrapping(plain)
    looped.__dict__["__wrapped__"] = looped
    check_handler("event", looped)


class Listener:
    """Has methods that take an event, and methods that take none."""

    def none() -> None:  # type: ignore[misc]
        """Not even self."""

    def no_event(self) -> None:
        """Takes only self."""

    def one(self, event: object) -> None:
        """Takes it."""

    @staticmethod
    def static(event: object) -> None:
        """Takes it without self."""

    @classmethod
    def of_class(cls, event: object, more: int = 1) -> None:
        """Takes it after the class."""


def keyword_only(event: object, *, subject: str) -> None:
    """Nobody gives it the second one."""


@pytest.mark.parametrize(
    "bad", [lambda: None, lambda a, b: None, keyword_only, Listener().no_event, Listener.one, Listener().none]
)
def test_a_function_that_cannot_be_called_with_one_argument(bad: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"^show\(\) cannot be called with an event: .*give it one parameter"):
        check_takes_event("show()", bad)


@pytest.mark.parametrize(
    "good",
    [
        *(
            lambda event: None,
            lambda *events: None,
            lambda event, more=1: None,
            lambda event=None, **more: None,
        ),
        *(Listener().one, Listener.static, Listener.of_class, wrapping(lambda: None)),
        *(print, [].append, dict.fromkeys, Listener, functools.partial(lambda: None), MagicMock()),
    ],
)
def test_what_takes_an_event_or_does_not_say(good: Callable[..., object]) -> None:
    check_takes_event("show()", good)


def test_a_mock_of_a_coroutine_function_is_none() -> None:
    with pytest.raises(TypeError, match="coroutine"):
        check_handler("event", AsyncMock())


def test_results_that_nothing_runs() -> None:
    check_result("event()", MagicMock())
    for fine in (1, "text", [1], iter([1]), object(), threading.Thread(), asyncio.Handle):
        check_result("event()", fine)
    loop = asyncio.new_event_loop()
    with contextlib.closing(loop):
        for kind, result in (
            ("a coroutine", coroutine()),
            ("a generator", generator()),
            ("an async generator", async_generator()),
            ("an awaitable", loop.create_future()),
        ):
            with pytest.raises(TypeError, match=rf"event\(\) returned {kind}, which nothing runs"):
                check_result("event()", result)


@pytest.mark.parametrize("kind", [*ASYNCHRONOUS, lambda event: loopless()])
@pytest.mark.parametrize("threading_on", [True, False])
def test_one_that_shows_only_when_it_is_called_is_counted_and_logged(
    service: EventServiceStarter,
    caplog: pytest.LogCaptureFixture,
    kind: Callable[..., Any],
    threading_on: bool,
) -> None:
    with Subscriber(es_uri=service.uri) as ticker, Publisher(es_uri=service.uri) as publisher:
        ticker.setThreading(threading_on)
        ticker.subscribe("A")
        ticker.event = lambda event: kind(event)  # type: ignore[method-assign]
        listening = threading.Thread(target=ticker.listen)
        listening.start()
        publisher.publish(["A", "a"], 1)
        eventually(lambda: ticker.statistics().failed == 2)
        assert ticker.statistics().handled == 0
        eventually(lambda: "which nothing runs" in caplog.text)
        with Proxy(service.uri) as es:
            # The service hears of it with the acknowledgement of the batch.
            eventually(lambda: es.statistics()["lost"] == {"handler-error": 2})
        ticker.event = lambda event: None  # type: ignore[method-assign]
        publisher.publish("A", 1)
        eventually(lambda: ticker.statistics().handled == 1)
        ticker.abort()
        listening.join(10)
        assert not listening.is_alive()


class loopless:
    """An awaitable that is not a coroutine."""

    def __await__(self) -> Iterator[None]:
        return iter(())


def test_a_property_is_looked_at_when_it_is_used(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    class Ticker(Subscriber):
        @property
        def event(self) -> Any:  # type: ignore[override]
            return coroutine

    with Ticker(es_uri=service.uri) as ticker, Publisher(es_uri=service.uri) as publisher:
        ticker.subscribe("A")
        listening = threading.Thread(target=ticker.listen)
        listening.start()
        publisher.publish("A", 1)
        eventually(lambda: ticker.statistics().failed == 1)
        ticker.abort()
        listening.join(10)


@pytest.mark.parametrize("kind", [*ASYNCHRONOUS, lambda reason: loopless()])
def test_an_on_reconnect_that_shows_only_when_it_is_called_is_logged(
    service: EventServiceStarter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[..., Any],
) -> None:
    with Subscriber(es_uri=service.uri) as ticker:
        ticker.on_reconnect = lambda reason: kind(reason)  # type: ignore[method-assign]
        receiver = ticker._Subscriber__receiver  # type: ignore[attr-defined]
        reason = "the service was restarted"
        monkeypatch.setattr(receiver.reconnection, "connected_by", lambda *said: reason)
        assert receiver.connected(object(), NO_NOTES)  # as the daemon tells it
        eventually(lambda: "on_reconnect() failed" in caplog.text and "which nothing runs" in caplog.text)
