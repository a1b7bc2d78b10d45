"""Registering in a name server, and telling a live service from a stale entry."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from Pyro5.api import Daemon, Proxy, expose
from Pyro5.nameserver import NameServerDaemon

from pyro_events import EVENTSERVER_NAME, EventServiceStarter
from pyro_events.errors import ServiceExistsError, ServiceNotFoundError
from pyro_events.server import naming
from pyro_events.server.naming import Entry, Registration, is_alive

MINE = f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:1"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a stock name server in a thread."""
    daemon = NameServerDaemon(host="127.0.0.1", port=0)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    yield int(daemon.locationStr.rpartition(":")[2])
    daemon.shutdown()
    thread.join()
    daemon.close()


@pytest.fixture
def names(port: int) -> Iterator[Proxy]:
    with Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{port}") as names:
        yield names


@pytest.fixture
def mine(port: int) -> Registration:
    return Registration(MINE, "127.0.0.1", port)


def test_entering_and_leaving(names: Proxy, mine: Registration) -> None:
    mine.leave()  # harmless before
    mine.enter(False)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE
    assert mine.check() is Entry.OURS
    mine.enter(False)  # again
    mine.leave()
    assert EVENTSERVER_NAME not in names.list()
    mine.leave()


def test_a_stale_entry_is_replaced(names: Proxy, mine: Registration, free_port: Callable[[], int]) -> None:
    names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    mine.enter(False)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE


def test_a_live_one_keeps_its_name(service: EventServiceStarter, names: Proxy, mine: Registration) -> None:
    names.register(EVENTSERVER_NAME, service.uri)
    with pytest.raises(ServiceExistsError, match="--replace") as caught:
        mine.enter(False)
    assert service.uri in str(caught.value)
    assert str(names.lookup(EVENTSERVER_NAME)) == service.uri
    mine.enter(True)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE
    names.register(EVENTSERVER_NAME, service.uri)
    assert mine.check() is Entry.TAKEN
    mine.leave()  # only an entry of its own
    assert str(names.lookup(EVENTSERVER_NAME)) == service.uri


def test_what_is_lost_is_renewed(names: Proxy, mine: Registration, free_port: Callable[[], int]) -> None:
    mine.enter(False)
    names.remove(EVENTSERVER_NAME)
    assert mine.check() is Entry.RENEWED
    names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    assert mine.check() is Entry.RENEWED
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_PATIENCE", 0.2)
    daemon = NameServerDaemon(host="127.0.0.1", port=0)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    mine = Registration(MINE, "127.0.0.1", int(daemon.locationStr.rpartition(":")[2]))
    mine.enter(False)
    daemon.shutdown()
    thread.join()
    daemon.close()
    assert mine.check() is Entry.UNKNOWN
    mine.leave()  # says so in the log, and no more


def test_no_name_server(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceNotFoundError, match=r"at 127\.0\.0\.1:.*refused.*--embed-ns.*-N"):
        Registration(MINE, "127.0.0.1", free_port()).enter(False)


@expose
class Other:
    """An object that is no event service."""

    def event(self) -> None:
        raise AssertionError("nobody calls this")


def test_who_is_alive(
    service: EventServiceStarter, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_PATIENCE", 0.2)
    assert is_alive(service.uri)
    assert not is_alive(f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    assert not is_alive("PYRONAME:nobody")
    assert not is_alive("nonsense")
    assert not is_alive("PYRO:x@./u:/no/socket")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not is_alive(f"PYRO:x@127.0.0.1:{silent.getsockname()[1]}")
    with Daemon(host="127.0.0.1") as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        assert not is_alive(str(daemon.register(Other(), EVENTSERVER_NAME)))
        assert not is_alive(f"PYRO:nobody@{daemon.locationStr}")
        daemon.shutdown()
        thread.join()
