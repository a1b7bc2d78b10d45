"""One client of the service: what the contract's tests do not reach."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import Pyro5.errors
import pytest
import serpent
from contract import running, statistics
from fake_subscriber import fake_subscriber
from listening import collecting
from Pyro5.api import Proxy
from raw_client import RawClient, call_body, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher, ServiceUnreachableError
from pyro_events.codec.message import encode
from pyro_events.server.clients import call_queue
from pyro_events.wire.frames import (
    BATCH,
    CONNECT_FAIL,
    INVOKE,
    MSGPACK,
    ONEWAY,
    PING,
    SERPENT,
    Frame,
    write_frame,
)


def test_answers_come_in_the_order_of_the_calls(service: EventServiceStarter) -> None:
    """Also when one in the middle is read in another thread."""
    with collecting(service.uri, "A") as collector, raw_client(service.uri) as client:
        slow = repr(("Pyro.EventService", "publish", ("A", "x" * 30_000), {})).encode()
        frames = b""
        for seq in range(1, 100):
            if seq % 10 == 0:
                frames += write_frame(INVOKE, 0, SERPENT, seq, slow)
            elif seq % 10 == 5:
                frames += write_frame(PING, 0, MSGPACK, seq, b"ping")
            else:
                body = call_body("publish_encoded", [["A", encode(seq)]])
                frames += write_frame(INVOKE, 0, MSGPACK, seq, body)
        client.send(frames)
        answers = [client.frame() for _ in range(1, 100)]
        assert [frame.seq for frame in answers if frame is not None] == list(range(1, 100))
        expected = [seq if seq % 10 else "x" * 30_000 for seq in range(1, 100) if seq % 10 != 5]
        collector.wait(len(expected))
        assert collector.messages() == expected


def test_a_client_that_sends_much_at_once_waits_for_its_turn(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two send a thousand calls each while the service is busy: they are made in turn."""
    busy, begun = threading.Event(), threading.Event()

    def hold(self: object) -> None:
        begun.set()
        busy.wait(10)
        raise ValueError("that was all")

    monkeypatch.setattr("pyro_events.server.engine.Engine.statistics", hold)
    with (
        collecting(service.uri, "A") as collector,
        raw_client(service.uri) as holder,
        raw_client(service.uri) as one,
        raw_client(service.uri) as two,
    ):
        holder.send_call("statistics")
        assert begun.wait(10)
        for client, name in ((one, "one"), (two, "two")):
            for number in range(1000):
                client.send_call("publish", "A", [name, number])
        busy.set()
        collector.wait(2000)
        names = [name for name, _ in collector.messages()]
        assert 0 < names[:1000].count("one") < 1000  # in turn by the time that they take, not by calls
        for client in (one, two):
            answers = [client.frame() for _ in range(1000)]
            assert [frame.seq for frame in answers if frame is not None] == list(range(1, 1001))


