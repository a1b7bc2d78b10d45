"""Finding the service, and what a program is told when there is none to be found (C23f, C25b)."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import Pyro5
import Pyro5.errors
import pytest
from certificates import needs_openssl, one_way, settings, use
from contract import in_background
from listening import Collector
from name_servers import port_of, stock_name_server
from Pyro5.api import URI
from Pyro5.nameserver import NameServerDaemon
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    EventServiceError,
    EventServiceStarter,
    EventStream,
    NameServerStarter,
    Publisher,
    ServiceNotFoundError,
    ServiceUnreachableError,
    Subscriber,
    aio,
)
from pyro_events.client.connection import opener
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.connection.reconnecting import ReconnectingConnection
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.transport.name_server_search import LOOKUP

LOOPBACK = "127.0.0.1"
SECRET = "a long passphrase"

CLIENTS = pytest.mark.parametrize("client", [Publisher, Subscriber])


@pytest.fixture
def names() -> Iterator[NameServerDaemon]:
    """A stock name server that Pyro5's settings name."""
    with stock_name_server() as daemon:
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = LOOPBACK, port_of(daemon)
        yield daemon


def failure(client: type, **arguments: Any) -> EventServiceError:
    """How a constructor fails: with one exception, shown in a few lines, and without waiting for `wait`."""
    began = time.monotonic()
    with pytest.raises(EventServiceError) as caught:
        client(**arguments)
    assert time.monotonic() - began < arguments.get("wait", 60) / 2
    shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert shown.count("Traceback (most recent call last)") == 1
    # Python 3.13 marks the call below each line of a frame.
    lines = [line for line in shown.splitlines() if line.strip(" ~^")]
    assert len(lines) < 20, shown
    return caught.value


