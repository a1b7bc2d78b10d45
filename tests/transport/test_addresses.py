"""How hosts and ports may be spelled, and what is said about other spellings."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from Pyro5.core import URI
from raising_handler import needs_signals, raising

from pyro_events.transport.addresses import (
    MAX_URI,
    check_uri,
    checked_host,
    checked_port,
    format_address,
    is_ip_address,
    is_same_machine,
    split_address,
    unmapped,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z0-9]{1,10})?", fullmatch=True)
# Without `::ffff:1.2.3.4`, as Python 3.13 writes it: Pyro5's URIs do not take it, and we write 1.2.3.4.
ADDRESSES = st.ip_addresses().map(str).filter(lambda text: "." not in text or ":" not in text)
HOSTS = st.one_of(NAMES, ADDRESSES)
PORTS = st.integers(1, 65535)


@given(HOSTS, PORTS)
def test_what_is_written_is_read_again(host: str, port: int) -> None:
    text = format_address(host, port)
    assert split_address(text) == (host, port)
    uri = URI(f"PYRO:x@{text}")
    assert (uri.host, uri.port, uri.location) == (host, port, text)


@given(HOSTS)
def test_a_host_is_taken_as_it_is(host: str) -> None:
    assert checked_host("host", host) == host
    assert is_ip_address(host) == (host[0].isdigit() or ":" in host)
    if ":" in host:
        assert checked_host("host", f"[{host}]") == host


@pytest.mark.parametrize(
    ("ours", "peer", "same"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "::ffff:127.0.0.2", True),
        ("::1", "::1", True),
        ("2001:db8::7", "2001:db8::7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("127.0.0.1", "192.0.2.8", False),
        ("2001:db8::7", "2001:db8::8", False),
    ],
)
def test_whether_both_are_of_one_machine(ours: str, peer: str, same: bool) -> None:
    assert is_same_machine(ours, peer) == same


@given(st.text(max_size=30))
def test_no_text_is_a_surprise(text: str) -> None:
    """A host or an address is taken, or refused with a ValueError, whatever it is."""
    for read in (split_address, lambda text: checked_host("host", text)):
        try:
            read(text)
        except ValueError as error:
            assert str(error)


def test_other_spellings_of_a_host() -> None:
    assert checked_host("host", None) is None
    assert checked_host("host", "") is None
    assert checked_host("host", ipaddress.ip_address("192.0.2.7")) == "192.0.2.7"
    assert checked_host("host", ipaddress.ip_address("::1")) == "::1"
    assert checked_host("host", "fe80::1%eth0") == "fe80::1%eth0"
    assert checked_host("ns_host", "./u:/run/ns", unix=True) == "./u:/run/ns"
    assert format_address("./u:/run/ns", 0) == "./u:/run/ns"


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("lab:9090", "contains a port: give h='lab' and"),
        ("[::1]:9090", r"contains a port: give h='\[::1\]' and"),
        ("a b", "is not a host: give a name"),
        (" ", "is not a host"),
        ("lab\n", "is not a host"),
        ("PYRO:x@lab:1", "is not a host"),
        ("http://lab", "is not a host"),
        ("[lab]", "is not a host"),
        ("\ud800", "is not a host"),
        ("lab\u202e", "is not a host"),
        ("./u:/run/ns", "cannot be a Unix domain socket"),
    ],
)
def test_an_argument_that_is_not_a_host(host: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"h={re.escape(repr(host))} .*{advice}"):
        checked_host("h", host)


def test_a_host_that_is_too_long_is_not_shown_whole() -> None:
    assert checked_host("h", "x" * 255) == "x" * 255
    with pytest.raises(ValueError, match=r"h='x{60}'\.\.\. is not a host: give a name") as caught:
        checked_host("h", "x" * 100_000)
    assert len(str(caught.value)) < 300


class Uncomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("it cannot be compared")


@pytest.mark.parametrize("host", [1, b"lab", ["lab"], True, Uncomparable()])
def test_an_argument_that_is_not_text(host: object) -> None:
    with pytest.raises(TypeError, match="h must be a host's name or IP address"):
        checked_host("h", host)


def test_ports() -> None:
    assert checked_port("p", None) is None
    assert checked_port("p", 1) == 1
    assert checked_port("p", 65535) == 65535
    assert checked_port("p", 0, least=0) == 0
    for port in (0, -1, 65536, 70000):
        with pytest.raises(ValueError, match=f"p={port} is not a port: ports go from 1 to 65535"):
            checked_port("p", port)
    for wrong in ("9090", 9090.0, True, b"9"):
        with pytest.raises(TypeError, match="p must be a port, an int"):
            checked_port("p", wrong)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lab", "the port is missing"),
        ("[::1]", "the port is missing"),
        ("", "the port is missing"),
        ("::1:9095", "an IPv6 address must be in brackets"),
        ("::1", "an IPv6 address must be in brackets"),
        ("[::g]:1", "an IPv6 address must be in brackets"),
        ("[::1]9095", "an IPv6 address must be in brackets"),
        (":9095", "'' is not a host"),
        ("[lab]:1", "is not a host"),
        ("a b:1", "is not a host"),
        ("\ud800:1", "is not a host"),
        ("x" * 300 + ":1", "is not a host"),
        ("lab:", "'' is not a port"),
        ("lab:x", "'x' is not a port"),
        ("lab:9095 ", "is not a port"),
        ("lab:-1", "is not a port"),
        ("lab:²", "is not a port"),
        ("lab:0", "ports go from 1"),
        ("lab:70000", "ports go from 1"),
        ("lab:" + "9" * 5000, "ports go from 1"),
    ],
)
def test_an_argument_that_is_not_an_address(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        split_address(text)


@pytest.mark.parametrize(
    ("host", "bare"),
    [("::ffff:192.0.2.7", "192.0.2.7"), ("::ffff:1:2", "::ffff:1:2"), ("::1", "::1"), ("192.0.2.7",) * 2],
)
def test_an_ipv4_address_in_an_ipv6_one(host: str, bare: str) -> None:
    assert unmapped(host) == bare


def test_a_uri_that_is_too_long_or_not_printable_is_not_parsed() -> None:
    check_uri("PYRO:x@h:1")
    check_uri("x" * MAX_URI)
    for uri in ("x" * (MAX_URI + 1), "PYRO:x@h:1\n"):
        with pytest.raises(ValueError, match="is not a Pyro URI: it has at most"):
            check_uri(uri)


@needs_signals
def test_what_a_signals_handler_raises_is_not_a_wrong_address(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = ValueError("enough")
    with raising(enough) as interrupt, monkeypatch.context() as patch:
        patch.setattr(ipaddress, "IPv6Address", interrupt)
        with pytest.raises(ValueError) as caught:
            is_ip_address("::1")
    assert caught.value is enough
