"""Connecting on a loop: addresses in turn, deadlines, and whether TLS is why a peer does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from event_loops import each_loop, run

from pyro_events.aio.connection import sockets
from pyro_events.transport import failures

LOOPBACK = "127.0.0.1"
# A program that a test starts finds the helpers of the tests.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def connect(host: str, port: int, seconds: float = 10.0, loop: str = "asyncio") -> socket.socket:
    async def main() -> socket.socket:
        return await sockets.connect(host, port, asyncio.get_running_loop().time() + seconds)

    return run(main(), loop)


@each_loop
@pytest.mark.parametrize("host", ["localhost", LOOPBACK])
def test_a_host_by_its_name_and_by_its_address(host: str, loop: str) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as listener,
        connect(host, listener.getsockname()[1], loop=loop) as sock,
    ):
        assert sock.getpeername() == listener.getsockname() and not sock.getblocking()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@each_loop
def test_nobody_listens_and_no_time(loop: str, free_port: Callable[[], int]) -> None:
    with pytest.raises(ConnectionRefusedError, match="nothing listens there"):
        connect(LOOPBACK, free_port(), loop=loop)
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with (
            socket.create_connection(full.getsockname()),
            pytest.raises(TimeoutError, match="no connection in time: its machine"),
        ):
            connect(LOOPBACK, full.getsockname()[1], 0.05, loop)


_CONNECTS: Final = """
import asyncio, os, socket, sys
from event_loops import run
from pyro_events.aio.connection import sockets

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (await sockets.connect(*listener.getsockname(), asyncio.get_running_loop().time() + 20)).close()

before = os.listdir("/proc/self/task")
run(main(), sys.argv[1])
after = os.listdir("/proc/self/task")
child = os.fork()
if not child:
    sys.exit()
print(len(after) - len(before), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@each_loop
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list threads")
def test_connecting_starts_no_thread_that_a_forked_child_would_wait_for(loop: str) -> None:
    command = [sys.executable, "-c", _CONNECTS, loop]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False)
    assert (ended.stdout, ended.stderr) == ("0 0\n", "")


def test_a_first_address_that_is_dead_does_not_hide_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, socket.create_server((LOOPBACK, 0)) as alive:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            places = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", sock.getsockname()) for sock in (full, alive)
            ]
            monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *a, **k: places)
            with connect("lab", 1, 1.0) as sock:
                assert sock.getpeername() == alive.getsockname()


def test_a_name_that_is_not_known_and_one_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="host 'no-such-host.invalid' cannot be looked up"):
        connect("no-such-host.invalid", 1)
    silent = threading.Event()
    monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *a, **k: silent.wait(20) and [])
    with pytest.raises(TimeoutError, match="looking up the host 'lab' takes too long"):
        connect("lab", 1, 0.05)
    silent.set()


def test_a_host_that_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *a, **k: [])
    with pytest.raises(TimeoutError, match="no connection in time"):
        connect("lab", 1)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "events")
    with pytest.raises(FileNotFoundError):
        connect(f"./u:{path}", 0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with connect(f"./u:{path}", 0) as sock:
            assert sock.getpeername() == path


@each_loop
def test_a_cancelled_attempt_leaves_no_socket_open(loop: str) -> None:
    async def main() -> None:
        with socket.socket() as full:
            full.bind((LOOPBACK, 0))
            full.listen(0)
            with socket.create_connection(full.getsockname()):
                until = asyncio.get_running_loop().time() + 60
                task = asyncio.ensure_future(sockets.connect(*full.getsockname(), until))
                await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(main(), loop)


@contextlib.contextmanager
def answering(first: bytes) -> Iterator[int]:
    """The port of something that answers whatever comes with these bytes, and closes."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(10)

        def answer() -> None:
            with contextlib.suppress(OSError):
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


@each_loop
@pytest.mark.parametrize(
    ("secured", "answer", "trouble"),
    [
        (True, b"PYRO", (failures.SWITCH_OFF, True)),
        (False, b"\x16\x03\x03", (failures.SWITCH_ON, True)),
        (False, b"PYRO", None),
        (False, b"", None),
    ],
)
def test_only_one_side_speaks_tls(secured: bool, answer: bytes, trouble: Any, loop: str) -> None:
    async def main(port: int) -> Any:
        until = asyncio.get_running_loop().time() + 10
        return await sockets.tls_trouble(ConnectionError("gone"), secured, LOOPBACK, port, until)

    with answering(answer) as port:
        assert run(main(port), loop) == trouble


def test_a_peer_that_is_gone_does_not_say_why(free_port: Callable[[], int]) -> None:
    async def main() -> Any:
        until = asyncio.get_running_loop().time() + 10
        return await sockets.tls_trouble(ConnectionError("gone"), False, LOOPBACK, free_port(), until)

    assert run(main()) is None
