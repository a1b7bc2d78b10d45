"""The connection in use: made when it is needed, checked when it was idle, released when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fake_service import FakeService, fake_service
from waiting import eventually

from pyro_events.client.connection.connection import Connection
from pyro_events.client.connection.current import CurrentConnection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import EventServiceError
from pyro_events.wire.handshake.capabilities import NOTHING_SAID
from pyro_events.wire.requests import packed_call


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def current(fake: FakeService) -> Iterator[CurrentConnection]:
    connection = CurrentConnection(ServiceLocator(fake.uri), ConnectTimes())
    yield connection
    connection.close()


def usable(current: CurrentConnection) -> Connection:
    with current.sending:
        return current.usable()


def test_it_is_made_once_and_tells_what_is_known(fake: FakeService, current: CurrentConnection) -> None:
    assert not current.connected and current.address is None and current.local_host == ""
    first = usable(current)
    assert usable(current) is first
    assert current.connected and current.reconnects == 0
    assert (current.address, current.local_host, current.remote_host) == (fake.uri, "127.0.0.1", "127.0.0.1")
    assert current.announced is None and current.max_message == MAX_MESSAGE


def test_what_the_service_says_about_itself() -> None:
    with fake_service(capabilities=["something"]) as fake:
        connection = CurrentConnection(ServiceLocator(fake.uri), ConnectTimes())
        assert connection.peer == NOTHING_SAID
        usable(connection)
        assert connection.peer.capabilities == {"something"}
        connection.close()


def test_one_that_has_ended_while_idle_is_made_again(fake: FakeService, current: CurrentConnection) -> None:
    first = usable(current)
    fake.next().close()
    current._used = 0.0  # as if it had been idle for long
    eventually(first.readable)
    second = usable(current)
    assert second is not first and first.dead and first.reason == "the service closed the connection"
    assert current.reconnects == 1


def test_one_that_is_not_used_is_released_until_the_next_call(current: CurrentConnection) -> None:
    current.rest(0.0)  # there is none yet
    first = usable(current)
    current.rest(3600.0)
    assert current.connected
    for lock in (current.sending, current.reader.lock):
        with lock:
            current.rest(0.0)  # this thread is using it
    assert current.connected
    reply = first.send(packed_call("statistics"))
    current.rest(0.0)  # its reply is still to come
    assert current.connected and reply is not None and reply.lost is None
    first._pending.clear()
    current.rest(0.0)
    assert not current.connected and first.dead and first.sock.fileno() == -1
    current.rest(0.0)
    assert usable(current) is not first and current.connected


def test_a_dropped_one_is_made_again(current: CurrentConnection) -> None:
    first = usable(current)
    current.drop("the test wants another one")
    assert first.dead and not current.connected
    assert first.sock.fileno() == -1
    assert usable(current) is not first


def test_one_that_a_thread_reads_from_is_released_when_it_lets_go(current: CurrentConnection) -> None:
    connection = usable(current)
    locked, let_go = threading.Event(), threading.Event()

    def read() -> None:
        with current.reader.lock:
            locked.set()
            eventually(lambda: connection.dead)
            let_go.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert locked.wait(10)
    current.drop("it does not answer")
    thread.join(10)
    assert let_go.is_set() and connection.sock.fileno() == -1


def test_what_is_closed_stays_closed(current: CurrentConnection) -> None:
    connection = usable(current)
    current.close()
    assert connection.reason == "this program closed it" and not current.connected
    for attempt in (usable, lambda current: current.reopen(False)):
        with pytest.raises(EventServiceError, match="has called close"):
            attempt(current)


def test_a_forked_child_lets_go_without_sending_anything(
    fake: FakeService, current: CurrentConnection
) -> None:
    connection = usable(current)
    theirs = fake.next()
    copy = connection.sock.dup()  # as the parent's descriptor
    current.forked()
    assert connection.dead and not current.connected and connection.sock.fileno() == -1
    copy.sendall(b"PYRO")
    assert theirs.sock.recv(4) == b"PYRO"  # it was not shut down
    copy.close()
