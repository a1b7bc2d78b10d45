"""One client of the service: what the contract's tests do not reach."""

from __future__ import annotations

import Pyro5.errors
import pytest
from contract import running, statistics
from listening import collecting
from Pyro5.api import Proxy
from raw_client import RawClient, call_body, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher, ServiceUnreachableError
from pyro_events.codec import encode
from pyro_events.wire.frames import CONNECT_FAIL, INVOKE, MSGPACK, PING, SERPENT, write_frame


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


def test_a_client_that_leaves_while_its_call_is_read(service: EventServiceStarter) -> None:
    slow = repr(("Pyro.EventService", "publish", ("A", ["x"] * 10_000), {})).encode()
    for _ in range(20):
        with raw_client(service.uri) as client:
            client.send(write_frame(INVOKE, 0, SERPENT, 1, slow))
    eventually(lambda: statistics(service.uri)["connections"] == 1)


def test_connections_are_bounded_and_the_rest_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with running(max_connections=3) as service:
        inside = [Publisher(es_uri=service.uri) for _ in range(3)]
        with RawClient(service.uri) as client:
            frame = client.frame()
            assert frame is not None and frame.type == CONNECT_FAIL
            client.wait_for_end()
        with pytest.raises(ServiceUnreachableError, match="all 3 connections"):
            Publisher(es_uri=service.uri)
        with Proxy(service.uri) as stock, pytest.raises(Pyro5.errors.CommunicationError):
            stock.statistics()
        assert "all 3 connections are taken" in caplog.text
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
