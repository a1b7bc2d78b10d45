"""Retransmission: what is asked of the kernel, and that nothing is where it cannot be had."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from pyro_events.transport import retransmission as module
from pyro_events.transport.retransmission import retransmit_often

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")


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
