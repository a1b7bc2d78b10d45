"""TLS and mutual TLS by Pyro5's own settings, on every connection that there is (docs/security.md)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import shutil
import socket
import ssl
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import Pyro5
import Pyro5.errors
import pytest
from certificates import maker, needs_openssl, one_way, settings, use
from contract import running
from listening import Collecting, Collector, collecting, listening
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
from pyro_events.client.daemon import daemon
from pyro_events.client.daemon.daemon import SubscriberDaemon
from pyro_events.client.daemon.guarded_connection import ConnectionTimeouts
from pyro_events.client.daemon.handshake import HandshakeCheck
from pyro_events.client.subscribing import receiver
from pyro_events.server import runner
from pyro_events.server.names.registration import is_alive
from pyro_events.server.net import event_loop
from pyro_events.server.net.tls_memory import COST
from pyro_events.transport.tls import server_contexts

pytestmark = needs_openssl

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 1.0


on_both_loops = pytest.mark.parametrize("make_loop", [event_loop.new_event_loop, asyncio.new_event_loop])


@pytest.fixture
def make_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    return event_loop.new_event_loop


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


def assert_healthy(uri: str, within: float = 10.0) -> None:
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
    publisher = spawn(str(PROGRAMS / "publisher.py"), "PYRONAME:Pyro.EventService", "A", "3", env=env)
    assert publisher.wait() == 0
    assert "deliveries: 3" in publisher.stdout
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
def test_everything_the_client_does(service: EventServiceStarter, collect: Collecting) -> None:
    with collect(service.uri, "A") as collector, Publisher(es_uri=service.uri) as publisher:
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
    assert time.monotonic() - began < 2 * PATIENCE + 4


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
    # Its connection to the service is good, so that it can subscribe.
    if wrong == "none":
        monkeypatch.setattr(daemon, "server_contexts", lambda: None)
    else:
        use(with_server_of(wrong))
    subscriber = Collector(service.uri, callback=True)
    use(settings())
    monkeypatch.undo()
    with listening(subscriber), Publisher(es_uri=service.uri) as publisher:
        subscriber.subscribe("A")
        eventually(lambda: publisher.publish("A", 1) == 0)
        assert not subscriber.events
    assert re.search(reason, caplog.text)


def with_server_of(name: str) -> dict[str, str]:
    """Good settings, except for the server's certificate."""
    return {**settings(), **{key: value for key, value in settings(name).items() if "SERVER" in key}}


def statistics_over_tls(uri: str) -> dict[str, Any]:
    with Proxy(uri) as stock:
        found: dict[str, Any] = stock.statistics()
        return found


def test_a_subscriber_may_be_known_by_the_name_of_its_host(service: EventServiceStarter) -> None:
    use(with_server_of("named"))
    subscriber = Collector(service.uri, callback=True)
    use(settings())
    with listening(subscriber), Publisher(es_uri=service.uri) as publisher, Proxy(service.uri) as stock:
        uri = str(subscriber.daemon.uriFor(subscriber)).replace("127.0.0.1", "localhost")
        stock.subscribe("A", uri)
        publisher.publish("A", 1)
        subscriber.wait(1)


