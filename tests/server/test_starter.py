"""EventServiceStarter: coming up, failing to, and going down."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5
import pytest
from listening import Collector, listening
from name_servers import port_of, stock_name_server
from Pyro5.api import URI, Proxy
from waiting import eventually

from pyro_events import EventService, EventServiceError, EventServiceStarter, Publisher, locate_ns
from pyro_events.errors import ServiceNotFoundError
from pyro_events.options import ServiceOptions
from pyro_events.server.net.listening import outward_address
from pyro_events.transport import name_server


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        starter = EventServiceStarter(host="127.0.0.1", port=port, use_ns=False)
        with pytest.raises(OSError, match=f"port {port} .* is taken"), starter:
            raise AssertionError("it has not started")
        with pytest.raises(OSError):
            starter.waitUntilStarted(0)
        with pytest.raises(EventServiceError, match="not running"):
            _ = starter.uri


def test_no_name_server(free_port: Callable[[], int]) -> None:
    starter = EventServiceStarter(host="127.0.0.1", port=0, ns_host="127.0.0.1", ns_port=free_port())
    with pytest.raises(ServiceNotFoundError), starter:
        raise AssertionError("it has not started")


def test_a_taken_port_of_the_name_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        starter = EventServiceStarter(
            host="127.0.0.1", port=0, embed_ns=True, ns_host="127.0.0.1", ns_port=port
        )
        with pytest.raises(OSError, match=f"port {port} .* is taken"), starter:
            raise AssertionError("it has not started")


def test_what_repr_says() -> None:
    starter = EventServiceStarter(host="127.0.0.1", port=0, use_ns=False)
    assert repr(starter) == "<EventServiceStarter, not started>"
    with starter:
        assert repr(starter) == f"<EventServiceStarter, running at {starter.uri}>"
    assert repr(starter) == "<EventServiceStarter, ended>"
    service = EventService()
    assert repr(service) == "<EventService, not used yet>"
    service.publish("A", 1)
    assert repr(service) == "<EventService, in use>"
    service.close()
    assert repr(service) == "<EventService, closed>"


def test_it_starts_once() -> None:
    with EventServiceStarter(host="127.0.0.1", port=0, use_ns=False) as starter:
        with pytest.raises(EventServiceError, match="started before"):
            starter.start()
        assert starter.waitUntilStarted(0)
        starter.shutdown()
        starter.shutdown()
    starter.shutdown()
    with pytest.raises(EventServiceError, match="started before"):
        starter.start()


def test_a_shutdown_that_comes_before_the_start() -> None:
    starter = EventServiceStarter(host="127.0.0.1", port=0, use_ns=False)
    starter.shutdown()
    thread = threading.Thread(target=starter.start)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_the_announcement_comes_when_it_is_ready() -> None:
    starter = EventServiceStarter(host="127.0.0.1", port=0, use_ns=False)
    announced: list[str] = []

    def announce() -> None:
        announced.append(starter.uri)
        starter.shutdown()

    starter.start(announce=announce)  # returns because of the shutdown
    assert announced[0].startswith("PYRO:Pyro.EventService@127.0.0.1:")


def test_an_error_in_the_block_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), EventServiceStarter("127.0.0.1", 0, use_ns=False) as starter:
        uri = starter.uri
        _ = 1 / 0
    with pytest.raises(Pyro5.errors.CommunicationError):
        Publisher(es_uri=uri)


def test_the_default_port_gives_way_with_a_name_server(
    taken_default_port: int, free_port: Callable[[], int]
) -> None:
    with EventServiceStarter(
        host="127.0.0.1", embed_ns=True, ns_host="127.0.0.1", ns_port=free_port()
    ) as starter:
        assert URI(starter.uri).port != taken_default_port


def test_two_services_in_one_process() -> None:
    with (
        EventServiceStarter("127.0.0.1", 0, use_ns=False) as one,
        EventServiceStarter("127.0.0.1", 0, use_ns=False) as two,
    ):
        assert one.uri != two.uri
        for each in (one, two):
            with Publisher(es_uri=each.uri) as publisher:
                assert publisher.publish("A", 1) == 0


def test_bound_elsewhere_than_to_the_loopback_it_says_so_loudly(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound to the loopback all the same, because tests listen nowhere else."""
    monkeypatch.setattr("pyro_events.server.net.listening.is_loopback", lambda sock: False)
    with EventServiceStarter("127.0.0.1", 0, use_ns=False):
        eventually(lambda: "everybody who can reach it" in caplog.text)
    assert caplog.records[0].levelno == logging.WARNING


def test_bound_elsewhere_with_ident_it_asks_for_tls(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyro_events.server.net.listening.is_loopback", lambda sock: False)
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="secret"):
        eventually(lambda: "with ident but without TLS" in caplog.text)
    assert caplog.text.count("TLS") == 1


def test_on_the_loopback_it_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="secret"):
        pass
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("ident", "error"), [(1, TypeError), (b"secret", TypeError), ("", ValueError)])
def test_an_argument_that_is_not_a_passphrase(ident: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="ident"):
        EventServiceStarter(ident=ident)


# Where it is, and what it says of that


