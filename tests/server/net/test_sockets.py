"""What connections tell of themselves, and how many the process may open."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pyro_events.server.net import sockets
from pyro_events.server.net.sockets import (
    descriptor,
    files_for_each,
    has_left,
    is_out_of_files,
    raise_file_limit,
)

pytestmark = pytest.mark.skipif(sockets.resource is None, reason="there are no such limits here")


class Transport:
    """A transport of a socket, or of none."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> Any:
        return self._sock if name == "socket" else None


class Limits:
    """The process's limits of open files; what is asked for is noted."""

    RLIMIT_NOFILE = 7
    RLIM_INFINITY = -1

    def __init__(self, soft: int, hard: int, refuses: bool = False) -> None:
        self.limit = soft, hard
        self._refuses = refuses

    def getrlimit(self, kind: int) -> tuple[int, int]:
        return self.limit

    def setrlimit(self, kind: int, limit: tuple[int, int]) -> None:
        if self._refuses:
            raise ValueError("not so many")
        self.limit = limit


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def limited(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, refuses: bool = False) -> Limits:
    limits = Limits(soft, hard, refuses)
    monkeypatch.setattr(sockets, "resource", limits)
    return limits


def test_a_descriptor_is_told_as_long_as_there_is_one(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    transport: Any = Transport(near)
    assert descriptor(transport) == near.fileno() >= 0
    near.close()
    assert descriptor(transport) == descriptor(Transport(None)) == -1  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is noticed when something is sent")
def test_who_has_left_is_noticed_without_reading(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    transport: Any = Transport(near)
    far.sendall(b"unread")
    assert not has_left(transport)
    far.close()
    assert has_left(transport)
    assert near.recv(10) == b"unread"
    near.close()
    assert not has_left(transport) and not has_left(Transport(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [(1024, 4096, 2032), (1024, 1500, 1500), (1024, -1, 2032), (8192, -1, 8192), (-1, -1, -1)],
)
def test_so_many_files_are_asked_for_as_the_process_may_have(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int
) -> None:
    limits = limited(monkeypatch, soft, hard)
    raise_file_limit(1000)
    assert limits.limit == (wanted, hard)


def test_a_system_that_allows_less_than_it_says_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limited(monkeypatch, 1024, 4096, refuses=True)
    raise_file_limit(1000)
    assert limits.limit == (1024, 4096)


@pytest.mark.parametrize(("soft", "each"), [(1032, 500), (40, 4), (10, 1), (-1, sys.maxsize)])
def test_clients_and_subscribers_share_the_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, each: int
) -> None:
    limited(monkeypatch, soft, -1)
    assert files_for_each() == each


def test_the_last_files_are_kept(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    transport: Any = Transport(pair[0])
    limited(monkeypatch, pair[0].fileno() + 33, -1)
    assert not is_out_of_files(transport)
    limited(monkeypatch, pair[0].fileno() + 32, -1)
    assert is_out_of_files(transport)
    limited(monkeypatch, -1, -1)
    assert not is_out_of_files(transport)
    assert not is_out_of_files(Transport(None))  # type: ignore[arg-type]
