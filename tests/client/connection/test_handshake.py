"""Opening one connection: what each failure says, and that nothing is left open."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import Pyro5.core
import pytest
from fake_service import fake_service

from pyro_events.client.connection.handshake import Attempt, open_connection
from pyro_events.errors import ServiceUnreachableError
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK, MSGPACK, write_frame


def attempt(port: int, seconds: float = 10.0, **more: Any) -> Attempt:
    uri = Pyro5.core.URI(f"PYRO:es@127.0.0.1:{port}")
    return Attempt(uri, None, "a test", 5.0, time.monotonic() + seconds, **more)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answering(listener: socket.socket, *answers: bytes) -> threading.Thread:
    """Accepts a connection for each answer, sends it, and waits until the client has closed."""

    def answer() -> None:
        for each in answers:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(10)
                sock.recv(1000)
                sock.sendall(each)
                while sock.recv(1000):
                    continue

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_a_service_that_answers() -> None:
    with fake_service() as fake:
        begun: list[socket.socket] = []
        connection = open_connection(attempt(fake.port, begun=begun.append))
        assert begun == [connection.sock] and not connection.dead
        assert connection.sock.gettimeout() is None
        connection.close()


def test_nothing_listens(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(ServiceUnreachableError, match=f"127.0.0.1:{port} cannot be reached: nothing listens"):
        open_connection(attempt(port))


@pytest.mark.parametrize(
    ("type_", "answer", "reason"),
    [
        (CONNECT_FAIL, "too many connections", "refused the connection: too many connections"),
        (
            CONNECT_FAIL,
            "\x1b[2J\nA" + "B" * 9000,
            r"connection: \\x1b\[2J\\nAB{994}… \(8,006 more characters\)$",
        ),
        (CONNECT_OK, {"handshake": "hello", "meta": {"methods": ["lookup"]}}, "is not an event service"),
    ],
)
def test_what_it_says_is_shown(listener: socket.socket, type_: int, answer: object, reason: str) -> None:
    port = listener.getsockname()[1]
    thread = answering(listener, write_frame(type_, 0, MSGPACK, 0, msgpack.packb(answer)))
    with pytest.raises(ServiceUnreachableError, match=reason):
        open_connection(attempt(port))
    thread.join(10)
    assert not thread.is_alive(), "the socket was left open"


def test_a_silent_one_is_given_up_in_time(listener: socket.socket) -> None:
    with pytest.raises(ServiceUnreachableError, match="no answer in time") as caught:
        open_connection(attempt(listener.getsockname()[1], seconds=0.1))
    assert caught.value.temporary


def test_a_program_that_refuses_the_socket_leaves_none_open(listener: socket.socket) -> None:
    class Closed(Exception):
        pass

    def begun(sock: socket.socket) -> None:
        raise Closed

    with pytest.raises(Closed):
        open_connection(attempt(listener.getsockname()[1], begun=begun))
    accepted, _ = listener.accept()
    with accepted:
        accepted.settimeout(10)
        assert accepted.recv(100) == b""
