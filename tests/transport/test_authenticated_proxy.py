"""A Pyro5 proxy that proves a passphrase, and the name server found with one."""

from __future__ import annotations

import copy
import hashlib
import inspect
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5.api
import pytest
from identities import SECRETS, UsersStarter
from Pyro5.client import BatchProxy, Proxy
from Pyro5.errors import CommunicationError, NamingError
from Pyro5.nameserver import NameServerDaemon
from Pyro5.serializers import serializers

from pyro_events import (
    AccessDeniedError,
    ClocksDifferError,
    EventServiceStarter,
    IdentProxy,
    NameServerStarter,
    ServiceNotFoundError,
    locate_ns,
)
from pyro_events.codec.message import decode, encode

SECRET = "an uncommon secret"


def key_of(passphrase: str) -> bytes:
    """The key that docs/security.md describes."""
    return hashlib.scrypt(passphrase.encode(), salt=b"pyro_events/v1", n=2**14, r=8, p=1, dklen=32)


@pytest.fixture
def guarded() -> Iterator[EventServiceStarter]:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident=SECRET) as starter:
        yield starter


def test_it_calls_what_a_stock_proxy_cannot(guarded: EventServiceStarter) -> None:
    with IdentProxy(guarded.uri, SECRET) as proxy:
        assert proxy.publish("A", 1) == 0
        proxy._pyroRelease()
        assert proxy.publish("A", 1) == 0  # a proof is made for each connection
        proxy._pyroReconnect(tries=1)
        assert "publish" in proxy._pyroMethods
    with Proxy(guarded.uri) as stock, pytest.raises(CommunicationError, match="rejected: denied"):
        stock.publish("A", 1)


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_with_every_serializer(guarded: EventServiceStarter, serializer: str) -> None:
    with IdentProxy(guarded.uri, SECRET) as proxy:
        proxy._pyroSerializer = serializer
        assert proxy.publish("A", 1) == 0


def test_with_another_passphrase(guarded: EventServiceStarter) -> None:
    with IdentProxy(guarded.uri, "another") as proxy, pytest.raises(AccessDeniedError, match="not accept"):
        proxy.publish("A", 1)


@pytest.mark.parametrize("copied", [lambda proxy: proxy, copy.copy, copy.deepcopy])
def test_as_a_user(copied: Callable[[IdentProxy], IdentProxy]) -> None:
    with UsersStarter(use_ns=False) as es:
        with IdentProxy(es.uri, user="alice", ident=SECRETS["alice"]) as original, copied(original) as proxy:
            assert proxy.publish("A", 1) == 0
            proxy._pyroRelease()
            assert proxy.publish("A", 1) == 0
            with pytest.raises(AccessDeniedError, match="was pickled"):
                pickle.loads(pickle.dumps(proxy)).publish("A", 1)
        refusal = pytest.raises(AccessDeniedError, match="does not accept the user 'bob'")
        with IdentProxy(es.uri, SECRETS["alice"], "bob") as proxy, refusal:
            proxy.publish("A", 1)


def test_what_cannot_be_a_user() -> None:
    with pytest.raises(ValueError, match="user is empty"):
        IdentProxy("PYRO:x@127.0.0.1:1", "secret", "")
    with pytest.raises(ValueError, match="user='alice' needs a passphrase"):
        IdentProxy("PYRO:x@127.0.0.1:1", None, "alice")
    with pytest.raises(ValueError, match="user='alice' needs a passphrase"):
        locate_ns(user="alice")


def test_a_service_that_proves_nothing_is_not_called(service: EventServiceStarter) -> None:
    with IdentProxy(service.uri, SECRET) as proxy:
        for _ in range(2):
            with pytest.raises(AccessDeniedError, match="does not prove"):
                proxy.publish("A", 1)
            assert proxy._pyroConnection is None


