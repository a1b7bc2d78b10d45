"""Connecting by a deadline, to the first address that answers; and whether TLS is why a peer does not."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import Pyro5
import pytest
from certificates import needs_openssl, settings, use
from contract import in_background
from raising_handler import needs_signals, raising

from pyro_events.transport import connecting, failures
from pyro_events.transport.tls import client_context, server_context
from pyro_events.transport.tls_socket import TlsSocket

LOOPBACK = "127.0.0.1"


def test_looking_up_the_host_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *a, **k: silent.wait(20) and [])
    with pytest.raises(TimeoutError, match="looking up the host 'lab' takes too long"):
        connecting.connect("lab", 1, time.monotonic() + 0.05)
    silent.set()


def test_a_first_address_that_is_dead_does_not_hide_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, socket.create_server((LOOPBACK, 0)) as alive:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            places = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", sock.getsockname()) for sock in (full, alive)
            ]
            monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *a, **k: places)
            with connecting.connect("lab", 1, time.monotonic() + 1) as sock:
                assert sock.getpeername() == alive.getsockname()


def test_the_remaining_time_is_the_timeout_of_what_was_connected() -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        connecting.connect(LOOPBACK, listener.getsockname()[1], time.monotonic() + 60) as sock,
    ):
        timeout = sock.gettimeout()
        assert timeout is not None and 0 < timeout <= 60
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_error_for_an_address_on_which_nothing_listens(free_port: Callable[[], int]) -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        connecting.connect(LOOPBACK, free_port(), time.monotonic() + 5)
    assert failures.reason(caught.value) == "nothing listens there (connection refused)"
    with pytest.raises(OSError, match="host 'no-such-host.invalid' cannot be looked up"):
        connecting.connect("no-such-host.invalid", 1, time.monotonic() + 5)
    with pytest.raises(TimeoutError, match="no connection in time"):
        connecting.connect(LOOPBACK, 1, time.monotonic() - 1)


@pytest.mark.parametrize("host", ["localhost", LOOPBACK])
def test_a_host_by_its_name_and_by_its_address(host: str) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        connecting.connect(host, listener.getsockname()[1], time.monotonic() + 60) as sock,
    ):
        assert sock.getpeername() == listener.getsockname()


def test_a_host_that_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting.socket, "getaddrinfo", lambda *a, **k: [])
    with pytest.raises(TimeoutError, match="no connection in time"):
        connecting.connect("lab", 1, time.monotonic() + 5)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "names")
    with pytest.raises(FileNotFoundError):
        connecting.connect(f"./u:{path}", 0, time.monotonic() + 5)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with connecting.connect(f"./u:{path}", 0, time.monotonic() + 5) as sock:
            assert (sock.family, sock.getpeername()) == (socket.AF_UNIX, path)


def asking(host: str, port: int, deadline: float) -> object:
    return connecting.tls_trouble(ConnectionError("gone"), True, host, port, deadline)


@needs_signals
@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("enough"),
        ConnectionRefusedError(errno.ECONNREFUSED, "enough"),
        OSError(errno.EIO, "enough"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_signals_handler_raises_comes_through(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raising(error) as interrupt:
        monkeypatch.setattr(connecting.socket.socket, "connect", interrupt)
        for call in (connecting.connect, asking):
            with pytest.raises(type(error)) as caught:
                call(LOOPBACK, 1, time.monotonic() + 5)
            assert caught.value is error


@needs_signals
def test_what_a_signals_handler_raises_during_the_look_up_comes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enough = UnicodeError("enough")
    with raising(enough) as interrupt:
        monkeypatch.setattr(connecting.socket, "getaddrinfo", interrupt)
        with pytest.raises(UnicodeError) as caught:
            connecting.connect("localhost", 1, time.monotonic() + 5)
    assert caught.value is enough


# TLS


@needs_openssl
def test_both_sides_shake_hands_before_the_deadline() -> None:
    use(settings())
    server, client = server_context(), client_context()
    assert server is not None and client is not None
    near, far = socket.socketpair()
    with TlsSocket(far, server) as other:
        waiting = in_background(lambda: other.handshake(time.monotonic() + 20))
        with connecting.secure(near, client, "localhost", time.monotonic() + 20) as secured:
            waiting.result()
            assert secured.getpeercert()


def test_a_socket_that_cannot_be_secured_is_closed() -> None:
    context = ssl.create_default_context()
    near, far = socket.socketpair()
    with far, pytest.raises(ValueError, match="server_hostname"):
        connecting.secure(near, context, "", time.monotonic() + 5)
    assert near.fileno() == -1
    near, far = socket.socketpair()
    with far:
        far.sendall(b"no message of TLS")
        with pytest.raises(ssl.SSLError):
            connecting.secure(near, context, "localhost", time.monotonic() + 5)
        # The descriptor belongs to the secured socket from then on, and is closed with that.
        far.settimeout(5)
        with contextlib.suppress(ConnectionError):
            while far.recv(65536):
                continue
    assert near.fileno() == -1


@contextlib.contextmanager
def answering(first: bytes) -> Iterator[int]:
    """The port of something that answers whatever comes with these bytes, twice at most."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(10)

        def answer() -> None:
            with contextlib.suppress(OSError):
                for _ in range(2):
                    sock, _ = listener.accept()
                    with sock:
                        sock.settimeout(10)
                        sock.recv(65536)
                        sock.sendall(first)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_tls_is_not_why_where_nothing_says_so(free_port: Callable[[], int]) -> None:
    until = time.monotonic() + 5
    for error, secured, host in (
        (TimeoutError(), True, LOOPBACK),
        (ConnectionError("gone"), False, LOOPBACK),
        (ConnectionError("gone"), True, "./u:/nowhere"),
        (ValueError("nonsense"), True, LOOPBACK),
    ):
        assert connecting.tls_trouble(error, secured, host, free_port(), until) is None


def test_tls_is_why_when_one_side_alone_speaks_it() -> None:
    with answering(b"PYRO") as port:
        found = connecting.tls_trouble(ConnectionError("gone"), True, LOOPBACK, port, time.monotonic() + 10)
        assert found == (failures.SWITCH_OFF, True)
    with answering(b"\x16\x03") as port:
        found = connecting.tls_trouble(ConnectionError("gone"), False, LOOPBACK, port, time.monotonic() + 10)
        assert found == (failures.SWITCH_ON, True)


def test_a_certificate_that_is_not_accepted_here_is_known_to_be_why() -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    found = connecting.tls_trouble(error, True, LOOPBACK, 1, time.monotonic() + 5)
    assert found is not None and found.certain
    assert found.text.startswith("its certificate is not accepted here: certificate has expired; Pyro5's")


@pytest.mark.parametrize(("certificate", "advice"), [("", "require a certificate"), ("x.pem", "not accept")])
def test_a_peer_that_breaks_off_may_want_another_certificate(certificate: str, advice: str) -> None:
    Pyro5.config.SSL_CLIENTCERT = certificate
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    found = connecting.tls_trouble(alert, True, LOOPBACK, 1, time.monotonic() + 5)
    assert found is not None and not found.certain
    assert advice in found.text
    with answering(b"") as port:
        gone = ConnectionError("it closed the connection")
        found = connecting.tls_trouble(gone, True, LOOPBACK, port, time.monotonic() + 10)
    assert found is not None and found.text.startswith("it closed the connection; it may")
