"""EventServiceStarter: coming up, failing to, and going down."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import Pyro5
import pytest
from Pyro5.api import URI
from waiting import eventually

from pyro_events import EventServiceError, EventServiceStarter, Publisher
from pyro_events.constants import DEFAULT_PORT
from pyro_events.errors import ServiceNotFoundError


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        starter = EventServiceStarter(host="127.0.0.1", port=port, use_ns=False)
        with pytest.raises(OSError, match=f"port {port} .* is taken"), starter:
            raise AssertionError("it has not started")
        with pytest.raises(OSError):
            starter.waitUntilStarted(0)
        with pytest.raises(EventServiceError, match="no URI yet"):
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


def test_the_default_port_gives_way_with_a_name_server(free_port: Callable[[], int]) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            pytest.skip("somebody else uses the default port just now")
        other.listen()
        ns_port = free_port()
        with EventServiceStarter(
            host="127.0.0.1", embed_ns=True, ns_host="127.0.0.1", ns_port=ns_port
        ) as starter:
            assert URI(starter.uri).port != DEFAULT_PORT


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
    monkeypatch.setattr("pyro_events.server.binding.is_loopback", lambda sock: False)
    with EventServiceStarter("127.0.0.1", 0, use_ns=False):
        eventually(lambda: "everybody who can reach it" in caplog.text)
    assert caplog.records[0].levelno == logging.WARNING


def test_bound_elsewhere_with_ident_it_asks_for_tls(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyro_events.server.binding.is_loopback", lambda sock: False)
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="secret"):
        eventually(lambda: "guarded by ident but without TLS" in caplog.text)
    assert caplog.text.count("TLS") == 1


def test_on_the_loopback_it_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="secret"):
        pass
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("ident", "error"), [(1, TypeError), (b"secret", TypeError), ("", ValueError)])
def test_what_is_no_passphrase(ident: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="ident"):
        EventServiceStarter(ident=ident)
