"""The connection of a client: what is certain when it breaks, and that threads may share it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import Pyro5.api
import Pyro5.errors
import Pyro5.server
import pytest
from fake_service import FakeService, fake_service
from waiting import eventually

from pyro_events.client.connection import connection as connection_module
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.reconnecting import ReconnectingConnection
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.errors import (
    EventServiceError,
    OutcomeUnknownError,
    ServiceUnreachableError,
)
from pyro_events.wire.frames import CONNECT_FAIL, EXCEPTION, MSGPACK, RESULT, write_frame


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@contextlib.contextmanager
def linked(fake: FakeService) -> Iterator[ReconnectingConnection]:
    link = ReconnectingConnection(ServiceLocator(fake.uri))
    try:
        yield link
    finally:
        link.close()


class Calling(threading.Thread):
    """Makes a call in a thread and keeps what came of it."""

    def __init__(self, link: ReconnectingConnection, *call: Any) -> None:
        super().__init__()
        self.link, self.arguments = link, call
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.link.call(*self.arguments)
        except BaseException as error:
            self.error = error

    def result(self) -> Any:
        self.join(10)
        assert not self.is_alive(), "the call did not return"
        if self.error is not None:
            raise self.error
        return self.value


def test_calls_and_their_sequence(fake: FakeService) -> None:
    with linked(fake) as link:
        for number in (1, 2):
            calling = Calling(link, "add", number, [b"x"])
            connection = fake.connections[0] if number == 2 else fake.next()
            assert connection.call() == (number, "add", [number, [b"x"]])
            connection.answer(number, {"sum": number})
            assert calling.result() == {"sum": number}
        assert link.current.connected and link.current.address == fake.uri
        assert link.current.local_host == "127.0.0.1" and link.current.reconnects == 0


def test_the_sequence_number_wraps(fake: FakeService) -> None:
    with linked(fake) as link:
        link.connect()
        assert link.current._connection is not None
        link.current._connection._seq = 0xFFFF
        calling = Calling(link, "f")
        connection = fake.next()
        seq, _, _ = connection.call()
        assert seq == 0
        connection.answer(seq, 5)
        assert calling.result() == 5


def test_nothing_listens(free_port: Callable[[], int]) -> None:
    link = ReconnectingConnection(ServiceLocator(f"PYRO:Pyro.EventService@127.0.0.1:{free_port()}"))
    with pytest.raises(ServiceUnreachableError, match="cannot be reached") as caught:
        link.call("f")
    assert isinstance(caught.value, Pyro5.errors.CommunicationError)
    link.close()


def test_a_stranger_answers() -> None:
    times = ConnectTimes(connect=0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        locator = ServiceLocator(f"PYRO:x@127.0.0.1:{listener.getsockname()[1]}")
        link = ReconnectingConnection(locator, times=times)
        with pytest.raises(ServiceUnreachableError, match="does not answer as an event service: no answer"):
            link.connect()

        def talk() -> None:
            for answer in (
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
                b"HTTP/1.1 400 Bad Request\r\n\r\n",  # and when it is asked whether it speaks TLS
                write_frame(CONNECT_FAIL, 0, 4, 0, b"\xa4busy"),
                b"",
                b"",
            ):
                sock, _ = listener.accept()
                with sock:
                    sock.recv(4096)  # everything, or closing would reset the connection
                    sock.sendall(answer)

        listener.accept()[0].close()  # the silent one of before
        thread = threading.Thread(target=talk)
        thread.start()
        for reason in ("not a Pyro message", "refused the connection: busy", "closed the connection"):
            with pytest.raises(ServiceUnreachableError, match=reason):
                link.connect()
        thread.join()


def test_an_object_that_is_not_a_service() -> None:
    @Pyro5.api.expose
    class Other:
        def f(self) -> int:
            return 1

    with Pyro5.server.Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Other())
        Pyro5.config.POLLTIMEOUT = 0.05
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        with pytest.raises(ServiceUnreachableError, match="is not an event service"):
            ReconnectingConnection(ServiceLocator(uri)).connect()
        daemon.shutdown()
        thread.join(10)


def test_a_stock_daemon_is_called_alike() -> None:
    @Pyro5.api.expose
    class Service:
        def publish_encoded(self, batch: Any) -> Any:
            if not batch:
                raise ValueError("empty", 3)
            return batch

    Pyro5.config.POLLTIMEOUT = 0.05
    with Pyro5.server.Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        link = ReconnectingConnection(ServiceLocator(uri))
        assert link.call("publish_encoded", [["a", b"\x00"]]) == [["a", b"\x00"]]
        with pytest.raises(ValueError, match="empty") as caught:
            link.call("publish_encoded", [])
        assert caught.value.args == ("empty", 3)
        assert any("publish_encoded" in line for line in caught.value.__dict__["_pyroTraceback"])
        with pytest.raises(AttributeError):
            link.call("unknown")
        assert link.current.reconnects == 0
        link.close()
        daemon.shutdown()
        thread.join(10)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    @Pyro5.api.expose
    class Service:
        def publish_encoded(self, batch: Any) -> Any:
            return batch

    Pyro5.config.POLLTIMEOUT = 0.05
    path = str(tmp_path / "socket")
    with Pyro5.server.Daemon(unixsocket=path) as daemon:
        uri = daemon.register(Service())
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        link = ReconnectingConnection(ServiceLocator(uri))
        assert link.call("publish_encoded", 5) == 5
        assert link.current.local_host == ""
        link.close()
        daemon.shutdown()
        thread.join(10)
    with pytest.raises(ServiceUnreachableError, match="cannot be reached"):
        ReconnectingConnection(ServiceLocator(uri)).connect()


def test_a_connection_that_breaks_before_the_answer_is_not_repeated(fake: FakeService) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f", 1)
        connection = fake.next()
        connection.call()
        connection.close()
        with pytest.raises(OutcomeUnknownError, match="not repeated"):
            calling.result()
        calling = Calling(link, "g", 2)
        connection = fake.next()
        assert connection.call() == (1, "g", [2])
        connection.answer(1, "fine")
        assert calling.result() == "fine"
        assert link.current.reconnects == 1


def test_a_service_that_left_meanwhile_costs_no_error(fake: FakeService) -> None:
    with linked(fake) as link:
        link.connect()
        fake.next().close()
        link.current._used = 0.0  # as if it had been idle for long
        assert link.current._connection is not None
        eventually(link.current._connection.readable)
        calling = Calling(link, "f")
        connection = fake.next()
        connection.answer(connection.call()[0], 7)
        assert calling.result() == 7


def test_a_call_that_could_not_be_sent_goes_over_a_new_connection(fake: FakeService) -> None:
    with linked(fake) as link:
        link.connect()
        old = link.current._connection
        assert old is not None
        linger = struct.pack("ii", 1, 0)
        first = fake.next()
        first.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        first.sock.close()  # resets the connection
        eventually(old.readable)
        link.current._used = 1e18  # as if it had just been used: nobody looks
        calling = Calling(link, "f")
        connection = fake.next()
        connection.answer(connection.call()[0], 7)
        assert calling.result() == 7
        assert old.dead and old.sock.fileno() == -1


def test_replies_reach_their_threads(fake: FakeService) -> None:
    with linked(fake) as link:
        link.connect()
        connection = fake.next()
        calls = [Calling(link, "f", number) for number in range(8)]
        for seq, _, (number,) in [connection.call() for _ in calls]:
            connection.answer(seq, number * 10)
        assert [calling.result() for calling in calls] == [number * 10 for number in range(8)]


def test_posted_calls_may_be_waited_for_in_any_order(fake: FakeService) -> None:
    from pyro_events.wire.requests import packed_call

    with linked(fake) as link:
        replies = [link.post(packed_call("f", number)) for number in range(3)]
        connection = fake.next()
        for _ in replies:
            seq, _, (number,) = connection.call()
            connection.answer(seq, number)
        assert [link.wait(replies[index]) for index in (2, 0, 1)] == [2, 0, 1]


@pytest.mark.parametrize("seq, count", [(9, 1), (1, 2)], ids=["wrong number", "one too many"])
def test_replies_out_of_step_end_the_connection(fake: FakeService, seq: int, count: int) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f")
        connection = fake.next()
        connection.call()
        connection.sock.sendall(write_frame(RESULT, 0, MSGPACK, seq, b"\x01") * count)
        if count == 1:
            with pytest.raises(OutcomeUnknownError, match="out of order"):
                calling.result()
        else:
            calling.result()
        eventually(lambda: not link.current.connected)


@pytest.mark.parametrize(
    "reply",
    [
        write_frame(RESULT, 0, 2, 1, b"N"),
        write_frame(RESULT, 0, 1, 1, b"None"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(40),
        write_frame(RESULT, 0, MSGPACK, 1, b"")[:12] + b"\xff" * 4 + bytes(24),
    ],
    ids=["marshal", "serpent", "no frame", "too large"],
)
def test_a_reply_that_is_none_ends_the_connection(fake: FakeService, reply: bytes) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f")
        connection = fake.next()
        connection.call()
        connection.sock.sendall(reply)
        with pytest.raises(OutcomeUnknownError):
            calling.result()
        assert not link.current.connected


def test_an_unreadable_value_concerns_its_call_alone(fake: FakeService) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f")
        connection = fake.next()
        connection.call()
        connection.sock.sendall(write_frame(RESULT, 0, MSGPACK, 1, b"\xc1"))
        with pytest.raises(Pyro5.errors.ProtocolError, match="cannot be read"):
            calling.result()
        assert link.current.connected


def test_errors_are_raised(fake: FakeService) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f")
        connection = fake.next()
        connection.call()
        described = {
            "__class__": "builtins.ValueError",
            "__exception__": True,
            "args": ["bad"],
            "attributes": {},
        }
        connection.answer(1, described, EXCEPTION)
        with pytest.raises(ValueError, match="bad"):
            calling.result()


def test_close_wakes_a_waiting_call(fake: FakeService) -> None:
    link = ReconnectingConnection(ServiceLocator(fake.uri))
    calling = Calling(link, "f")
    fake.next().call()
    link.close()
    with pytest.raises(OutcomeUnknownError, match="this program closed it"):
        calling.result()
    with pytest.raises(EventServiceError, match="has called close"):
        link.call("f")
    link.close()


def test_a_call_that_makes_itself_ends_with_an_error(
    fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with linked(fake) as link:
        again = lambda self, call, deadline=None: link.call("again")  # noqa: E731
        monkeypatch.setattr(connection_module.Connection, "send", again)
        with pytest.raises(EventServiceError, match="in the middle of 8 others"):
            link.call("f")
        monkeypatch.undo()
        calling = Calling(link, "g")
        for _ in range(9):
            fake.next()
        connection = fake.next()
        connection.answer(connection.call()[0], 7)
        assert calling.result() == 7


def test_an_exception_of_the_programs_own_is_not_taken_for_the_sockets(fake: FakeService) -> None:
    """It arrives when all has been sent, and the call is not sent again."""

    class Sent:
        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

        def sendall(self, data: bytes) -> None:
            self.sock.sendall(data)
            raise mine

    mine = ConnectionResetError(104, "mine")
    with linked(fake) as link:
        link.connect()
        assert link.current._connection is not None
        link.current._connection.sock = Sent(link.current._connection.sock)  # type: ignore[assignment]
        with pytest.raises(ConnectionResetError) as caught:
            link.call("f")
        assert caught.value is mine
        first = fake.next()
        assert first.call()[1] == "f"
        calling = Calling(link, "g")
        second = fake.next()
        seq, method, _ = second.call()
        assert method == "g"
        second.answer(seq, 7)
        assert calling.result() == 7


def test_a_timeout_ends_the_connection(fake: FakeService) -> None:
    with linked(fake) as link:
        with pytest.raises(Pyro5.errors.TimeoutError):
            link.call("f", timeout=0.01)
        assert not link.current.connected


def test_a_keyboard_interrupt_leaves_the_connection_in_order(fake: FakeService) -> None:
    with linked(fake) as link:
        link.connect()
        connection = fake.next()

        def interrupt() -> None:
            connection.call()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            link.call("f")
        thread.join(10)
        calling = Calling(link, "g")
        fresh = fake.next()
        seq, method, _ = fresh.call()
        assert method == "g"
        fresh.answer(seq, "g's")
        assert calling.result() == "g's"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
def test_a_forked_child_gets_a_connection_of_its_own(fake: FakeService) -> None:
    with linked(fake) as link:
        calling = Calling(link, "f")
        parents = fake.next()
        parents.answer(parents.call()[0], 1)
        assert calling.result() == 1
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = 0 if link.call("child") == "ours" else 2
            os._exit(status)
        connection = fake.next()
        seq, method, _ = connection.call()
        assert (seq, method) == (1, "child")
        connection.answer(seq, "ours")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        calling = Calling(link, "parent")
        seq, method, _ = parents.call()
        assert (seq, method) == (2, "parent")
        parents.answer(seq, 2)
        assert calling.result() == 2
