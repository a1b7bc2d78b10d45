"""Whether a client uses the Unix socket that a service has offered."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unix_sockets import STRANGER, root_only, unix_only

from pyro_events.log.background import background
from pyro_events.transport.unix import unix_socket
from pyro_events.transport.unix.unix_socket import check_file, check_listener, note_failure, worth_trying
from pyro_events.wire.handshake.unix_offer import NO_OFFER, UnixOffer

pytestmark = unix_only

VALUES = [("off", False), ("OFF", False), ("auto", True), ("", True), ("/run/user/1/es.sock", True)]


@pytest.fixture(autouse=True)
def nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_socket, "_failed", {})
    monkeypatch.setattr(unix_socket, "_warned", set())


@pytest.fixture
def connected() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        yield client


def offer(sock: socket.socket, path: str = "/run/es.sock") -> UnixOffer:
    return UnixOffer(path, "0" * 32, "1" * 32, sock.getsockname()[:2])


def test_an_offer_of_the_same_machine(connected: socket.socket) -> None:
    assert worth_trying(offer(connected), connected)
    assert not worth_trying(NO_OFFER, connected)


def test_something_between_the_two(connected: socket.socket) -> None:
    host, port = connected.getsockname()
    assert not worth_trying(offer(connected)._replace(seen=(host, port + 1)), connected)
    assert not worth_trying(offer(connected)._replace(seen=("127.0.0.2", port)), connected)


def test_an_offer_on_a_unix_socket_is_not_followed() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert not worth_trying(UnixOffer("/run/es.sock", "0" * 32, "1" * 32, ("127.0.0.1", 1)), one)


def test_a_service_on_another_machine_cannot_choose_what_we_connect_to() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # nothing is sent, and no machine has that address
        except OSError:
            pytest.skip("there is no way to another machine")
        assert not worth_trying(offer(sock), sock)


def test_a_service_that_has_reset_the_connection() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted = server.accept()[0]
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert not worth_trying(offer(client), client)


@pytest.mark.parametrize(("value", "tried"), VALUES)
def test_the_variable(
    connected: socket.socket,
    value: str,
    tried: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PYROEVENTS_UNIX_SOCKET", value)
    assert worth_trying(offer(connected), connected) == tried
    assert caplog.text == ""


def test_a_variable_that_means_nothing(
    connected: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYROEVENTS_UNIX_SOCKET", "0")
    assert worth_trying(offer(connected), connected) and worth_trying(offer(connected), connected)
    assert background.flush()
    assert caplog.messages == [
        "PYROEVENTS_UNIX_SOCKET is '0', which means nothing: set it to off to use TCP alone, or unset it"
    ]


def test_a_platform_without_unix_sockets(connected: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert not worth_trying(offer(connected), connected)


def test_what_has_failed_is_not_tried_again_for_a_while(
    connected: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_failure("/run/es.sock", "a test")
    assert not worth_trying(offer(connected), connected)
    assert worth_trying(offer(connected, "/run/another.sock"), connected)
    monkeypatch.setattr(unix_socket, "PAUSE", 0.0)
    note_failure("/run/es.sock", "a test")
    assert worth_trying(offer(connected), connected)


def test_what_has_failed_is_remembered_up_to_a_number() -> None:
    for number in range(150):
        note_failure(f"/run/{number}.sock", "a test")
    assert 0 < len(unix_socket._failed) <= 100


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name) / "es.sock"


def test_a_file_of_ones_own(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_file(str(path))
    path.write_text("")
    with pytest.raises(OSError, match="not a socket"):
        check_file(str(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        check_file(str(path))
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(OSError, match="not a socket"):
        check_file(str(link))


@root_only
def test_a_strangers_file(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        os.chown(path, STRANGER, STRANGER)
        with pytest.raises(OSError, match=f"belongs to another user \\({STRANGER}\\)"):
            check_file(str(path))


@root_only
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the platform does not tell")
def test_a_strangers_listener(path: Path) -> None:
    """One that has put its own socket in the place of the file after that was checked."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        os.seteuid(STRANGER)
        try:
            server.listen()
        finally:
            os.seteuid(0)
        client.connect(str(path))
        with pytest.raises(OSError, match="another user"):
            check_listener(client)


def test_ones_own_listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        server.listen()
        client.connect(str(path))
        check_listener(client)
