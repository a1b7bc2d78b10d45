"""The passphrase, end to end: which peers are accepted, refused and trusted (C30, docs/security.md)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from contract import account, running, subscribe
from fake_service import fake_service
from fake_subscriber import FakeSubscriber, fake_subscriber
from listening import Collecting, Collector, collecting, listening
from processes import Spawner
from Pyro5.api import URI, Daemon, Proxy, config, expose
from Pyro5.errors import CommunicationError, NamingError, SecurityError
from raw_client import raw_client
from waiting import eventually

import pyro_events
from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    ClocksDifferError,
    EventServiceStarter,
    EventStream,
    IdentProxy,
    OutcomeUnknownError,
    Publisher,
    ServiceNotFoundError,
    Subscriber,
    locate_ns,
)
from pyro_events.options import ServiceOptions
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK
from pyro_events.wire.handshake.passphrase import identity_of
from pyro_events.wire.handshake.proofs import CALL_OPTION, CallbackCheck, ClientProof

SECRET = "correct horse battery staple"
LOOPBACK = "127.0.0.1"
CALL = "0" * 32


@pytest.fixture
def guarded() -> Iterator[EventServiceStarter]:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as starter:
        yield starter


@pytest.fixture
def publisher(guarded: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(SECRET, guarded.uri) as publisher:
        yield publisher


class Wire:
    """Passes everything on between a client and a service, and keeps it."""

    def __init__(self, target: str) -> None:
        self._target = URI(target)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.uri = f"PYRO:{self._target.object}@{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.seen: list[bytes] = []
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            outer = socket.create_connection((self._target.host, self._target.port))
            self._sockets += [inner, outer]
            for one, other in ((inner, outer), (outer, inner)):
                thread = threading.Thread(target=self._pass, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                self.seen.append(data)
                other.sendall(data)
        except OSError:
            pass
        finally:
            for sock in (one, other):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for sock in self._sockets:
            sock.close()
        for thread in self._threads:
            thread.join(10)


# Clients


def test_who_knows_the_passphrase_publishes_and_is_called_back(
    guarded: EventServiceStarter, publisher: Publisher, collect: Collecting
) -> None:
    with collect(guarded.uri, "A", "B", ident=SECRET) as collector:
        assert publisher.publish(["A", "B"], (1, b"2")) == 2
        assert [event.missed for event in collector.wait(2)] == [0, 0]
        with publisher.pipeline() as pipeline:
            for number in range(1000):
                pipeline.publish("A", number)
        assert collector.wait(1002)[-1].msg == 999
        assert collector.reasons == []


def test_who_has_none_is_told_to_give_one(guarded: EventServiceStarter) -> None:
    for kind in (Publisher, Subscriber, EventStream):
        with pytest.raises(AccessDeniedError, match="requires a passphrase: give it as ident") as caught:
            kind(es_uri=guarded.uri)
        assert isinstance(caught.value, SecurityError)
        assert not isinstance(caught.value, CommunicationError)


def test_who_has_another_is_told_so(guarded: EventServiceStarter) -> None:
    for kind in (Publisher, Subscriber, EventStream):
        with pytest.raises(AccessDeniedError, match="does not accept the passphrase"):
            kind(ident="another", es_uri=guarded.uri)


def test_a_service_without_one_is_not_trusted(service: EventServiceStarter) -> None:
    for kind in (Publisher, Subscriber, EventStream):
        with pytest.raises(AccessDeniedError, match="does not prove that it knows the passphrase"):
            kind(ident=SECRET, es_uri=service.uri)


def test_nor_is_anything_else_that_says_yes() -> None:
    with fake_service() as fake, pytest.raises(AccessDeniedError, match="does not prove"):
        Publisher(SECRET, fake.uri)


def test_clocks_that_differ(guarded: EventServiceStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pyro_events.transport.authentication.time.time", lambda: time.monotonic())
        with pytest.raises(ClocksDifferError, match=r"s ahead of ours.*set the clocks right") as caught:
            Publisher(SECRET, guarded.uri)
    assert caught.value.seconds > 1e9
    with Publisher(SECRET, guarded.uri) as publisher:
        assert publisher.publish("A", 1) == 0


def test_a_publisher_comes_back_to_a_service_that_was_restarted(free_port: Callable[[], int]) -> None:
    port = free_port()
    with EventServiceStarter(LOOPBACK, port, use_ns=False, ident=SECRET) as first:
        publisher = Publisher(SECRET, first.uri)
    with publisher, EventServiceStarter(LOOPBACK, port, use_ns=False, ident=SECRET):
        with contextlib.suppress(OutcomeUnknownError):  # no service is restarted as fast as this one
            publisher.publish("A", 1)
        assert publisher.publish("A", 1) == 0
        assert publisher.statistics().reconnects == 1


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_a_stock_client_is_denied_whatever_it_wants(guarded: EventServiceStarter, serializer: str) -> None:
    for name in (EVENTSERVER_NAME, "Pyro.Daemon", "nowhere"):
        with Proxy(guarded.uri.replace(EVENTSERVER_NAME, name)) as proxy:
            proxy._pyroSerializer = serializer
            with pytest.raises(CommunicationError, match="rejected: denied$"):
                proxy.ping()


@pytest.mark.parametrize(
    "handshake", [None, "", "hello", "denied", SECRET, ["PE1"], {"ident": SECRET}, "PE1 client " + "0" * 64]
)
def test_every_refusal_is_the_same(guarded: EventServiceStarter, handshake: Any) -> None:
    with raw_client(guarded.uri, greeted=False) as client:
        assert client.say(handshake) == (CONNECT_FAIL, "denied")
        client.wait_for_end()


def test_what_was_seen_on_the_wire_lets_nobody_in(guarded: EventServiceStarter, collect: Collecting) -> None:
    wire = Wire(guarded.uri)
    try:
        with Publisher(SECRET, wire.uri) as publisher, collect(wire.uri, "A", ident=SECRET) as collector:
            publisher.publish("A", 1)
            collector.wait(1)
    finally:
        wire.close()
    assert not any(SECRET.encode() in data for data in wire.seen)
    proofs = []
    for data in wire.seen:
        start = data.find(b"PE1 client")
        if start >= 0:
            proofs.append(data[start : start + 155].split(b"\xa6")[0].decode())
    assert len(proofs) >= 3  # the first is for a run that is not known yet
    for proof in proofs:
        with raw_client(guarded.uri, greeted=False) as client:
            kind, answer = client.say(proof)
            assert kind == CONNECT_FAIL
            assert answer == "denied" or answer.startswith("PE1 again")
            client.wait_for_end()
    # Nor at another service with the same passphrase.
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as other:
        for proof in proofs:
            with raw_client(other.uri, greeted=False) as client:
                assert client.say(proof)[0] == CONNECT_FAIL


def test_a_call_without_a_handshake_is_not_made(guarded: EventServiceStarter, publisher: Publisher) -> None:
    with raw_client(guarded.uri, greeted=False) as client:
        client.send_call("publish", "A", 1)
        client.wait_for_end()
    assert publisher.statistics().published == 0


# Subscribers


def test_an_unproved_service_cannot_inject_events(guarded: EventServiceStarter) -> None:
    with collecting(guarded.uri, "A", ident=SECRET) as collector:
        eventually(lambda: collector.statistics().connections == 1)
        uri = collector.statistics().uri
        for handshake in ("hello", None, "PE1 service", f"PE1 service {CALL} {CALL} {CALL}{CALL}"):
            with raw_client(uri, greeted=False) as stranger:
                assert stranger.say(handshake, URI(uri).object) == (CONNECT_FAIL, "denied")
                stranger.wait_for_end()
        with Proxy(uri) as stock, pytest.raises(CommunicationError, match="denied"):
            stock.events([["A", 0.0, 1, 0, b"x"]])
        with Proxy(uri.replace(URI(uri).object, "Pyro.Daemon")) as stock, pytest.raises(CommunicationError):
            stock.ping()
        assert collector.events == []


def test_a_proof_to_a_subscriber_cannot_be_used_again(
    guarded: EventServiceStarter, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    verify = CallbackCheck.verify

    def watched(check: CallbackCheck, hello: Any, object_id: str) -> str:
        seen.append(hello)
        return verify(check, hello, object_id)

    monkeypatch.setattr(CallbackCheck, "verify", watched)
    with collecting(guarded.uri, "A", ident=SECRET) as collector:
        eventually(lambda: seen)
        publisher.publish("A", 1)
        collector.wait(1)
        uri = collector.statistics().uri
        with raw_client(uri, greeted=False) as stranger:
            assert stranger.say(seen[0], URI(uri).object) == (CONNECT_FAIL, "denied")


def test_a_subscriber_that_proves_nothing_gets_nothing(
    guarded: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_subscriber() as fake, IdentProxy(guarded.uri, SECRET) as es:
        es.subscribe("A", fake.uri, {CALL_OPTION: CALL})
        assert es.publish("A", "for friends only") == 1
        fake.greet()  # it answers "hello"
        fake.wait_for_end()
        eventually(lambda: "does not prove that it knows the passphrase" in caplog.text)
        assert es.publish("A", 1) == 0


def test_a_listen_that_begins_late(guarded: EventServiceStarter, publisher: Publisher) -> None:
    with Collector(guarded.uri, SECRET) as collector:
        collector.subscribe("A")
        for number in range(3):
            collector.subscribe(f"B{number}")
            assert publisher.publish("A", number) == 1
        with pytest.MonkeyPatch.context() as patched:  # a minute passes for every clock that judges
            patched.setattr("pyro_events.transport.authentication.time.time", lambda: time.time() + 3600)
            with listening(collector):
                assert [event.msg for event in collector.wait(3)] == [0, 1, 2]
                assert collector.reasons == []


def test_it_may_abort_and_listen_again(guarded: EventServiceStarter, publisher: Publisher) -> None:
    collector = Collector(guarded.uri, SECRET)
    collector.subscribe("A")
    thread = threading.Thread(target=collector.listen)
    thread.start()
    publisher.publish("A", 1)
    collector.wait(1)
    collector.abort()
    thread.join(10)
    publisher.publish("A", 2)
    with listening(collector):
        collector.wait(2)
        collector.unsubscribe("A")
        eventually(lambda: publisher.publish("A", 3) == 0)
        collector.subscribe("A")
        assert publisher.publish("A", 4) == 1
        collector.wait(3)


@expose
class Plain:
    def __init__(self) -> None:
        self.got: list[Any] = []

    def event(self, event: Any) -> None:
        self.got.append(event.msg)


def test_a_plain_object_is_refused_where_its_host_is_not_named(guarded: EventServiceStarter) -> None:
    with fake_subscriber() as fake, IdentProxy(guarded.uri, SECRET) as es:
        with pytest.raises(SecurityError, match="cannot prove the passphrase.*--allow-stock"):
            es.subscribe("A", fake.uri)
        assert es.publish("A", 1) == 0


def test_stock_peers_on_a_host_that_is_named() -> None:
    options = ServiceOptions(allow_stock=frozenset({LOOPBACK}))
    plain = Plain()
    with (
        EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET, options=options) as es,
        Daemon(LOOPBACK) as daemon,
    ):
        daemon.register(plain)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with Proxy(es.uri) as proxy, collecting(es.uri, "A", ident=SECRET) as collector:
                proxy.subscribe("A", plain)
                assert proxy.publish("A", 1) == 2
                eventually(lambda: plain.got == [1])
                collector.wait(1)
            with collecting(es.uri, "A") as ours, Publisher(es_uri=es.uri) as publisher:
                publisher.publish("A", 2)
                ours.wait(1)
            with pytest.raises(AccessDeniedError):  # a client that offers a proof must have the right one
                Publisher("another", es.uri)
            with raw_client(es.uri, greeted=False, source="127.0.0.2") as elsewhere:
                assert elsewhere.say("hello") == (CONNECT_FAIL, "denied")
        finally:
            daemon.shutdown()
            thread.join(10)


def test_a_client_that_has_proved_nothing_cannot_get_a_proof_for_a_subscriber() -> None:
    """Where its host need not prove anything, it might send another subscriber's nonce with its own port."""
    options = ServiceOptions(allow_stock=frozenset({LOOPBACK}))
    with (
        EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET, options=options) as es,
        fake_subscriber() as fake,
        raw_client(es.uri) as stranger,
    ):
        for method, name in (("subscribe", "A"), ("subscribeMatch", "A.*")):
            error = stranger.call(method, name, fake.uri, {CALL_OPTION: CALL})
            assert error["__class__"] == "Pyro5.errors.SecurityError"
            assert "only from a caller that has proved the passphrase" in error["args"][0]
        assert not fake.connected()
        assert stranger.call("subscribe", "A", fake.uri) is None
        fake.accept()
        frame = fake.frame()
        assert frame is not None and b"PE1" not in frame.payload
        assert stranger.call("subscribe", "B", fake.uri, {CALL_OPTION: CALL})["__class__"]


