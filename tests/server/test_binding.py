"""Where the service listens."""

from __future__ import annotations

import socket

import pytest
from Pyro5 import config

from pyro_events.server.binding import bind, is_loopback, location


def test_a_port_of_ones_choice_and_any_free_one() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert location("127.0.0.1", first) == f"127.0.0.1:{port}"
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken; choose another"):
            bind("127.0.0.1", port)
        with bind("127.0.0.1", port, others=True) as second:
            assert second.getsockname()[1] != port
    with bind("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(OSError, match="'no.such.host.invalid' is not known"):
        bind("no.such.host.invalid", 0)


def test_a_host_that_is_elsewhere() -> None:
    with pytest.raises(OSError, match="cannot be used"):
        bind("192.0.2.1", 0)


def test_pyro5s_settings() -> None:
    config.HOST = "127.0.0.1"
    with bind(None, 0) as sock:
        port = sock.getsockname()[1]
        assert sock.getsockname()[0] == "127.0.0.1"
        assert location(None, sock) == f"127.0.0.1:{port}"
        config.NATHOST = "outside.example"
        assert location(None, sock) == f"outside.example:{port}"
        config.NATPORT = 77
        assert location(None, sock) == "outside.example:77"


def test_what_is_loopback() -> None:
    with bind("localhost", 0) as sock:
        assert is_loopback(sock)
    if socket.has_ipv6:
        with bind("::1", 0) as sock:
            assert is_loopback(sock)
            assert location("::1", sock) == f"[::1]:{sock.getsockname()[1]}"