@on_both_loops
def test_a_client_that_is_silent_in_the_handshake_delays_nobody(service: EventServiceStarter) -> None:
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        silent = [stack.enter_context(plain_connection(service.uri)) for _ in range(100)]
        for number, sock in enumerate(silent):
            sock.sendall(CLIENT_HELLO[: number * len(CLIENT_HELLO) // 100])
        assert_healthy(service.uri, within=PATIENCE * 10)  # a fifth of what all of them could take
        for sock in silent:
            with contextlib.suppress(ConnectionError):
                while sock.recv(65536):
                    pass
        assert time.monotonic() - began < PATIENCE * 10
    eventually(lambda: statistics_over_tls(service.uri)["connections"] == 1)


@on_both_loops
def test_the_handshakes_of_tls_and_of_pyro_have_one_deadline(
    make_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "new_event_loop", make_loop)
    use(settings())
    context = ssl.create_default_context(cafile=settings()["PYRO_SSL_CACERTS"])
    context.load_cert_chain(settings()["PYRO_SSL_CLIENTCERT"], settings()["PYRO_SSL_CLIENTKEY"])
    with running(handshake_timeout=3.0) as service:
        sock = plain_connection(service.uri)
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 2.0)
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as secured:
            assert secured.recv(100) == b""
        assert 2.7 < time.monotonic() - began < 4.5  # with a deadline each it would be five seconds


def client_hello() -> bytes:
    """What a client of TLS says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


CLIENT_HELLO = client_hello()


def test_a_peer_that_is_silent_towards_a_subscriber_delays_nobody(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = functools.partial(SubscriberDaemon, timeouts=ConnectionTimeouts(handshake=PATIENCE))
    monkeypatch.setattr(receiver, "SubscriberDaemon", impatient)
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
            assert time.monotonic() - began < PATIENCE * 10  # one after the other they take 50 s
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


def test_stopping_does_not_wait_for_clients_close_messages() -> None:
    """A stock proxy that is idle does not read, so it does not say good-bye to TLS."""
    use(settings())
    with running(linger=60, drain=60) as service:
        idle = Proxy(service.uri)
        idle._pyroBind()
        began = time.monotonic()
    assert time.monotonic() - began < 10
    idle._pyroRelease()


# Connections that are not let in


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings()["PYRO_SSL_CACERTS"])
    context.load_cert_chain(settings()["PYRO_SSL_CLIENTCERT"], settings()["PYRO_SSL_CLIENTKEY"])
    return context


@pytest.fixture
def asyncio_or_uvloop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "new_event_loop", request.param)


either_loop = pytest.mark.parametrize(
    "asyncio_or_uvloop", [event_loop.new_event_loop, asyncio.new_event_loop], indirect=True
)


@on_both_loops
def test_a_silent_client_is_not_waited_for_after_its_handshake(service: EventServiceStarter) -> None:
    """Not even for TLS's close message, which it does not read."""
    secured = client_context().wrap_socket(plain_connection(service.uri), server_hostname="127.0.0.1")
    with socket.socket(fileno=secured.detach()) as raw:
        raw.settimeout(PATIENCE * 6)  # the last answers of others are waited for nearly twice as long
        while raw.recv(65536):
            pass


@either_loop
def test_a_connection_counts_before_it_has_shaken_hands(
    asyncio_or_uvloop: None, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings())
    with (
        running(max_connections=3, max_per_host=3, handshake_timeout=60) as es,
        contextlib.ExitStack() as stack,
    ):
        silent = [stack.enter_context(plain_connection(es.uri)) for _ in range(3)]
        silent[0].sendall(CLIENT_HELLO[:10])
        with plain_connection(es.uri) as fourth:
            assert fourth.recv(1) == b""
        eventually(lambda: "has 3 connections, which is its limit" in caplog.text)
        silent.pop().close()
        eventually(lambda: statistics_over_tls(es.uri)["connections"] == 3)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="files of a process are not shown")
def test_the_reserve_of_files_holds_before_anybody_has_shaken_hands(spawn: Spawner) -> None:
    program = "ulimit -n 100; exec $0 -m pyro_events.es -N -n 127.0.0.1 -p 0 --handshake-timeout 60"
    env = {**settings(), "PYROEVENTS_MAX_CONNECTIONS": "1000"}
    es = spawn.command("sh", "-c", program, sys.executable, env=env, ready="started")
    uri = es.wait_for(r"PYRO:\S+").group()
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(plain_connection(uri)) for _ in range(120)]
        # 32 files are kept, so that at least so many are closed at once: nobody has a deadline yet.
        eventually(lambda: sum(map(ended, strangers)) > 32)
        assert max(int(file.name) for file in Path(f"/proc/{es.pid}/fd").iterdir()) < 100 - 32
    use(settings())
    eventually(lambda: published(uri))


