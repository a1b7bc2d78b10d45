"""Accepting: what stops it for a while, and what does not."""

from __future__ import annotations

import math
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from Pyro5 import config
from waiting import eventually

from pyro_events.client.daemon.accept_loop import AcceptIntervals, AcceptLoop


class LoopOwner:
    """What the transport needs of its daemon."""

    def __init__(self) -> None:
        self.count = 0

    def _housekeeping(self) -> None:
        self.count += 1


class Failing:
    """A listening socket without descriptors for as long as the test says."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.failures = 3

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(24, "Too many open files")
        return self.sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


@pytest.fixture
def served() -> list[socket.socket]:
    return []


@pytest.fixture
def server(served: list[socket.socket]) -> Iterator[AcceptLoop]:
    server = AcceptLoop(LoopOwner(), "127.0.0.1", 0, served.append, AcceptIntervals(0.001, 0.001))
    yield server
    server.shutdown()
    for sock in served:
        sock.close()


def connect(server: AcceptLoop) -> socket.socket:
    host, port = server.locationStr.split(":")
    return socket.create_connection((host, int(port)), 10)


@pytest.mark.parametrize("timeout", [math.inf, 10**400, 3_000_000])
def test_a_wait_that_is_longer_than_the_system_allows(
    server: AcceptLoop, served: list[socket.socket], timeout: float
) -> None:
    with connect(server):
        server.wait(timeout)
        eventually(lambda: served)


def test_out_of_descriptors_is_survived(
    server: AcceptLoop,
    served: list[socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert server.sock is not None
    server.sock = Failing(server.sock)  # type: ignore[assignment]
    thread = threading.Thread(target=server.loop)
    thread.start()
    with connect(server):
        eventually(lambda: served)
    server.stop()
    thread.join(10)
    assert "cannot accept connections for the moment" in caplog.text


def test_out_of_threads_a_connection_is_turned_away(
    server: AcceptLoop, served: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with connect(server) as client:
        monkeypatch.setattr(threading.Thread, "start", start)
        eventually(lambda: (server.events([server.sock]), client.recv(1) == b"")[1])
    assert not served


def test_housekeeping(server: AcceptLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLLTIMEOUT", 0.001)
    server.loop(lambda: server.daemon.count < 3)
    assert server.daemon.count == 3


def test_a_knock_wakes_a_loop_of_the_programs_own(server: AcceptLoop, served: list[socket.socket]) -> None:
    server.knock()
    ready, _, _ = select.select(server.sockets, [], [], 10)
    server.events(ready)
    eventually(lambda: served)
    with served[0] as knocked:
        assert knocked.recv(1) == b""


def test_a_stop_before_the_loop_ends_it(server: AcceptLoop) -> None:
    server.begin()
    server.stop()
    server.loop()


def test_closed_twice(server: AcceptLoop) -> None:
    server.close()
    server.close()
    server.stop()
    server.loop()
    server.knock()
    assert server.sockets == []