def test_a_proof_for_the_name_server_is_none_for_the_service(free_port: Callable[[], int]) -> None:
    """A client may be talked into proving the passphrase to the name server through somebody else."""
    ns_port = free_port()
    with EventServiceStarter(
        LOOPBACK, 0, ns_host=LOOPBACK, ns_port=ns_port, embed_ns=True, ident=SECRET
    ) as es:
        identity = identity_of(SECRET)
        assert identity is not None and es.ns_uri is not None
        names = URI(es.ns_uri).object
        run = "-"
        for _ in range(2):
            client = ClientProof(identity, names, run, time.time(), os.urandom(16))
            with raw_client(es.uri, greeted=False) as relay:  # the service's own port serves both
                kind, answer = relay.say(client.hello, names)
                if kind == CONNECT_FAIL:
                    again = client.again(answer)
                    assert again is not None
                    run = again.run
                    continue
                assert client.accepts(answer["handshake"])
                error = relay.call("publish", "A", 1)
                assert error["__class__"] == "Pyro5.errors.DaemonError" and "no object" in error["args"][0]
        with Publisher(SECRET, es.uri) as publisher:
            assert publisher.statistics().published == 0


# Which clients may change which subscription, and where the service connects


def subscribed_at(es: str, fake: FakeSubscriber) -> bool:
    return account(es, f"PYRO:fake@{LOOPBACK}:{fake.port}") is not None