def test_a_call_that_waits_for_its_turn_is_made_though_its_client_has_gone(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends and leaves while others keep the service busy."""
    busy, begun = threading.Event(), threading.Event()

    def hold(self: object) -> None:
        begun.set()
        busy.wait(10)
        raise ValueError("that was all")

    monkeypatch.setattr("pyro_events.server.engine.Engine.statistics", hold)
    with (
        collecting(service.uri, "A") as collector,
        raw_client(service.uri) as holder,
        raw_client(service.uri) as client,
    ):
        holder.send_call("statistics")
        assert begun.wait(10)
        client.send_call("publish", "A", 1, flags=ONEWAY)
        client.sock.shutdown(socket.SHUT_WR)
        busy.set()
        collector.wait(1)
        client.wait_for_end()


@pytest.mark.parametrize("batch", [False, True])
def test_a_text_answer_is_written_elsewhere_and_in_its_turn(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    """Others are served while it is being written, and what the same client asks comes after it."""
    written, begun, going_on = call_queue.written, threading.Event(), threading.Event()

    def slowly(frame: Frame, result: Any, peer: str) -> bytes:
        if frame.serializer_id == SERPENT and isinstance(result, (dict, list)):
            begun.set()
            assert going_on.wait(10)
        return written(frame, result, peer)

    monkeypatch.setattr(call_queue, "written", slowly)
    monkeypatch.setattr(call_queue, "_SLOW_SIZE", 10)
    call = ("statistics", (), {})
    whole = ("<batch>", [call], {}) if batch else call
    with raw_client(service.uri) as slow, raw_client(service.uri) as quick:
        body = serpent.dumps(("Pyro.EventService", *whole))
        slow.send(write_frame(INVOKE, BATCH if batch else 0, SERPENT, 1, body))
        slow.send(write_frame(PING, 0, MSGPACK, 2, b"ping"))
        assert begun.wait(10)
        assert quick.call("publish", "A", 1) == 0
        going_on.set()
        first, second = slow.frame(), slow.frame()
        assert first is not None and second is not None
        assert (first.seq, second.seq) == (1, 2)
        answer = serpent.loads(first.payload)
        assert (answer[0] if batch else answer)["connections"] == 2


def test_a_client_that_leaves_while_its_answer_is_written(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, begun, left = call_queue.written, threading.Event(), threading.Event()

    def late(frame: Frame, result: Any, peer: str) -> bytes:
        if frame.serializer_id == SERPENT:
            begun.set()
            assert left.wait(10)
        return written(frame, result, peer)

    monkeypatch.setattr(call_queue, "written", late)
    monkeypatch.setattr(call_queue, "_SLOW_SIZE", 10)
    with raw_client(service.uri) as client:
        body = serpent.dumps(("Pyro.EventService", "statistics", (), {}))
        client.send(write_frame(INVOKE, 0, SERPENT, 1, body))
        assert begun.wait(10)
    left.set()
    eventually(lambda: statistics(service.uri)["connections"] == 1)


def test_answers_that_are_not_read_count_towards_the_total(caplog: pytest.LogCaptureFixture) -> None:
    with (
        running(total_backlog_bytes=1 << 20) as service,
        fake_subscriber() as subscriber,
        raw_client(service.uri) as client,
        contextlib.ExitStack() as stack,
    ):
        for start in range(10):
            client.call("subscribe", [f"{start}.{n}".ljust(200, ".") for n in range(300)], subscriber.uri)
        for _ in range(20):  # kernels hold several megabytes of each
            greedy = stack.enter_context(raw_client(service.uri))
            for _ in range(20):
                greedy.send_call("statistics")
        eventually(lambda: "does not read its answers" in caplog.text)
        assert client.call("publish", "A", 1) == 0


def test_a_client_that_leaves_while_its_call_is_read(service: EventServiceStarter) -> None:
    slow = repr(("Pyro.EventService", "publish", ("A", ["x"] * 10_000), {})).encode()
    for _ in range(20):
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, 0, SERPENT, 1, slow))
    eventually(lambda: statistics(service.uri)["connections"] == 1)


def test_connections_are_bounded_and_the_rest_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with running(max_connections=3, max_per_host=3) as service:
        inside = [Publisher(es_uri=service.uri) for _ in range(3)]
        with RawClient(service.uri) as client:
            frame = client.frame()
            assert frame is not None and frame.type == CONNECT_FAIL
            client.wait_for_end()
        with pytest.raises(ServiceUnreachableError, match="has 3 connections, which is its limit"):
            Publisher(es_uri=service.uri)
        with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
            stock.statistics()
        assert "has 3 connections, which is its limit" in caplog.text
        assert inside[0].publish("A", 1) == 0
        inside.pop().close()
        newcomer = eventually(lambda: admitted(service.uri))
        assert newcomer.publish("A", 1) == 0
        for each in [newcomer, *inside]:
            each.close()


def admitted(uri: str) -> Publisher | None:
    try:
        return Publisher(es_uri=uri)
    except ServiceUnreachableError:
        return None


def test_an_error_of_ours_says_no_more_than_that(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("pyro_events.server.engine.Engine.statistics", broken)
    with raw_client(service.uri) as client:
        answer = client.call("statistics")
        assert answer["__class__"] == "Pyro5.errors.PyroError"
        assert "secret" not in str(answer)
        assert "its log says why" in str(answer)
        assert client.call("publish", "A", 1) == 0
    assert "secret" in caplog.text
