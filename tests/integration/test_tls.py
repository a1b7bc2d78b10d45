"""TLS and mutual TLS by Pyro5's own settings, on every connection that there is (design, section 8)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import Pyro5
import Pyro5.errors
import pytest
from certificates import needs_openssl, one_way, settings, use
from contract import running
from listening import Collector, collecting, listening
from processes import Process, Spawner
from Pyro5.api import URI, Proxy, locate_ns
from waiting import eventually

from pyro_events import (
    EventService,
    EventServiceError,
    EventServiceStarter,
    Publisher,
    ServiceUnreachableError,
)
from pyro_events.client import daemon, guard
from pyro_events.server import loops, runner
from pyro_events.server.naming import is_alive

pytestmark = needs_openssl

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 0.5


on_both_loops = pytest.mark.parametrize("make_loop", [loops.new_event_loop, asyncio.new_event_loop])


@pytest.fixture
def make_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    return loops.new_event_loop


@pytest.fixture
def service(
    make_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> Iterator[EventServiceStarter]:
    """An impatient service with mutual TLS, which must be in good health after the test."""
    monkeypatch.setattr(runner, "new_event_loop", make_loop)
    use(settings())
    with running(handshake_timeout=PATIENCE, first_contact=5) as one:
        yield one
        use(settings())
        assert_healthy(one.uri)


def assert_healthy(uri: str, within: float = 5.0) -> None:
    """A new client publishes, and a new subscriber receives, both over TLS."""
    began = time.monotonic()
    with collecting(uri, "health") as collector, Publisher(es_uri=uri) as publisher:
        assert publisher.publish("health", "fine") == 1
        collector.wait(1)
    assert time.monotonic() - began < within


def plain_connection(uri: str) -> socket.socket:
    parsed = URI(uri)
    return socket.create_connection((parsed.host, parsed.port), timeout=10)


@pytest.mark.parametrize("mutual", [False, True])
def test_a_whole_installation(
    start_service, spawn: Spawner, root: Path, free_port: Callable[[], int], mutual: bool
) -> None:
    """Service, name server, publisher, subscriber and a stock client, each in a process of its own."""
    secure = dict(settings()) if mutual else one_way(settings())
    port = free_port()
    env = {**secure, "PYRO_NS_HOST": "127.0.0.1", "PYRO_NS_PORT": str(port)}
    es = start_service("--embed-ns", "--ns-host", "127.0.0.1", "--ns-port", str(port), env=env)
    listener = spawn(str(PROGRAMS / "listener.py"), "--without-threading", "A", env=env, ready="ready")
    talker = spawn(str(PROGRAMS / "talker.py"), "PYRONAME:Pyro.EventService", "A", "3", env=env)
    assert talker.wait() == 0
    assert "deliveries: 3" in talker.stdout
    stock = spawn(str(PROGRAMS / "stock_publisher.py"), es.uri, "serpent", "A", "'stop'", env=env)
    assert stock.wait() == 0
    assert "answer: 1" in stock.stdout
    assert listener.wait() == 0
    assert [line.split()[1:] for line in listener.stdout.splitlines()[1:4]] == [
        ["A", "0"],
        ["A", "1"],
        ["A", "2"],
    ]
    nsc = spawn("-m", "Pyro5.nsc", "-n", "127.0.0.1", "-p", str(port), "list", env=env)
    assert nsc.wait() == 0
    assert es.uri in nsc.stdout
    assert es.process.terminate() == 0
    assert not es.process.stderr


@on_both_loops
def test_everything_the_client_does(service: EventServiceStarter) -> None:
    with collecting(service.uri, "A") as collector, Publisher(es_uri=service.uri) as publisher:
        large = bytes(range(256)) * 20_000
        assert publisher.publish("A", large) == 1
        with publisher.pipeline() as fast:
            for number in range(5_000):
                fast.publish("A", number)
        with Proxy(service.uri) as stock:
            assert stock.publish("A", "stock") == 1
            assert stock.statistics()["published"] == 5_002
        collector.wait(5_002)
        assert collector.messages() == [large, *range(5_000), "stock"]
        collector.unsubscribe("A")
        assert publisher.publish("A", 1) == 0


@on_both_loops
def test_a_subscriber_that_listens_later(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri) as publisher:
        late = Collector(service.uri)
        late.subscribe("A")
        publisher.publish("A", 1)
        publisher.publish("A", 2)
        with listening(late):
            late.wait(2)


def test_the_embedded_name_server_and_the_service_probe(free_port: Callable[[], int]) -> None:
    use(settings())
    Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "127.0.0.1", free_port()
    with EventServiceStarter(host="127.0.0.1", port=0, embed_ns=True) as one:
        assert is_alive(one.uri)
        with locate_ns() as names:
            assert str(names.lookup("Pyro.EventService")) == one.uri
        use(settings("other"))
        assert not is_alive(one.uri)
        use({})
        assert not is_alive(one.uri)
        with pytest.raises(Pyro5.errors.NamingError):
            locate_ns("127.0.0.1", Pyro5.config.NS_PORT)
        use(settings())
        assert_healthy(one.uri)


@on_both_loops
def test_a_plain_client_is_refused(service: EventServiceStarter) -> None:
    use({})
    began = time.monotonic()
    with pytest.raises(ServiceUnreachableError):
        Publisher(es_uri=service.uri).publish("A", 1)
    with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
        stock.publish("A", 1)
    assert time.monotonic() - began < 2 * PATIENCE + 1


def test_a_service_without_tls_is_not_talked_to() -> None:
    with running() as plain:
        use(settings())
        with pytest.raises(ServiceUnreachableError, match="over TLS"):
            Publisher(es_uri=plain.uri).publish("A", 1)
        use({})


@on_both_loops
@pytest.mark.parametrize("wrong", ["other", "expired", "none"])
def test_a_client_whose_certificate_is_not_good_is_refused(service: EventServiceStarter, wrong: str) -> None:
    good = settings()
    if wrong == "none":
        use({**one_way(good), "PYRO_SSL_REQUIRECLIENTCERT": "1"})
    else:
        bad = settings(wrong)
        use({**good, **{name: bad[name] for name in good if "CLIENT" in name}})
    with pytest.raises(ServiceUnreachableError, match="SSL_CLIENTCERT"):
        Publisher(es_uri=service.uri).publish("A", 1)
    with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
        stock.publish("A", 1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("other", "self-signed|local issuer"), ("expired", "expired"), ("named", "mismatch")],
)
def test_a_service_whose_certificate_is_not_good_is_not_trusted(wrong: str, reason: str) -> None:
    use(settings(wrong))
    with running() as one:
        use(settings())
        with pytest.raises(ServiceUnreachableError, match=reason):
            Publisher(es_uri=one.uri).publish("A", 1)
        with Proxy(one.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
            stock.publish("A", 1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("other", "self-signed|local issuer"),
        ("expired", "expired"),
        ("named", "mismatch"),
        ("none", "SSL settings too"),
    ],
)
def test_a_subscriber_whose_certificate_is_not_good_gets_nothing(
    service: EventServiceStarter,
    wrong: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its link to the service is good, so that it can subscribe.
    if wrong == "none":
        monkeypatch.setattr(daemon, "server_context", lambda: None)
    else:
        use(with_server_of(wrong))
    subscriber = Collector(service.uri)
    use(settings())
    monkeypatch.undo()
    with listening(subscriber), Publisher(es_uri=service.uri) as publisher:
        subscriber.subscribe("A")
        eventually(lambda: publisher.publish("A", 1) == 0)
        assert not subscriber.events
    assert re.search(reason, caplog.text)


def with_server_of(name: str) -> dict[str, str]:
    """Good settings, but for the server's certificate."""
    return {**settings(), **{key: value for key, value in settings(name).items() if "SERVER" in key}}


