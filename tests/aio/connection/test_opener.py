"""Opening a connection on a loop: addresses in turn, what each failure says, and nothing is left open."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import Pyro5
import pytest
from certificates import needs_openssl, settings, use
from event_loops import each_loop, run
from fake_service import fake_service

from pyro_events import EventServiceStarter
from pyro_events.aio.connection import opener
from pyro_events.aio.connection.connection import Connection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import AccessDeniedError, ServiceNotFoundError, ServiceUnreachableError
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK, MSGPACK, write_frame
from pyro_events.wire.handshake.passphrase import identity_of

TIMES = ConnectTimes()
LOOPBACK = "127.0.0.1"


def opened(locator: ServiceLocator, loop: str = "asyncio", seconds: float | None = None) -> str:
    """The address of the connection that is opened, and closed again."""

    async def main() -> str:
        connection = await opener.open_connection(locator, TIMES, seconds)
        assert isinstance(connection, Connection) and connection.ended is None
        connection.end("the test is over")
        await connection.released()
        return connection.address

    return run(main(), loop)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


def answering(listener: socket.socket, *answers: bytes) -> threading.Thread:
    """Accepts a connection for each answer, sends it, and waits until the client has closed."""

    def answer() -> None:
        for each in answers:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(10)
                sock.recv(1000)
                sock.sendall(each)
                while sock.recv(1000):
                    continue

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@each_loop
def test_a_service_that_answers(loop: str) -> None:
    with fake_service() as fake:
        locator = ServiceLocator(fake.uri, name="a test")
        assert opened(locator, loop) == fake.uri


@each_loop
def test_nothing_listens(loop: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(
        ServiceUnreachableError, match=f"{LOOPBACK}:{port} cannot be reached: nothing listens"
    ):
        opened(ServiceLocator(f"{LOOPBACK}:{port}"), loop)


@each_loop
@pytest.mark.parametrize(
    ("type_", "answer", "reason"),
    [
        (CONNECT_FAIL, "too many connections", "refused the connection: too many connections"),
        (CONNECT_OK, {"handshake": "hello", "meta": {"methods": ["lookup"]}}, "is not an event service"),
    ],
)
def test_what_it_says_is_shown(
    listener: socket.socket, type_: int, answer: object, reason: str, loop: str
) -> None:
    thread = answering(listener, write_frame(type_, 0, MSGPACK, 0, msgpack.packb(answer)))
    with pytest.raises(ServiceUnreachableError, match=reason):
        opened(ServiceLocator(f"{LOOPBACK}:{listener.getsockname()[1]}"), loop)
    thread.join(10)
    assert not thread.is_alive(), "the socket was left open"


@each_loop
def test_a_silent_one_is_given_up_in_time(listener: socket.socket, loop: str) -> None:
    with pytest.raises(ServiceUnreachableError, match="no answer in time") as caught:
        opened(ServiceLocator(f"{LOOPBACK}:{listener.getsockname()[1]}"), loop, seconds=0.1)
    assert caught.value.temporary


@each_loop
def test_a_cancelled_attempt_leaves_no_socket_open(listener: socket.socket, loop: str) -> None:
    async def main() -> None:
        locator = ServiceLocator(f"{LOOPBACK}:{listener.getsockname()[1]}")
        task = asyncio.ensure_future(opener.open_connection(locator, TIMES, None))
        accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
        with accepted:
            assert await asyncio.get_running_loop().sock_recv(accepted, 4) == b"PYRO"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while await asyncio.get_running_loop().sock_recv(accepted, 1000):
                continue

    listener.setblocking(False)
    run(main(), loop)


@each_loop
def test_the_passphrase_is_proved_at_the_second_attempt_too(loop: str) -> None:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident="secret") as guarded:
        uri = str(guarded.uri)
        assert opened(ServiceLocator(uri, identity_of("secret"), name="a test"), loop) == uri
        with pytest.raises(AccessDeniedError, match="does not accept the passphrase"):
            opened(ServiceLocator(uri, identity_of("another"), name="a test"), loop)
        with pytest.raises(AccessDeniedError, match="requires a passphrase"):
            opened(ServiceLocator(uri, name="a test"), loop)


@each_loop
@needs_openssl
def test_over_tls(loop: str) -> None:
    use(settings())
    with EventServiceStarter("localhost", 0, use_ns=False) as service:
        assert opened(ServiceLocator(service.uri, name="a test"), loop) == str(service.uri)
        use(settings("other"))
        with pytest.raises(ServiceUnreachableError, match="certificate is not accepted here") as caught:
            opened(ServiceLocator(service.uri, name="a test"), loop)
        assert caught.value.tls and not caught.value.temporary


@each_loop
@needs_openssl
def test_only_one_side_speaks_tls(loop: str, service: EventServiceStarter) -> None:
    uri = str(service.uri).replace("127.0.0.1", "localhost")
    use(settings())
    with pytest.raises(ServiceUnreachableError, match="it does not speak TLS, and this program does"):
        opened(ServiceLocator(uri, name="a test"), loop)
    with EventServiceStarter("localhost", 0, use_ns=False) as secured:
        Pyro5.config.SSL = False
        with pytest.raises(ServiceUnreachableError, match="it speaks TLS, and this program does not"):
            opened(ServiceLocator(secured.uri), loop)


class Asking:
    """A locator whose name server knows an address, besides the last one that worked."""

    asks = True
    identity = None
    name = "a test"

    def __init__(self, known: str | None, fresh: str | Exception) -> None:
        self.known = Pyro5.core.URI(known) if known else None
        self._fresh = fresh
        self.good: list[str] = []
        self.thread: threading.Thread | None = None

    def look_up(self) -> Pyro5.core.URI:
        self.thread = threading.current_thread()
        if isinstance(self._fresh, Exception):
            raise self._fresh
        return Pyro5.core.URI(self._fresh)

    def source(self, uri: Pyro5.core.URI) -> str:
        return " (as the name server says)"

    def was_good(self, uri: Pyro5.core.URI) -> None:
        self.good.append(str(uri))


@each_loop
def test_the_last_address_then_the_name_servers(loop: str, free_port: Callable[[], int]) -> None:
    nowhere = f"PYRO:es@{LOOPBACK}:{free_port()}"
    with fake_service() as fake:
        locator: Any = Asking(nowhere, fake.uri)
        assert opened(locator, loop) == fake.uri and locator.good == [fake.uri]
        assert locator.thread is not threading.current_thread()
        locator = Asking(fake.uri, nowhere)
        assert opened(locator, loop) == fake.uri and locator.thread is None
    same: Any = Asking(nowhere, nowhere)
    with pytest.raises(ServiceUnreachableError, match="nothing listens.*as the name server says.$"):
        opened(same, loop)
    unknown: Any = Asking(None, ServiceNotFoundError("the name server does not know it"))
    with pytest.raises(ServiceNotFoundError, match="^the name server does not know it$"):
        opened(unknown, loop)


@each_loop
def test_an_attempt_that_is_cancelled_at_any_step_leaves_no_socket_open(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        locator = ServiceLocator(service.uri, name="a test")
        for turns in range(30):
            task = asyncio.ensure_future(opener.open_connection(locator, TIMES, None))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                connection = task.result()
                connection.end("the test is over")
                await connection.released()

    run(main(), loop)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
@each_loop
def test_over_a_unix_domain_socket(loop: str, tmp_path: Path) -> None:
    path = str(tmp_path / "events")
    locator = ServiceLocator(f"./u:{path}", name="a test")
    with pytest.raises(ServiceUnreachableError, match="cannot be reached: No such file"):
        opened(locator, loop)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        hello = {"handshake": "hello", "meta": {"methods": ["publish_encoded"]}}
        thread = answering(listener, write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb(hello)))
        assert opened(locator, loop) == f"PYRO:Pyro.EventService@./u:{path}"
        thread.join(10)


@each_loop
def test_many_are_opened_a_few_at_a_time_and_none_is_late(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        locator = ServiceLocator(service.uri, name="a test")
        first = await opener.open_connection(locator, TIMES, 5.0)
        turns = opener._turns[asyncio.get_running_loop()]
        waited = False
        tasks = [asyncio.ensure_future(opener.open_connection(locator, TIMES, 5.0)) for _ in range(200)]
        while not all(task.done() for task in tasks):
            waited = waited or turns.taken
            await asyncio.sleep(0)
        made = [task.result() for task in tasks]
        assert waited and not turns.taken
        for connection in (first, *made):
            connection.end("the test is over")
            await connection.released()

    run(main(), loop)