def test_an_answer_takes_two_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one deadline for looking up and connecting, and a look-up leaves some of it."""
    first = ConnectTimes().first
    assert LOOKUP < first < 2
    opened = opener.open_connection
    timeouts: list[float] = []

    def open_noted(attempt: Any) -> Any:
        timeouts.append(attempt.deadline - time.monotonic())
        return opened(attempt)

    monkeypatch.setattr(opener, "open_connection", open_noted)
    with socket.create_server((LOOPBACK, 0)) as silent, pytest.raises(ServiceUnreachableError):
        Publisher(es_uri=f"{LOOPBACK}:{silent.getsockname()[1]}")
    assert len(timeouts) == 1 and timeouts[0] <= first


# What is not there


@CLIENTS
def test_no_name_server(client: type, free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = port = free_port()
    error = failure(client)
    assert isinstance(error, ServiceNotFoundError) and isinstance(error, Pyro5.errors.NamingError)
    for part in (f"localhost:{port}", "refused", f"broadcast on port {port}", "PYRO_NS_HOST", "--embed-ns"):
        assert part in str(error), error
    error = failure(client, ns_host="::1", ns_port=port)
    assert f"no name server was found at [::1]:{port}" in str(error) and "PYRO_NS_HOST" in str(error)
    error = failure(client, ns_host="no-such-host.invalid")
    assert "'no-such-host.invalid' cannot be looked up" in str(error)


@CLIENTS
def test_a_name_server_that_hangs(client: type) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        error = failure(client, ns_host=LOOPBACK, ns_port=silent.getsockname()[1])
    assert isinstance(error, ServiceNotFoundError)
    assert "where the name server should be, does not answer" in str(error)


@CLIENTS
def test_a_name_server_that_answers_nobody(client: type) -> None:
    """Its queue of connections is full, as behind a firewall that swallows what comes."""
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            error = failure(client, ns_host=LOOPBACK, ns_port=full.getsockname()[1])
    assert isinstance(error, ServiceNotFoundError)


@CLIENTS
def test_something_else_where_the_name_server_should_be(client: type, service: EventServiceStarter) -> None:
    error = failure(client, ns_host=LOOPBACK, ns_port=URI(service.uri).port)
    assert "is not a name server: it refuses the connection: there is no object" in str(error)
    assert "PYRO_NS_HOST" in str(error)


@CLIENTS
def test_a_name_server_without_the_service(client: type, names: NameServerDaemon) -> None:
    error = failure(client)
    assert isinstance(error, ServiceNotFoundError)
    assert f"{LOOPBACK}:{port_of(names)} knows no {EVENTSERVER_NAME}; start the service" in str(error)


@CLIENTS
def test_a_stale_entry(client: type, names: NameServerDaemon, free_port: Callable[[], int]) -> None:
    names.nameserver.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{LOOPBACK}:{free_port()}")
    error = failure(client)
    assert isinstance(error, ServiceUnreachableError)
    assert isinstance(error, Pyro5.errors.CommunicationError)
    assert "nothing listens there (connection refused)" in str(error)
    assert f"the name server at {LOOPBACK}:{port_of(names)} has it registered there" in str(error)


@CLIENTS
def test_a_service_that_hangs(client: type, names: NameServerDaemon) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        where = f"{LOOPBACK}:{silent.getsockname()[1]}"
        names.nameserver.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{where}")
        for arguments in ({}, {"es_uri": where}):
            error = failure(client, **arguments)
            assert isinstance(error, ServiceUnreachableError)
            assert f"what listens at {where}" in str(error) and "no answer in time" in str(error)


@CLIENTS
def test_a_service_that_refuses(client: type, names: NameServerDaemon) -> None:
    error = failure(client, es_uri=names.locationStr)
    assert isinstance(error, ServiceUnreachableError)
    assert "refused the connection: unknown object" in str(error)


@pytest.mark.parametrize("registered", [5, "nonsense", "PYRONAME:other"])
def test_an_entry_that_is_not_a_uri(registered: object, names: NameServerDaemon) -> None:
    names.nameserver.storage[EVENTSERVER_NAME] = (registered, frozenset())
    assert isinstance(failure(Publisher), ServiceNotFoundError)


# What the environment says


VARIABLE = "PYROEVENTS_ES_URI"
EACH_CLIENT = pytest.mark.parametrize("client", [Publisher, Subscriber, EventStream])


async def asyncio_clients() -> None:
    async with aio.Publisher() as publisher, aio.EventStream("A") as stream:
        await publisher.publish("A", 1)
        assert (await stream.get(timeout=20)).msg == 1


@EACH_CLIENT
def test_the_environment_says_where_the_service_is(
    client: type, service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in (service.uri, service.uri.partition("@")[2]):
        monkeypatch.setenv(VARIABLE, said)
        with client() as made:
            assert service.uri in repr(made)
        asyncio.run(asyncio_clients())


@EACH_CLIENT
def test_errors_name_the_variable(
    client: type,
    names: NameServerDaemon,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = f"({VARIABLE} in the environment says so)"
    where = f"{LOOPBACK}:{free_port()}"
    monkeypatch.setenv(VARIABLE, where)
    error = failure(client)
    assert isinstance(error, ServiceUnreachableError) and str(error).endswith(said) and where in str(error)
    for make in (aio.Publisher, aio.EventStream):
        with pytest.raises(ServiceUnreachableError) as caught:
            asyncio.run(make().connect())
        assert str(caught.value).endswith(said)

    at = f"{LOOPBACK}:{port_of(names)}"
    monkeypatch.setenv(VARIABLE, f"PYRONAME:lab.events@{at}")
    error = failure(client)
    assert isinstance(error, ServiceNotFoundError) and str(error).endswith(said)
    assert f"{at} knows no lab.events" in str(error)
    names.nameserver.register("lab.events", f"PYRO:{EVENTSERVER_NAME}@{where}")
    error = failure(client)
    assert isinstance(error, ServiceUnreachableError) and str(error).endswith(said)
    assert f"the name server at {at} has it registered there" in str(error)

    monkeypatch.setenv(VARIABLE, f"PYRONAME:lab.events@{where}")
    error = failure(client)
    assert isinstance(error, ServiceNotFoundError) and str(error).endswith(said)
    assert f"no name server was found at {where}" in str(error)


@EACH_CLIENT
def test_an_address_in_the_environment_that_is_wrong_leaves_nothing(
    client: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "lab-server")
    for make in (client, aio.Publisher, aio.EventStream):
        with pytest.raises(ValueError, match=f"^{VARIABLE}='lab-server' in the environment is not the addr"):
            make()


# A passphrase


@CLIENTS
def test_a_name_server_that_wants_a_passphrase(client: type) -> None:
    with EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_port=0, ident=SECRET) as es:
        where = {"ns_host": LOOPBACK, "ns_port": URI(es.ns_uri).port}
        error = failure(client, **where)
        assert isinstance(error, AccessDeniedError) and isinstance(error, ServiceNotFoundError)
        assert "Pyro.NameServer" in str(error) and "requires a passphrase: give it as ident" in str(error)
        error = failure(client, ident="another", **where)
        assert "does not accept the passphrase" in str(error)
        client(ident=SECRET, **where).close()


@CLIENTS
def test_a_name_server_that_proves_no_passphrase(client: type, names: NameServerDaemon) -> None:
    error = failure(client, ident=SECRET)
    assert isinstance(error, AccessDeniedError)
    assert "does not prove" in str(error) and "--embed-ns" in str(error)


# TLS on one side only


@needs_openssl
@CLIENTS
@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("kind", ["stock", "embedded", "service"])
def test_it_speaks_tls_and_the_client_does_not(client: type, mutual: bool, kind: str) -> None:
    use(settings() if mutual else one_way(settings()))
    with stock_name_server() as names, EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_port=0) as es:
        use({})
        ports = {"stock": port_of(names), "embedded": URI(es.ns_uri).port}
        if kind == "service":
            error = failure(client, es_uri=es.uri)
            assert isinstance(error, ServiceUnreachableError)
        else:
            error = failure(client, ns_host=LOOPBACK, ns_port=ports[kind], wait=60)
            assert isinstance(error, ServiceNotFoundError)
            assert "the name server at" in str(error)
        assert "it speaks TLS, and this program does not: set Pyro5's SSL here" in str(error)
        use(settings())


@needs_openssl
@CLIENTS
@pytest.mark.parametrize("kind", ["stock", "embedded", "service"])
def test_the_client_speaks_tls_and_it_does_not(client: type, kind: str) -> None:
    with stock_name_server() as names, EventServiceStarter(LOOPBACK, 0, embed_ns=True, ns_port=0) as es:
        ports = {"stock": port_of(names), "embedded": URI(es.ns_uri).port}
        use(settings())
        if kind == "service":
            error = failure(client, es_uri=es.uri, wait=60)
            assert isinstance(error, ServiceUnreachableError)
        else:
            error = failure(client, ns_host=LOOPBACK, ns_port=ports[kind])
            assert isinstance(error, ServiceNotFoundError)
        assert "it does not speak TLS, and this program does" in str(error)
        use({})


@needs_openssl
def test_the_name_server_is_right_and_the_service_is_not() -> None:
    with stock_name_server() as plain_names:
        use(settings())
        with EventServiceStarter(LOOPBACK, 0, use_ns=False) as es:
            plain_names.nameserver.register(EVENTSERVER_NAME, es.uri)
            use({})
            error = failure(Publisher, ns_host=LOOPBACK, ns_port=port_of(plain_names))
            assert isinstance(error, ServiceUnreachableError) and "it speaks TLS" in str(error)
            use(settings())


@needs_openssl
def test_a_name_server_whose_certificate_is_not_good() -> None:
    use(settings())
    with stock_name_server() as names:
        where = {"ns_host": LOOPBACK, "ns_port": port_of(names)}
        use(settings("other"))
        assert "its certificate is not accepted here" in str(failure(Publisher, **where))
        use({**one_way(settings())})
        assert "SSL_CLIENTCERT names none here" in str(failure(Publisher, **where))
        use(settings())


# Waiting


class Waiting(threading.Thread):
    """A client that is made in a thread. `made` or `error` is what came of it."""

    def __init__(self, client: type, **arguments: Any) -> None:
        super().__init__()
        self._arguments = client, arguments
        self.made: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        client, arguments = self._arguments
        try:
            self.made = client(**arguments)
        except Exception as error:
            self.error = error

    def result(self) -> Any:
        self.join(20)
        assert self.error is None, self.error
        return self.made


@CLIENTS
def test_everything_comes_later(client: type, free_port: Callable[[], int]) -> None:
    """First there is no name server, then no service in it, then a stale entry, and then the service."""
    port, dead = free_port(), free_port()
    Pyro5.config.NS_BCPORT = free_port()
    waiting = Waiting(client, ns_host=LOOPBACK, ns_port=port, wait=60)
    with stock_name_server(port=port) as names:
        asked = counted(names.nameserver, "lookup")
        eventually(lambda: asked)
        names.nameserver.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{LOOPBACK}:{dead}")
        seen = len(asked)
        eventually(lambda: len(asked) > seen + 1)
        assert waiting.made is None and waiting.error is None
        with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port), waiting.result() as made:
            assert made.statistics().connected


def counted(instance: Any, method: str) -> list[str]:
    """What one method of an exposed object is asked, from now on."""
    asked: list[str] = []
    original = getattr(instance, method)

    def count(name: str, *arguments: Any, **named: Any) -> Any:
        asked.append(name)
        return original(name, *arguments, **named)

    count._pyroExposed = True  # type: ignore[attr-defined]
    setattr(instance, method, count)
    return asked


@CLIENTS
def test_a_service_that_comes_later_at_its_address(client: type, free_port: Callable[[], int]) -> None:
    port = free_port()
    waiting = Waiting(client, es_uri=f"{LOOPBACK}:{port}", wait=math.inf)
    with EventServiceStarter(LOOPBACK, port, use_ns=False):
        waiting.result().close()


def test_pyro5s_setting_gives_a_registration_more_time(names: NameServerDaemon) -> None:
    Pyro5.config.NS_LOOKUP_DELAY = 20.0
    asked = counted(names.nameserver, "lookup")
    connection = ReconnectingConnection(ServiceLocator(name="late"), times=ConnectTimes(first=0.3))
    connecting = in_background(connection.connect_first)
    eventually(lambda: len(asked) > 3)  # which takes longer than that
    with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port_of(names)):
        connecting.result()
        assert connection.current.connected
        connection.close()


def test_waiting_ends(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceUnreachableError, match=r"refused.*\(after waiting 0.2 s\)"):
        Publisher(es_uri=f"{LOOPBACK}:{free_port()}", wait=0.2)


@CLIENTS
def test_a_wrong_passphrase_is_not_waited_for(client: type) -> None:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as es:
        for ident in (None, "another"):
            assert isinstance(failure(client, es_uri=es.uri, ident=ident, wait=60), AccessDeniedError)
    with NameServerStarter(LOOPBACK, 0, ident=SECRET) as names:
        where = {"ns_host": LOOPBACK, "ns_port": URI(names.uri).port}
        assert isinstance(failure(client, ident="another", wait=60, **where), AccessDeniedError)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@CLIENTS
@pytest.mark.parametrize("with_name_server", [False, True])
def test_waiting_can_be_interrupted(
    client: type, with_name_server: bool, free_port: Callable[[], int]
) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = port = free_port()
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            client(es_uri=None if with_name_server else f"{LOOPBACK}:{port}", wait=60)
    finally:
        signal.signal(signal.SIGALRM, previous)


class HandlersError(ServiceNotFoundError):
    """A signal's handler may raise anything."""