@pytest.mark.parametrize("host", ["::1", "[::1]", "127.0.0.1", "localhost"])
def test_an_embedded_name_server_on_any_loopback(host: str) -> None:
    with EventServiceStarter(host, 0, embed_ns=True, ns_port=0) as starter:
        assert starter.ns_uri is not None
        names = URI(starter.ns_uri)
        with Publisher(ns_host=names.host, ns_port=names.port) as publisher:
            assert publisher.publish("A", 1) == 0
        location = starter.uri.partition("@")[2]
        assert location.startswith("[::1]:") == ("::1" in host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_on_all_addresses_with_an_embedded_name_server(host: str) -> None:
    """Both are named by an address that others reach, where this machine has one."""
    with EventServiceStarter(host, 0, embed_ns=True, ns_port=0) as starter:
        assert starter.ns_uri is not None
        service, names = URI(starter.uri), URI(starter.ns_uri)
        assert service.host == names.host == outward_address(family_of(host))
        for arguments in (
            {"ns_host": names.host, "ns_port": names.port},
            {"ns_host": "127.0.0.1", "ns_port": names.port},
            {"es_uri": f"127.0.0.1:{service.port}"},
        ):
            with collecting_with(**arguments) as collector, Publisher(**arguments) as publisher:
                assert publisher.publish("A", 1) == 1
                collector.wait(1)


def family_of(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextlib.contextmanager
def collecting_with(**arguments: Any) -> Iterator[Collector]:
    collector = Collector(**arguments)
    with listening(collector):
        collector.subscribe("A")
        yield collector


def test_a_client_by_ipv4_of_a_socket_for_both() -> None:
    """It is known by its IPv4 address, as options, certificates and URIs spell it."""
    options = ServiceOptions(allow_stock=frozenset({"127.0.0.1"}))
    with EventServiceStarter("::", 0, use_ns=False, ident="secret", options=options) as starter:
        port = URI(starter.uri).port
        with Proxy(f"PYRO:Pyro.EventService@127.0.0.1:{port}") as stock:
            assert stock.publish("A", 1) == 0
        with (
            pytest.raises(Pyro5.errors.CommunicationError, match="denied"),
            Proxy(f"PYRO:Pyro.EventService@[::1]:{port}") as stock,
        ):
            stock.publish("A", 1)


def test_a_name_server_on_this_machine_is_told_an_address_that_others_reach() -> None:
    with (
        stock_name_server() as names,
        EventServiceStarter("0.0.0.0", 0, ns_host="127.0.0.1", ns_port=port_of(names)) as starter,
    ):
        assert URI(starter.uri).host == outward_address(socket.AF_INET)
        assert str(names.nameserver.lookup("Pyro.EventService")) == starter.uri


def test_the_address_towards_the_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were elsewhere: what it is told is our address on the way to it."""
    monkeypatch.setattr(name_server.NameServer, "local_host", "192.0.2.77")
    with (
        stock_name_server() as names,
        EventServiceStarter("0.0.0.0", 0, ns_host="127.0.0.1", ns_port=port_of(names)) as starter,
    ):
        assert URI(starter.uri).host == "192.0.2.77"


def test_a_service_that_a_name_server_elsewhere_leads_nobody_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(name_server.NameServer, "local_host", "192.0.2.77")
    with (
        stock_name_server() as names,
        EventServiceStarter("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port_of(names)),
    ):
        eventually(lambda: "which other machines cannot reach" in caplog.text)


def test_behind_a_router() -> None:
    with (
        stock_name_server() as names,
        EventServiceStarter(
            "127.0.0.1",
            0,
            ns_host="127.0.0.1",
            ns_port=port_of(names),
            nathost="outside.example",
            natport=77,
        ) as starter,
    ):
        assert starter.uri == "PYRO:Pyro.EventService@outside.example:77"
        assert str(names.nameserver.lookup("Pyro.EventService")) == starter.uri
    with EventServiceStarter(
        "127.0.0.1", 0, embed_ns=True, ns_port=0, nathost="[2001:db8::7]", natport=77
    ) as starter:
        assert starter.uri == "PYRO:Pyro.EventService@[2001:db8::7]:77"
        assert starter.ns_uri is not None
        names_uri = URI(starter.ns_uri)
        assert names_uri.host == "2001:db8::7" and names_uri.port != 77
        with locate_ns(host="127.0.0.1", port=names_uri.port) as found:
            assert str(found.lookup("Pyro.EventService")) == starter.uri
    Pyro5.config.NATHOST, Pyro5.config.NATPORT = "outside.example", 78
    with EventServiceStarter("127.0.0.1", 0, use_ns=False) as starter:
        assert starter.uri == "PYRO:Pyro.EventService@outside.example:78"
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, nathost="other.example") as starter:
        assert starter.uri == "PYRO:Pyro.EventService@other.example:78"


@pytest.mark.parametrize(
    ("arguments", "kind", "advice"),
    [
        ({"host": "127.0.0.1:9095"}, ValueError, "host='127.0.0.1:9095' contains a port"),
        ({"host": "a b"}, ValueError, "host='a b' is not a host"),
        ({"host": 5}, TypeError, "host must be a host's name"),
        ({"host": "./u:/run/es"}, ValueError, "cannot be a Unix domain socket"),
        ({"port": 70000}, ValueError, "port=70000 is not a port"),
        ({"port": "9095"}, TypeError, "port must be a port, an int"),
        ({"ns_host": "lab:9090"}, ValueError, "ns_host='lab:9090' contains a port"),
        ({"ns_port": 0}, ValueError, "ns_port=0 is not a port"),
        ({"ns_host": "./u:/run/ns", "embed_ns": True}, ValueError, "cannot be a Unix domain socket"),
        ({"nathost": "outside:77"}, ValueError, "nathost='outside:77' contains a port"),
        ({"nathost": "x", "natport": -1}, ValueError, "natport=-1 is not a port"),
        ({"natport": 77}, ValueError, "natport=77 needs a nathost"),
    ],
)
def test_an_argument_that_is_not_an_address(
    arguments: dict[str, Any], kind: type[Exception], advice: str
) -> None:
    with pytest.raises(kind, match=advice):
        EventServiceStarter(**arguments)
