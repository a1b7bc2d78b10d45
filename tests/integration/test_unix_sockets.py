"""Clients of the same machine use the service's Unix socket; and what happens when it is no good."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import needs_openssl, one_way, settings, use
from contract import running, statistics
from fake_service import FakeService, fake_service
from identities import as_user, users_file
from processes import Process, Spawner
from Pyro5.errors import PyroError
from unix_sockets import STRANGER, root_only, unix_only
from waiting import eventually

from pyro_events import (
    AccessDeniedError,
    EventServiceError,
    EventServiceStarter,
    EventStream,
    Publisher,
    aio,
)
from pyro_events.aio.connection.opener import open_connection
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.opener import CLOSED, ConnectionOpener
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.options import ServiceOptions
from pyro_events.server.net.listening import outward_address
from pyro_events.transport.unix import unix_socket
from pyro_events.wire.frames import CONNECT_FAIL, MSGPACK, write_frame

pytestmark = unix_only

TICKET, RECEIPT = "0" * 32, "1" * 32


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the services of a test have their sockets; and no path has failed before."""
    monkeypatch.setattr(unix_socket, "_failed", {})
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name) / "pyro_events"


def transport(uri: str, **arguments: Any) -> str:
    """How a publisher goes to the service, when it has published."""
    with Publisher(es_uri=uri, **arguments) as publisher:
        publisher.publish("A", 1)
        return publisher.statistics().transport


def aio_transport(uri: str, **arguments: Any) -> str:
    """The same on an event loop."""

    async def main() -> str:
        async with aio.Publisher(es_uri=uri, **arguments) as publisher:
            await publisher.publish("A", 1)
            return publisher.statistics().transport

    return asyncio.run(asyncio.wait_for(main(), 30))


both = pytest.mark.parametrize("transport_of", [transport, aio_transport], ids=["blocking", "asyncio"])


@both
def test_a_client_of_the_same_machine_uses_it(
    service: EventServiceStarter, transport_of: Callable[..., str]
) -> None:
    assert transport_of(service.uri) == "unix"


def test_a_client_is_one_connection_and_counts_for_its_host(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri, name="a test") as publisher, publisher.getES() as es:
        statistics = es.statistics()
        assert (statistics["connections"], statistics["clients"]) == (2, [("a test", "127.0.0.1")])


def test_events_come_over_it_too(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri) as publisher, EventStream("A", es_uri=service.uri) as stream:
        with publisher.pipeline() as pipeline:
            for number in range(1000):
                pipeline.publish("A", number)
        assert [next(stream).msg for _ in range(1000)] == list(range(1000))
        publisher.publish("A", b"x" * 3_000_000)
        assert len(next(stream).msg) == 3_000_000


def test_the_limits_hold_for_one_that_changes_over() -> None:
    with running(max_connections=1, max_per_host=1) as service:
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.statistics().transport == "unix"
            with pytest.raises(EventServiceError, match="max-connections|max-per-host"):
                Publisher(es_uri=service.uri)
            publisher.publish("A", 1)
        eventually(lambda: transport(service.uri) == "unix")


def test_c17_a_stream_that_blocks_for_too_long_takes_no_right_from_the_others() -> None:
    """They have no port by which they could be told apart."""
    with (
        running(backlog=2, delivery_deadline=0.4) as service,
        EventStream("A", es_uri=service.uri, overflow="block"),
        EventStream("B", es_uri=service.uri, overflow="block"),
        Publisher(es_uri=service.uri) as publisher,
    ):

        def policies() -> dict[str, str]:
            return {each["subjects"][0]: each["overflow"] for each in statistics(service.uri)["subscribers"]}

        assert policies() == {"A": "block", "B": "block"}
        for number in range(40):
            publisher.publish("A", number)
        eventually(lambda: policies() == {"A": "drop-oldest", "B": "block"})


@both
def test_an_address_of_this_machine_that_others_reach(transport_of: Callable[..., str]) -> None:
    address = outward_address(socket.AF_INET)
    with EventServiceStarter(address, 0, use_ns=False) as service:
        with Publisher(es_uri=service.uri, name="a test") as publisher, publisher.getES() as es:
            assert publisher.statistics().transport == "unix"
            assert es.statistics()["clients"] == [("a test", address)]
        assert transport_of(service.uri) == "unix"


@both
def test_the_passphrase_is_proved_there_too(transport_of: Callable[..., str]) -> None:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="secret") as service:
        assert transport_of(service.uri, ident="secret") == "unix"
        for wrong in ({}, {"ident": "another"}):
            with pytest.raises(AccessDeniedError):
                transport_of(service.uri, **wrong)


def test_a_user_is_one_there_too() -> None:
    with users_file() as file:
        options = ServiceOptions(permissions=file)
        with EventServiceStarter("127.0.0.1", 0, use_ns=False, options=options) as service:
            assert transport(service.uri, **as_user("alice")) == "unix"
            with pytest.raises(AccessDeniedError):
                transport(service.uri, user="alice", ident="another")


