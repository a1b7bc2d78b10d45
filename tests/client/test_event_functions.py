"""`on` and `off`: what they take, and what they refuse before anything is subscribed."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from waiting import eventually

from pyro_events.client.publisher import Publisher
from pyro_events.client.subscriber import Subscriber
from pyro_events.errors import EventServiceError
from pyro_events.event import Event

if TYPE_CHECKING:
    from pyro_events import EventServiceStarter


@pytest.fixture
def ticker(service: EventServiceStarter) -> Iterator[Subscriber]:
    with Subscriber(es_uri=service.uri).listen_in_background() as ticker:
        ticker.setThreading(False)  # or a thread that the system holds up would be overtaken
        yield ticker


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


async def coroutine_function(event: Event) -> None:
    """Would never run."""


def generator(event: Event) -> Iterator[None]:
    yield


async def async_generator(event: Event) -> Any:
    yield


def plain(event: Event) -> None:
    """What follows is about functions."""


@pytest.mark.parametrize(
    ("subjects", "options", "error", "text"),
    [
        ((), {}, ValueError, r"needs at least one name, or a pattern"),
        ((), {"match": []}, ValueError, r"needs at least one name"),
        ((5,), {}, TypeError, r'takes names as text, not int: write @subscriber.on\("A", "B"\)'),
        ((["A", "B"],), {}, TypeError, r"takes names as text, not list"),
        ((plain,), {}, TypeError, r"takes names as text, not function: write @subscriber.on"),
        (("A", ""), {}, ValueError, r"subject '' is empty"),
        (("A" * 256,), {}, ValueError, r"256 characters long"),
        (("A",), {"match": "("}, ValueError, r"pattern '\(' is not accepted"),
        (("A",), {"match": 5}, TypeError, r"patterns are one text or a sequence"),
        (("A",), {"match": None}, TypeError, r"patterns are one text or a sequence"),
        (("A",), {"via": 5}, TypeError, r"via= must be a function, not int"),
        (("A",), {"via": coroutine_function}, TypeError, r"via= is a coroutine function"),
        (("A",), {"backlog": 0}, ValueError, r"backlog"),
        (("A",), {"overflow": "latst"}, ValueError, r"overflow"),
        (("A",), {"backlogs": 5}, TypeError, r"backlogs"),
    ],
)
def test_c35_what_on_cannot_use_it_says_at_once(
    ticker: Subscriber, subjects: Any, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ticker.on(*subjects, **options)
    assert ticker.statistics().subscriptions == ()


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (coroutine_function, r"coroutine_function\(\) is a coroutine function .*pyro_events\.aio"),
        (functools.partial(coroutine_function), r"coroutine_function\(\) is a coroutine function"),
        (generator, r"generator\(\) is a generator function"),
        (async_generator, r"async_generator\(\) is an async generator function"),
        (lambda: None, r"<lambda>\(\) cannot be called with an event: too many positional arguments"),
        (lambda subject, msg: None, r"cannot be called with an event: missing a required argument: 'msg'"),
        (5, r"what on\(\) decorates must be a function, not int"),
        (None, r"what on\(\) decorates must be a function, not NoneType"),
    ],
)
def test_c35_what_cannot_be_called_with_an_event_is_refused_when_it_is_registered(
    ticker: Subscriber, function: Any, text: str
) -> None:
    with pytest.raises(TypeError, match=text):
        ticker.on("A")(function)
    assert ticker.statistics().subscriptions == ()


def test_off_needs_a_function_and_texts(ticker: Subscriber) -> None:
    with pytest.raises(TypeError, match=r"off\(\) needs the function that was given to on\(\), not str"):
        ticker.off("A")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text, not int"):
        ticker.off(print, 5)  # type: ignore[arg-type]
    ticker.off(print)
    ticker.off(print, "A")


def test_c35_the_decorator_returns_the_function_and_may_be_used_again(
    ticker: Subscriber, publisher: Publisher
) -> None:
    got: list[tuple[str, str]] = []
    watch = ticker.on("A", match=iter(["^B"]))

    @watch
    def one(event: Event) -> None:
        got.append(("one", event.subject))

    def two(event: Event) -> None:
        got.append(("two", event.subject))

    assert watch(two) is two and one.__name__ == "one"
    assert publisher.publish(["A", "b"], 1) == 2
    eventually(lambda: len(got) == 4)
    assert got == [("one", "A"), ("two", "A"), ("one", "b"), ("two", "b")]
    assert ticker.statistics().subscriptions == ("A", "^B")


def test_c35_a_bound_method_is_found_again(ticker: Subscriber, publisher: Publisher) -> None:
    class Screen:
        def __init__(self) -> None:
            self.shown: list[str] = []

        def show(self, event: Event) -> None:
            self.shown.append(event.subject)

    screen, other = Screen(), Screen()
    for each in (screen, other):
        ticker.on("A")(each.show)
    ticker.off(screen.show)
    publisher.publish("A", 1)
    eventually(lambda: other.shown == ["A"])
    assert screen.shown == []


def test_nothing_is_registered_where_subscribing_fails(ticker: Subscriber) -> None:
    watch = ticker.on("A")
    ticker.close()
    with pytest.raises(EventServiceError, match="closed"):
        watch(plain)
    assert ticker.statistics().subscriptions == ()


def test_before_init() -> None:
    class Forgetful(Subscriber):
        def __init__(self) -> None:
            pass

    for call in (lambda: Forgetful().on("A"), lambda: Forgetful().off(print)):
        with pytest.raises(EventServiceError, match=r"call Subscriber\.__init__ first"):
            call()


def test_c35_via_a_loop_of_asyncio(ticker: Subscriber, publisher: Publisher) -> None:
    async def main() -> list[str]:
        loop, done, got = asyncio.get_running_loop(), asyncio.Event(), list[str]()

        def show(event: Event) -> None:
            assert asyncio.get_running_loop() is loop
            got.append(event.msg)
            if len(got) == 3:
                done.set()

        await loop.run_in_executor(None, ticker.on("A", via=loop.call_soon_threadsafe), show)
        await loop.run_in_executor(None, lambda: [publisher.publish("A", each) for each in "abc"])
        await asyncio.wait_for(done.wait(), 20)
        return got

    assert asyncio.run(main()) == ["a", "b", "c"]
    eventually(lambda: ticker.statistics().handled == 3)
