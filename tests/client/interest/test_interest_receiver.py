"""The connection over which a publisher is told who listens: what is said on it, and what is watched."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from contract import statistics
from fake_service import fake_service
from raw_client import raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, EventStream, ServiceUnreachableError, service_threads
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.interest.interest_receiver import InterestReceiver, read_said
from pyro_events.codec.message import encode
from pyro_events.log.background import background
from pyro_events.wire.handshake.capabilities import OWN_CONNECTION


def test_a_row_says_how_many_listeners_a_subject_has() -> None:
    assert read_said(("A", 1.0, 1, 0, encode(3))) == ("A", 3)
    assert read_said(("A", 1.0, 1, None, encode(0))) == ("A", 0)


@pytest.mark.parametrize("payload", [encode("many"), encode(True), encode(-1), encode(None), b"\xc1", b""])
def test_a_row_that_says_something_else_is_logged_and_nothing(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_said(("A", 1.0, 1, 0, payload)) is None
        background.flush(timeout=10)
    assert "has said of the listeners of 'A'" in caplog.text


@pytest.fixture
def receiver(service: EventServiceStarter) -> Iterator[InterestReceiver]:
    receiver = InterestReceiver(ServiceLocator(service.uri, name="camera"))
    receiver.start()
    yield receiver
    receiver.end()


def said(receiver: InterestReceiver, count: int) -> list[tuple[str, int]]:
    found: list[Any] = [read_said(receiver.source.take(None)) for _ in range(count)]  # type: ignore[arg-type]
    return [tuple(each) for each in found]


def test_it_is_told_of_what_it_watches(service: EventServiceStarter, receiver: InterestReceiver) -> None:
    receiver.watch(["A", "B"])
    assert said(receiver, 2) == [("A", 0), ("B", 0)]
    with EventStream("a", es_uri=service.uri):
        assert said(receiver, 1) == [("A", 1)]
    assert said(receiver, 1) == [("A", 0)]
    receiver.unwatch(["A"])
    assert receiver.remote.texts() == ("B",)
    with raw_client(service.uri) as client:
        standing = client.call("statistics", {"subscriber": receiver.attached.subscriber})
    assert standing["subscriptions"] == 1


def test_what_is_not_wanted_any_more_needs_no_service(
    service: EventServiceStarter, receiver: InterestReceiver
) -> None:
    receiver.watch(["A", "B"])
    service.shutdown()
    receiver.unwatch(["A"])
    assert receiver.remote.texts() == ("B",)


def test_what_cannot_be_watched_again_is_logged(
    receiver: InterestReceiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> None:
        raise ServiceUnreachableError("it is away")

    receiver.watch_again(["A"])
    assert said(receiver, 1) == [("A", 0)]
    monkeypatch.setattr(receiver.remote, "subscribe_to", away)
    receiver.watch_again(["A"])
    assert "may not tell who listens to ['A']: " in caplog.text


def test_in_the_thread_of_a_service_nothing_is_said(receiver: InterestReceiver) -> None:
    receiver.watch(["A"])
    service_threads.enter()
    try:
        receiver.unwatch(["A"])
    finally:
        service_threads.leave()
    assert receiver.remote.texts() == ()


def test_its_end_needs_no_word_and_is_noticed(
    service: EventServiceStarter, receiver: InterestReceiver
) -> None:
    receiver.watch(["A"])
    assert statistics(service.uri)["subscription_bytes"] > 0
    receiver.end()
    eventually(lambda: statistics(service.uri)["subscription_bytes"] == 0)
    receiver.end()


def test_a_service_that_cannot_tell_who_listens_is_found_out() -> None:
    with (
        fake_service(capabilities=[OWN_CONNECTION]) as older,
        pytest.raises(ServiceUnreachableError, match="does not tell publishers who listens: start it"),
    ):
        InterestReceiver(ServiceLocator(older.uri))