def test_another_host_cannot_mean_ones_subscriber() -> None:
    with running() as es, fake_subscriber() as fake:
        subscribe(es.uri, fake.uri, "A")
        with raw_client(es.uri, source="127.0.0.2") as elsewhere:
            assert elsewhere.call("unsubscribe", "A", fake.uri) == -1  # there is none at its own host
        assert subscribed_at(es.uri, fake)


def test_nor_where_the_service_may_connect_to_it_for_others() -> None:
    allowed = frozenset({LOOPBACK})
    with running(allow_callback=allowed) as es, fake_subscriber() as fake:
        subscribe(es.uri, fake.uri, "A")
        with raw_client(es.uri, source="127.0.0.2") as elsewhere:
            for method, arguments in (("unsubscribe", ()), ("subscribe", ({"overflow": "disconnect"},))):
                error = elsewhere.call(method, "A", fake.uri, *arguments)
                assert error["__class__"] == "Pyro5.errors.SecurityError"
                assert "can be changed only from there" in error["args"][0]
        assert subscribed_at(es.uri, fake)


def test_who_has_subscribed_it_for_another_host_may_unsubscribe_it() -> None:
    allowed = frozenset({LOOPBACK})
    with running(allow_callback=allowed, linger=0.01) as es, fake_subscriber() as fake:
        with raw_client(es.uri, source="127.0.0.2") as elsewhere:
            elsewhere.call("subscribe", "A", fake.uri)
            fake.greet()
            assert elsewhere.call("unsubscribe", "A", fake.uri) == 0
        fake.wait_for_end()