@needs_openssl
def test_there_is_none_with_tls(folder: Path) -> None:
    use(one_way(settings()))
    with EventServiceStarter("localhost", 0, use_ns=False) as service:
        assert transport(service.uri) == "tcp" and not folder.exists()


@both
def test_a_client_that_must_not(
    service: EventServiceStarter, transport_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYROEVENTS_UNIX_SOCKET", "off")
    assert transport_of(service.uri) == "tcp"


@both
def test_a_service_that_must_not(transport_of: Callable[..., str], folder: Path) -> None:
    with running(unix_socket="off") as service:
        assert transport_of(service.uri) == "tcp" and not folder.exists()


def test_a_path_of_ones_choice(folder: Path) -> None:
    path = folder.parent / "es.sock"
    with running(unix_socket=str(path)) as service:
        assert transport(service.uri) == "unix" and path.exists()
        with pytest.raises(OSError, match="another program listens on it"), running(unix_socket=str(path)):
            raise AssertionError("it has started")
    assert not path.exists()


def forward(port: int, listener: socket.socket) -> None:
    """A proxy: passes one connection on."""
    with listener.accept()[0] as client, socket.create_connection(("127.0.0.1", port)) as server:

        def copy(source: socket.socket, target: socket.socket) -> None:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(server, client))
        back.start()
        copy(client, server)
        back.join(10)


def test_a_client_behind_a_proxy_stays_behind_it(service: EventServiceStarter) -> None:
    port = int(service.uri.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=forward, args=(port, listener))
        thread.start()
        assert transport(f"127.0.0.1:{listener.getsockname()[1]}") == "tcp"
        thread.join(10)


# ---- a service that goes away ----


def start(spawn: Spawner, port: int, **more: Any) -> Process:
    return spawn("-m", "pyro_events.es", "-N", "-n", "127.0.0.1", "-p", str(port), ready="started", **more)


def test_a_service_that_is_killed_and_comes_back(
    spawn: Spawner, free_port: Callable[[], int], folder: Path
) -> None:
    port = free_port()
    process = start(spawn, port)
    with Publisher(es_uri=f"127.0.0.1:{port}") as publisher:
        assert publisher.statistics().transport == "unix"
        process.send(signal.SIGKILL)
        process.wait()
        (left_over,) = folder.iterdir()
        process = start(spawn, port)

        def published() -> bool:
            try:
                publisher.publish("A", 1)
            except PyroError:
                return False
            return True

        eventually(published)
        assert publisher.statistics().transport == "unix" and publisher.statistics().reconnects >= 1
        assert left_over not in folder.iterdir() and len(list(folder.iterdir())) == 1
    process.terminate()
    assert list(folder.iterdir()) == []


@root_only
def test_a_program_of_another_user_uses_tcp(service: EventServiceStarter, folder: Path) -> None:
    os.chmod(folder.parent, 0o755)
    assert transport_as(STRANGER, service.uri) == "tcp"
    os.chmod(folder, 0o755)  # also where it could see the file
    assert transport_as(STRANGER, service.uri) == "tcp"
    assert transport(service.uri) == "unix"


