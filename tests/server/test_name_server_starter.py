"""A name server by itself, started and stopped as an event service is."""

from __future__ import annotations

import pytest
from Pyro5.api import URI, Proxy
from Pyro5.core import DAEMON_NAME, NAMESERVER_NAME

from pyro_events import AccessDeniedError
from pyro_events.errors import EventServiceError
from pyro_events.server.name_server_starter import NameServerStarter
from pyro_events.transport.authenticated_proxy import locate_ns


def test_it_knows_itself_and_nothing_else() -> None:
    with NameServerStarter("127.0.0.1", 0) as starter, Proxy(starter.uri) as names:
        assert names.list() == {NAMESERVER_NAME: starter.uri}
        names.register("a", "PYRO:a@127.0.0.1:1")
        assert names.count() == 2
        with Proxy(f"PYRO:{DAEMON_NAME}@{starter.uri.partition('@')[2]}") as daemon:
            assert "lookup" in daemon.get_metadata(NAMESERVER_NAME)["methods"]
    with pytest.raises(EventServiceError, match="not running"):
        starter.uri  # noqa: B018


def test_a_passphrase_guards_it() -> None:
    with NameServerStarter("127.0.0.1", 0, ident="secret") as starter:
        uri = URI(starter.uri)
        with locate_ns("secret", uri.host, uri.port) as names:
            assert list(names.list()) == [NAMESERVER_NAME]
        with pytest.raises(AccessDeniedError):
            locate_ns("another", uri.host, uri.port)


@pytest.mark.parametrize(("host", "port"), [("a b", 0), ("127.0.0.1", -1), ("127.0.0.1", "9090")])
def test_arguments_that_cannot_be_are_refused_before_anything_starts(host: str, port: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        NameServerStarter(host, port)  # type: ignore[arg-type]


def test_a_port_that_is_taken_says_so() -> None:
    with NameServerStarter("127.0.0.1", 0) as starter:
        port = URI(starter.uri).port
        with pytest.raises(OSError, match=str(port)):
            NameServerStarter("127.0.0.1", port).start()