def ended(sock: socket.socket) -> bool:
    """Whether the other side has closed a connection, within a moment."""
    sock.settimeout(0.05)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def published(uri: str) -> bool:
    try:
        with Publisher(es_uri=uri) as publisher:
            return publisher.publish("A", 1) == 0
    except ServiceUnreachableError:
        return False


@on_both_loops
def test_clients_that_tls_turns_away_are_logged_once(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        use({})
        with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
            stock.publish("A", 1)
        bad = settings("expired")
        use({**settings(), **{name: bad[name] for name in bad if "CLIENT" in name}})
        with pytest.raises(ServiceUnreachableError):
            Publisher(es_uri=service.uri)
        with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
            stock.publish("A", 1)
        with plain_connection(service.uri):  # somebody looks whether anybody is here
            pass
    away = "a client from 127.0.0.1 was refused: "
    eventually(lambda: caplog.text.count(away) >= 2)
    for reason in ("it does not speak TLS", "its certificate is not accepted .*expired"):
        assert len(re.findall(away + reason, caplog.text)) == 1
    assert caplog.text.count(away) == 2


def test_a_client_that_speaks_tls_to_a_plain_service_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with running() as es:
        use(settings())
        for _ in range(2):
            with pytest.raises(ServiceUnreachableError):
                Publisher(es_uri=es.uri)
        use({})
        eventually(lambda: "was refused: not a Pyro message but one of TLS" in caplog.text)
        assert caplog.text.count("was refused") == 1


# What TLS holds


@either_loop
def test_what_a_connection_holds_is_little(asyncio_or_uvloop: None) -> None:
    use(settings())
    context = client_context()
    with running(handshake_timeout=60) as es, contextlib.ExitStack() as stack:

        def connect() -> None:
            sock = plain_connection(es.uri)
            stack.enter_context(context.wrap_socket(sock, server_hostname="127.0.0.1"))

        connect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            connect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 20 * COST  # what OpenSSL itself takes is not in it


@either_loop
def test_what_connections_hold_counts_towards_the_total(
    asyncio_or_uvloop: None, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings())
    total = 8 * COST
    with running(handshake_timeout=60, total_backlog_bytes=total) as es, contextlib.ExitStack() as stack:
        with plain_connection(es.uri) as probe:
            probe.sendall(CLIENT_HELLO)
            assert probe.recv(1)
        # A quarter of the total is left to backlogs, however many come.
        eventually(lambda: statistics_over_tls(es.uri)["connections"] == 1)
        for _ in range(5):
            stack.enter_context(plain_connection(es.uri)).sendall(CLIENT_HELLO)
        with Proxy(es.uri) as sixth:
            assert sixth.publish("A", 1) == 0
            with plain_connection(es.uri) as seventh:
                assert ended(seventh)
            eventually(lambda: "use TLS hold three quarters" in caplog.text)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            where = f"127.0.0.1:{listener.getsockname()[1]}"
            with pytest.raises(ValueError, match="use TLS hold three quarters"):
                for number in range(100):
                    sixth.subscribe("A", f"PYRO:x{number}@{where}")
        stack.close()
        eventually(lambda: statistics_over_tls(es.uri)["connections"] == 1)


# A subscriber that cannot be delivered to


def test_a_subscriber_with_an_expired_certificate_is_tried_less_and_less_often(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []
    noted = HandshakeCheck.tls_failed

    def failed(self: HandshakeCheck, host: str, reason: str) -> None:
        attempts.append(time.monotonic())
        noted(self, host, reason)

    monkeypatch.setattr(HandshakeCheck, "tls_failed", failed)
    use(with_server_of("expired"))
    subscriber = Collector(service.uri, callback=True)
    use(settings())
    with listening(subscriber):
        subscriber.subscribe("A")
        eventually(lambda: len(attempts) == 4, 20)
        gaps = [later - earlier for earlier, later in pairwise(attempts)]
        assert gaps[2] > gaps[0] * 1.4
        assert not subscriber.reasons
    lines = caplog.text.splitlines()
    theirs = [line for line in lines if "WARNING  pyro_events.daemon" in line]
    ours = [line for line in lines if "WARNING  pyro_events.delivery" in line]
    assert len(theirs) == 1 and "failed: it refuses TLS with us" in theirs[0]
    assert len(ours) == 1 and "its certificate is not accepted" in ours[0] and "expired" in ours[0]


def test_a_subscriber_that_does_not_accept_the_service_is_logged_once_on_both_sides(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use({**settings(), "PYRO_SSL_CACERTS": settings("other")["PYRO_SSL_CACERTS"]})
    contexts = server_contexts()
    use(settings())
    monkeypatch.setattr(daemon, "server_contexts", lambda: contexts)
    subscriber = Collector(service.uri, callback=True)
    monkeypatch.undo()
    with listening(subscriber), Publisher(es_uri=service.uri) as publisher:
        for name in "AB":
            subscriber.subscribe(name)
            eventually(lambda: publisher.publish(["A", "B"], 1) == 0)
    lines = caplog.text.splitlines()
    theirs = [line for line in lines if "WARNING  pyro_events.daemon" in line]
    ours = [line for line in lines if "WARNING  pyro_events.delivery" in line]
    assert len(theirs) == 1 and "from 127.0.0.1 to" in theirs[0]
    assert "its certificate is not accepted" in theirs[0]
    assert len(ours) == 1 and "it refuses TLS with us" in ours[0]


def test_a_peer_that_closes_at_once_may_be_a_service_that_has_disconnected_us(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyro_events.client.subscribing.receiver import Receiver

    heard: list[str] = []
    monkeypatch.setattr(Receiver, "probed", lambda self: heard.append("probed"))
    monkeypatch.setattr(HandshakeCheck, "tls_failed", lambda self, *which: heard.append("failed"))
    with collecting(service.uri, "A") as subscriber:
        eventually(lambda: subscriber.daemon.connections == 1)
        uri = str(subscriber.daemon.uriFor(subscriber))
        with plain_connection(uri):
            pass
        eventually(lambda: heard == ["probed"])
        for beginning in (CLIENT_HELLO, CLIENT_HELLO[:20], b"PYRO" * 10):
            with plain_connection(uri) as sock:
                sock.sendall(beginning)
        eventually(lambda: heard == ["probed", *["failed"] * 3])


# Renewed certificates


def serial_at(uri: str) -> str:
    """The serial number of the certificate that somebody shows."""
    with client_context().wrap_socket(plain_connection(uri), server_hostname="127.0.0.1") as secured:
        certificate = secured.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


def test_a_renewed_certificate_is_used_without_a_signal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = tmp_path / "certificates"
    shutil.copytree(Path(settings()["PYRO_SSL_CACERTS"]).parent, files)
    moved = {
        name: value.replace(str(Path(settings()["PYRO_SSL_CACERTS"]).parent), str(files))
        for name, value in settings().items()
    }
    use(moved)
    with running() as es:
        subscriber = Collector(es.uri)
        where = str(subscriber.daemon.uriFor(subscriber))
        before = serial_at(es.uri)
        use({})  # what has started goes on with the settings that it started with
        with contextlib.closing(subscriber):
            maker().make_one(files, "server")
            renewed = serial_at(es.uri)
            assert renewed != before
            with listening(subscriber):
                assert serial_at(where) == renewed
            Path(moved["PYRO_SSL_SERVERCERT"]).write_text("half of it", encoding="ascii")
            assert serial_at(es.uri) == renewed == serial_at(es.uri)
            eventually(lambda: "TLS keeps using the certificates that it had" in caplog.text)
            use(moved)


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
