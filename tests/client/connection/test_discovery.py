"""Finding the service: with and without a name server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import Pyro5
import Pyro5.api
import pytest
from Pyro5.errors import NamingError
from Pyro5.nameserver import NameServerDaemon

from pyro_events.client.connection.discovery import ServiceLocator, parse_uri
from pyro_events.constants import EVENTSERVER_NAME
from pyro_events.errors import ServiceNotFoundError

SERVICE = "PYRO:Pyro.EventService@127.0.0.1:9095"


@pytest.fixture
def name_server() -> Iterator[NameServerDaemon]:
    """A stock name server in a thread, which this process finds."""
    Pyro5.config.POLLTIMEOUT = 0.05
    with NameServerDaemon("127.0.0.1", 0) as daemon:
        Pyro5.config.NS_HOST = "127.0.0.1"
        Pyro5.config.NS_PORT = daemon.uriFor("x").port
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        yield daemon
        daemon.shutdown()
        thread.join(10)


def test_a_uri_is_taken_as_it_is() -> None:
    locator = ServiceLocator(SERVICE)
    assert [str(uri) for uri in locator.candidates()] == [SERVICE]
    assert str(parse_uri(Pyro5.api.URI(SERVICE))) == SERVICE


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("lab:9095", "PYRO:Pyro.EventService@lab:9095"),
        ("[::1]:9095", "PYRO:Pyro.EventService@[::1]:9095"),
        ("pyro:9095", "PYRO:Pyro.EventService@pyro:9095"),
        ("pyro-server:9095", "PYRO:Pyro.EventService@pyro-server:9095"),
        ("./u:/run/es", "PYRO:Pyro.EventService@./u:/run/es"),
        ("PYRO:x@./u:/run/es", "PYRO:x@./u:/run/es"),
        ("pyro:x@[2001:db8::1]:77", "PYRO:x@[2001:db8::1]:77"),
        ("PYRONAME:x", "PYRONAME:x"),
        ("PYRONAME:x@lab:1", "PYRONAME:x@lab:1"),
        ("PYRONAME:x@lab", "PYRONAME:x@lab:9090"),
        ("PYRONAME:x@[::1]", "PYRONAME:x@[::1]:9090"),
        ("PYRONAME:x@./u:/run/ns", "PYRONAME:x@./u:/run/ns"),
        ("PYROMETA:x@lab", "PYROMETA:x@lab:9090"),
    ],
)
def test_what_an_address_may_be(given: str, uri: str) -> None:
    assert str(parse_uri(given)) == uri


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("", "port is missing"),
        ("localhost", "port is missing"),
        ("PYRO:x", "invalid uri"),
        ("PYRO:x@host:port", "'port' is not a port"),
        ("PYRO:x@host", "port is missing"),
        ("PYRO:x@host:0", "ports go from 1"),
        ("PYRO:x@host:70000", "ports go from 1"),
        ("PYRO:x@::1:9095", "must be in brackets"),
        ("PYRO:x@[::1]:9095 ", "white space"),
        ("PYRO:x@[::1]:9095junk", "not a port"),
        ("PYRO: x@host:1", "white space"),
        ("::1:9095", "must be in brackets"),
        ("host:9095/x", "not a port"),
        ("http://host:9095", "must be in brackets|is not a host"),
        ("host: 9095", "not a port"),
        ("PYRONAME:", "invalid uri"),
        ("PYRONAME:x@", "not a host"),
        ("PYROMETA:", "invalid uri"),
        ("PYROLOC://host", "not a port|is not a host|brackets"),
    ],
)
def test_something_that_is_not_an_address_is_refused(bad: str, reason: str) -> None:
    with pytest.raises(ValueError, match="looks like PYRO:Pyro.EventService@hostname:port") as caught:
        ServiceLocator(bad)
    assert re.search(reason, str(caught.value)), caught.value
    assert repr(bad) in str(caught.value) and "HOST:PORT" in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_address_that_is_too_long_is_not_shown_whole() -> None:
    with pytest.raises(
        ValueError, match=r"es_uri='x{60}'\.\.\. .* longer than 1000 characters; write"
    ) as caught:
        parse_uri("x" * 100_000 + ":1")
    assert len(str(caught.value)) < 400


def test_two_places_to_look_contradict_each_other() -> None:
    for address in (SERVICE, "lab:9095", "PYRONAME:x@lab", "PYROMETA:x@lab"):
        with pytest.raises(
            ValueError, match="already says where the service is, so ns_host would not be used"
        ):
            ServiceLocator(address, ns_host="lab")
        with pytest.raises(
            ValueError, match="already says where the service is, so ns_port would not be used"
        ):
            ServiceLocator(address, ns_port=9090)
    with pytest.raises(TypeError, match="ns_port must be a port, an int, not str"):
        ServiceLocator(ns_port="9090")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ns_port=0 is not a port"):
        ServiceLocator(ns_port=0)
    with pytest.raises(ValueError, match="ns_host='lab:9090' contains a port"):
        ServiceLocator(ns_host="lab:9090")


def test_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        ServiceLocator(b"PYRO:x@y:1")


def test_the_name_server_is_asked(name_server: NameServerDaemon) -> None:
    name_server.nameserver.register(EVENTSERVER_NAME, SERVICE)
    assert [str(uri) for uri in ServiceLocator().candidates()] == [SERVICE]
    assert [str(uri) for uri in ServiceLocator("PYRONAME:" + EVENTSERVER_NAME).candidates()] == [SERVICE]


def test_a_name_that_is_not_registered(name_server: NameServerDaemon) -> None:
    with pytest.raises(NamingError, match="knows no Pyro.EventService.*pyro_events.es.*es_uri") as caught:
        list(ServiceLocator().candidates())
    assert type(caught.value) is ServiceNotFoundError


def test_a_name_that_is_registered_within_the_delay(name_server: NameServerDaemon) -> None:
    Pyro5.config.NS_LOOKUP_DELAY = 5.0
    timer = threading.Timer(0.05, name_server.nameserver.register, (EVENTSERVER_NAME, SERVICE))
    timer.start()
    assert [str(uri) for uri in ServiceLocator().candidates()] == [SERVICE]
    timer.join()


def test_a_name_server_at_a_place_of_ones_own(
    name_server: NameServerDaemon, free_port: Callable[[], int]
) -> None:
    name_server.nameserver.register(EVENTSERVER_NAME, SERVICE, metadata={"events"})
    port = Pyro5.config.NS_PORT
    Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "127.0.0.1", free_port()
    for locator in (
        ServiceLocator(ns_host="127.0.0.1", ns_port=port),
        ServiceLocator(ns_port=port),
        ServiceLocator("PYRONAME:Pyro.EventService", ns_host="127.0.0.1", ns_port=port),
        ServiceLocator(f"PYRONAME:Pyro.EventService@127.0.0.1:{port}"),
        ServiceLocator(f"PYROMETA:events@127.0.0.1:{port}"),
    ):
        assert [str(uri) for uri in locator.candidates()] == [SERVICE]
    with pytest.raises(ServiceNotFoundError, match="knows no service with the metadata lab, other"):
        list(ServiceLocator("PYROMETA:other,lab", ns_port=port).candidates())


def test_no_name_server(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = free_port()
    Pyro5.config.PREFER_IP_VERSION = 6  # Pyro5 then does not broadcast, which takes 2 s
    with pytest.raises(ServiceNotFoundError, match="no name server was found.*embed-ns.*es_uri"):
        list(ServiceLocator().candidates())


def test_the_last_good_address_comes_before_the_name_server(name_server: NameServerDaemon) -> None:
    name_server.nameserver.register(EVENTSERVER_NAME, SERVICE)
    locator = ServiceLocator()
    old = Pyro5.api.URI("PYRO:Pyro.EventService@127.0.0.1:1")
    locator.was_good(old)
    assert [str(uri) for uri in locator.candidates()] == [str(old), SERVICE]
    locator.was_good(Pyro5.api.URI(SERVICE))
    assert [str(uri) for uri in locator.candidates()] == [SERVICE]
