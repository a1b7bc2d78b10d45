"""The port of a subscriber with a daemon: what it tells of it, and how its loop begins and ends."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import Any

import Pyro5.api
import pytest
from Pyro5.api import config
from waiting import eventually

from pyro_events.client.dispatch.dispatcher import Dispatcher
from pyro_events.client.subscribing.ways.daemon_port import DaemonPort
from pyro_events.wire.handshake.greeting_notes import GreetingNotes


@Pyro5.api.expose
class Exposed:
    """What the daemon serves."""

    def events(self, batch: Any) -> None:
        """Never called here."""


class Listener:
    """Is told of the service's connections."""

    max_message = None

    def __init__(self) -> None:
        self.resumptions = 0

    def connected(self, connection: object, notes: GreetingNotes) -> bool:
        return False

    def disconnected(self, connection: object) -> None:
        pass

    def is_at(self, address: str) -> bool:
        return True

    def resumed(self) -> None:
        self.resumptions += 1

    def probed(self) -> None:
        pass


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(lambda: lambda event: None)
    yield dispatcher
    dispatcher.close()


@pytest.fixture
def port() -> Iterator[DaemonPort]:
    port = DaemonPort("127.0.0.1", None)
    yield port
    port.close()


def test_the_service_is_told_of_a_proxy(port: DaemonPort, dispatcher: Dispatcher) -> None:
    proxy = port.announce(Exposed(), dispatcher, Listener())
    assert proxy["__class__"] == "Pyro5.client.Proxy" and proxy["state"][0] == port.uri
    assert port.uri.endswith("@" + port.location) and port.location.startswith("127.0.0.1:")
    assert port.connections == 0 and not port.entered


def test_it_listens_where_the_service_sees_us_unless_pyro5_says_another_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "HOST", "127.0.0.2")
    port = DaemonPort("127.0.0.1", None)
    assert port.location.startswith("127.0.0.2:")
    port.close()
    monkeypatch.setattr(config, "HOST", "localhost")
    port = DaemonPort("", None)
    assert port.location.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
    port.close()


def test_its_loop(port: DaemonPort) -> None:
    begun = threading.Event()
    port.when_begun(begun.set)
    thread = threading.Thread(target=port.run)
    thread.start()
    assert begun.wait(10)
    port.stop()
    thread.join(10)
    assert not thread.is_alive() and not port.closed


def test_a_loop_of_the_programs_own_is_called_when_it_is_knocked_at(
    port: DaemonPort, dispatcher: Dispatcher
) -> None:
    listener = Listener()
    port.announce(Exposed(), dispatcher, listener)
    dispatcher.pause()
    port.knock()
    ready, _, _ = select.select(port.daemon.sockets, [], [], 10)
    assert ready
    port.daemon.events(ready)
    assert listener.resumptions == 1 and not dispatcher.limits.paused
    eventually(lambda: port.connections == 0)


def test_closed_it_does_nothing(port: DaemonPort) -> None:
    port.close()
    assert port.closed
    port.stop()
    port.knock()
    port.when_begun(lambda: None)
    port.close()


def test_in_a_forked_child_it_is_closed(port: DaemonPort) -> None:
    port.disown()
    assert port.closed