def statistics_over_tls(uri: str) -> dict[str, Any]:
    with Proxy(uri) as stock:
        found: dict[str, Any] = stock.statistics()
        return found


def test_a_subscriber_may_be_known_by_the_name_of_its_host(service: EventServiceStarter) -> None:
    use(with_server_of("named"))
    subscriber = Collector(service.uri)
    use(settings())
    with listening(subscriber), Publisher(es_uri=service.uri) as publisher, Proxy(service.uri) as stock:
        uri = str(subscriber.daemon.uriFor(subscriber)).replace("127.0.0.1", "localhost")
        stock.subscribe("A", uri)
        publisher.publish("A", 1)
        subscriber.wait(1)


@on_both_loops
def test_whoever_is_silent_in_the_handshake_delays_nobody(service: EventServiceStarter) -> None:
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        silent = [stack.enter_context(plain_connection(service.uri)) for _ in range(100)]
        for number, sock in enumerate(silent):
            sock.sendall(CLIENT_HELLO[: number * len(CLIENT_HELLO) // 100])
        assert_healthy(service.uri, within=PATIENCE * 4)
        for sock in silent:
            with contextlib.suppress(ConnectionError):
                while sock.recv(65536):
                    pass
        assert time.monotonic() - began < PATIENCE + 3
    eventually(lambda: statistics_over_tls(service.uri)["connections"] == 1)


@on_both_loops
def test_the_handshakes_of_tls_and_of_pyro_have_one_deadline(service: EventServiceStarter) -> None:
    context = ssl.create_default_context(cafile=settings()["PYRO_SSL_CACERTS"])
    context.load_cert_chain(settings()["PYRO_SSL_CLIENTCERT"], settings()["PYRO_SSL_CLIENTKEY"])
    sock = plain_connection(service.uri)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > PATIENCE * 0.6)
    with context.wrap_socket(sock, server_hostname="127.0.0.1") as secured:
        assert secured.recv(100) == b""
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE * 1.5


def client_hello() -> bytes:
    """What a client of TLS says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


CLIENT_HELLO = client_hello()


def test_whoever_is_silent_towards_a_subscriber_delays_nobody(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "HANDSHAKE_TIMEOUT", PATIENCE)
    with Publisher(es_uri=service.uri) as publisher, contextlib.ExitStack() as stack:
        subscriber = Collector(service.uri)
        where = str(subscriber.daemon.uriFor(subscriber))
        silent = [stack.enter_context(plain_connection(where)) for _ in range(50)]
        for number, sock in enumerate(silent):
            sock.sendall(CLIENT_HELLO[: number * len(CLIENT_HELLO) // 50])
        with listening(subscriber):
            began = time.monotonic()
            subscriber.subscribe("A")
            publisher.publish("A", 1)
            subscriber.wait(1)
            assert time.monotonic() - began < PATIENCE * 4
            for sock in silent:
                with contextlib.suppress(ConnectionError):
                    while sock.recv(65536):
                        pass
            eventually(lambda: subscriber.daemon.connections == 1)
            publisher.publish("A", 2)
            subscriber.wait(2)


def test_plain_text_towards_a_subscriber_is_refused(service: EventServiceStarter) -> None:
    with collecting(service.uri, "A") as subscriber, Publisher(es_uri=service.uri) as publisher:
        publisher.publish("A", 1)
        subscriber.wait(1)
        uri = str(subscriber.daemon.uriFor(subscriber))
        use({})
        with Proxy(uri) as stranger, pytest.raises(Pyro5.errors.CommunicationError):
            stranger.events([["A", 1.0, 1, 0, b"\xc0"]])
        use({**one_way(settings()), "PYRO_SSL_REQUIRECLIENTCERT": "1"})
        with Proxy(uri) as stranger, pytest.raises(Pyro5.errors.CommunicationError):
            stranger.events([["A", 1.0, 1, 0, b"\xc0"]])
        use(settings())
        with Proxy(uri) as friend:
            assert "127.0.0.1" in friend._pyroUri.location
            friend._pyroBind()
        publisher.publish("A", 2)
        subscriber.wait(2)


def test_stopping_waits_for_no_clients_farewell() -> None:
    """A stock proxy that is idle does not read, so it does not say good-bye to TLS."""
    use(settings())
    with running() as service:
        idle = Proxy(service.uri)
        idle._pyroBind()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    idle._pyroRelease()


def test_settings_that_cannot_be_used_are_one_line(spawn: Spawner) -> None:
    env = {**settings(), "PYRO_SSL_SERVERKEY": "/nowhere"}
    failed = spawn("-m", "pyro_events.es", "-N", "--host", "127.0.0.1", "--port", "0", env=env)
    assert failed.wait() == 1
    assert "SSL_SERVERCERT or its key cannot be used" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1, failed.stderr


def test_a_service_in_a_stock_daemon_needs_good_settings_too() -> None:
    use({**settings(), "PYRO_SSL_CLIENTKEY": "/nowhere"})
    service = EventService()
    with pytest.raises(EventServiceError, match="SSL_CLIENTCERT"):
        service.publish("A", 1)
    use(settings())
    assert service.publish("A", 1) == 0
    service.close()


def test_the_example(root: Path, tmp_path: Path, spawn: Spawner) -> None:
    """As its README says, up to the programs, which are those of stockquote."""
    examples = root / "examples"
    script = str(examples / "tls" / "make_certificates.py")
    made = spawn(script, "--host", "192.0.2.7", "--host", "lab.example", cwd=str(tmp_path))
    assert made.wait() == 0, made

    def secured(*arguments: str, ready: str | None = None) -> Process:
        command = '. certificates/settings.sh; exec "$@"'
        return spawn.command(
            "sh", "-c", command, "sh", sys.executable, *arguments, cwd=str(tmp_path), ready=ready
        )

    es = secured("-m", "pyro_events.es", "--no-ns", "--port", "0", ready="started")
    where = ["--es-uri", es.wait_for(r"PYRO:\S+").group()]
    stockquote = examples / "stockquote"
    client = secured(str(stockquote / "client.py"), "SUN", "--count", "2", *where, ready="Listening")
    secured(str(stockquote / "market.py"), "--pause", "0.01", *where)
    assert client.wait() == 0, client
    assert client.stdout.count("STOCKQUOTE.SUN = ") == 2
