"""What one client can make the service hold or do, found by review."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from contract import running, subscribe
from fake_subscriber import fake_subscriber
from Pyro5.api import Proxy
from raw_client import raw_client
from waiting import eventually

from pyro_events import (
    EventServiceStarter,
    Publisher,
    ServiceNotFoundError,
)
from pyro_events.server.names.registration import NamingTimes
from pyro_events.server.subscribers.callbacks.callback_address import read_subscriber
from pyro_events.transport.addresses import MAX_URI


@pytest.mark.parametrize(
    "uri", ["PYRO:" + "a@" * 30_000 + "\nx", "PYRO:a\nb@127.0.0.1:1", "x" * (MAX_URI + 1)]
)
def test_a_uri_that_is_none_is_refused_before_it_is_taken_apart(uri: str) -> None:
    with pytest.raises(ValueError, match="not a Pyro URI") as refusal:
        read_subscriber(uri, "127.0.0.1", frozenset())
    assert len(str(refusal.value)) < 400


def test_a_client_that_leaves_while_it_is_held_up_is_noticed() -> None:
    with (
        running(backlog=1, delivery_deadline=60.0) as service,
        fake_subscriber() as subscriber,
        Proxy(service.uri) as proxy,
    ):
        subscribe(service.uri, subscriber.uri, "A")
        with raw_client(service.uri) as client:
            for _ in range(5):
                client.send_call("publish", "A", 1)
            eventually(lambda: proxy.statistics()["published"] == 2)
            assert proxy.statistics()["connections"] == 2
        eventually(lambda: proxy.statistics()["connections"] == 1)


def test_half_read_messages_count_towards_the_total() -> None:
    header = struct.pack("!4sHBBHHII16sHH", b"PYRO", 502, 4, 4, 0, 1, 1 << 20, 0, bytes(16), 0, 0x4DC5)
    with running(total_backlog_bytes=1 << 20) as service, raw_client(service.uri) as first:
        first.send(header + bytes(800_000))
        with raw_client(service.uri) as second:
            second.send(header + bytes(800_000))
            first.wait_for_end()
            with Publisher(es_uri=service.uri) as publisher:
                assert publisher.publish("A", 1) == 0


def test_a_call_with_many_names_and_a_large_message_stops_at_the_bound() -> None:
    with running(backlog=10_000) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        with Publisher(es_uri=service.uri) as publisher, Proxy(service.uri) as proxy:
            done = threading.Event()

            def publish() -> None:
                publisher.publish(["A"] * 1_000, bytes(300_000))
                done.set()

            thread = threading.Thread(target=publish)
            thread.start()
            eventually(lambda: proxy.statistics()["published"] > 2)
            assert proxy.statistics()["backlog_bytes"] < 3 << 20
            assert not done.is_set()
            proxy.subscribe("A", subscriber.uri, {"overflow": "drop-oldest"})
            thread.join(30)
            assert done.is_set(), "new options free a publisher that is held up"


def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    class Quick(EventServiceStarter):
        _naming_times = NamingTimes(entry=0.5)

    class Patient(EventServiceStarter):
        _naming_times = NamingTimes(entry=60.0)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        service = Quick("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port)
        with pytest.raises(ServiceNotFoundError, match=r"has not answered within 0.5 s"):
            service.start()
        other: Any = Patient("127.0.0.1", 0, ns_host="127.0.0.1", ns_port=port)
        thread = threading.Thread(target=other.start)
        thread.start()
        eventually(lambda: other._stopping is not None)
        other.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def test_the_embedded_name_server_answers_every_serializer() -> None:
    with EventServiceStarter("127.0.0.1", 0, embed_ns=True, ns_host="127.0.0.1", ns_port=0) as service:
        for serializer in ("serpent", "json", "msgpack"):
            with Proxy(service.ns_uri) as names:
                names._pyroSerializer = serializer
                listed = names.list(return_metadata=True)
                assert set(listed) == {"Pyro.NameServer", "Pyro.EventService"}
                assert names.lookup("Pyro.NameServer", return_metadata=True)[1]
