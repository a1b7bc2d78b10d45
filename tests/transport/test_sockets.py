"""Looking at a socket, ending it, and letting go of a parent's."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from contract import in_background
from unix_sockets import unix_only

from pyro_events.transport import sockets
from pyro_events.transport.sockets import is_unix, let_go, polled, send_pieces, shut_down, time_limit


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.mark.parametrize("poll", [True, False], ids=["poll", "select"])
def test_whether_there_is_something_to_read_or_space_to_write(
    pair: tuple[socket.socket, socket.socket], poll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not poll:
        monkeypatch.delattr(sockets.select, "poll", raising=False)
    near, far = pair
    assert not polled(near, False, 0.0) and polled(near, True, 0.0)
    far.sendall(b"x")
    assert polled(near, False, 10.0)
    near.recv(1)
    near.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            near.send(bytes(65536))
    assert not polled(near, True, 0.0)
    far.close()
    assert polled(near, False, 10.0) and polled(near, True, 10.0)


class WithoutSendmsg:
    """A socket of a platform that has no `sendmsg`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sendall = sock.sendall


@pytest.mark.parametrize("timeout", [None, 60.0], ids=["blocking", "with a timeout"])
@pytest.mark.parametrize("sendmsg", [True, False], ids=["together", "one by one"])
@pytest.mark.parametrize("sizes", [(40, 3_000_000, 1), (1, 0, 500_000, 700_000), (10,)])
def test_pieces_are_sent_in_order(
    pair: tuple[socket.socket, socket.socket], timeout: float | None, sendmsg: bool, sizes: tuple[int, ...]
) -> None:
    """More than a socket takes at once, too: with a timeout, it takes a part."""
    near, far = pair
    near.settimeout(timeout)
    numbers = random.Random(1)
    pieces: list[bytes | memoryview] = [numbers.randbytes(size) for size in sizes]
    pieces[-1] = memoryview(pieces[-1])
    sender: Any = near if sendmsg else WithoutSendmsg(near)
    sending = in_background(lambda: send_pieces(sender, pieces))
    whole, received = b"".join(pieces), b""
    while len(received) < len(whole):
        received += far.recv(100_000)
    sending.result()
    assert received == whole


def test_which_sockets_are_unix_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_unix(server) and time_limit(server) is None


@unix_only
def test_a_unix_socket_has_a_time_limit() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        limit = time_limit(sock)
        assert is_unix(sock) and limit is not None
        sock.settimeout(limit)


def test_shutting_down_twice_is_harmless(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    shut_down(near)
    shut_down(near)
    near.close()
    shut_down(near)
    assert far.recv(10) == b""


def test_what_is_let_go_of_is_the_others_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    with near.dup() as parents, open(os.devnull, "rb") as null:
        number = near.fileno()
        let_go([number, 10_000])
        assert os.path.samestat(os.fstat(number), os.fstat(null.fileno()))
        assert not os.get_inheritable(number)
        parents.sendall(b"the parent's is as it was")
        assert far.recv(100) == b"the parent's is as it was"
