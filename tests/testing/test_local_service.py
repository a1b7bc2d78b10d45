"""The service for one test: where programs find it, and that nothing of it stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import Pyro5
import Pyro5.api
import pytest
from contract import in_background
from processes import Spawner
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    BacklogOptions,
    EventServiceError,
    EventStream,
    Publisher,
    ServiceOptions,
    ServiceUnreachableError,
    Subscriber,
    locate_ns,
)
from pyro_events.testing import LocalEventService

VARIABLES = "PYROEVENTS_ES_URI", "PYRO_NS_HOST", "PYRO_NS_PORT"
SECRET = "a long passphrase"


def surroundings() -> tuple[object, ...]:
    """What tells programs where the service is."""
    return Pyro5.config.NS_HOST, Pyro5.config.NS_PORT, *map(os.environ.get, VARIABLES)


def test_programs_of_this_process_find_it() -> None:
    with LocalEventService() as service:
        with Publisher() as publisher, Subscriber() as subscriber, EventStream("A") as stream:
            subscriber.subscribe("A")
            assert publisher.publish("A", 1) == 2
            assert stream.get(10).msg == 1
        assert service.uri == f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{service.port}"
        with Publisher(es_uri=service.uri), Publisher(ns_host=service.host, ns_port=service.ns_port):
            pass
        with Pyro5.api.Proxy(f"PYRONAME:{EVENTSERVER_NAME}") as es:
            assert es.publish("A", 1) == 0
        with Pyro5.api.locate_ns() as names:
            assert str(names.lookup(EVENTSERVER_NAME)) == service.uri
            assert str(names._pyroUri) == service.ns_uri


def test_programs_that_are_started_find_it(spawn: Spawner) -> None:
    with LocalEventService() as service, EventStream("A") as stream:
        for source in (
            "from pyro_events import Publisher as P\nwith P() as p: p.publish('A', 1)",
            "from Pyro5.api import Proxy as P\nwith P('PYRONAME:Pyro.EventService') as p: p.publish('A', 1)",
        ):
            assert spawn("-c", source).wait() == 0
            assert stream.get(10).msg == 1
        # One whose environment the test makes anew.
        for name in VARIABLES:
            del os.environ[name]
        assert spawn.command(sys.executable, "-c", source, env=service.environment).wait() == 0
        assert stream.get(10).msg == 1


@pytest.mark.parametrize("before", ["", "lab-server:9095"])
def test_afterwards_everything_is_as_it_was(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if before:
        monkeypatch.setenv("PYROEVENTS_ES_URI", before)
        monkeypatch.setenv("PYRO_NS_PORT", "7")
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "lab-server", 7
    known = surroundings()
    with pytest.raises(ZeroDivisionError), LocalEventService() as service:
        assert surroundings() == ("127.0.0.1", service.ns_port, *service.environment.values())
        raise ZeroDivisionError
    assert surroundings() == known
    with pytest.raises(ServiceUnreachableError):
        Publisher(es_uri=service.uri)
    assert repr(service) == "<LocalEventService, ended>"


def test_two_at_a_time_and_the_inner_one_is_found() -> None:
    with LocalEventService() as outer:
        with LocalEventService() as inner, Publisher() as publisher:
            assert publisher.statistics().address == inner.uri != outer.uri
            assert inner.ns_uri != outer.ns_uri
        with Publisher() as publisher:
            assert publisher.statistics().address == outer.uri


def test_options_and_a_passphrase() -> None:
    options = ServiceOptions(backlog=BacklogOptions(backlog=3))
    with LocalEventService(options=options, ident=SECRET) as service:
        with pytest.raises(AccessDeniedError):
            Publisher()
        with Publisher(SECRET) as publisher, EventStream("A", ident=SECRET) as stream:
            service.wait_for_subscriber("A")
            assert publisher.publish("A", 1) == 1 and stream.get(10).msg == 1
            with pytest.raises(ValueError, match="backlog=4 is more than the service allows"):
                stream.subscribe("A", backlog=4)
        with locate_ns(SECRET) as names:
            assert str(names.lookup(EVENTSERVER_NAME)) == service.uri
        assert SECRET not in str(service.environment) + repr(vars(service))


def test_arguments_that_are_wrong() -> None:
    with pytest.raises(TypeError, match="ServiceOptions"):
        LocalEventService(options={"backlog": 3})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        LocalEventService(ident=5)  # type: ignore[arg-type]


def test_it_goes_away_and_comes_back_where_it_was() -> None:
    with LocalEventService() as service, EventStream("A") as stream:
        uri, ns_uri, said = service.uri, service.ns_uri, surroundings()
        service.stop()
        service.stop()
        assert (service.uri, repr(service)) == (uri, "<LocalEventService, ended>")
        with pytest.raises(ServiceUnreachableError):
            Publisher()
        with pytest.raises(EventServiceError, match="does not run"):
            service.wait_for_subscriber("A")
        service.start()
        assert (service.uri, service.ns_uri) == (uri, ns_uri) and surroundings() == said
        service.wait_for_subscriber("A", timeout=20)  # the stream has come back
        with Publisher() as publisher:
            eventually(lambda: publisher.publish("A", 1))
        assert stream.get(10).missed is None
        with pytest.raises(EventServiceError, match="is running: call stop"):
            service.start()
    assert repr(service) == "<LocalEventService, ended>"


def test_one_that_does_not_run() -> None:
    service = LocalEventService()
    for use in (
        lambda: service.uri,
        lambda: service.ns_uri,
        lambda: service.port,
        lambda: service.ns_port,
        lambda: service.environment,
        service.start,
    ):
        with pytest.raises(EventServiceError, match="use it in a with statement"):
            use()
    service.stop()
    assert repr(service) == "<LocalEventService, not started>"
    with service:
        known = surroundings()
        with pytest.raises(EventServiceError, match="started before; make a new one"):
            service.__enter__()
        assert surroundings() == known


def test_waiting_for_a_subscriber() -> None:
    with LocalEventService() as service, Subscriber(name="ticker") as ticker:
        waiting = in_background(lambda: service.wait_for_subscriber("news", timeout=20))
        ticker.subscribe("NEWS")
        ticker.subscribeMatch("^STOCK")
        waiting.result()
        service.wait_for_subscriber("^stock", timeout=0)
        with EventStream("NEWS"):
            service.wait_for_subscriber("NEWS", 2)


@pytest.mark.parametrize(
    ("subject", "count", "text"),
    [
        ("A", 1, "1 subscriber to 'A' expected within 0.01 s, there are 0; all subscribers: ticker to NEWS"),
        (
            "NEWS",
            2,
            "2 subscribers to 'NEWS' expected within 0.01 s, there are 1; all subscribers: ticker to",
        ),
    ],
)
def test_a_subscriber_that_does_not_come(subject: str, count: int, text: str) -> None:
    with LocalEventService() as service:
        with pytest.raises(AssertionError, match="all subscribers: none$"):
            service.wait_for_subscriber(subject, count, timeout=0.01)
        with Subscriber(name="ticker") as ticker:
            ticker.subscribe("NEWS")
            with pytest.raises(AssertionError) as caught:
                service.wait_for_subscriber(subject, count, timeout=0.01)
    assert str(caught.value).startswith(text)


def test_waiting_for_something_that_cannot_be() -> None:
    with LocalEventService() as service:
        wrong: list[tuple[type[Exception], Callable[[], None]]] = [
            (TypeError, lambda: service.wait_for_subscriber(5)),  # type: ignore[arg-type]
            (ValueError, lambda: service.wait_for_subscriber("A", 0)),
            (ValueError, lambda: service.wait_for_subscriber("A", timeout=-1)),
            (TypeError, lambda: service.wait_for_subscriber("A", timeout="1")),  # type: ignore[arg-type]
        ]
        for kind, wait in wrong:
            with pytest.raises(kind, match="subject|count|timeout"):
                wait()
