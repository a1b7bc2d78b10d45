"""Finding the service: with and without a name server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import Pyro5
import Pyro5.api
import pytest
from Pyro5.errors import NamingError
from Pyro5.nameserver import NameServerDaemon

from pyro_events.client import locate
from pyro_events.client.locate import Finder, parse_uri
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
    finder = Finder(SERVICE)
    assert [str(uri) for uri in finder.candidates()] == [SERVICE]
    assert str(parse_uri(Pyro5.api.URI(SERVICE))) == SERVICE


@pytest.mark.parametrize("bad", ["", "localhost:9095", "PYRO:x", "PYRO:x@host:port"])
def test_what_is_no_uri_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="looks like PYRO:Pyro.EventService@hostname:port"):
        Finder(bad)


def test_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        Finder(b"PYRO:x@y:1")


def test_the_name_server_is_asked(name_server: NameServerDaemon) -> None:
    name_server.nameserver.register(EVENTSERVER_NAME, SERVICE)
    assert [str(uri) for uri in Finder().candidates()] == [SERVICE]
    assert [str(uri) for uri in Finder("PYRONAME:" + EVENTSERVER_NAME).candidates()] == [SERVICE]


def test_a_name_that_is_not_registered(name_server: NameServerDaemon) -> None:
    with pytest.raises(NamingError, match="knows no Pyro.EventService.*embed-ns.*es_uri") as caught:
        list(Finder().candidates())
    assert type(caught.value) is ServiceNotFoundError


def test_a_name_that_is_registered_within_the_delay(name_server: NameServerDaemon) -> None:
    Pyro5.config.NS_LOOKUP_DELAY = 5.0
    timer = threading.Timer(0.05, name_server.nameserver.register, (EVENTSERVER_NAME, SERVICE))
    timer.start()
    assert [str(uri) for uri in Finder().candidates()] == [SERVICE]
    timer.join()


def test_no_name_server(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = free_port()
    Pyro5.config.PREFER_IP_VERSION = 6  # Pyro5 then does not broadcast, which takes 2 s
    with pytest.raises(ServiceNotFoundError, match="no name server was found.*embed-ns.*es_uri"):
        list(Finder().candidates())


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    def locate_ns(*arguments: object) -> None:
        silent.wait(10)
        raise NamingError("it was silent")

    monkeypatch.setattr(locate, "locate_ns", locate_ns)
    monkeypatch.setattr(locate, "LOOKUP_TIMEOUT", 0.01)
    with pytest.raises(ServiceNotFoundError, match="does not answer"):
        list(Finder().candidates())
    silent.set()


def test_the_last_good_address_comes_before_the_name_server(name_server: NameServerDaemon) -> None:
    name_server.nameserver.register(EVENTSERVER_NAME, SERVICE)
    finder = Finder()
    old = Pyro5.api.URI("PYRO:Pyro.EventService@127.0.0.1:1")
    finder.was_good(old)
    assert [str(uri) for uri in finder.candidates()] == [str(old), SERVICE]
    finder.was_good(Pyro5.api.URI(SERVICE))
    assert [str(uri) for uri in finder.candidates()] == [SERVICE]