def transport_as(user: int, uri: str) -> str:
    """How a program of another user goes to the service."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(user)
            os.write(writing, transport(uri).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found = answer.read()
    os.waitpid(child, 0)
    return found


@root_only
def test_a_strangers_file_in_the_place_of_the_services(service: EventServiceStarter, folder: Path) -> None:
    (path,) = folder.iterdir()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        stranger.setblocking(False)
        os.chown(path, STRANGER, STRANGER)
        assert transport(service.uri) == "tcp" and aio_transport(service.uri) == "tcp"
        with pytest.raises(BlockingIOError):
            stranger.accept()


# ---- something else at the path ----


@contextmanager
def offering(path: Path, receipt: str = RECEIPT) -> Iterator[FakeService]:
    """A service that offers a path, and answers each publish with 0."""

    def more(sock: socket.socket) -> dict[str, Any]:
        return {
            "unix": {
                "path": str(path),
                "ticket": TICKET,
                "receipt": receipt,
                "seen": [*sock.getpeername()],
            }
        }

    with fake_service(more=more) as fake:
        yield fake


def answered(fake: FakeService, transport_of: Callable[..., str]) -> str:
    """How a client goes to it."""
    found: list[str] = []
    client = threading.Thread(target=lambda: found.append(transport_of(fake.uri)))
    client.start()
    while True:
        connection = fake.next()
        frame = connection.frame()
        if frame is not None:  # otherwise the client has given it up
            connection.answer(frame.seq, 0)
            break
    client.join(20)
    return found[0]


@contextmanager
def at(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listens at a path, and does something with each client."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(10)
                    behave(client)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def says_nothing(client: socket.socket) -> None:
    while client.recv(4096):
        continue


def closes_at_once(client: socket.socket) -> None:
    client.recv(10)


def says_rubbish(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
    says_nothing(client)


def refuses(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(write_frame(CONNECT_FAIL, 0, MSGPACK, 0, b"\xa2no"))
    says_nothing(client)


@both
@pytest.mark.parametrize("behave", [says_nothing, closes_at_once, says_rubbish, refuses])
def test_a_hostile_listener_is_left_for_tcp(
    folder: Path, transport_of: Callable[..., str], behave: Callable[[socket.socket], None]
) -> None:
    path = folder.parent / "es.sock"
    with at(path, behave), offering(path) as fake:
        assert answered(fake, transport_of) == "tcp"
        # The service may have ended the first, because the ticket was said; but not if it has refused.
        first = 1 if behave is refuses else 2
        assert len(fake.connections) == first
        assert answered(fake, transport_of) == "tcp" and len(fake.connections) == first + 1


def opened(uri: str, seconds: float) -> str:
    """How a connection goes to the service that has to be made in so many seconds."""
    connection = ConnectionOpener(ServiceLocator(uri)).open(False, ConnectTimes(), time.monotonic() + seconds)
    connection.close()
    return connection.transport


def aio_opened(uri: str, seconds: float) -> str:
    async def main() -> str:
        connection = await open_connection(ServiceLocator(uri), ConnectTimes(), seconds)
        connection.end("the test is over")
        return connection.transport

    return asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize("opened_in", [opened, aio_opened])
def test_a_listener_that_hangs_leaves_time_for_tcp(
    folder: Path, opened_in: Callable[[str, float], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.parent / "es.sock"
    monkeypatch.setattr(unix_socket, "PATIENCE", 60.0)
    with at(path, says_nothing), offering(path) as fake:
        assert opened_in(fake.uri, 2.0) == "tcp"


@both
def test_another_service_at_the_path(folder: Path, transport_of: Callable[..., str]) -> None:
    path = folder.parent / "es.sock"
    with running(unix_socket=str(path)), offering(path) as fake:
        assert answered(fake, transport_of) == "tcp"


@both
def test_one_that_accepts_and_does_not_know_the_receipt(
    folder: Path, transport_of: Callable[..., str]
) -> None:
    path = folder.parent / "es.sock"
    with fake_service() as other, offering(path) as fake:
        path_of(other, path)
        assert answered(fake, transport_of) == "tcp"


def path_of(fake: FakeService, path: Path) -> None:
    """Have a fake service listen at a path."""
    fake.close()
    fake.listener = socket.socket(socket.AF_UNIX)  # type: ignore[assignment]
    fake.listener.bind(str(path))
    fake.listener.listen()
    fake._thread = threading.Thread(target=fake._accept)
    fake._thread.start()


@both
@pytest.mark.parametrize("there", ["nothing", "a file", "nobody listens"])
def test_nothing_to_connect_to(folder: Path, transport_of: Callable[..., str], there: str) -> None:
    path = folder.parent / "es.sock"
    if there == "a file":
        path.write_text("")
    elif there == "nobody listens":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    with offering(path) as fake:
        assert answered(fake, transport_of) == "tcp" and len(fake.connections) == 1


@both
def test_a_listener_that_accepts_nobody(folder: Path, transport_of: Callable[..., str]) -> None:
    path = folder.parent / "es.sock"
    with socket.socket(socket.AF_UNIX) as listener, offering(path) as fake:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            assert answered(fake, transport_of) == "tcp"


def test_a_client_that_is_closed_does_not_wait_for_the_listener(folder: Path) -> None:
    path = folder.parent / "es.sock"
    reached = threading.Event()

    def waits(client: socket.socket) -> None:
        reached.set()
        says_nothing(client)

    with at(path, waits), offering(path) as fake:
        opener = ConnectionOpener(ServiceLocator(fake.uri))
        failures: list[str] = []

        def make() -> None:
            try:
                opener.open(False, ConnectTimes())
            except EventServiceError as error:
                failures.append(str(error))

        thread = threading.Thread(target=make)
        thread.start()
        assert reached.wait(10)
        opener.close()
        thread.join(20)
        assert failures == [CLOSED]


def test_a_cancelled_task_leaves_no_socket(folder: Path) -> None:
    path = folder.parent / "es.sock"
    reached = threading.Event()

    def waits(client: socket.socket) -> None:
        reached.set()
        says_nothing(client)

    async def main(uri: str) -> None:
        task = asyncio.ensure_future(aio.Publisher(es_uri=uri).connect())
        await asyncio.get_running_loop().run_in_executor(None, reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with at(path, waits), offering(path) as fake:
        asyncio.run(asyncio.wait_for(main(fake.uri), 30))


PROGRAM = """
    import signal, sys
    from pyro_events import Publisher

    def on_alarm(*_):
        raise TimeoutError("mine")

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        Publisher(es_uri=sys.argv[1])
    except TimeoutError as error:
        print("got", error)
"""


def test_an_exception_of_a_signal_handler_is_the_programs(folder: Path, spawn: Spawner) -> None:
    path = folder.parent / "es.sock"
    with at(path, says_nothing), offering(path) as fake:
        process = spawn("-c", textwrap.dedent(PROGRAM), fake.uri, env={"PYTHONPATH": os.getcwd()})
        process.wait_for("got mine")
        assert process.wait() == 0


def test_many_clients_at_once(service: EventServiceStarter) -> None:
    """Some may find the queue of the Unix socket full; all are served."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(transport(service.uri)), name=f"client {number}")
        for number in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 40 and "unix" in found
