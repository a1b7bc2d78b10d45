"""Users (C40): who a client is, end to end, at the service, its subscribers and the name server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from certificates import needs_openssl, settings, use
from fake_subscriber import fake_subscriber
from identities import SECRETS, UsersStarter, as_user, users_file
from listening import Collecting, Collector, OwnCollector, StreamCollector, collecting, disconnect, listening
from Pyro5.api import URI, Daemon, Proxy, config, expose
from Pyro5.errors import CommunicationError, NamingError, SecurityError
from raw_client import raw_client
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    EventServiceStarter,
    EventStream,
    IdentProxy,
    OutcomeUnknownError,
    Publisher,
    Subscriber,
    aio,
    locate_ns,
)
from pyro_events.options import ServiceOptions
from pyro_events.server.name_server_starter import NameServerStarter
from pyro_events.testing import collect as collected
from pyro_events.wire.frames import CONNECT_FAIL
from pyro_events.wire.handshake.proofs import CALL_OPTION

LOOPBACK = "127.0.0.1"
OWN = "the service's own"
CALL = "0" * 32
ALICE, BOB = as_user("alice"), as_user("bob")
KINDS = pytest.mark.parametrize("kind", [Publisher, Subscriber, EventStream])


@pytest.fixture(params=[None, OWN], ids=["anybody", "own ident"])
def own(request: pytest.FixtureRequest) -> str | None:
    """The service's own passphrase."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def service(own: str | None) -> Iterator[UsersStarter]:
    with UsersStarter(use_ns=False, ident=own) as starter:
        yield starter


def subscribers(uri: str, **who: str) -> list[str]:
    """The names of those that the service knows, as a client of this user sees them."""
    with IdentProxy(uri, who["ident"], who.get("user")) as es:
        return [each["subscriber"] for each in es.statistics()["subscribers"]]


# Who is accepted


@pytest.mark.parametrize("user", SECRETS)
def test_c40_a_user_publishes_and_gets_events(
    service: EventServiceStarter, collect: Collecting, user: str
) -> None:
    who = as_user(user)
    with (
        collect(service.uri, "A", "B", **who) as collector,
        Publisher(es_uri=service.uri, **who) as publisher,
    ):
        assert publisher.publish(["A", "B"], (1, b"2")) == 2
        assert [event.missed for event in collector.wait(2)] == [0, 0]
        with publisher.pipeline() as pipeline:
            for number in range(300):
                pipeline.publish("A", number)
        with publisher.background() as instrument:
            instrument.publish("B", "last")
            assert instrument.flush(20)
        assert collector.wait(303)[-1].msg == "last"
        assert collector.reasons == []


def test_c40_functions_get_events_of_a_user(service: EventServiceStarter) -> None:
    got: list[Any] = []
    with (
        Subscriber(es_uri=service.uri, **ALICE) as subscriber,
        Publisher(es_uri=service.uri, **BOB) as market,
    ):
        subscriber.on("A")(lambda event: got.append(event.msg))
        with listening(subscriber):
            assert market.publish("A", 1) == 1
            eventually(lambda: got == [1])


def test_c40_users_of_asyncio(service: EventServiceStarter) -> None:
    async def talk() -> Any:
        async with (
            aio.EventStream("A", es_uri=service.uri, **BOB) as events,
            aio.Publisher(es_uri=service.uri, **ALICE) as market,
        ):
            assert await market.publish("A", 22.44) == 1
            return (await events.get(timeout=20)).msg

    assert asyncio.run(talk()) == 22.44


def test_c40_one_class_that_is_both(service: EventServiceStarter) -> None:
    class Both(Subscriber, Publisher):
        pass

    with Both(es_uri=service.uri, **ALICE) as both:
        both.subscribe("A")
        assert both.publish("A", 1) == 1
        with both.getES() as es:
            assert es.publish("A", 2) == 1


def test_c40_collecting_as_a_user(service: EventServiceStarter) -> None:
    with (
        collected("A", es_uri=service.uri, **ALICE) as events,
        Publisher(es_uri=service.uri, **BOB) as market,
    ):
        market.publish("A", 1)
        assert [event.msg for event in events.wait_for(1)] == [1]
        with pytest.raises(AssertionError):
            events.wait_for(1, timeout=0.1)


