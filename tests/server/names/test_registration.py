"""Registering in a name server, and telling a live service from a stale entry."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serpent
from certificates import needs_openssl, settings, use
from fake_name_server import FakeNameServer
from name_servers import port_of, stock_name_server
from Pyro5.api import URI, Daemon, Proxy, expose
from Pyro5.nameserver import NameServer, NameServerDaemon
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, EventServiceStarter, Publisher
from pyro_events.errors import NameServerDeniedError, ServiceExistsError, ServiceNotFoundError
from pyro_events.server.names.registration import EntryState, NamingTimes, Registration, is_alive
from pyro_events.wire.frames import CONNECT_OK, EXCEPTION, RESULT, SERPENT, write_frame

MINE = f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:1"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a stock name server in a thread."""
    daemon = NameServerDaemon(host="127.0.0.1", port=0)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    yield int(daemon.locationStr.rpartition(":")[2])
    daemon.shutdown()
    thread.join()
    daemon.close()


@pytest.fixture
def names(port: int) -> Iterator[Proxy]:
    with Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{port}") as names:
        yield names


@pytest.fixture
def mine(port: int) -> Registration:
    return Registration(MINE, "127.0.0.1", port)


def test_entering_and_leaving(names: Proxy, mine: Registration) -> None:
    mine.leave()  # harmless before
    mine.enter(False)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE
    assert mine.check() is EntryState.OURS
    mine.enter(False)  # again
    mine.leave()
    assert EVENTSERVER_NAME not in names.list()
    mine.leave()


def test_a_stale_entry_is_replaced(names: Proxy, mine: Registration, free_port: Callable[[], int]) -> None:
    names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    mine.enter(False)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE


def test_a_live_one_keeps_its_name(service: EventServiceStarter, names: Proxy, mine: Registration) -> None:
    names.register(EVENTSERVER_NAME, service.uri)
    with pytest.raises(ServiceExistsError, match="--replace") as caught:
        mine.enter(False)
    assert service.uri in str(caught.value)
    assert str(names.lookup(EVENTSERVER_NAME)) == service.uri
    mine.enter(True)
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE
    names.register(EVENTSERVER_NAME, service.uri)
    assert mine.check() is EntryState.TAKEN
    mine.leave()  # only an entry of its own
    assert str(names.lookup(EVENTSERVER_NAME)) == service.uri


def test_what_is_lost_is_renewed(names: Proxy, mine: Registration, free_port: Callable[[], int]) -> None:
    mine.enter(False)
    names.remove(EVENTSERVER_NAME)
    assert mine.check() is EntryState.RENEWED
    names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    assert mine.check() is EntryState.RENEWED
    assert str(names.lookup(EVENTSERVER_NAME)) == MINE


def test_a_name_server_that_does_not_answer() -> None:
    daemon = NameServerDaemon(host="127.0.0.1", port=0)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    mine = Registration(MINE, "127.0.0.1", int(daemon.locationStr.rpartition(":")[2]))
    mine.enter(False)
    daemon.shutdown()
    thread.join()
    daemon.close()
    assert mine.check() is EntryState.UNKNOWN
    mine.leave()  # says so in the log, and no more


def test_no_name_server(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceNotFoundError, match=r"at 127\.0\.0\.1:.*refused.*--embed-ns.*-N"):
        Registration(MINE, "127.0.0.1", free_port()).enter(False)


@expose
class Other:
    """An object that is not an event service."""

    def event(self) -> None:
        raise AssertionError("nobody calls this")


