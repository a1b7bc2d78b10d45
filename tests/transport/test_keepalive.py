"""Keepalive: what is asked of the kernel, and that nothing is where it cannot be had."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from pyro_events.transport import keepalive as module
from pyro_events.transport.keepalive import (
    AT_SERVICE,
    FROM_SERVICE,
    TO_SERVICE,
    KeepAlive,
    keep_alive,
    retransmit_often,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="options of Linux")


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        yield sock


def user_timeout(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def test_the_kernel_repeats_every_second_and_for_as_long_as_was_asked(sock: socket.socket) -> None:
    try:
        sock.getsockopt(socket.IPPROTO_TCP, module._TCP_RTO_MAX_MS)
    except OSError:
        pytest.skip("this kernel is older than 6.15")
    retransmit_often(sock, 30)
    assert sock.getsockopt(socket.IPPROTO_TCP, module._TCP_RTO_MAX_MS) == 1000
    assert user_timeout(sock) == 30_000


def test_an_older_kernel_gives_up_no_sooner(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TCP_RTO_MAX_MS", 9999)
    retransmit_often(sock, 30)
    assert user_timeout(sock) == 30_000


def test_elsewhere_nothing_changes(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    retransmit_often(sock, 30)
    assert user_timeout(sock) == 0


@pytest.mark.parametrize(
    ("how", "seconds_of_silence"),
    [(TO_SERVICE, 30), (FROM_SERVICE, 120), (AT_SERVICE, 90)],
    ids=("to the service", "from the service", "at the service"),
)
def test_how_long_a_silent_host_is_waited_for(
    sock: socket.socket, how: KeepAlive, seconds_of_silence: int
) -> None:
    keep_alive(sock, how)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, interval, probes = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + interval * probes == seconds_of_silence
    assert user_timeout(sock) == (how.patience or 0) * 1000


def test_a_publisher_that_is_held_up_keeps_its_connection() -> None:
    assert TO_SERVICE.patience is None


def test_a_platform_without_the_options_still_probes(
    sock: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        monkeypatch.delattr(socket, option)
    keep_alive(sock, AT_SERVICE)
    monkeypatch.undo()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == before


def test_a_transport_without_a_socket_is_left_alone() -> None:
    keep_alive(None, AT_SERVICE)
