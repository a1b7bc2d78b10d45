"""TLS on a blocking socket: two threads at once, deadlines, and what comes in place of TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from certificates import needs_openssl, settings, use
from contract import in_background

from pyro_events.transport.tls import client_context, server_context
from pyro_events.transport.tls_socket import TlsSocket

pytestmark = needs_openssl

Pair = tuple[TlsSocket, TlsSocket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    """A client's and a server's end, which have not shaken hands yet."""
    use(settings())
    server, client = server_context(), client_context()
    assert server is not None and client is not None
    near, far = socket.socketpair()
    with TlsSocket(near, client, server_hostname="localhost") as one, TlsSocket(far, server) as other:
        yield one, other


@pytest.fixture
def pair(ends: Pair) -> Pair:
    one, other = ends
    waiting = in_background(lambda: other.handshake(time.monotonic() + 5))
    one.handshake(time.monotonic() + 5)
    waiting.result()
    for end in ends:
        end.settimeout(10)
    return ends


def test_both_sides_know_each_other(pair: Pair) -> None:
    for end in pair:
        assert "pyro_events" in str(end.getpeercert()["subject"])


def test_what_is_sent_arrives_and_so_does_the_end(pair: Pair) -> None:
    one, other = pair
    one.sendall(b"")
    assert one.send(memoryview(b"hello")) == 5
    assert other.recv(100) == b"hello"
    assert one.sendmsg([b"hel", memoryview(b""), memoryview(b"lo")]) == 5
    received = b""
    while len(received) < 5:
        received += other.recv(100)
    assert received == b"hello"
    one.shutdown(socket.SHUT_WR)
    assert other.recv(100) == b"" == other.recv(100)


def test_nothing_that_can_be_read_hides_behind_an_empty_socket(pair: Pair) -> None:
    """Polling the socket would not show it."""
    one, other = pair
    data = bytes(range(256)) * 400
    sending = in_background(lambda: one.sendall(data))
    received = b""
    while len(received) < len(data):
        received += other.recv(1000)
    sending.result()
    assert received == data
    other.settimeout(0.05)
    with pytest.raises(TimeoutError):
        other.recv(1000)


def test_one_thread_reads_while_another_writes(pair: Pair) -> None:
    data = bytes(3_000_000)

    def read(end: TlsSocket) -> int:
        count = 0
        while count < len(data):
            count += len(end.recv(65536))
        return count

    work = [in_background(lambda end=end: read(end)) for end in pair]
    work += [in_background(lambda end=end: end.sendall(data)) for end in pair]
    assert [each.result() for each in work] == [len(data)] * 2 + [None] * 2


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01" + bytes(500)], ids=["silent", "dripping"])
def test_a_handshake_has_a_deadline_for_all_of_it(ends: Pair, begun: bytes) -> None:
    one, other = ends
    ended = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            for position in range(len(begun)):
                socket.socket.sendall(one, begun[position : position + 1])
                if ended.wait(0.05):
                    break

    dripping = in_background(drip)
    with pytest.raises(TimeoutError):
        other.handshake(time.monotonic() + 0.2)
    assert not begun or not dripping.done
    ended.set()
    dripping.result()


def test_a_message_has_a_deadline_for_all_of_it(pair: Pair) -> None:
    one, other = pair
    whole: list[bytes] = []
    one.sendall(b"x" * 1000)
    record = socket.socket.recv(other, 65536)
    ended = threading.Event()

    def drip() -> None:
        for position in range(len(record)):
            if ended.wait(0.05):
                break
            socket.socket.sendall(one, record[position : position + 1])

    dripping = in_background(drip)
    other.settimeout(0.2)
    with pytest.raises(TimeoutError):
        whole.append(other.recv(65536))
    assert not dripping.done
    ended.set()
    dripping.result()


def test_garbage_ends_it(pair: Pair) -> None:
    one, other = pair
    socket.socket.sendall(one, b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        other.recv(100)


def test_the_other_side_learns_why_the_handshake_failed() -> None:
    use(settings())
    server = server_context()
    use(settings("other"))
    client = client_context()
    assert server is not None and client is not None
    near, far = socket.socketpair()
    with TlsSocket(near, client, server_hostname="localhost") as one, TlsSocket(far, server) as other:
        waiting = in_background(lambda: other.handshake(time.monotonic() + 5))
        with pytest.raises(ssl.SSLCertVerificationError):
            one.handshake(time.monotonic() + 5)
        with pytest.raises(ssl.SSLError, match="(?i)unknown.ca"):
            waiting.result()


def test_a_handshake_with_a_peer_without_tls(ends: Pair) -> None:
    one, other = ends
    socket.socket.sendall(one, b"no TLS at all, but something else entirely")
    with pytest.raises(ssl.SSLError):
        other.handshake(time.monotonic() + 5)


def test_a_name_that_is_none() -> None:
    use(settings())
    context = client_context()
    assert context is not None
    near, far = socket.socketpair()
    with near, far, pytest.raises(ValueError):
        TlsSocket(near, context, server_hostname="." * 300)
