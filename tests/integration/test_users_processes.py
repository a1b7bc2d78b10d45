"""Users (C40) of start scripts: the service, its name server and one by itself, each in a process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from identities import SECRETS, as_user, users_file
from listening import Collecting
from processes import Spawner
from Pyro5.errors import NamingError
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    OutcomeUnknownError,
    Publisher,
    ServiceUnreachableError,
    locate_ns,
)

LOOPBACK = "127.0.0.1"
OWN = "the service's own"
ALICE, BOB = as_user("alice"), as_user("bob")
AWAY = (OutcomeUnknownError, ServiceUnreachableError)


@pytest.fixture
def file() -> Iterator[str]:
    """A file of permissions."""
    with users_file() as name:
        yield name


@pytest.mark.parametrize("own", [(), ("-i", OWN)], ids=["anybody", "own ident"])
def test_c40_users_find_a_service_that_is_killed_and_comes_back(
    start_service: Any, free_port: Callable[[], int], collect: Collecting, file: str, own: tuple[str, ...]
) -> None:
    port, ns_port = free_port(), free_port()
    at = {"ns_host": LOOPBACK, "ns_port": ns_port}
    options = ("--port", str(port), "--embed-ns", "--ns-host", LOOPBACK, "--ns-port", str(ns_port))
    first = start_service(*options, "--permissions", file, *own)
    with Publisher(**at, **ALICE) as publisher, collect(first.uri, "A", **BOB) as collector:
        assert publisher.publish("A", 1) == 1
        collector.wait(1)
        first.process.send(signal.SIGKILL)
        first.process.wait()
        start_service(*options, "--permissions", file, *own)

        def published() -> bool:
            with contextlib.suppress(*AWAY):
                return publisher.publish("A", 2) == 1
            return False

        eventually(published, 30)
        eventually(lambda: collector.messages()[-1:] == [2])
        assert len(collector.reasons) == 1
    with pytest.raises(AccessDeniedError, match="does not accept the user 'bob'"):
        Publisher(**at, user="bob", ident=SECRETS["alice"])


def test_c40_a_name_server_by_itself_with_the_users_of_the_service(
    spawn: Spawner, start_service: Any, free_port: Callable[[], int], file: str
) -> None:
    port = free_port()
    at = ("-n", LOOPBACK, "-p", str(port))
    spawn("-m", "pyro_events.ns", *at, "-i", OWN, "--permissions", file, ready="started")
    there = ("--ns-host", LOOPBACK, "--ns-port", str(port))
    es = spawn(
        *("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", "-i", OWN, "--permissions", file, *there),
        ready="(?i)started",
    )
    with locate_ns(host=LOOPBACK, port=port, **ALICE) as names:
        assert str(names.lookup(EVENTSERVER_NAME)) in es.stdout
        names.register("clock", "PYRO:clock@127.0.0.1:1")
    with Publisher(ns_host=LOOPBACK, ns_port=port, **ALICE) as publisher:
        assert publisher.publish("A", 1) == 0
    with pytest.raises(AccessDeniedError, match="Pyro.NameServer at .* does not accept the user 'alice'"):
        Publisher(ns_host=LOOPBACK, ns_port=port, user="alice", ident="another")


def test_c40_a_name_server_with_users_takes_names_only_from_who_proves_something(
    spawn: Spawner, free_port: Callable[[], int], file: str
) -> None:
    port = free_port()
    spawn("-m", "pyro_events.ns", "-n", LOOPBACK, "-p", str(port), "--permissions", file, ready="started")
    with locate_ns(host=LOOPBACK, port=port) as names:
        assert list(names.list()) == ["Pyro.NameServer"]
        with pytest.raises(NamingError, match="only a client that proves a passphrase can change"):
            names.register("clock", "PYRO:clock@127.0.0.1:1")
    there = ("--ns-host", LOOPBACK, "--ns-port", str(port))
    es = spawn("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", "--permissions", file, *there)
    assert es.wait() == 1
    assert "only a client that proves a passphrase can change entries here" in es.stderr
    assert len(es.stderr.strip().splitlines()) == 1
