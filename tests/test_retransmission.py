"""Retransmission: what is asked of the kernel, and that nothing is where it cannot be had."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from pyro_events import retransmission as module
from pyro_events.retransmission import retransmit_often

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


@pytest.mark.parametrize("where", ["an older kernel", "another system"])
def test_elsewhere_nothing_changes(sock: socket.socket, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout would only do harm by itself."""
    if where == "another system":
        monkeypatch.setattr(sys, "platform", "darwin")
    else:
        monkeypatch.setattr(module, "_TCP_RTO_MAX_MS", 9999)
    retransmit_often(sock, 30)
    assert user_timeout(sock) == 0
