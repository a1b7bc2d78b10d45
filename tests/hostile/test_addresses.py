"""Where the service may connect, what it says there, and which client may unsubscribe which subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from contract import account, running
from fake_subscriber import FakeSubscriber, fake_subscriber
from listening import collecting
from raw_client import RawClient, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.server import runner

# All of 127.0.0.0/8 is this host on Linux, so another address stands for another host.
other_host = pytest.mark.skipif(sys.platform != "linux", reason="there is only one loopback address here")
ELSEWHERE = "127.0.0.2"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventServiceStarter]:
    """On asyncio's own loop, whose name look-ups can be seen; none may happen."""
    looked_up: list[Any] = []
    original = socket.getaddrinfo

    def watched(host: Any, *arguments: Any, **named: Any) -> Any:
        looked_up.append(host)
        return original(host, *arguments, **named)

    monkeypatch.setattr(runner, "new_event_loop", asyncio.new_event_loop)
    with running(allow_callback=frozenset({"127.0.0.3"})) as one:
        monkeypatch.setattr(socket, "getaddrinfo", watched)
        yield one
        assert not [host for host in looked_up if host != "127.0.0.1"]
        with collecting(one.uri, "health") as collector, Publisher(es_uri=one.uri) as publisher:
            publisher.publish("health", 1)
            collector.wait(1)


def proxy(uri: object, methods: object = ("event",), serializer: object = "marshal") -> dict[str, Any]:
    """What a stock client's serializer makes of a proxy; the sender chooses everything in it."""
    return {"__class__": "Pyro5.client.Proxy", "state": [uri, ["event"], methods, ["x"], "EVIL", serializer]}


@contextlib.contextmanager
def client_at(uri: str, host: str) -> Iterator[RawClient]:
    """A client that connects from an address."""
    parsed = uri.partition("@")[2].rpartition(":")
    with raw_client(uri, greeted=False) as client:
        client.sock.close()
        client.sock = socket.create_connection((parsed[0], int(parsed[2])), 10, (host, 0))
        client.greet()
        yield client


# 18


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "example.invalid", "localhost", "0.0.0.0", "[::1]", "127.0.0.2", "169.254.169.254", "1"],
)
def test_another_host_is_not_connected_to(service: EventServiceStarter, host: str) -> None:
    """The caller's own is."""
    with fake_subscriber() as subscriber, raw_client(service.uri) as client:
        uri = f"PYRO:fake@{host}:{subscriber.port}"
        assert client.call("subscribe", "A", proxy(uri)) is None
        subscriber.greet()
        assert client.call("publish", "A", 1) == 1
        subscriber.take(1)
        assert account(service.uri, f"PYRO:fake@127.0.0.1:{subscriber.port}") is not None


@other_host
def test_a_host_that_is_allowed_is_connected_to(service: EventServiceStarter) -> None:
    with socket.create_server(("127.0.0.3", 0)) as listener, raw_client(service.uri) as client:
        listener.settimeout(10)
        client.call("subscribe", "A", f"PYRO:x@127.0.0.3:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        connection.close()
        eventually(lambda: client.call("publish", "A", 1) == 0)


@pytest.mark.parametrize(
    "uri",
    [
        "PYRONAME:affected",
        "PYRONAME:affected@example.invalid",
        "PYROMETA:class:affected",
        "PYRO:x@./u:/var/run/docker.sock",
        "PYRO:x@./p:pipe",
        "PYRO:x@127.0.0.1:65536",
        "http://127.0.0.1/",
        "PYRO:x\r\nSMTP: y@127.0.0.1:25",
    ],
)
def test_what_would_be_looked_up_elsewhere_is_refused(service: EventServiceStarter, uri: str) -> None:
    with raw_client(service.uri) as client:
        for form in (uri, proxy(uri), proxy(uri, [])):
            answer = client.call("subscribe", "A", form)
            assert answer["__class__"] in ("builtins.ValueError", "builtins.TypeError"), answer
        assert client.call("publish", "A", 1) == 0


@pytest.mark.parametrize(
    "answer", [b"", b"220 mail.example ESMTP\r\n", b"HTTP/1.0 400\r\n\r\n", b"-ERR\r\n" * 20]
)
def test_an_object_that_is_not_a_subscriber_is_sent_only_the_handshake(
    service: EventServiceStarter, answer: bytes
) -> None:
    """The subscribing client has chosen nothing in it but the object's name; there are no events, whatever is
    answered."""
    with socket.create_server(("127.0.0.1", 0)) as affected, Publisher(es_uri=service.uri) as publisher:
        affected.settimeout(10)
        with raw_client(service.uri) as client:
            client.call("subscribe", "A", proxy(f"PYRO:affected@127.0.0.1:{affected.getsockname()[1]}"))
        publisher.publish("A", "secret")
        connection, _ = affected.accept()
        with connection:
            connection.settimeout(0.3)
            received = connection.recv(65536)
            connection.sendall(answer)
            with contextlib.suppress(TimeoutError, ConnectionError):
                while data := connection.recv(65536):
                    received += data
        assert received.startswith(b"PYRO") and len(received) < 200
        assert b"EVIL" not in received and b"marshal" not in received and b"secret" not in received
    eventually(lambda: publisher_sees_nobody(service.uri))


def publisher_sees_nobody(uri: str) -> bool:
    with Publisher(es_uri=uri) as publisher:
        return publisher.publish("A", 1) == 0


# 21


@other_host
def test_nobody_is_unsubscribed_from_another_host(service: EventServiceStarter) -> None:
    with fake_subscriber() as subscriber, raw_client(service.uri) as client:
        assert client.call("subscribe", "A", subscriber.uri) is None
        subscriber.greet()
        with client_at(service.uri, ELSEWHERE) as stranger:
            for form in forms(subscriber):
                assert stranger.call("unsubscribe", "A", form) == -1
            assert stranger.call("subscribe", "A", subscriber.uri, {"backlog": 1}) is None
            # That is somebody else, at the stranger's address, where nobody listens.
        eventually(lambda: account(service.uri, f"PYRO:fake@{ELSEWHERE}:{subscriber.port}") is None)
        assert client.call("publish", "A", 1) == 1
        subscriber.take(1)
        assert client.call("unsubscribe", "A", subscriber.uri) == 0
        assert client.call("publish", "A", 1) == 0


def forms(subscriber: FakeSubscriber) -> list[Any]:
    port = subscriber.port
    return [
        subscriber.uri,
        proxy(subscriber.uri),
        {"__class__": "Pyro5.core.URI", "state": ["PYRO", "fake", None, "127.0.0.1", port]},
        f"PYRO:fake@127.0.0.3:{port}",
    ]


@other_host
def test_a_host_that_is_allowed_is_not_unsubscribed_by_another_one(service: EventServiceStarter) -> None:
    with socket.create_server(("127.0.0.3", 0)) as listener, client_at(service.uri, "127.0.0.1") as gateway:
        uri = f"PYRO:x@127.0.0.3:{listener.getsockname()[1]}"
        assert gateway.call("subscribe", "A", uri) is None
        with client_at(service.uri, ELSEWHERE) as stranger:
            stranger.call("unsubscribe", "A", uri)
        assert account(service.uri, uri) is not None
        assert gateway.call("publish", "A", 1) == 1
        with client_at(service.uri, "127.0.0.3") as itself:
            assert itself.call("unsubscribe", "A", uri) == 0
        assert gateway.call("publish", "A", 1) == 0
