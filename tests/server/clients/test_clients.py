"""Clients: which may connect, and what is kept of those that have; on a loop of the test's own."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import Pyro5.errors
import pytest
from log_lines import counted
from unix_sockets import unix_only

from pyro_events.constants import MAX_CLIENTS_SHOWN
from pyro_events.log.background import background
from pyro_events.log.failures import Failures
from pyro_events.options import ServiceOptions
from pyro_events.server.clients.clients import Clients
from pyro_events.wire.handshake.capabilities import UNIX_SOCKET, PeerInfo
from pyro_events.wire.handshake.messages import Hello
from pyro_events.wire.handshake.unix_offer import NO_OFFER, UnixOffer


class FakeConnection:
    """A client that was accepted, and says what it was told."""

    descriptor = 7
    busy = False
    seen = ("192.0.2.1", 4321)

    def __init__(self, name: str = "", peer: str = "192.0.2.1", user: str = "", unix: bool = False) -> None:
        self.unix = unix
        self.replaced = False
        self.name = name
        self.user = user
        self.peer = peer
        self.refusals: list[str] = []
        self.drained = self.aborted = False

    def drain(self) -> None:
        self.drained = True

    def refuse(self, reason: str) -> None:
        self.refusals.append(reason)

    def abort(self) -> None:
        self.aborted = True

    def end_replaced(self) -> None:
        self.replaced = True

    def counts_for(self, host: str) -> None:
        self.peer = host


class Service:
    """The clients, and what they ask of their engine."""

    def __init__(self, **options: Any) -> None:
        self.draining = False
        self.tls_memory = SimpleNamespace(full=False)
        self.failures = Failures()
        self.clients: Any = Clients(self, ServiceOptions(**options))  # type: ignore[arg-type]


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


def test_who_is_accepted_is_one_of_them_until_it_is_gone() -> None:
    async def work() -> None:
        service = Service()
        one = FakeConnection()
        assert service.clients.accept(one, False) is None
        assert (list(service.clients), len(service.clients)) == ([one], 1)
        service.clients.disconnected(one)
        service.clients.disconnected(one)
        assert len(service.clients) == 0

    run(work)


def test_who_is_refused_is_told_why_and_is_none_of_them() -> None:
    async def work() -> None:
        service = Service(max_connections=2, max_per_host=1)
        clients = service.clients
        assert clients.accept(FakeConnection(), True) is not None
        service.tls_memory.full = True
        assert "TLS" in clients.accept(FakeConnection(), False)
        service.tls_memory.full = False
        assert clients.accept(FakeConnection(), False) is None
        assert "max-per-host" in clients.accept(FakeConnection(), False)
        assert clients.refused == 1
        service.draining = True
        assert "stopping" in clients.accept(FakeConnection(peer="192.0.2.2"), False)
        assert len(clients) == 1

    run(work)


def test_one_that_has_left_lets_another_of_its_host_in() -> None:
    async def work() -> None:
        clients = Service(max_connections=2, max_per_host=1).clients
        one = FakeConnection()
        assert clients.accept(one, False) is None
        clients.disconnected(one)
        assert clients.accept(FakeConnection(), False) is None

    run(work)


def test_what_is_unfinished_is_remembered_since_it_was_begun_last() -> None:
    async def work() -> None:
        clients = Service().clients
        first, second = FakeConnection(), FakeConnection()
        for each in (first, second):
            clients.accept(each, False)
            clients.watch(each, True)
        begun = dict(clients.unfinished)
        assert list(begun) == [first, second]
        await asyncio.sleep(0)
        clients.watch(first, True)
        assert clients.unfinished[first] >= begun[first]
        clients.watch(second, False)
        clients.watch(second, False)
        assert list(clients.unfinished) == [first]
        clients.disconnected(first)
        assert not clients.unfinished

    run(work)


def test_only_those_with_a_name_are_shown_and_only_so_many() -> None:
    async def work() -> None:
        clients = Service(max_per_host=MAX_CLIENTS_SHOWN + 2).clients
        clients.accept(FakeConnection(), False)
        clients.accept(FakeConnection("market"), False)
        assert clients.named() == [("market", "192.0.2.1")]
        for number in range(MAX_CLIENTS_SHOWN):
            assert clients.accept(FakeConnection(f"market {number}"), False) is None
        assert len(clients.named()) == MAX_CLIENTS_SHOWN

    run(work)


def test_those_that_have_proved_to_be_some_users() -> None:
    async def work() -> None:
        clients = Service().clients
        alice, nobody, bob = (FakeConnection(user=user) for user in ("alice", "", "bob"))
        for each in (alice, nobody, bob):
            clients.accept(each, False)
        assert clients.of_users({"alice", "carol"}) == [alice] and clients.of_users(()) == []
        assert clients.of_users({""}) == [nobody]
        clients.disconnected(alice)
        assert clients.of_users({"alice"}) == []

    run(work)


def test_the_end_lets_calls_be_answered_and_then_ends_everybody() -> None:
    async def work() -> None:
        clients = Service().clients
        sock = socket.create_server(("127.0.0.1", 0))
        await clients.listen(sock)
        one = FakeConnection()
        clients.accept(one, False)
        assert clients.descriptors() == [sock.fileno(), 7]
        assert not clients.busy
        one.busy = True
        assert clients.busy
        clients.drain()
        assert one.drained and not one.refusals
        assert clients.descriptors() == [7]
        ending = asyncio.ensure_future(clients.dismiss())
        await asyncio.sleep(0)
        assert one.refusals == ["the service stops"] and not one.aborted
        clients.disconnected(one)
        await ending
        assert not one.aborted

    run(work)


def test_a_client_that_does_not_take_its_answers_is_not_waited_for() -> None:
    async def work() -> None:
        clients = Service().clients
        one = FakeConnection()
        clients.accept(one, False)
        await clients.dismiss()
        assert one.aborted

    run(work)


def test_a_failure_of_tls_is_logged_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        clients = Service().clients
        for reason in ("no certificate", "no certificate", "too old"):
            clients.tls_failed("192.0.2.1", reason)

    with caplog.at_level("WARNING", "pyro_events.engine"):
        run(work)
        background.flush(rest=True)
    for reason in ("no certificate", "too old"):
        assert counted(caplog.records, f"192.0.2.1 was refused: {reason}") == 1


def hello(ticket: str = "", *capabilities: str) -> Hello:
    return Hello("hello", "es", ticket=ticket, peer=PeerInfo("", frozenset(capabilities)))


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@unix_only
def test_a_client_at_the_unix_socket_takes_the_place_of_the_one_that_was_told(runtime: str) -> None:
    async def work() -> None:
        service = Service(max_connections=1, max_per_host=1)
        clients = service.clients
        await clients.listen_on_unix("auto")
        told, new = FakeConnection(), FakeConnection(peer="127.0.0.1", unix=True)
        assert clients.accept(told, False) is None
        host, offer = clients.introduce(told, hello("", UNIX_SOCKET))
        assert host == told.peer and offer.path.startswith(runtime) and offer.seen == told.seen
        assert clients.accept(new, False) is None and list(clients) == [told]
        assert clients.introduce(new, hello(offer.ticket)) == (told.peer, UnixOffer(receipt=offer.receipt))
        assert not told.replaced and list(clients) == [told]
        clients.greeted(told)
        clients.greeted(new)
        assert told.replaced and new.peer == told.peer
        clients.disconnected(told)
        assert list(clients) == [new]
        assert clients.accept(FakeConnection(), False) is not None
        clients.disconnected(new)
        assert clients.accept(FakeConnection(), False) is None
        clients.drain()
        assert os.listdir(f"{runtime}/pyro_events") == []

    run(work)


@unix_only
def test_the_log_says_where_the_unix_socket_is(
    runtime: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "pyro_events")

    async def work() -> None:
        clients = Service().clients
        await clients.listen_on_unix(f"{runtime}/es.sock")
        clients.drain()
        monkeypatch.setattr("pyro_events.server.clients.clients.server_contexts", object)
        await clients.listen_on_unix("auto")
        await clients.listen_on_unix(f"{runtime}/other.sock")
        assert os.listdir(runtime) == []

    run(work)
    assert background.flush()
    assert caplog.messages == [
        f"programs of this user on this machine are sent to the Unix socket {runtime}/es.sock",
        f"there is no Unix socket {runtime}/other.sock, because the service uses TLS",
    ]


@unix_only
def test_a_client_at_the_unix_socket_without_a_ticket_is_refused(runtime: str) -> None:
    async def work() -> None:
        clients = Service().clients
        await clients.listen_on_unix("auto")
        told, new = FakeConnection(), FakeConnection(unix=True)
        clients.accept(told, False)
        _, offer = clients.introduce(told, hello("", UNIX_SOCKET))
        clients.disconnected(told)  # so its ticket is not good any more
        for ticket in ("", "0" * 32, offer.ticket):
            with pytest.raises(Pyro5.errors.DaemonError, match="were told of it over TCP"):
                clients.introduce(new, hello(ticket))
        assert len(clients) == 0
        clients.drain()

    run(work)


@unix_only
def test_who_is_told_of_the_unix_socket(runtime: str) -> None:
    async def work() -> None:
        clients = Service().clients
        here, elsewhere = FakeConnection(), FakeConnection()
        elsewhere.seen = None  # type: ignore[assignment]
        assert clients.introduce(here, hello("", UNIX_SOCKET))[1] == NO_OFFER
        await clients.listen_on_unix("auto")
        assert clients.introduce(here, hello())[1] == NO_OFFER
        assert clients.introduce(elsewhere, hello("", UNIX_SOCKET))[1] == NO_OFFER
        assert clients.introduce(here, hello("", UNIX_SOCKET))[1].path
        clients.drain()
        assert clients.introduce(here, hello("", UNIX_SOCKET))[1] == NO_OFFER

    run(work)


@unix_only
def test_one_at_the_unix_socket_that_has_said_nothing_is_ended_when_the_service_stops(runtime: str) -> None:
    """It could otherwise be accepted, and publish, while all others are waited for."""

    async def work() -> None:
        clients = Service().clients
        await clients.listen_on_unix("auto")
        told, new, gone = FakeConnection(), FakeConnection(unix=True), FakeConnection(unix=True)
        for each in (told, new, gone):
            clients.accept(each, False)
        clients.disconnected(gone)
        clients.introduce(new, hello(clients.introduce(told, hello("", UNIX_SOCKET))[1].ticket))
        clients.greeted(new)
        clients.disconnected(told)
        silent = FakeConnection(unix=True)
        clients.accept(silent, False)
        assert clients.descriptors()[1:] == [7, 7]
        clients.drain()
        assert silent.refusals == ["the service stops"] and new.drained
        assert not gone.refusals and not new.refusals

    run(work)


@unix_only
def test_one_that_is_refused_at_the_unix_socket_replaces_nobody(runtime: str) -> None:
    async def work() -> None:
        clients = Service().clients
        await clients.listen_on_unix("auto")
        told, new = FakeConnection(), FakeConnection(unix=True)
        clients.accept(told, False)
        clients.introduce(new, hello(clients.introduce(told, hello("", UNIX_SOCKET))[1].ticket))
        clients.disconnected(new)
        assert list(clients) == [told] and not told.replaced
        clients.drain()

    run(work)