def test_clocks_that_differ(guarded: EventServiceStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyro_events.transport.authentication.time.time", lambda: 1e9)
    with IdentProxy(guarded.uri, SECRET) as proxy, pytest.raises(ClocksDifferError):
        proxy.publish("A", 1)


def test_other_errors_of_connecting_stay_what_they_are(free_port: Callable[[], int]) -> None:
    with IdentProxy(f"PYRO:x@127.0.0.1:{free_port()}", SECRET) as proxy, pytest.raises(CommunicationError):
        proxy.publish("A", 1)


def test_an_object_that_is_not_there(guarded: EventServiceStarter) -> None:
    uri = guarded.uri.replace("Pyro.EventService", "other")
    with IdentProxy(uri, SECRET) as proxy, pytest.raises(CommunicationError, match="no object 'other'"):
        proxy.publish("A", 1)


def test_only_direct_addresses_are_taken() -> None:
    with pytest.raises(ValueError, match="looked up first"):
        IdentProxy("PYRONAME:x", SECRET)
    with pytest.raises(TypeError, match="ident"):
        IdentProxy("PYRO:x@y:1", 5)


@pytest.mark.parametrize("name", ["serpent", "json", "msgpack", "marshal"])
def test_serialized_it_is_a_plain_proxy(guarded: EventServiceStarter, name: str) -> None:
    serializer = serializers[name]
    with IdentProxy(guarded.uri, SECRET) as proxy:
        proxy._pyroBind()
        proof = proxy._pyroHandshake
        written = serializer.dumps(proxy)
        assert SECRET.encode() not in written and proof.split()[-1].encode() not in written
        assert b"PE1" not in written and key_of(SECRET) not in written
        read = serializer.loads(written)
        assert type(read) is Proxy and read == proxy and read._pyroHandshake == "hello"
        assert read._pyroMethods == proxy._pyroMethods


def test_in_a_message_it_is_a_plain_proxy() -> None:
    read = decode(encode(IdentProxy("PYRO:x@y:1", SECRET)))
    assert type(read) is Proxy and str(read._pyroUri) == "PYRO:x@y:1" and read._pyroHandshake == "hello"


def test_pickled_it_has_forgotten_and_copied_it_has_not(guarded: EventServiceStarter) -> None:
    proxy = IdentProxy(guarded.uri, SECRET)
    pickled = pickle.dumps(proxy)
    assert SECRET.encode() not in pickled and key_of(SECRET) not in pickled
    forgetful = pickle.loads(pickled)
    for lost in (forgetful, copy.copy(forgetful), copy.deepcopy(forgetful)):
        with lost, pytest.raises(AccessDeniedError, match="was pickled, which removes its passphrase"):
            lost.publish("A", 1)
    for kept in (copy.copy(proxy), copy.deepcopy(proxy), copy.deepcopy([proxy])[0]):
        with kept:
            assert kept.publish("A", 1) == 0


def every_copy(proxy: IdentProxy) -> Iterator[tuple[str, Proxy]]:
    """Every way to another proxy that Python or Pyro5 offers."""
    yield "copy", copy.copy(proxy)
    yield "deepcopy", copy.deepcopy(proxy)
    yield "deepcopy inside", copy.deepcopy({"proxy": [proxy]})["proxy"][0]
    yield "copy of a copy", copy.deepcopy(copy.copy(proxy))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        yield f"pickle {protocol}", pickle.loads(pickle.dumps(proxy, protocol))
    again = object.__new__(IdentProxy)
    again.__setstate__(proxy.__getstate__())
    yield "state", again


def test_no_copy_talks_to_a_service_that_proves_nothing(service: EventServiceStarter) -> None:
    uses: tuple[Callable[[Proxy], Any], ...] = (
        lambda copied: copied.publish("A", 1),
        lambda copied: copied._pyroBind(),
        lambda copied: BatchProxy(copied)._pyroInvoke("publish", ("A", 1), {}),
        lambda copied: copied._pyroReconnect(tries=1),
    )
    with IdentProxy(service.uri, SECRET) as proxy:
        for way, copied in every_copy(proxy):
            with copied:
                for use in uses:
                    with pytest.raises(AccessDeniedError):
                        use(copied)
                    assert copied._pyroConnection is None, way
    with Proxy(service.uri) as stock:
        assert stock.statistics()["published"] == 0


def test_a_copy_in_another_thread_proves_it_too(guarded: EventServiceStarter) -> None:
    with IdentProxy(guarded.uri, SECRET) as proxy:
        assert proxy.publish("A", 1) == 0
        answers = []

        def use() -> None:
            with copy.copy(proxy) as copied:
                answers.append(copied.publish("A", 1))
                batch = BatchProxy(copied)
                batch.publish("A", 1)
                answers.extend(batch())
                copied._pyroRelease()
                answers.append(copied.publish("A", 1))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join(10)
        proxy._pyroClaimOwnership()
        assert [*answers, proxy.publish("A", 1)] == [0, 0, 0, 0]


def test_its_handshake_data_cannot_be_replaced(guarded: EventServiceStarter) -> None:
    with IdentProxy(guarded.uri, SECRET) as proxy:
        proxy._pyroHandshake = "hello"
        assert proxy.publish("A", 1) == 0
        assert SECRET not in repr(proxy) + str(vars(proxy))


def test_the_private_method_that_we_stand_in_for_is_still_there() -> None:
    method = Proxy._Proxy__pyroCreateConnection
    assert list(inspect.signature(method).parameters) == ["self", "replaceUri", "connected_socket"]


# The name server


@pytest.fixture
def name_server() -> Iterator[NameServerStarter]:
    with NameServerStarter("127.0.0.1", 0, ident=SECRET) as starter:
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "127.0.0.1", Pyro5.api.URI(starter.uri).port
        yield starter


def test_a_guarded_name_server(name_server: NameServerStarter) -> None:
    with locate_ns(SECRET) as names:
        names.register("x", "PYRO:x@127.0.0.1:1")
        assert str(names.lookup("x")) == "PYRO:x@127.0.0.1:1"
        assert set(names.list()) == {"Pyro.NameServer", "x"}
    with locate_ns(ident=SECRET, host="localhost", port=Pyro5.config.NS_PORT) as names:
        assert names.count() == 2
    with pytest.raises(CommunicationError, match="denied"), Proxy(name_server.uri) as stock:
        stock.lookup("x")
    with pytest.raises(AccessDeniedError, match="does not accept"):
        locate_ns("another")
    Pyro5.config.PREFER_IP_VERSION = 6  # no broadcast, which takes two seconds
    with pytest.raises(NamingError):
        Pyro5.api.locate_ns()
    with pytest.raises(NamingError):
        locate_ns()


def test_a_guarded_name_server_with_clocks_that_differ(
    name_server: NameServerStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyro_events.transport.authentication.time.time", lambda: 1e9)
    with pytest.raises(ClocksDifferError) as caught:
        locate_ns(SECRET)
    assert caught.value.seconds > 1e8


def test_a_name_server_without_a_passphrase() -> None:
    with NameServerStarter("127.0.0.1", 0) as starter:
        port = Pyro5.api.URI(starter.uri).port
        with locate_ns(host="127.0.0.1", port=port) as names, Pyro5.api.locate_ns("127.0.0.1", port) as same:
            assert names == same
        with pytest.raises(AccessDeniedError, match="does not prove.*pyro_events.ns --ident-file"):
            locate_ns(SECRET, "127.0.0.1", port)


def test_a_stock_name_server_is_not_trusted() -> None:
    Pyro5.config.POLLTIMEOUT = 0.05
    with NameServerDaemon("127.0.0.1", 0) as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        with pytest.raises(AccessDeniedError, match="does not prove.*--embed-ns"):
            locate_ns(SECRET, "127.0.0.1", daemon.uriFor("x").port)
        daemon.shutdown()
        thread.join(10)


def test_no_name_server(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceNotFoundError, match=r"127.0.0.1:\d+.*pyro_events.ns"):
        locate_ns(SECRET, "127.0.0.1", free_port())


def test_an_ipv6_host(free_port: Callable[[], int]) -> None:
    for host in ("::1", "[::1]"):
        with pytest.raises(ServiceNotFoundError, match=r"\[::1\]:"):
            locate_ns(SECRET, host, free_port())


def test_a_name_server_that_ends_after_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(proxy: Proxy) -> None:
        raise CommunicationError("it has ended")

    with NameServerStarter("127.0.0.1", 0) as starter:
        port = Pyro5.api.URI(starter.uri).port
        monkeypatch.setattr(Proxy, "_pyroBind", ended)
        with pytest.raises(ServiceNotFoundError, match=f"found at 127.0.0.1:{port}: it has ended"):
            locate_ns(None, "127.0.0.1", port)