def test_who_has_proved_the_passphrase_may_unsubscribe_anyone(guarded: EventServiceStarter) -> None:
    with collecting(guarded.uri, "A", ident=SECRET) as collector:
        uri = collector.statistics().uri
        with raw_client(guarded.uri, greeted=False, source="127.0.0.2") as elsewhere:
            identity = identity_of(SECRET)
            assert identity is not None
            client = ClientProof(identity, EVENTSERVER_NAME, "-", time.time(), bytes(16))
            again = client.again(elsewhere.say(client.hello)[1])
        assert again is not None
        with raw_client(guarded.uri, greeted=False, source="127.0.0.2") as elsewhere:
            client = ClientProof(identity, EVENTSERVER_NAME, again.run, time.time(), bytes(16))
            kind, answer = elsewhere.say(client.hello)
            assert kind == CONNECT_OK and client.accepts(answer["handshake"])
            assert elsewhere.call("publish", "A", 1) == 1
            assert elsewhere.call("unsubscribe", "A", uri) == 0
            assert elsewhere.call("publish", "A", 1) == 0


def listeners() -> tuple[socket.socket, socket.socket]:
    """A port of 127.0.0.1 and the same one of 127.0.0.2; it may be taken there though it is free here."""
    while True:
        here = socket.create_server((LOOPBACK, 0))
        try:
            return here, socket.create_server(("127.0.0.2", here.getsockname()[1]))
        except OSError:
            here.close()