def test_c40_a_user_is_told_who_listens(service: EventServiceStarter, collect: Collecting) -> None:
    told: list[tuple[str, int]] = []
    with Publisher(es_uri=service.uri, **ALICE) as publisher:
        publisher.on_interest("A", call=lambda subject, count: told.append((subject, count)))
        with collect(service.uri, "A", **BOB):
            eventually(lambda: told == [("A", 1)])
            assert publisher.listeners("A") == {"A": 1}
        eventually(lambda: told == [("A", 1), ("A", 0)])


@KINDS
@pytest.mark.parametrize(
    ("user", "ident"),
    [("alice", "bob's secret"), ("carol", "alice's secret"), ("Alice", "alice's secret"), ("alice ", OWN)],
)
def test_c40_a_wrong_user_and_a_wrong_passphrase_are_told_the_same(
    service: EventServiceStarter, kind: Any, user: str, ident: str
) -> None:
    with pytest.raises(AccessDeniedError) as caught:
        kind(es_uri=service.uri, user=user, ident=ident)
    text = f"does not accept the user {user!r} with the passphrase that was given as ident: one of the two"
    assert text in str(caught.value)


@KINDS
def test_c40_a_user_needs_a_passphrase_and_a_name(kind: Any) -> None:
    with pytest.raises(ValueError, match="user='alice' needs a passphrase: give the user's as ident"):
        kind(user="alice", es_uri="127.0.0.1:1")
    with pytest.raises(ValueError, match="user is empty"):
        kind(user="", ident="x", es_uri="127.0.0.1:1")
    with pytest.raises(TypeError, match="user must be a str, not int"):
        kind(user=1, ident="x", es_uri="127.0.0.1:1")


def test_c40_the_passphrase_of_a_user_is_not_the_services(service: EventServiceStarter, own: Any) -> None:
    text = "does not accept the passphrase.*name has to be given as user" if own else "does not prove"
    with pytest.raises(AccessDeniedError, match=text):
        Publisher(SECRETS["alice"], service.uri)


def test_c40_who_names_no_user_proves_the_services_own(service: EventServiceStarter, own: Any) -> None:
    with Publisher(own, service.uri) as publisher, collecting(service.uri, "A", ident=own) as collector:
        assert publisher.publish("A", 1) == 1
        collector.wait(1)
    if own is not None:
        with pytest.raises(AccessDeniedError, match="requires a passphrase.*that user's name as user"):
            Publisher(es_uri=service.uri)
        with Proxy(service.uri) as proxy, pytest.raises(CommunicationError, match="rejected: denied$"):
            proxy._pyroBind()


@pytest.mark.parametrize("ident", [None, OWN])
def test_c40_a_service_without_users_is_not_trusted(ident: str | None) -> None:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=ident) as es:
        text = "does not accept the user 'alice'.*without --permissions" if ident else "without this user"
        with pytest.raises(AccessDeniedError, match=text):
            Publisher(es_uri=es.uri, **ALICE)


@pytest.mark.parametrize("handshake", ["PE2", "PE2 client", "PE2 client " + "0" * 64, "PE2 client - - - -"])
def test_c40_every_refusal_of_a_user_is_the_same(service: EventServiceStarter, handshake: str) -> None:
    with raw_client(service.uri, greeted=False) as client:
        assert client.say(handshake) == (CONNECT_FAIL, "denied")
        client.wait_for_end()


def test_c40_a_publisher_and_a_subscriber_come_back_to_a_service_that_was_restarted(
    free_port: Callable[[], int], collect: Collecting
) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        with UsersStarter(port=port, use_ns=False) as first:
            publisher = stack.enter_context(Publisher(es_uri=first.uri, **ALICE))
            collector = stack.enter_context(collect(first.uri, "A", **ALICE))
            publisher.publish("A", 1)
            collector.wait(1)
        stack.enter_context(UsersStarter(port=port, use_ns=False))
        with contextlib.suppress(OutcomeUnknownError):  # no service is restarted as fast as this one
            publisher.publish("A", 2)
        eventually(lambda: publisher.publish("A", 3) == 1, 30)
        eventually(lambda: collector.messages()[-1:] == [3])
        assert len(collector.reasons) == 1


# Subscribers


