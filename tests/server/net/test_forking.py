"""What becomes of a parent's loop in a forked child; here without a fork, on a loop that nobody runs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from pyro_events import service_threads
from pyro_events.server.net import forking
from pyro_events.server.net.forking import abandon, tell_in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Owner:
    """Notes that it was told."""

    def __init__(self) -> None:
        self.told = 0

    def forked(self) -> None:
        self.told += 1


@pytest.fixture
def parents() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection of the parent's: its own end, and the other one."""
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def same_file(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


def test_its_descriptors_are_those_of_nothing_and_no_socket_is_shut_down(
    parents: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking, "_abandoned", kept := [])
    near, far = parents
    with near.dup() as parents_own, open(os.devnull, "rb") as null:
        loop = asyncio.SelectorEventLoop()
        abandon(loop, [near.fileno(), -1])
        assert same_file(near.fileno(), null.fileno())
        assert not os.get_inheritable(near.fileno())
        parents_own.sendall(b"the parent's is as it was")
        assert far.recv(100) == b"the parent's is as it was"
        assert kept == [loop]
        kept.clear()
        loop.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fdinfo"), reason="a poller is not shared here")
def test_what_the_parent_has_accepted_since_the_fork_is_not_touched(
    parents: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is watched by the poller, which is shared, and its number is that of something else in the child."""
    monkeypatch.setattr(forking, "_abandoned", kept := [])
    near, _ = parents
    loop = asyncio.SelectorEventLoop()
    number = os.dup(near.fileno())
    loop._selector.register(number, 1)  # type: ignore[attr-defined]
    read, write = os.pipe()
    os.dup2(write, number)  # the poller keeps watching the socket, which has another descriptor
    abandon(loop, [])
    assert same_file(number, write)
    kept.clear()
    for each in (number, read, write):
        os.close(each)
    loop._selector.unregister(number)  # type: ignore[attr-defined]
    loop.close()


def test_a_descriptor_that_is_closed_already_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "_abandoned", kept := [])
    loop = asyncio.SelectorEventLoop()
    near, far = socket.socketpair()
    with near, far:
        number = near.fileno()
    abandon(loop, [number])
    with pytest.raises(OSError):
        os.fstat(number)
    kept.clear()
    loop.close()


def test_of_a_loop_that_is_closed_there_is_nothing_to_let_go(
    parents: tuple[socket.socket, socket.socket],
) -> None:
    near, far = parents
    loop = asyncio.SelectorEventLoop()
    loop.close()
    for gone in (loop, None):
        abandon(gone, [near.fileno()])
    near.sendall(b"still a socket")
    assert far.recv(100) == b"still a socket"


def test_who_owns_a_loop_is_told_in_a_child_that_does_not_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "_owners", set())
    monkeypatch.setattr(service_threads, "running", set())
    owner = Owner()
    tell_in_child(owner)
    service_threads.enter()
    forking._after_fork()
    assert owner.told == 0
    service_threads.leave()
    forking._after_fork()
    assert owner.told == 1