def test_the_service_connects_to_allowed_hosts_only() -> None:
    for allowed, reached in ((frozenset({"127.0.0.2"}), "127.0.0.2"), (frozenset(), LOOPBACK)):
        here, there = listeners()
        with running(allow_callback=allowed) as es, here, there:
            subscribe(es.uri, f"PYRO:fake@127.0.0.2:{there.getsockname()[1]}", "A")
            listener = there if reached == "127.0.0.2" else here
            listener.settimeout(10)
            listener.accept()[0].close()


# The start script and the name server


def test_the_start_script_takes_it_in_three_ways(start_service: Any, tmp_path: Any, spawn: Spawner) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n", encoding="utf-8")
    for options, env in (
        (("-i", SECRET), {}),
        (("--ident-file", str(file)), {"PYROEVENTS_IDENT": "another"}),
        ((), {"PYROEVENTS_IDENT": SECRET}),
        ((), {"PYROEVENTS_IDENT_FILE": str(file)}),
    ):
        es = start_service(*options, env=env)
        with pytest.raises(AccessDeniedError):
            Publisher(es_uri=es.uri)
        with Publisher(SECRET, es.uri) as publisher:
            assert publisher.publish("A", 1) == 0
        es.process.terminate()


def test_an_embedded_name_server_demands_the_same(
    start_service: Any, free_port: Callable[[], int], spawn: Spawner
) -> None:
    port = free_port()
    ns = ("--embed-ns", "--ns-host", LOOPBACK, "--ns-port", str(port))
    es = start_service(*ns, "-i", SECRET)
    config.NS_HOST, config.NS_PORT, config.PREFER_IP_VERSION = LOOPBACK, port, 6
    with Publisher(SECRET) as publisher, collecting(None, "A", ident=SECRET) as collector:
        assert publisher.publish("A", 1) == 1
        collector.wait(1)
    with locate_ns(SECRET) as names:
        assert str(names.lookup(EVENTSERVER_NAME)) == es.uri
    with pytest.raises(NamingError):
        pyro_events.locate_ns()
    with pytest.raises(ServiceNotFoundError):
        Publisher()
    with pytest.raises(AccessDeniedError):
        Publisher("another")
    # A second service with it finds the first one alive.
    second = spawn(
        *("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", "-i", SECRET),
        *("--ns-host", LOOPBACK, "--ns-port", str(port)),
    )
    assert second.wait() == 1 and "--replace" in second.stderr


def test_a_stock_name_server_is_refused(name_server: Any, spawn: Spawner) -> None:
    options = ("--ns-host", LOOPBACK, "--ns-port", str(name_server.port))
    es = spawn("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", "-i", SECRET, *options)
    assert es.wait() == 1
    assert es.stderr.count("\n") == 1 and "pyro_events.ns --ident-file" in es.stderr
    with pytest.raises(AccessDeniedError, match="Pyro.NameServer at .* does not prove"):
        Publisher(SECRET)


def test_a_live_service_with_another_passphrase_keeps_its_name(
    start_service: Any, spawn: Spawner, name_server: Any
) -> None:
    """As far as a service without one can tell, which is that somebody is there."""
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as guarded:
        with name_server.proxy() as names:
            names.register(EVENTSERVER_NAME, guarded.uri)
        options = ("--ns-host", LOOPBACK, "--ns-port", str(name_server.port))
        second = spawn("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", *options)
        assert second.wait() == 1 and guarded.uri in second.stderr


def test_a_guarded_name_server_that_was_restarted_is_told_again(
    spawn: Spawner, free_port: Callable[[], int]
) -> None:
    port = free_port()
    arguments = ("-m", "pyro_events.ns", "-n", LOOPBACK, "-p", str(port), "-i", SECRET)
    first = spawn(*arguments, ready="started")
    with EventServiceStarter(LOOPBACK, 0, ns_host=LOOPBACK, ns_port=port, ident=SECRET) as es:
        assert first.terminate() == 0
        spawn(*arguments, ready="started")

        def known() -> bool:
            with locate_ns(SECRET, LOOPBACK, port) as names:
                return EVENTSERVER_NAME in names.list()

        eventually(known, 8)
        with locate_ns(SECRET, LOOPBACK, port) as names:
            assert str(names.lookup(EVENTSERVER_NAME)) == es.uri
