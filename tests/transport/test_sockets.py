"""Looking at a socket, ending it, and letting go of a parent's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from pyro_events.transport import sockets
from pyro_events.transport.sockets import let_go, polled, shut_down


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
