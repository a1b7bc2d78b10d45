"""Where a name server is looked for, and in which order."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import Pyro5
import Pyro5.errors
import Pyro5.nameserver
import pytest
from name_servers import port_of, stock_name_server
from Pyro5.nameserver import NameServerDaemon

from pyro_events import (
    EventServiceStarter,
    Publisher,
    ServiceNotFoundError,
    ServiceUnreachableError,
)
from pyro_events.transport.name_server import NameServer
from pyro_events.transport.name_server_search import find_name_server
from pyro_events.wire.passphrase import identity_of

LOOPBACK = "127.0.0.1"


def test_the_address_of_the_machine_s_own_name(free_port: Callable[[], int]) -> None:
    """Debian gives that 127.0.1.1, and Pyro5 looks there too."""
    try:
        socket.create_server(("127.0.1.1", 0)).close()
    except OSError:
        pytest.skip("this system has no address 127.0.1.1")
    with stock_name_server("127.0.1.1") as names:
        Pyro5.config.NS_PORT = port_of(names)
        with find_name_server(None, None, None) as found:
            assert found.host == "127.0.1.1"
        for explicit in ((LOOPBACK, None), (None, port_of(names))):
            with pytest.raises(ServiceNotFoundError):
                find_name_server(*explicit, None)


@contextlib.contextmanager
def broadcasting_name_server() -> Iterator[int]:
    """The port of a stock name server that answers broadcasts at NS_BCPORT."""
    with stock_name_server() as names:
        answering = Pyro5.nameserver.BroadcastServer(
            names.uriFor("Pyro.NameServer"), LOOPBACK, Pyro5.config.NS_BCPORT
        )
        answering.runInThread()
        try:
            yield port_of(names)
        finally:
            answering.close()


def test_a_broadcast(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.NS_BCPORT = free_port(), free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK]
    with broadcasting_name_server() as port:
        with find_name_server(None, None, None) as found:
            assert found.port == port
        with pytest.raises(ServiceNotFoundError) as caught:  # anybody may answer a broadcast
            find_name_server(None, None, identity_of("secret"))
        assert "broadcast" not in str(caught.value)


def test_what_answers_a_broadcast_may_be_anything(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK, "no-such-host.invalid"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind((LOOPBACK, 0))
        Pyro5.config.NS_BCPORT = answering.getsockname()[1]

        def answer() -> None:
            _, peer = answering.recvfrom(100)
            for text in (
                b"\xff",
                b"PYRONAME:x",
                b"PYRO:x@./u:/nowhere",
                b"PYRO:x@127.0.0.1:%d" % free_port(),
            ):
                answering.sendto(text, peer)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ServiceNotFoundError, match="one has answered the broadcast, but no name server"):
            find_name_server(None, None, None)
        thread.join(10)


def test_a_place_that_swallows_what_comes_leaves_time_for_the_broadcast(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_HOST, Pyro5.config.NS_BCPORT = LOOPBACK, free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK]
    with socket.socket() as full, broadcasting_name_server() as port:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        Pyro5.config.NS_PORT = full.getsockname()[1]
        with (
            socket.create_connection(full.getsockname()),
            find_name_server(None, None, None) as found,
        ):
            assert found.port == port


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    Pyro5.config.POLLTIMEOUT = 0.05
    path = str(tmp_path / "names")
    with NameServerDaemon(unixsocket=path) as names:
        names.nameserver.register("Pyro.EventService", "PYRO:Pyro.EventService@127.0.0.1:1")
        thread = threading.Thread(target=names.requestLoop)
        thread.start()
        with NameServer(f"./u:{path}", 0, None, time.monotonic() + 5) as found:
            assert found.local_host == ""
        for place in ({"ns_host": f"./u:{path}"}, {"es_uri": f"PYRONAME:Pyro.EventService@./u:{path}"}):
            with pytest.raises(ServiceUnreachableError, match=f"name server at ./u:{path} has it"):
                Publisher(**place)
        names.shutdown()
        thread.join(10)
    with pytest.raises(ServiceNotFoundError, match="no name server was found at ./u:"):
        Publisher(ns_host=f"./u:{path}")


@pytest.mark.parametrize(
    ("setting", "value"), [("NS_HOST", "lab:9090"), ("NS_HOST", "a b"), ("NS_PORT", 70000)]
)
def test_a_setting_that_cannot_be(setting: str, value: object) -> None:
    setattr(Pyro5.config, setting, value)
    with pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="):
        Publisher(wait=60)
    with (
        pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="),
        EventServiceStarter(LOOPBACK, 0),
    ):
        raise AssertionError("it has not started")