# A signal may also come in the moment in which a socket is made, and nobody has it yet to close it.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@pytest.mark.parametrize("kind", [TimeoutError, OSError, ValueError, HandlersError, AccessDeniedError])
@pytest.mark.parametrize("place", ["name server", "service", "silent name server", "silent service"])
def test_what_a_signal_s_handler_raises_ends_the_waiting_as_it_is(
    kind: type[Exception], place: str, free_port: Callable[[], int]
) -> None:
    """Whatever its class is: a look-up must not take it for an answer, and try again."""
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = port = free_port()
    raised = kind("of the handler")

    def handler(number: int, frame: object) -> None:
        raise raised

    previous = signal.signal(signal.SIGALRM, handler)
    with socket.create_server((LOOPBACK, 0)) as silent:
        if "silent" in place:
            port = silent.getsockname()[1]
        where: dict[str, Any] = (
            {"ns_host": LOOPBACK, "ns_port": port} if "name" in place else {"es_uri": f"{LOOPBACK}:{port}"}
        )
        if place == "name server":
            where = {}  # the broadcast too
        try:
            for after in (0.01, 0.1, 0.3):
                signal.setitimer(signal.ITIMER_REAL, after)
                with pytest.raises(kind) as caught:
                    Publisher(wait=60, **where)
                assert caught.value is raised and str(raised) == "of the handler"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)


