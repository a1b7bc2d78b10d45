"""Certificates that are renewed on disk: the next connection uses them, without a signal or a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import needs_openssl, renewable, settings, use
from contract import running
from listening import Collector, listening
from name_servers import port_of, stock_name_server
from Pyro5.errors import CommunicationError
from waiting import eventually

from pyro_events import (
    EventServiceStarter,
    IdentProxy,
    Publisher,
    ServiceNotFoundError,
    ServiceUnreachableError,
    locate_ns,
)
from pyro_events.server.names.registration import EntryState, Registration

pytestmark = needs_openssl

LOOPBACK = "127.0.0.1"
TURNED_AWAY = "may not accept the certificate"


def test_look_ups_of_clients(tmp_path: Path) -> None:
    use(settings())
    with stock_name_server() as names:
        port = port_of(names)
        with (
            EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port),
            renewable(tmp_path, "CLIENT") as renew,
        ):
            with pytest.raises(ServiceNotFoundError, match=TURNED_AWAY):
                locate_ns(host=LOOPBACK, port=port)
            with pytest.raises(ServiceNotFoundError, match=TURNED_AWAY):
                Publisher(ns_host=LOOPBACK, ns_port=port)
            renew()
            with locate_ns(host=LOOPBACK, port=port) as proxy:
                proxy.ping()
            with Publisher(ns_host=LOOPBACK, ns_port=port) as publisher:
                assert publisher.publish("A", 1) == 0


def test_a_proxy_that_connects_again(tmp_path: Path) -> None:
    use(settings())
    with (
        EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_port=0, ident="secret") as es,
        renewable(tmp_path, "CLIENT") as renew,
        IdentProxy(es.ns_uri, "secret") as proxy,
    ):
        with pytest.raises(CommunicationError):
            proxy.ping()
        renew()
        proxy.ping()


def test_the_service_s_own_look_ups(tmp_path: Path) -> None:
    use(settings())
    with stock_name_server() as names, renewable(tmp_path, "CLIENT", first="good") as renew:
        entry = Registration("PYRO:Pyro.EventService@127.0.0.1:1", LOOPBACK, port_of(names))
        entry.enter(False)
        renew("expired")
        assert entry.check() is EntryState.UNKNOWN
        renew()
        assert entry.check() is EntryState.OURS


def test_connections_to_the_service(tmp_path: Path) -> None:
    with renewable(tmp_path, "SERVER") as renew, running() as es:
        with pytest.raises(ServiceUnreachableError, match="not accepted here: certificate has expired"):
            Publisher(es_uri=es.uri)
        renew()
        with Publisher(es_uri=es.uri) as publisher:
            assert publisher.publish("A", 1) == 0


def test_connections_of_the_service_to_subscribers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with renewable(tmp_path, "CLIENT") as renew, running() as es:
        use(settings())
        subscriber = Collector(es.uri)
        with listening(subscriber), Publisher(es_uri=es.uri) as publisher:
            subscriber.subscribe("A")
            eventually(lambda: "TLS" in caplog.text)
            renew()
            subscriber.subscribe("A")
            eventually(lambda: publisher.publish("A", 1) == 1 and subscriber.events)


@pytest.mark.parametrize("half", ["CERT", "KEY"])
def test_files_that_do_not_fit_together_yet(
    half: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are written one after the other; a program that connects meanwhile uses the old ones."""
    use(settings())
    with running() as es, renewable(tmp_path, "CLIENT", first="good") as renew:
        with Publisher(es_uri=es.uri) as publisher:
            publisher.publish("A", 1)
        renew("expired", only=half)
        with Publisher(es_uri=es.uri) as publisher:
            assert publisher.publish("A", 1) == 0
        eventually(lambda: "TLS keeps using the certificates that it had" in caplog.text)
        renew()
        with Publisher(es_uri=es.uri) as publisher:
            assert publisher.publish("A", 1) == 0
