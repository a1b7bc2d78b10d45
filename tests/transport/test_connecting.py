"""Connecting by a deadline, to the first address that answers; and whether TLS is why a peer does not."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pyro_events.transport import connecting

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
    assert connecting.reason(caught.value) == "nothing listens there (connection refused)"
    with pytest.raises(OSError, match="host 'no-such-host.invalid' cannot be looked up"):
        connecting.connect("no-such-host.invalid", 1, time.monotonic() + 5)
    with pytest.raises(TimeoutError, match="no connection in time"):
        connecting.connect(LOOPBACK, 1, time.monotonic() - 1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (ValueError("bad answer"), "bad answer"),
        (TimeoutError(), "no answer in time"),
        (EOFError(), "EOFError"),
    ],
    ids=("number", "text", "timeout", "nothing"),
)
def test_a_reason_has_no_numbers_and_no_class(error: Exception, text: str) -> None:
    assert connecting.reason(error) == text


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


@pytest.mark.parametrize(
    ("answer", "tls", "plain"),
    [
        (b"\x15\x03\x03\x00\x02", True, False),
        (b"PYRO", False, True),
        (b"SSH-2.0", False, False),
        (b"", False, False),
    ],
    ids=("TLS", "Pyro", "other", "nothing"),
)
def test_what_a_peer_speaks_shows_in_its_first_bytes(answer: bytes, tls: bool, plain: bool) -> None:
    with answering(answer) as port:
        assert connecting.speaks_tls(LOOPBACK, port, time.monotonic() + 10) == tls
        assert connecting.speaks_plainly(LOOPBACK, port, time.monotonic() + 10) == plain


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
        assert found == (connecting.SWITCH_OFF, True)
    with answering(b"\x16\x03") as port:
        found = connecting.tls_trouble(ConnectionError("gone"), False, LOOPBACK, port, time.monotonic() + 10)
        assert found == (connecting.SWITCH_ON, True)
