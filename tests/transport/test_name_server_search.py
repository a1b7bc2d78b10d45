"""Where a name server is looked for, and in which order."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import Pyro5
import Pyro5.errors
import Pyro5.nameserver
import pytest
from name_servers import port_of, stock_name_server
from Pyro5.nameserver import NameServerDaemon
from raising_handler import needs_signals, raising

from pyro_events.errors import ServiceNotFoundError
from pyro_events.transport.name_server_search import CLIENT_REMEDY, find_name_server
from pyro_events.wire.handshake.passphrase import identity_of

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


@contextlib.contextmanager
def broadcasting(*answers: bytes) -> Iterator[None]:
    """Something at NS_BCPORT that answers the first broadcast with all of these."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.settimeout(10)
        answering.bind((LOOPBACK, 0))
        Pyro5.config.NS_BCPORT = answering.getsockname()[1]

        def answer() -> None:
            with contextlib.suppress(TimeoutError):
                data, peer = answering.recvfrom(100)
                for text in answers if data == b"GET_NSURI" else ():
                    answering.sendto(text, peer)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"the end", answering.getsockname())
            thread.join(20)


def test_what_answers_a_broadcast_may_be_anything(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK, "no-such-host.invalid"]
    nobody = b"PYRO:x@127.0.0.1:%d" % free_port()
    with (
        broadcasting(b"\xff", b"PYRONAME:x", b"PYRO:x@./u:/nowhere", nobody, nobody),
        pytest.raises(ServiceNotFoundError, match="one has answered the broadcast, but no name server"),
    ):
        find_name_server(None, None, None)


def test_a_broadcast_that_nobody_answers(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.NS_BCPORT = free_port(), free_port()
    Pyro5.config.BROADCAST_ADDRS = [LOOPBACK]
    with pytest.raises(ServiceNotFoundError, match="; and none has answered the broadcast on port"):
        find_name_server(None, None, None, 0.5)


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
        thread = threading.Thread(target=names.requestLoop)
        thread.start()
        Pyro5.config.NS_HOST = f"./u:{path}"
        for host in (None, f"./u:{path}"):
            with find_name_server(host, None, None) as found:
                assert found.where == f"./u:{path}"
        names.shutdown()
        thread.join(10)


def test_the_advice_is_at_the_end_of_the_error(free_port: Callable[[], int]) -> None:
    port = free_port()
    for advice in ((), ("do this",)):
        with pytest.raises(ServiceNotFoundError) as caught:
            find_name_server(LOOPBACK, port, None, 5.0, *advice)
        assert str(caught.value).endswith(f"; {advice[0] if advice else CLIENT_REMEDY}")
        assert f"no name server was found at {LOOPBACK}:{port}: " in str(caught.value)
        assert caught.value.temporary


def test_there_is_no_broadcast_for_ipv6(free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.PREFER_IP_VERSION = free_port(), 6
    with pytest.raises(ServiceNotFoundError) as caught:
        find_name_server(None, None, None)
    assert "broadcast" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"), [("NS_HOST", "lab:9090"), ("NS_HOST", "a b"), ("NS_HOST", 5), ("NS_PORT", 70000)]
)
def test_a_setting_that_cannot_be(setting: str, value: object) -> None:
    setattr(Pyro5.config, setting, value)
    with pytest.raises(ServiceNotFoundError, match=f"looked for: Pyro5's setting {setting}") as caught:
        find_name_server(None, None, None)
    assert not caught.value.temporary


@needs_signals
@pytest.mark.parametrize(
    ("place", "kind"),
    [("checked_host", ValueError), ("socket.socket", OSError), ("Pyro5.core.URI", Pyro5.errors.PyroError)],
)
def test_what_a_signals_handler_raises_comes_through(
    place: str, kind: type[Exception], free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.BROADCAST_ADDRS = free_port(), [LOOPBACK]
    enough = kind("enough")
    with (
        broadcasting(b"PYRO:x@127.0.0.1:1"),
        raising(enough) as interrupt,
        monkeypatch.context() as patch,
        pytest.raises(kind) as caught,
    ):
        patch.setattr(f"pyro_events.transport.name_server_search.{place}", interrupt)
        find_name_server(None, None, None)
    assert caught.value is enough


@needs_signals
@pytest.mark.parametrize("method", ["sendto", "recvfrom"])
def test_what_a_signals_handler_raises_during_the_broadcast_comes_through(
    method: str, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Pyro5.config.NS_PORT, Pyro5.config.BROADCAST_ADDRS = free_port(), [LOOPBACK]
    enough = OSError("enough")
    with raising(enough) as interrupt:
        monkeypatch.setattr(socket.socket, method, interrupt)
        with pytest.raises(OSError) as caught:
            find_name_server(None, None, None)
    assert caught.value is enough
