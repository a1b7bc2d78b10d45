"""The embedded name server, asked by Pyro5's own clients over sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import Pyro5.errors
import pytest
from Pyro5.api import URI, Daemon, Proxy, expose, locate_ns
from Pyro5.core import DAEMON_NAME

from pyro_events import EVENTSERVER_NAME, EventServiceStarter


@pytest.fixture
def starter(free_port: Callable[[], int]) -> Iterator[EventServiceStarter]:
    port = free_port()
    with EventServiceStarter(
        host="127.0.0.1", port=0, embed_ns=True, ns_host="127.0.0.1", ns_port=port
    ) as starter:
        yield starter


@pytest.fixture(params=["serpent", "json", "msgpack"])
def names(starter: EventServiceStarter, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    assert starter.ns_uri is not None
    with Proxy(starter.ns_uri) as names:
        names._pyroSerializer = request.param
        yield names


def test_it_is_found_as_any_name_server(starter: EventServiceStarter) -> None:
    assert starter.ns_uri is not None
    port = URI(starter.ns_uri).port
    with locate_ns("127.0.0.1", port) as names:
        names.ping()
        assert str(names.lookup(EVENTSERVER_NAME)) == starter.uri
        assert str(names.lookup("Pyro.NameServer")) == starter.ns_uri


def test_names_come_and_go(starter: EventServiceStarter, names: Proxy) -> None:
    assert names.count() == 2
    names.register("a.b", "PYRO:x@127.0.0.1:1")
    names.register("a.c", URI("PYRO:y@127.0.0.1:2"), metadata={"colour:red"})
    assert str(names.lookup("a.b")) == "PYRO:x@127.0.0.1:1"
    uri, metadata = names.lookup("a.c", return_metadata=True)
    assert str(uri) == "PYRO:y@127.0.0.1:2"
    assert set(metadata) == {"colour:red"}
    assert set(names.list(prefix="a.")) == {"a.b", "a.c"}
    assert set(names.list(regex=r"a\.[c-d]$")) == {"a.c"}
    assert set(names.list()) == {"a.b", "a.c", EVENTSERVER_NAME, "Pyro.NameServer"}
    assert set(names.yplookup(meta_all={"colour:red"})) == {"a.c"}
    names.set_metadata("a.b", {"colour:blue"})
    with pytest.raises(Pyro5.errors.NamingError):
        names.register("a.b", "PYRO:z@127.0.0.1:3", safe=True)
    assert names.remove("a.b") == 1
    assert names.remove(prefix="a.") == 1
    with pytest.raises(Pyro5.errors.NamingError, match="unknown name"):
        names.lookup("a.b")


def test_bad_input_is_answered(names: Proxy) -> None:
    with pytest.raises(Pyro5.errors.NamingError, match="invalid regular expression"):
        names.list(regex="(")
    for call in (
        lambda: names.register("x", "no uri"),
        lambda: names.register("x", 5),
        lambda: names.register(5, "PYRO:x@127.0.0.1:1"),
        lambda: names.lookup(),
        lambda: names.list(regex=5),
    ):
        with pytest.raises((TypeError, ValueError, Pyro5.errors.PyroError)):
            call()
    assert names.count() == 2


def test_what_any_daemon_answers(starter: EventServiceStarter) -> None:
    location = starter.uri.partition("@")[2]
    with Proxy(f"PYRO:{DAEMON_NAME}@{location}") as daemon:
        assert daemon.ping() is None
        assert set(daemon.registered()) >= {EVENTSERVER_NAME, DAEMON_NAME}
        assert "pyro_events" in daemon.info()
        assert "publish" in daemon.get_metadata(EVENTSERVER_NAME)["methods"]
        with pytest.raises(Pyro5.errors.DaemonError, match="unknown object"):
            daemon.get_metadata("nobody")


def test_other_programs_use_it(starter: EventServiceStarter) -> None:
    @expose
    class Clock:
        def now(self) -> int:
            return 12

    assert starter.ns_uri is not None
    with Daemon(host="127.0.0.1") as daemon, Proxy(starter.ns_uri) as names:
        uri = daemon.register(Clock())
        names.register("clock", uri)
        assert str(names.lookup("clock")) == str(uri)
