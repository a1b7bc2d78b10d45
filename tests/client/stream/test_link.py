"""One own connection of a stream, with a service of the test's own at the other end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from certificates import needs_openssl, settings, use
from contract import in_background
from fake_stream import FakeService, stream_ends
from waiting import eventually

from pyro_events.client.stream import link as module
from pyro_events.client.stream.inbox import EventInbox
from pyro_events.client.stream.link import StreamLink
from pyro_events.errors import EventServiceError
from pyro_events.transport.tls import client_context, server_context
from pyro_events.transport.tls_socket import TlsSocket
from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import PING, RESULT, FrameReader
from pyro_events.wire.own_connection import OBJECT_ID, delivery_limits
from pyro_events.wire.requests import write_ping


@pytest.fixture
def ends() -> Iterator[tuple[StreamLink, FakeService]]:
    with stream_ends() as ends:
        yield ends


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def test_an_event_is_waited_for_and_acknowledged_when_it_was_taken(ends: Any) -> None:
    link, service = ends
    waiting = in_background(lambda: link.fetch(soon()))
    service.send(1, 1, 2)
    assert waiting.result() and len(link.inbox.rows) == 2
    link.inbox.rows.popleft()
    link.settle()
    assert not link.inbox.finished
    link.inbox.rows.popleft()
    link.settle()
    assert service.answer() == (RESULT, 1)


def test_nothing_in_time(ends: Any) -> None:
    link, _ = ends
    assert not link.fetch(time.monotonic()) and not link.fetch(soon(0.01)) and not link.dead


def test_another_thread_that_reads_is_waited_for_no_longer_than_the_deadline(ends: Any) -> None:
    link, service = ends
    waiting = in_background(lambda: link.fetch(soon()))
    eventually(lambda: not link.look())
    assert not link.fetch(soon(0.01))
    service.send(1, 1)
    assert waiting.result()


def test_a_ping_is_answered_without_the_program(ends: Any) -> None:
    link, service = ends
    service.sock.sendall(write_ping(7))
    eventually(lambda: link.look() and link.inbox.heard)
    assert service.answer() == (PING, 7)


def test_a_service_does_not_notice_that_reading_has_stopped_where_nobody_waits(ends: Any) -> None:
    """It is told before that nothing is wanted any more. Over a Unix socket its next write would fail."""
    link, service = ends
    link.stop_reading()
    service.send(1, 1)
    assert link.dead and link.fetch(soon()) and not link.inbox.rows


def test_a_thread_cannot_wait_in_the_middle_of_waiting(ends: Any) -> None:
    link, service = ends
    with link.lock:
        with pytest.raises(EventServiceError, match="waiting for an event of this stream already"):
            link.fetch(soon())
        assert not link.look()
        service.send(1, 1)
        link.settle()  # the one with the lock will


@pytest.mark.parametrize("how", ["fail", "stop_reading", "leave", "nonsense"])
def test_a_thread_that_waits_finds_the_end(ends: Any, how: str) -> None:
    link, service = ends
    waiting = in_background(lambda: link.fetch(None))
    eventually(lambda: not link.look())
    if how == "leave":
        service.sock.close()
    elif how == "nonsense":
        service.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    elif how == "fail":
        link.fail("it was told to")
    else:
        link.stop_reading()
    assert waiting.result() and link.dead and link.reason
    assert link.fetch(soon())  # at once: there is nothing to wait for
    link.settle()


def test_what_came_with_the_answer_is_read_first() -> None:
    for data, dead in ((write_ping(1), False), (b"HTTP/1.1 200 OK\r\n\r\n", True)):
        near, far = socket.socketpair()
        reader = FrameReader(delivery_limits(1 << 20))
        reader.feed(data)
        link = StreamLink(near, EventInbox(reader))
        link.start()
        assert link.dead is dead
        if not dead:
            assert FakeService(far).answer() == (PING, 1)
        link.close(0.0)
        far.close()


class Interrupted(Exception):
    """Of a signal handler."""


@pytest.mark.parametrize("error", [Interrupted, OSError, TimeoutError, KeyboardInterrupt])
def test_an_exception_of_the_programs_own_while_bytes_come_in_ends_the_connection(
    ends: Any, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, service = ends

    class InterruptedInbox:
        finished, rows = False, ()

        def space(self) -> None:
            """It has no place for the bytes."""

        def feed(self, data: bytes) -> bytes:
            raise error  # as a handler of a signal may, at any step

    service.send(1, 1)
    monkeypatch.setattr(link, "inbox", InterruptedInbox())
    with pytest.raises(error):
        link.fetch(soon())
    assert link.dead and link.lock.acquire(blocking=False)
    link.lock.release()


def test_an_exception_of_the_programs_own_between_two_batches_ends_the_connection(
    ends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, service = ends
    service.send(1, 1)
    assert link.fetch(soon())
    link.inbox.rows.popleft()

    class InterruptedInbox:
        finished = True

        def acknowledge(self) -> bytes:
            raise Interrupted  # as a handler of a signal may, at any step

    monkeypatch.setattr(link, "inbox", InterruptedInbox())
    with pytest.raises(Interrupted):
        link.settle()
    assert link.dead, "the acknowledgement is lost, and the service would wait for it for ever"


def test_one_that_cannot_be_written_to_has_ended(ends: Any) -> None:
    link, service = ends
    service.send(1, 1)
    assert link.fetch(soon())
    link._sock.shutdown(socket.SHUT_WR)
    link.inbox.rows.popleft()
    link.settle()
    assert link.dead and "sending failed" in link.reason


def test_closing_waits_for_the_thread_that_reads_but_not_for_ever(ends: Any) -> None:
    link, _ = ends
    with link.lock:
        closing = threading.Thread(target=link.close, args=(0.01,))
        closing.start()
        closing.join(10)
    assert link.fileno() == -1


def test_without_poll_it_is_select(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.select, "poll")
    with stream_ends() as (link, service):
        assert not link.fetch(time.monotonic())
        service.send(1, 1)
        assert link.fetch(soon())


def test_a_service_that_never_stops_sending_does_not_keep_the_thread_that_looks(ends: Any) -> None:
    link, service = ends
    over = threading.Event()

    def answers() -> None:
        with contextlib.suppress(ConnectionError):
            while service.sock.recv(1 << 16):
                """The pongs."""

    def flood() -> None:
        with contextlib.suppress(ConnectionError):
            while not over.is_set():
                service.sock.sendall(write_ping(1) * 1000)

    flooding = [in_background(flood), in_background(answers)]
    try:
        for _ in range(3):
            looking = in_background(link.look)
            assert looking.result() and not link.dead
    finally:
        over.set()
        link.close(1.0)  # a service whose bytes nobody reads notices nothing less
        for each in flooding:
            each.result()


@contextlib.contextmanager
def secured() -> Iterator[tuple[StreamLink, TlsSocket, socket.socket, socket.socket]]:
    """A link with TLS, its service, and what lies between them: where the service's bytes come out, and
    where the link's go in."""
    use(settings())
    server, client = server_context(), client_context()
    assert server is not None and client is not None
    far, out = socket.socketpair()
    back, near = socket.socketpair()
    service, mine = TlsSocket(far, server), TlsSocket(near, client, server_hostname="localhost")
    done = threading.Event()

    def carry(one: socket.socket, other: socket.socket) -> None:
        one.settimeout(0.02)
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                other.sendall(one.recv(1 << 16))

    carrying = [in_background(lambda: carry(out, back)), in_background(lambda: carry(back, out))]
    shaking = [
        in_background(lambda: service.handshake(soon())),
        in_background(lambda: mine.handshake(soon())),
    ]
    for each in shaking:
        each.result()
    threading.Event().wait(0.1)  # what follows the handshake
    done.set()
    for each in carrying:
        each.result()
    link = StreamLink(mine, EventInbox(FrameReader(delivery_limits(1 << 20))))
    with service, out, back:
        yield link, service, out, back
        link.close(1.0)
    use({})


@needs_openssl
def test_a_part_of_a_record_of_tls_is_no_reason_to_give_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SENDING", 0.05)
    with secured() as (link, service, out, back):
        link.look()
        service.sendall(write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0, b"\x01")]))
        record = out.recv(1 << 16)
        back.sendall(record[:20])
        began = time.monotonic()
        assert not link.fetch(soon(0.3)) and not link.dead
        assert time.monotonic() - began >= 0.3
        assert link.look()  # and a look does not wait
        waiting = in_background(lambda: link.fetch(soon()))
        back.sendall(record[20:])
        assert waiting.result() and len(link.inbox.rows) == 1
        link.inbox.rows.popleft()
        link.settle()
        assert back.recv(1 << 16)  # the acknowledgement
        assert not link.dead
