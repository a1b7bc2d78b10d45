"""Where the service listens, and the address that it tells others (C25a)."""

from __future__ import annotations

import socket

import pytest
from Pyro5 import config
from waiting import eventually

from pyro_events.log.background import background
from pyro_events.server.net import listening
from pyro_events.server.net.listening import bind, is_loopback, location, warn_if_open, warn_if_unreachable


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
    with pytest.raises(OSError, match="'no.such.host.invalid' cannot be looked up"):
        bind("no.such.host.invalid", 0)


def test_a_host_that_is_elsewhere() -> None:
    with pytest.raises(OSError, match="is not an address of this machine"):
        bind("192.0.2.1", 0)


def test_pyro5s_setting() -> None:
    config.HOST = "127.0.0.1"
    with bind(None, 0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert location(None, sock) == f"127.0.0.1:{sock.getsockname()[1]}"


def test_the_address_that_others_are_told() -> None:
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert location("127.0.0.1", sock, "outside.example") == f"outside.example:{port}"
        assert location("127.0.0.1", sock, "2001:db8::7", 77) == "[2001:db8::7]:77"
        assert location("127.0.0.1", sock, towards="192.0.2.9") == f"127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_bound_to_all_addresses_it_names_one_that_others_reach(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "outward_address", lambda family: f"outward-{int(family)}")
    with bind(host, 0) as sock:
        port = sock.getsockname()[1]
        # The address towards a name server on another machine.
        assert location(host, sock, towards="192.0.2.9") == f"192.0.2.9:{port}"
        # One on this machine is asked from others too, so the loopback will not do.
        for towards in ("", "127.0.0.1", "::1"):
            assert location(host, sock, towards=towards).startswith(f"outward-{int(sock.family)}:")
        assert location(host, sock, "outside.example") == f"outside.example:{port}"
        with socket.create_connection(("127.0.0.1", port)):  # `::` is for IPv4 too
            pass


def test_a_socket_for_ipv4_is_not_named_by_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "outward_address", lambda family: "192.0.2.9")
    with bind("0.0.0.0", 0) as sock:
        assert location("0.0.0.0", sock, towards="2001:db8::7").startswith("192.0.2.9:")


@pytest.mark.parametrize(
    ("own", "family", "named"),
    [
        ({socket.AF_INET: ["127.0.0.1", "127.0.1.1", "192.0.2.9"]}, socket.AF_INET, "192.0.2.9"),
        ({socket.AF_INET: ["169.254.1.1", "127.0.1.1"]}, socket.AF_INET, "127.0.0.1"),
        ({socket.AF_INET6: ["::1", "fe80::1", "2001:db8::9"]}, socket.AF_INET6, "2001:db8::9"),
        ({socket.AF_INET6: ["fe80::1"], socket.AF_INET: ["192.0.2.9"]}, socket.AF_INET6, "192.0.2.9"),
        ({}, socket.AF_INET6, "::1"),
    ],
)
def test_an_address_that_others_reach(
    own: dict[int, list[str]], family: int, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_own_addresses", lambda version: iter(own.get(version, [])))
    assert listening.outward_address(family) == named


def test_the_addresses_of_this_machine() -> None:
    found = list(listening._own_addresses(socket.AF_INET))
    assert found
    for address in found:
        with socket.socket() as sock:
            sock.bind((address, 0))  # they are this machine's


def test_a_name_server_elsewhere_that_is_told_the_loopback(caplog: pytest.LogCaptureFixture) -> None:
    warn_if_unreachable("127.0.0.1:9095", "192.0.2.1:9090", "192.0.2.9")
    warn_if_unreachable("localhost:9095", "192.0.2.1:9090", "192.0.2.9")
    warn_if_unreachable("[::1]:9095", "192.0.2.1:9090", "192.0.2.9")
    eventually(lambda: caplog.text.count("which other machines cannot reach") == 3)
    assert "--nathost" in caplog.text and "192.0.2.1:9090" in caplog.text
    warn_if_unreachable("127.0.0.1:9095", "127.0.0.1:9090", "127.0.0.1")
    warn_if_unreachable("192.0.2.9:9095", "192.0.2.1:9090", "192.0.2.9")
    warn_if_unreachable("127.0.0.1:9095", "", "")
    assert background.flush()
    assert caplog.text.count("other machines cannot reach") == 3


def test_the_warning_names_what_is_listened_on(caplog: pytest.LogCaptureFixture) -> None:
    with bind("0.0.0.0", 0) as sock:
        warn_if_open(sock, False)
        where = f"port {sock.getsockname()[1]} of all addresses of this machine"
        eventually(lambda: where in caplog.text)


def test_what_is_loopback() -> None:
    with bind("localhost", 0) as sock:
        assert is_loopback(sock)
    if socket.has_ipv6:
        with bind("::1", 0) as sock:
            assert is_loopback(sock)
            assert location("::1", sock) == f"[::1]:{sock.getsockname()[1]}"
