"""Sending in order: what is buffered goes first, and a thread in the middle of it never waits for itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from fake_service import Answering, FakeService, fake_service
from waiting import eventually

from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.publishing.sender import Sender
from pyro_events.errors import AnswerTimeoutError, EventServiceError


class Buffering:
    """A buffer that notes when it is sent. willing: whether it can be sent in time."""

    def __init__(self, buffered: int = 0, willing: bool = True) -> None:
        self.buffered, self.willing = buffered, willing
        self.frames = 0
        self.sent: list[str] = []
        self.discarded = False

    def send_buffered(self, deadline: float | None) -> bool:
        if self.willing:
            self.sent.append(threading.current_thread().name)
            self.buffered, self.frames = 0, self.frames + 1
        return self.willing

    def discard(self) -> None:
        self.discarded = True


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def sender(fake: FakeService) -> Iterator[Sender]:
    sender = Sender(ServiceLocator(fake.uri, name="a test"))
    service = Answering(fake.next())
    yield sender
    sender.close()
    service.join()


def test_what_is_buffered_goes_first(sender: Sender) -> None:
    buffer, empty = Buffering(5), Buffering()
    sender.exclusively(lambda: sender.enter(buffer))
    sender.exclusively(lambda: sender.enter(empty))
    assert buffer.sent == [threading.current_thread().name] and not empty.sent
    buffer.buffered = 2
    assert sender.publish(("A", b"\x01"), 1) == 1
    assert len(buffer.sent) == 2 and not empty.sent and sender.current is empty


def test_what_cannot_be_sent_in_time_is_not_overtaken(sender: Sender) -> None:
    sender.exclusively(lambda: sender.enter(Buffering(5, willing=False)))
    with pytest.raises(AnswerTimeoutError, match="it was not made"):
        sender.publish(("A", b"\x01"), 1, timeout=5.0)
    assert sender.statistics().published == 0


def test_one_that_has_left_is_not_sent_any_more(sender: Sender) -> None:
    buffer = Buffering()
    sender.exclusively(lambda: sender.enter(buffer))
    sender.exclusively(lambda: sender.leave(buffer))
    buffer.buffered = 1
    assert sender.publish(("A", b"\x01"), 1) == 1
    assert not buffer.sent and sender.current is None


def test_a_thread_in_the_middle_publishes_beside_it(sender: Sender, fake: FakeService) -> None:
    services: list[Answering] = []

    def inside() -> int:
        assert sender.entered
        beside = sender.beside()
        assert sender.beside() is beside and beside is not sender
        services.append(Answering(fake.next()))
        return beside.publish(("A", b"\x01"), 1)

    assert sender.exclusively(inside) == 1
    assert not sender.entered
    assert sender.statistics().published == 1  # which counts for this one
    sender.close()
    services[0].join()


def test_another_thread_is_not_in_the_middle(sender: Sender) -> None:
    found: list[bool] = []

    def inside() -> None:
        thread = threading.Thread(target=lambda: found.append(sender.entered))
        thread.start()
        thread.join()

    sender.exclusively(inside)
    assert found == [False]


def test_the_flusher_sends_what_stays_buffered(sender: Sender) -> None:
    buffer = Buffering()
    sender.exclusively(lambda: sender.enter(buffer))
    buffer.buffered = 1
    assert sender.resting
    sender.wake_flusher()
    eventually(lambda: buffer.sent)
    assert buffer.sent == ["pyro_events-pipeline"]
    eventually(lambda: sender.resting)  # and then it sleeps
    buffer.buffered = 1
    sender.wake_flusher()
    eventually(lambda: len(buffer.sent) == 2)


def test_what_is_closed_sends_nothing(sender: Sender) -> None:
    sender.close()
    sender.close()
    with pytest.raises(EventServiceError, match="closed"):
        sender.publish(("A", b"\x01"), 1)
    assert not sender.statistics().connected


def test_a_forked_child_drops_what_is_the_parents(sender: Sender) -> None:
    buffer = Buffering(3)
    sender.exclusively(lambda: sender.enter(buffer))
    sender.forked()
    assert buffer.discarded and sender.resting and not sender.entered


def test_nobody_answers() -> None:
    with fake_service() as fake, closing(Sender(ServiceLocator(fake.uri, name="a test"))) as sender:
        fake.next()
        with pytest.raises(AnswerTimeoutError):
            sender.publish(("A", b"\x01"), 3, timeout=0.05)
        assert sender.statistics().unknown == 3
