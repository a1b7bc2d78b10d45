"""What everything that the package exports says about itself, and that its examples do what they say.

Knows: the public names. Must not know: how docstrings are read (docstrings.py does).
"""

from __future__ import annotations

import asyncio
import dataclasses
import doctest
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5
import pytest
from docstrings import class_faults, function_faults, members

import pyro_events
from pyro_events import EventServiceStarter, Publisher, Subscriber, aio, testing

PACKAGE = "pyro_events"
LOOPBACK = "127.0.0.1"
# Functions and methods that raise nothing of their own.
RAISE_NOTHING = {
    *("BackgroundPublisher.close", "BackgroundPublisher.statistics"),
    *("InterestWatch.close", "InterestWatch.statistics", "aio.InterestWatch.statistics"),
    *(
        "ClientBase.close",
        "EventStream.close",
        "Subscriber.abort",
        "ClocksDifferError.__init__",
        "RemoteError.__init__",
    ),
    *("Event.__init__", "Event.from_payload", "Unknown.__init__"),
    *("PolledDaemon.events", "PolledDaemon.getServerSockets", "PolledDaemon.shutdown"),
    *("SubscriberDaemon.close", "SubscriberDaemon.disconnect"),
    *("testing.EventCollector.close", "testing.LocalEventService.stop"),
    *(
        "EventService.close",
        "Runner.shutdown",
        "PolledRunner.shutdown",
        "ReadsPermissions.reload_permissions",
        "aio.Publisher.statistics",
        "aio.BackgroundPublisher.statistics",
    ),
    "aio.EventStream.statistics",
}
# Methods of exported classes that are there for the package itself.
INTERNAL = {
    *("BackgroundPublisher.__init__", "InterestWatch.__init__"),
    *(f"Pipeline.{name}" for name in ("__init__", "discard", "send_buffered")),
    *(f"SubscriberDaemon.{name}" for name in ("__init__", "deliver_to", "disconnected", "disown", "entered")),
    *(f"SubscriberDaemon.{name}" for name in ("make_call", "remove", "validateHandshake")),
    "Runner.forked",
    "EventService.forked",
    *("aio.BackgroundPublisher.__init__", "aio.InterestWatch.__init__", "aio.Pipeline.__init__"),
}


def exported() -> Iterator[tuple[str, Any]]:
    """The public names, those of subpackages with a prefix, and what they are."""
    for prefix, package in (("", pyro_events), ("aio.", aio), ("testing.", testing)):
        for name in package.__all__:
            value = getattr(package, name)
            if not isinstance(value, str):
                yield f"{prefix}{name}", value


def documented() -> Iterator[tuple[str, Any]]:
    """Everything that has a docstring of its own, by name; what classes inherit is there once."""
    seen = set()
    for name, value in exported():
        prefix = name[: -len(name.rpartition(".")[2])]
        yield name, value
        if not isinstance(value, type):
            continue
        # A dataclass says in its own docstring what it is made of.
        made = [] if dataclasses.is_dataclass(value) else [("__init__", value.__init__)]
        for member, found in [*members(value, PACKAGE), *made]:
            function = _function(found)
            own = getattr(function, "__qualname__", None)
            where = f"{prefix}{own}" if own is not None else f"{name}.{member}"
            if getattr(function, "__module__", PACKAGE).startswith(PACKAGE) and where not in seen:
                seen.add(where)
                yield where, function


def _function(member: Any) -> Any:
    """The function behind a method; anything else as it is."""
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    return inspect.unwrap(member) if callable(member) else member


def _is_property(value: Any) -> bool:
    """Whether it is computed when it is asked for; a slot is an attribute like any other."""
    return inspect.isdatadescriptor(value) and not inspect.ismemberdescriptor(value)


DOCUMENTED = {name: value for name, value in documented() if name not in INTERNAL}
CLASSES = {name: value for name, value in DOCUMENTED.items() if isinstance(value, type)}
FUNCTIONS = {name: value for name, value in DOCUMENTED.items() if inspect.isfunction(value)}
PROPERTIES = {name: value for name, value in DOCUMENTED.items() if _is_property(value)}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_it_is_and_shows_it(name: str) -> None:
    assert class_faults(CLASSES[name], PACKAGE) == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_returns_and_raises(name: str) -> None:
    assert function_faults(FUNCTIONS[name], name in RAISE_NOTHING) == []


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_says_what_it_is(name: str) -> None:
    assert PROPERTIES[name].__doc__


