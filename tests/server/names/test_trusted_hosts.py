"""Which hosts a name server may have the service connect to."""

from __future__ import annotations

import socket

import pytest

from pyro_events.server.names import trusted_hosts
from pyro_events.server.names.trusted_hosts import TrustedHosts

REMOTE = TrustedHosts("lab-ns", "192.0.2.1", "192.0.2.7", frozenset({"198.51.100.1", "2001:db8::1"}))
HERE = TrustedHosts("localhost", "127.0.0.1", "127.0.0.1", frozenset())


@pytest.mark.parametrize(
    "host", ["lab-ns", "LAB-NS", "192.0.2.1", "198.51.100.1", "2001:db8::1", "[2001:DB8:0::1]"]
)
def test_the_name_servers_own_host_and_those_that_were_allowed(host: str) -> None:
    assert REMOTE.include(host)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "::1", "192.0.2.7", "192.0.2.2", "lab-ns.evil", "example.com", "", "0.0.0.0"],
)
def test_no_other_host_and_not_this_machine(host: str) -> None:
    assert not REMOTE.include(host)


def test_where_the_name_server_runs_on_this_machine_all_its_names_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trusted_hosts, "_is_ours", lambda address: address == "192.0.2.7")
    for host in "localhost", "127.0.0.1", "::1", socket.gethostname(), "192.0.2.7":
        assert HERE.include(host)
    for host in "127.0.0.2", "192.0.2.8", "0.0.0.0", "example.com":
        assert not HERE.include(host)


def test_an_address_of_this_machine_is_told_from_others() -> None:
    assert trusted_hosts._is_ours("127.0.0.1")
    for other in "192.0.2.8", "2001:db8::8", "0.0.0.0", "::":
        assert not trusted_hosts._is_ours(other)


def test_nobody_is_asked_through_a_unix_domain_socket_but_those_that_were_allowed() -> None:
    hosts = TrustedHosts("./u:/run/names", "", "", frozenset({"198.51.100.1"}))
    assert hosts.include("198.51.100.1")
    assert not hosts.include("127.0.0.1")
    assert not hosts.include("")
