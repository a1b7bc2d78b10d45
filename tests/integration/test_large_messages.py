"""How large a message may be: publishers and subscribers learn it from their service."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import Pyro5.api
import pytest
from contract import statistics
from listening import Collecting, Collector, collecting, listening
from waiting import eventually

from pyro_events import BacklogOptions, EventServiceStarter, MessageTooLargeError, Publisher, ServiceOptions
from pyro_events.client.daemon.guarded_connection import GuardedConnection
from pyro_events.constants import MAX_STOCK_CALL, MIB
from pyro_events.wire.frames import INVOKE, MSGPACK, FrameReader, write_header
from pyro_events.wire.handshake.messages import answer_limits, write_connect
from pyro_events.wire.msgpack_pool import pack


def started(port: int = 0, max_message: int = 0, **options: Any) -> EventServiceStarter:
    wanted = ServiceOptions(**({"max_message": max_message} if max_message else {}), **options)
    return EventServiceStarter(host="127.0.0.1", port=port, use_ns=False, options=wanted)


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


def refused(publisher: Publisher, message: object, limit: int) -> None:
    before = publisher.statistics()
    with pytest.raises(MessageTooLargeError, match=f"is {limit:,} .*--max-message"):
        publisher.publish("A", message)
    with publisher.pipeline() as fast:
        with pytest.raises(MessageTooLargeError, match="--max-message"):
            fast.publish("A", message)
        fast.publish("A", "small")
    assert publisher.statistics().reconnects == before.reconnects, "nothing was sent, so nothing broke"


def test_the_camera_of_the_design(collect: Collecting) -> None:
    picture = np.arange(2048 * 2048, dtype=np.uint16).reshape(2048, 2048)
    with (
        started() as service,
        collect(service.uri, "A") as collector,
        Publisher(es_uri=service.uri) as camera,
    ):
        assert camera.publish("A", {"picture": picture, "at": 1.5}) == 1
        assert camera.publish("A", picture) == 1
        first, second = collector.wait(2)
        assert (first.msg["picture"] == picture).all() and (second.msg == picture).all()
        refused(camera, bytes(16 * MIB), 16 * MIB)


def test_more_than_a_backlog_holds(collect: Collecting) -> None:
    options = {"backlog": BacklogOptions(backlog_bytes=MIB), "max_message": 100 * MIB}
    with started(**options) as service, Publisher(es_uri=service.uri) as publisher:
        with collect(service.uri, "A") as collector:
            for size in (40 * MIB, 90 * MIB):
                assert publisher.publish("A", bytes(size)) == 1
            with publisher.pipeline() as fast:
                fast.publish("A", [bytes(20 * MIB), "in a list"])
                fast.publish("A", "after it")
            events = collector.wait(4, 60)
            assert [len(event.msg) for event in events] == [40 * MIB, 90 * MIB, 2, len("after it")]
            assert [event.seq for event in events] == [1, 2, 3, 4]
        refused(publisher, bytes(100 * MIB), 100 * MIB)
        assert statistics(service.uri)["published"] == 5


def test_a_service_that_comes_back_with_another_bound(port: int) -> None:
    message = bytes(2 * MIB)
    with started(port, MIB, drain=0.1) as service:
        collector = Collector(service.uri)
        collector.subscribe("A")
        publisher = Publisher(es_uri=service.uri)
        refused(publisher, message, MIB)
    with listening(collector), publisher:
        with started(port, 4 * MIB) as service:
            eventually(lambda: statistics(service.uri)["subscribers"], 20, "subscribed again")
            assert publisher.publish("A", message) == 1
            assert publisher.publish("A", "x") == 1
            eventually(lambda: "x" in collector.messages(), 20, "the small message")
            assert message in collector.messages()
        with started(port, MIB) as service:
            eventually(lambda: statistics(service.uri)["subscribers"], 20, "subscribed again")
            with pytest.raises(MessageTooLargeError, match="is 1,048,576 "):
                publisher.publish("A", message)
            assert publisher.publish("A", "y") == 1
            eventually(lambda: "y" in collector.messages(), 20, "the small message")


@Pyro5.api.expose
class Other:
    """An object of the program's own, on the daemon of its subscriber."""

    def event(self, event: object) -> None:
        pytest.fail("nobody publishes to it")


class Stranger:
    """Connects to a subscriber's daemon and claims to be a service."""

    def __init__(self, uri: str, object_id: str, says: int | None) -> None:
        host, _, port = uri.rpartition("@")[2].partition(":")
        self.sock = socket.create_connection((host, int(port)), 10)
        self.sock.sendall(write_connect(object_id, "hello", max_message=says))
        self.reader = FrameReader(answer_limits())

    def begins(self, size: int) -> bool:
        """Announce a call of that size; whether the daemon goes on reading."""
        eventually(lambda: self._greeted(), 10, "the greeting")
        self.sock.sendall(write_header(INVOKE, 0, MSGPACK, 1, size) + pack(["x"])[:1])
        self.sock.settimeout(0.5)
        try:
            return self.sock.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    def _greeted(self) -> bool:
        self.reader.feed(self.sock.recv(65536))
        return self.reader.next_frame() is not None


@pytest.mark.parametrize(
    ("ours", "says", "size", "taken"),
    [
        (True, None, 16 * MIB, True),
        (True, 256 * MIB, 16 * MIB, True),
        (True, 256 * MIB, 20 * MIB, False),
        (True, MIB, 2 * MIB, False),
        (False, 256 * MIB, MAX_STOCK_CALL, True),
        (False, 256 * MIB, 2 * MAX_STOCK_CALL, False),
    ],
)
def test_a_stranger_claims_no_more_memory_than_the_service_may(
    ours: bool, says: int | None, size: int, taken: bool
) -> None:
    with started() as service, collecting(service.uri, "A") as collector:
        uri = collector.statistics().uri
        collector.daemon.register(Other(), "other")
        object_id = uri.partition(":")[2].partition("@")[0] if ours else "other"
        stranger = Stranger(uri, object_id, says)
        with closing(stranger.sock):
            assert stranger.begins(size) is taken


def test_a_proved_service_is_believed() -> None:
    options = ServiceOptions(max_message=40 * MIB)
    ident = "open sesame"
    starter = EventServiceStarter(ident=ident, host="127.0.0.1", port=0, use_ns=False, options=options)
    with starter as service, collecting(service.uri, "A", ident=ident) as collector:
        with Publisher(ident, service.uri) as publisher:
            assert publisher.publish("A", bytes(30 * MIB)) == 1
        assert len(collector.wait(1, 30)[0].msg) == 30 * MIB


def test_bounds_are_set_before_anything_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes with the greeting in one piece is judged by the bound of the greeting's sender."""
    bounds: list[int] = []
    real = GuardedConnection.expect_batches

    def expect(connection: GuardedConnection, max_message: int) -> None:
        bounds.append(max_message)
        real(connection, max_message)

    monkeypatch.setattr(GuardedConnection, "expect_batches", expect)
    with started(max_message=3 * MIB) as service, collecting(service.uri, "A") as collector:
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", bytes(2 * MIB)) == 1
        collector.wait(1)
    assert bounds == [3 * MIB]