def test_tab_completion_offers_what_programs_may_use(service: EventServiceStarter) -> None:
    assert set(dir(pyro_events)) == {*pyro_events.__all__, "aio"}
    assert set(dir(aio)) == set(aio.__all__)
    assert set(dir(testing)) == set(testing.__all__)
    with pyro_events.Publisher(es_uri=service.uri) as market, market.pipeline() as fast:
        assert {"publish", "flush"} <= set(dir(fast))
        assert not {f"Pipeline.{name}" for name in dir(fast) if not name.startswith("_")} & INTERNAL


def test_no_exception_to_the_rules_is_there_for_nothing() -> None:
    assert set(FUNCTIONS) >= RAISE_NOTHING
    assert {name for name, _ in documented()} >= INTERNAL


# Examples


@pytest.fixture(scope="module")
def service() -> Iterator[EventServiceStarter]:
    """A service, in a name server of its own."""
    with EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_host=LOOPBACK, ns_port=0) as service:
        yield service


@pytest.fixture
def names(service: EventServiceStarter) -> Iterator[dict[str, Any]]:
    """The names that examples may use: what the package exports, and one of each."""
    assert service.ns_uri is not None
    Pyro5.config.NS_HOST, port = service.ns_uri.partition("@")[2].split(":")
    Pyro5.config.NS_PORT = int(port)
    with Publisher() as market, Subscriber() as ticker:
        here = {"__name__": "__main__", "es_uri": service.uri, "market": market, "ticker": ticker}
        here |= {"aio": aio, "asyncio": asyncio}
        here |= {name: getattr(testing, name) for name in testing.__all__}
        yield {**{name: getattr(pyro_events, name) for name in pyro_events.__all__}, **here}


def examples() -> dict[str, doctest.DocTest]:
    """The docstrings with examples, parsed, by the name of what they describe."""
    parser = doctest.DocTestParser()
    found = {
        name: parser.get_doctest(inspect.cleandoc(value.__doc__ or ""), {}, name, None, 0)
        for name, value in {PACKAGE: pyro_events, "aio": aio, "testing": testing, **DOCUMENTED}.items()
    }
    return {name: example for name, example in found.items() if example.examples}


@pytest.mark.parametrize("name", examples())
def test_an_example_does_what_it_says(name: str, names: dict[str, Any]) -> None:
    example = examples()[name]
    example.globs = names
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


# The check itself


def complete(number: int, name: str = "x") -> int:
    """A function that says everything.

    Args:
        number: any.
        name: goes on in
            another line; "x" by default.

    Returns:
        The number.

    Raises:
        ValueError: never.
    """
    return number


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", None),
        ("number: any.", "", "it does not say what number is"),
        ("number: any.", "number:", "it does not say what number is"),
        ("number: any.", "number: any.\n    other: any.", "it has no parameter other"),
        ("by default", "usually", "it does not say what name is by default"),
        ("Returns:", "Return:", "it does not say what it returns"),
        ("Raises:", "", "it does not say what it raises"),
        ("Args:", "", "it does not say what number is"),
        ("ValueError: never.", "", "it does not say what it raises"),
        ("Raises:", "Returns:\n    It.\n\nRaises:", "two sections Returns"),
        ("Raises:", "Raises: it", "Raises: it"),
    ],
)
def test_the_check_finds_what_is_missing(old: str, new: str, fault: str | None) -> None:
    def function(number: int, name: str = "x") -> int:
        return number

    said = inspect.getdoc(complete)
    assert said is not None and old in said
    function.__doc__ = said.replace(old, new)
    faults = function_faults(function)
    assert fault in faults if fault else faults == []


def test_the_check_finds_what_a_class_does_not_say() -> None:
    class Bare:
        """It has an attribute."""

        attribute = 1

    assert class_faults(Bare, __name__) == ["it has no example", "it does not say what attribute is"]
    assert function_faults(complete, raises_nothing=True)
    none: Callable[..., None] = lambda: None  # noqa: E731
    assert function_faults(none) == ["it has no docstring"]