def test_who_is_alive(service: EventServiceStarter, free_port: Callable[[], int]) -> None:
    assert is_alive(service.uri)
    assert not is_alive(f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    assert not is_alive("PYRONAME:nobody")
    assert not is_alive("nonsense")
    assert not is_alive("PYRO:x@./u:/no/socket")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not is_alive(f"PYRO:x@127.0.0.1:{silent.getsockname()[1]}", patience=0.2)
    with Daemon(host="127.0.0.1") as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        assert not is_alive(str(daemon.register(Other(), EVENTSERVER_NAME)))
        assert not is_alive(f"PYRO:nobody@{daemon.locationStr}")
        daemon.shutdown()
        thread.join()


# A name server that strangers can write to, or that is in trouble itself


@pytest.mark.parametrize("host", ["127.0.0.2", "no-such-host.invalid"])
def test_a_stranger_cannot_have_the_service_connect_elsewhere(
    host: str, names: Proxy, mine: Registration, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        port = elsewhere.getsockname()[1]
        for _ in range(3):
            names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{host}:{port}")
            mine.enter(False)
            assert str(names.lookup(EVENTSERVER_NAME)) == MINE
            names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{host}:{port}")
            assert mine.check() is EntryState.RENEWED
            assert str(names.lookup(EVENTSERVER_NAME)) == MINE
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    eventually(lambda: "--allow-callback" in caplog.text)
    assert caplog.text.count("--allow-callback") == 1


def test_hosts_that_were_allowed_are_asked(port: int, names: Proxy) -> None:
    with EventServiceStarter("127.0.0.2", 0, use_ns=False) as other:
        names.register(EVENTSERVER_NAME, other.uri)
        assert Registration(MINE, "127.0.0.1", port).check() is EntryState.UNKNOWN  # not located yet
        asking = Registration(MINE, "127.0.0.1", port, may_ask=frozenset({"127.0.0.2"}))
        with pytest.raises(ServiceExistsError):
            asking.enter(False)
        assert asking.check() is EntryState.TAKEN


def test_one_that_lets_nobody_in_does_not_count_where_anybody_can_write(
    names: Proxy, mine: Registration
) -> None:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="a stranger's") as other:
        names.register(EVENTSERVER_NAME, other.uri)
        with pytest.raises(ServiceExistsError, match="--replace"):  # somebody is there to decide that
            mine.enter(False)
        mine.enter(True)
        names.register(EVENTSERVER_NAME, other.uri)
        assert mine.check() is EntryState.RENEWED
        assert str(names.lookup(EVENTSERVER_NAME)) == MINE
        assert is_alive(other.uri)  # as far as a guarded name server can be believed


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_service_does_not_take_itself_for_another(host: str, port: int, names: Proxy) -> None:
    with EventServiceStarter(host, 0, ns_host="127.0.0.1", ns_port=port) as service:
        own = str(names.lookup(EVENTSERVER_NAME)).rpartition(":")[2]
        spelled = f"PYRO:{EVENTSERVER_NAME}@localhost:{own}"
        mine = Registration("", "127.0.0.1", port)
        mine.uri, mine.listens_on = service.uri, (host, int(own))
        mine.enter(False)
        names.register(EVENTSERVER_NAME, spelled)
        assert mine.check() is EntryState.RENEWED
        assert str(names.lookup(EVENTSERVER_NAME)) == service.uri


ANSWERS = [
    5,
    None,
    "",
    "PYRO:",
    "x" * 500_000,
    "PYRO:x@" + "a" * 500_000,
    "PYRO:" + "@" * 100_000,
    [1] * 1000,
    {"__class__": "Pyro5.core.URI", "state": 5},
    {"__class__": "Pyro5.core.URI", "state": ["PYRO", [], {}, 5, "x"]},
    {"__class__": "Pyro5.core.URI", "state": ["PYRO", "x", None, "h" * 100_000, 1]},
    {"__class__": "builtins.SystemExit", "__exception__": True, "args": 5, "attributes": {}},
    {"__class__": ["x"], "__exception__": True, "args": {"a": 1}},
]


@pytest.mark.parametrize("flags", [0, EXCEPTION])
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: repr(answer)[:40])
def test_whatever_a_name_server_answers_a_check_raises_nothing(answer: object, flags: int) -> None:
    entered = [
        write_frame(
            CONNECT_OK, 0, SERPENT, 0, serpent.dumps({"handshake": "hello", "meta": {"methods": ["lookup"]}})
        ),
        write_frame(
            RESULT,
            0,
            SERPENT,
            1,
            serpent.dumps({"__class__": "Pyro5.core.URI", "state": ["PYRO", "x", None, "h", 1]}),
        ),
        write_frame(RESULT, 0, SERPENT, 2, serpent.dumps(None)),
    ]
    with FakeNameServer() as fake:
        mine = Registration(MINE, "127.0.0.1", fake.port)
        fake.answers = entered
        mine.enter(True)
        fake.answers = [entered[0], write_frame(RESULT, flags, SERPENT, 1, serpent.dumps(answer)), entered[2]]
        began = time.process_time()
        assert mine.check() in (EntryState.RENEWED, EntryState.UNKNOWN)
        assert time.process_time() - began < 1
        for greeting in {"meta": {"methods": 5}}, {"meta": answer}, answer, {"handshake": answer}:
            fake.answers = [write_frame(CONNECT_OK, 0, SERPENT, 0, serpent.dumps(greeting))]
            assert mine.check() is EntryState.UNKNOWN
        mine.leave()