def test_c40_the_service_proves_the_user_to_a_subscriber(service: EventServiceStarter) -> None:
    with collecting(service.uri, "A", **ALICE) as collector:
        eventually(lambda: collector.is_connected)
        uri = collector.statistics().uri
        for handshake in ("hello", "PE1 service", f"PE2 service {CALL} {CALL} {CALL}{CALL}"):
            with raw_client(uri, greeted=False) as stranger:
                assert stranger.say(handshake, URI(uri).object) == (CONNECT_FAIL, "denied")
                stranger.wait_for_end()
        # A service whose passphrase is another user's, and which has overheard the call, proves nothing.
        with IdentProxy(service.uri, **BOB) as es:
            es.subscribe("B", uri, {CALL_OPTION: CALL})
            eventually(lambda: "denied" in es.statistics({"subscriber": uri})["why"])
        with Publisher(es_uri=service.uri, **ALICE) as publisher:
            assert publisher.publish("A", 1) == 1
        collector.wait(1)


def test_c40_a_subscriber_that_proves_to_be_nobody_gets_nothing(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_subscriber() as fake, IdentProxy(service.uri, **ALICE) as es:
        es.subscribe("A", fake.uri, {CALL_OPTION: CALL})
        assert es.publish("A", "for alice only") == 1
        fake.greet()  # it answers "hello"
        fake.wait_for_end()
        eventually(lambda: "does not prove that it knows the passphrase" in caplog.text)
        with pytest.raises(SecurityError, match="cannot prove the passphrase.*--allow-stock"):
            es.subscribe("A", fake.uri)


@pytest.mark.parametrize("kind", [Collector, OwnCollector, StreamCollector])
@pytest.mark.parametrize("user", ["bob", ""])
def test_c40_another_user_at_the_same_host_can_neither_change_nor_find_one(kind: Any, user: str) -> None:
    """It gets the answers that it would get to a subscriber that nobody has."""
    with (
        UsersStarter(use_ns=False, ident=OWN) as service,
        collecting(service.uri, "A", kind=kind, **ALICE) as collector,
        Publisher(es_uri=service.uri, **ALICE) as publisher,
    ):
        eventually(lambda: collector.is_connected)
        known = collector.known_as if kind is Collector else key_of(collector)
        nothing = "PYRO:nothing@127.0.0.1:4711" if kind is Collector else {"key": CALL}
        with IdentProxy(service.uri, *((SECRETS[user], user) if user else (OWN,))) as thief:
            for subscriber in (known, nothing):
                assert thief.unsubscribe("A", subscriber) == -1
                standing = thief.statistics({"subscriber": subscriber})
                assert standing == {"subscriptions": -1, "state": "", "why": ""}
                if kind is not Collector:
                    assert thief.subscribe("B", subscriber) == -1
        assert publisher.publish(["A", "B"], 1) == 1
        collector.wait(1)
        assert collector.reasons == []
        with IdentProxy(service.uri, **ALICE) as es:
            assert es.statistics({"subscriber": known})["subscriptions"] == 1
            assert es.unsubscribe("A", known) == 0


def key_of(collector: Any) -> dict[str, str]:
    """What stands for a subscriber that has made the connection itself."""
    if isinstance(collector, EventStream):
        found = collector._EventStream__receiver.remote.calls.subscriber
    else:
        found = collector._Subscriber__receiver.remote.calls.subscriber
    assert set(found) == {"key"}
    return dict(found)


@pytest.mark.parametrize("kind", [Collector, OwnCollector])
def test_c40_a_user_comes_back_when_the_connection_was_lost(service: EventServiceStarter, kind: Any) -> None:
    with (
        collecting(service.uri, "A", kind=kind, **ALICE) as collector,
        Publisher(es_uri=service.uri, **ALICE) as publisher,
    ):
        # A connection that is cut before it has greeted is no connection that was lost.
        assert publisher.publish("A", 0) == 1
        eventually(lambda: collector.messages() == [0])
        disconnect(collector)
        eventually(lambda: collector.reasons, 30)
        eventually(lambda: publisher.publish("A", 1) == 1)
        eventually(lambda: collector.messages()[-1:] == [1])


@expose
class Plain:
    def __init__(self) -> None:
        self.got: list[Any] = []

    def event(self, event: Any) -> None:
        self.got.append(event.msg)


def test_c40_stock_peers_on_a_host_that_is_named_are_nobody() -> None:
    options = ServiceOptions(allow_stock=frozenset({LOOPBACK}))
    plain = Plain()
    with UsersStarter(use_ns=False, ident=OWN, options=options) as es, Daemon(LOOPBACK) as daemon:
        uri = daemon.register(plain)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with Proxy(es.uri) as stock, IdentProxy(es.uri, **ALICE) as alice:
                alice.subscribe("A", plain)
                assert stock.publish("A", 1) == 1
                eventually(lambda: plain.got == [1])
                assert stock.unsubscribe("A", uri) == -1  # it is alice's
                stock.subscribe("B", plain)  # which makes it a subscriber of its own, too
                assert alice.publish(["A", "B"], 2) == 2
                eventually(lambda: plain.got == [1, 2, 2])
                assert alice.unsubscribe(["A", "B"], uri) == 0
                assert stock.unsubscribe("B", uri) == 0
            with pytest.raises(AccessDeniedError):  # a client that offers a proof must have the right one
                Publisher("another", es.uri, user="alice")
        finally:
            daemon.shutdown()
            thread.join(10)


# The name server


def test_c40_users_find_the_service_through_the_embedded_name_server(
    own: str | None, free_port: Callable[[], int], collect: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setattr(config, "NS_HOST", LOOPBACK)
    monkeypatch.setattr(config, "NS_PORT", port)
    with UsersStarter(ns_host=LOOPBACK, ns_port=port, embed_ns=True, ident=own) as es:
        with Publisher(**ALICE) as publisher, collect(None, "A", **BOB) as collector:
            assert publisher.publish("A", 1) == 1
            collector.wait(1)
        for who in ({"ident": SECRETS["alice"], "user": "bob"}, {"ident": "x", "user": "carol"}):
            with pytest.raises(AccessDeniedError, match=f"Pyro.NameServer at .* the user '{who['user']}'"):
                Publisher(**who)
        with locate_ns(**ALICE) as names:
            assert str(names.lookup(EVENTSERVER_NAME)) == es.uri
            names.register("clock", "PYRO:clock@127.0.0.1:1")
            assert set(names.list()) == {EVENTSERVER_NAME, "Pyro.NameServer", "clock"}
            with pytest.raises(NamingError, match="only that program can change it"):
                names.register(EVENTSERVER_NAME, "PYRO:clock@127.0.0.1:1")
            with pytest.raises(NamingError, match="only that program can change it"):
                names.remove(EVENTSERVER_NAME)
        if own is not None:
            with locate_ns(own) as names:
                assert names.remove("clock") == 1
            with pytest.raises(AccessDeniedError):
                locate_ns()
            return
        with locate_ns() as names:  # anybody may look up, and no more
            assert str(names.lookup(EVENTSERVER_NAME)) == es.uri
            with pytest.raises(NamingError, match="only a client that proves a passphrase can change"):
                names.remove("clock")
        with Publisher() as publisher:
            assert publisher.publish("A", 1) == 0


def test_c40_users_of_a_name_server_by_itself() -> None:
    with (
        users_file() as file,
        NameServerStarter(LOOPBACK, 0, ident=OWN, options=ServiceOptions(permissions=file)) as starter,
    ):
        port = int(starter.uri.rpartition(":")[2])
        with UsersStarter(ns_host=LOOPBACK, ns_port=port, ident=OWN):
            with Publisher(ns_host=LOOPBACK, ns_port=port, **ALICE) as publisher:
                assert publisher.publish("A", 1) == 0
            with pytest.raises(AccessDeniedError, match="does not accept the user"):
                Publisher(ns_host=LOOPBACK, ns_port=port, ident="x", user="alice")


def test_c40_a_name_server_that_knows_no_users_is_refused(free_port: Callable[[], int]) -> None:
    with NameServerStarter(LOOPBACK, 0) as starter:
        port = int(starter.uri.rpartition(":")[2])
        with pytest.raises(AccessDeniedError, match="does not prove.*'alice'.*--permissions FILE for users"):
            Publisher(ns_host=LOOPBACK, ns_port=port, **ALICE)


# TLS


@needs_openssl
def test_c40_users_over_tls(collect: Collecting) -> None:
    use(settings())
    with UsersStarter(use_ns=False) as es:
        with collect(es.uri, "A", **ALICE) as collector, Publisher(es_uri=es.uri, **ALICE) as publisher:
            assert publisher.publish("A", 1) == 1
            collector.wait(1)
        with pytest.raises(AccessDeniedError, match="does not accept the user 'bob'"):
            Publisher(SECRETS["alice"], es.uri, user="bob")