@CLIENTS
@pytest.mark.parametrize("wait", ["1", None, True, b"1"])
def test_a_wait_that_is_not_a_time(client: type, wait: object) -> None:
    with pytest.raises(TypeError, match="wait must be a number of seconds"):
        client(es_uri="lab:1", wait=wait)


@CLIENTS
@pytest.mark.parametrize("wait", [-1, -0.1, math.nan])
def test_what_cannot_be_waited(client: type, wait: float) -> None:
    with pytest.raises(ValueError, match="wait=.* is not allowed: give seconds"):
        client(es_uri="lab:1", wait=wait)


# IPv6


def test_ipv6_from_end_to_end() -> None:
    with (
        stock_name_server("::1") as names,
        EventServiceStarter("::1", 0, ns_host="[::1]", ns_port=port_of(names)) as es,
    ):
        port = port_of(names)
        location = es.uri.partition("@")[2]
        assert location.startswith("[::1]:")
        for arguments in ({"ns_host": "::1", "ns_port": port}, {"es_uri": location}, {"es_uri": es.uri}):
            with Publisher(**arguments) as publisher:
                assert publisher.publish("A", 1) == 0
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "::1", port
        collector = Collector(None)
        with collector, Publisher() as publisher:
            collector.subscribe("A")
            thread = threading.Thread(target=collector.listen)
            thread.start()
            assert publisher.publish("A", 1) == 1
            collector.wait(1)
            collector.abort()
            thread.join(10)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix domain sockets here")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    Pyro5.config.POLLTIMEOUT = 0.05
    path = str(tmp_path / "names")
    with NameServerDaemon(unixsocket=path) as names:
        names.nameserver.register("Pyro.EventService", "PYRO:Pyro.EventService@127.0.0.1:1")
        thread = threading.Thread(target=names.requestLoop)
        thread.start()
        for place in ({"ns_host": f"./u:{path}"}, {"es_uri": f"PYRONAME:Pyro.EventService@./u:{path}"}):
            with pytest.raises(ServiceUnreachableError, match=f"name server at ./u:{path} has it"):
                Publisher(**place)
        names.shutdown()
        thread.join(10)
    with pytest.raises(ServiceNotFoundError, match="no name server was found at ./u:"):
        Publisher(ns_host=f"./u:{path}")


@pytest.mark.parametrize(
    ("setting", "value"), [("NS_HOST", "lab:9090"), ("NS_HOST", "a b"), ("NS_PORT", 70000)]
)
def test_a_setting_that_cannot_be(setting: str, value: object) -> None:
    setattr(Pyro5.config, setting, value)
    with pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="):
        Publisher(wait=60)
    with (
        pytest.raises(ServiceNotFoundError, match=f"Pyro5's setting {setting}="),
        EventServiceStarter(LOOPBACK, 0),
    ):
        raise AssertionError("it has not started")