def test_whatever_a_check_meets_is_logged_once(mine: Registration, caplog: pytest.LogCaptureFixture) -> None:
    mine.enter(False)

    class Failing:
        def __enter__(self) -> object:
            raise ZeroDivisionError("of any class")

        def __exit__(self, *error: object) -> None:
            raise AssertionError("nothing was entered")

    mine._names = Failing  # type: ignore[assignment, method-assign]
    for _ in range(3):
        assert mine.check() is EntryState.UNKNOWN
    mine.leave()
    eventually(lambda: "could not be removed" in caplog.text)
    assert caplog.text.count("failed: of any class") == 1


def test_an_entry_that_was_taken_out_is_not_renewed_by_a_check_that_was_under_way(
    names: Proxy, mine: Registration
) -> None:
    mine.enter(False)
    mine.leave()
    mine.check()
    assert EVENTSERVER_NAME not in names.list()


@expose
class Troubled(NameServer):
    """A name server with troubles of its own, once `trouble` is set."""

    trouble: Exception | None = None
    silence = threading.Event()
    asked = 0

    def lookup(self, name: str, return_metadata: bool = False) -> object:
        if name != EVENTSERVER_NAME or self.trouble is None:
            return super().lookup(name, return_metadata)
        Troubled.asked += 1
        if isinstance(self.trouble, TimeoutError):
            self.silence.wait(15)
        raise self.trouble


@contextlib.contextmanager
def troubled_name_server() -> Iterator[int]:
    """The port of a name server of that kind; it answers all waiting clients in the end."""
    Troubled.asked = 0
    Troubled.silence.clear()
    daemon = NameServerDaemon(host="127.0.0.1", port=0)
    daemon.unregister("Pyro.NameServer")
    daemon.register(Troubled(), "Pyro.NameServer")
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        yield int(daemon.locationStr.rpartition(":")[2])
    finally:
        Troubled.silence.set()
        daemon.shutdown()
        thread.join()
        daemon.close()


@pytest.mark.parametrize(
    "trouble", [OSError(28, "No space left on device"), ZeroDivisionError(), StopIteration(), TimeoutError()]
)
def test_a_name_servers_trouble_does_not_end_a_running_service(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quick(EventServiceStarter):
        _naming_times = NamingTimes(check=0.05, answer=1.0)

    with (
        troubled_name_server() as port,
        Quick("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port) as service,
    ):
        monkeypatch.setattr(Troubled, "trouble", trouble)
        eventually(lambda: Troubled.asked >= 3)
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", 1) == 0


def test_a_service_that_is_told_to_stop_waits_for_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class Patient(EventServiceStarter):
        _naming_times = NamingTimes(check=0.05, answer=30.0, leave=0.1)

    with troubled_name_server() as port:
        with Patient("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port):
            monkeypatch.setattr(Troubled, "trouble", TimeoutError())
            eventually(lambda: Troubled.asked >= 1)
        assert not Troubled.silence.is_set()  # it has ended, and is not answered yet


# From end to end


def test_a_service_is_told_why_it_cannot_be_entered(free_port: Callable[[], int]) -> None:
    def started(port: int, **arguments: Any) -> None:
        with EventServiceStarter("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port, **arguments):
            raise AssertionError("it has not started")

    with pytest.raises(
        ServiceNotFoundError, match="refused.*--embed-ns.*PYRO_NS_HOST|PYRO_NS_HOST.*--embed-ns"
    ):
        started(free_port())
    with stock_name_server() as names, pytest.raises(NameServerDeniedError, match="does not prove"):
        started(port_of(names), ident="secret")
    with EventServiceStarter("127.0.0.1", 0, embed_ns=True, ns_port=0, ident="secret") as guarded:
        port = URI(guarded.ns_uri).port
        for ident, text in ((None, "requires a passphrase"), ("another", "does not accept the passphrase")):
            with pytest.raises(NameServerDeniedError, match=text):
                started(port, ident=ident)


@needs_openssl
def test_a_service_is_told_that_tls_is_why() -> None:
    def started(port: int) -> None:
        with EventServiceStarter("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port):
            raise AssertionError("it has not started")

    with stock_name_server() as names:
        use(settings())
        with pytest.raises(ServiceNotFoundError, match="does not speak TLS, and this program does"):
            started(port_of(names))
        use({})
    use(settings())
    with stock_name_server() as names:
        use({})
        with pytest.raises(ServiceNotFoundError, match="speaks TLS, and this program does not"):
            started(port_of(names))
        use(settings())


def test_a_junk_entry_under_our_name_is_replaced() -> None:
    with stock_name_server() as names:
        names.nameserver.storage["Pyro.EventService"] = (5, frozenset())
        with EventServiceStarter("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port_of(names)) as es:
            assert str(names.nameserver.lookup("Pyro.EventService")) == es.uri
