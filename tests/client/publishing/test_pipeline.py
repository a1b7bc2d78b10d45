"""Pipelines: order, frames, acknowledgements, and what a broken connection leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fake_service import Answering, FakeConnection, FakeService, fake_service
from waiting import eventually

from pyro_events.client.publisher import Publisher
from pyro_events.client.publishing import sender
from pyro_events.client.publishing.frames import FRAME_BYTES, FRAME_EVENTS, WINDOW
from pyro_events.codec.message import decode, encode
from pyro_events.constants import MAX_MESSAGE, MAX_STOCK_CALL
from pyro_events.errors import (
    EventServiceError,
    MessageTooLargeError,
    OutcomeUnknownError,
    PipelineError,
    PipelineOutcomeUnknownError,
    ServiceUnreachableError,
    UnsupportedTypeError,
)


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def publisher(fake: FakeService) -> Iterator[Publisher]:
    with Publisher(es_uri=fake.uri) as publisher:
        yield publisher


def contents(batches: list[list[Any]]) -> list[tuple[Any, Any]]:
    """All entries in order: (subjects, message)."""
    return [(subjects, decode(payload)) for batch in batches for subjects, payload in batch]


def numbers(error: BaseException) -> tuple[int, int, int, int]:
    assert isinstance(error, PipelineError)
    return error.published, error.not_published, error.unknown, error.pending


def test_what_repr_says(fake: FakeService) -> None:
    with Publisher(es_uri=fake.uri, name="market") as publisher:
        service = Answering(fake.next())
        with publisher.pipeline() as fast:
            assert (
                repr(fast)
                == f"<Pipeline of 'market' to {fake.uri}, open, 0 events pending, 0 deliveries queued>"
            )
            fast.publish(["A", "B"], 1)
            fast.flush()
        assert (
            repr(fast)
            == f"<Pipeline of 'market' to {fake.uri}, finished, 0 events pending, 1 deliveries queued>"
        )
        assert service.batches


def test_everything_arrives_in_order(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        for number in range(2000):
            fast.publish("S", number)
    assert fast.queued == 2000
    assert contents(service.batches) == [("S", number) for number in range(2000)]
    assert len(service.batches) < 200 and max(map(len, service.batches)) <= FRAME_EVENTS
    statistics = publisher.statistics()
    assert (statistics.published, statistics.queued, statistics.unknown) == (2000, 2000, 0)
    publisher.close()
    service.join()


def test_several_subjects_and_none(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        fast.publish((name for name in ("a", "b")), 1)
        fast.publish([], 2)
        assert fast.flush() == 1
        assert fast.flush() == 0
        fast.publish("c", 3)
        assert fast.flush() == 1
    assert contents(service.batches) == [(["a", "b"], 1), ("c", 3)]
    assert publisher.statistics().published == 3
    publisher.close()
    service.join()


def test_frames_keep_below_the_limit_of_a_call(fake: FakeService, publisher: Publisher) -> None:
    connection = fake.next()
    service = Answering(connection)
    large = bytes(40_000)
    with publisher.pipeline() as fast:
        for _ in range(10):
            fast.publish("S", bytes(25_000))
        fast.publish("S", large)
        fast.publish("S", b"last")
    sizes = [[len(decode(payload)) for _, payload in batch] for batch in service.batches]
    assert all(sum(batch) < FRAME_BYTES for batch in sizes)
    assert sizes[-2:] == [[40_000], [4]] and sum(sizes, []) == [25_000] * 10 + [40_000, 4]
    publisher.close()
    service.join()


def test_a_frame_whose_size_was_miscounted_is_cut(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        for number in range(8):
            fast._size = 0  # as if other threads had lost count
            fast.publish(str(number), bytes(20_000))
    assert [subjects for subjects, _ in contents(service.batches)] == [str(number) for number in range(8)]
    assert all(len(batch) * 20_000 < MAX_STOCK_CALL for batch in service.batches)
    publisher.close()
    service.join()


def test_nothing_lingers_when_the_program_pauses(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        for number in range(3):
            fast.publish("S", number)
            eventually(lambda number=number: len(service.batches) > number)
        eventually(lambda: publisher._Publisher__sender.resting)  # type: ignore[attr-defined]
        fast.publish("S", 3)
        eventually(lambda: len(service.batches) == 4)
    publisher.close()
    service.join()


def test_the_window_bounds_what_is_unacknowledged(
    fake: FakeService, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FLUSH_DELAY", 60.0)  # so that every frame is a full one
    connection = fake.next()
    sent = threading.Event()

    def publish() -> None:
        with publisher.pipeline() as fast:
            for _ in range(FRAME_EVENTS * (WINDOW + 1)):
                fast.publish("S", 1)
            sent.set()

    thread = threading.Thread(target=publish)
    thread.start()
    calls = [connection.call() for _ in range(WINDOW)]
    assert not sent.is_set()
    connection.answer(calls[0][0], FRAME_EVENTS)
    calls.append(connection.call())
    assert sent.wait(10)
    for seq, _, _ in calls[1:]:
        connection.answer(seq, FRAME_EVENTS)
    thread.join(10)
    assert publisher.statistics().published == FRAME_EVENTS * (WINDOW + 1)


def test_a_bad_message_or_subject_concerns_itself_alone(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        fast.publish("S", 1)
        with pytest.raises(UnsupportedTypeError):
            fast.publish("S", object())
        with pytest.raises(ValueError, match="empty"):
            fast.publish("", 2)
        with pytest.raises(MessageTooLargeError):
            fast.publish("S", bytes(MAX_MESSAGE))
        fast.publish("S", 3)
    assert contents(service.batches) == [("S", 1), ("S", 3)]
    publisher.close()
    service.join()


def test_a_broken_connection_says_how_many_events_it_concerns(
    fake: FakeService, publisher: Publisher
) -> None:
    connection = fake.next()
    broken = pytest.raises(OutcomeUnknownError, match="of 513 it is unknown")
    with broken as caught, publisher.pipeline() as fast:
        for _ in range(FRAME_EVENTS):
            fast.publish("S", 1)
        connection.call()
        fast.publish("S", 2)
        threading.Thread(target=lambda: (connection.call(), connection.close())).start()
        fast.flush()
    assert publisher.statistics().unknown == 513
    assert numbers(caught.value) == (0, 0, 513, 0)


def test_after_an_error_a_pipeline_goes_on(fake: FakeService, publisher: Publisher) -> None:
    connection = fake.next()
    with publisher.pipeline() as fast:
        fast.publish("S", 1)
        connection.call()  # sent because it lingered
        connection.close()
        with pytest.raises(OutcomeUnknownError, match="of 1 it is unknown"):
            fast.flush()
        fast.publish("S", 2)
        service = Answering(fake.next())
        assert fast.flush() == 1
    assert contents(service.batches) == [("S", 2)]
    assert publisher.statistics().reconnects == 1
    publisher.close()
    service.join()


def test_what_cannot_be_sent_says_so(fake: FakeService, publisher: Publisher) -> None:
    fake.next()
    fake.close()
    connection = publisher._Publisher__sender.connection  # type: ignore[attr-defined]
    connection.current._used = 0.0
    eventually(connection.current._connection.readable)
    fast = publisher.pipeline()
    with pytest.raises(PipelineError, match=" 2 were not published") as caught, fast:
        fast.publish("S", 1)
        fast.publish(["S"], 1)
        fast.flush()
    assert fast.queued == 0 and numbers(caught.value) == (0, 2, 0, 0)
    assert isinstance(caught.value.__cause__, ServiceUnreachableError)


REFUSAL = {"__class__": "builtins.ValueError", "args": ["no"], "attributes": {}}


@pytest.mark.parametrize("raises", [False, True], ids=["at the end of the block", "from publish"])
def test_what_went_wrong_is_told_when_the_rest_is_known(
    fake: FakeService, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    """An error that is known before the end of the block does not end it before the rest is acknowledged."""
    monkeypatch.setattr(sender, "FLUSH_DELAY", 60.0)  # so that every frame is a full one
    connection = fake.next()

    def serve() -> None:
        connection.answer(connection.call()[0], REFUSAL, 1)
        for _ in range(WINDOW):
            seq, _, (batch,) = connection.call()
            connection.answer(seq, len(batch))

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(PipelineError) as caught, publisher.pipeline() as fast:
        for _ in range(FRAME_EVENTS * (WINDOW + 1)):
            fast.publish("S", 1)
        if raises:
            fast.publish("S", "is not accepted")
    thread.join(10)
    assert numbers(caught.value) == (FRAME_EVENTS * WINDOW, FRAME_EVENTS, 0, 0)
    assert type(caught.value) is PipelineError


def test_a_later_failure_does_not_hide_an_earlier_one(fake: FakeService, publisher: Publisher) -> None:
    connection = fake.next()
    with pytest.raises(PipelineOutcomeUnknownError) as later, publisher.pipeline() as fast:
        fast.publish(["S", "T"], 1)
        connection.call()
        connection.close()
        with pytest.raises(PipelineOutcomeUnknownError) as earlier:
            fast.flush()
        assert numbers(earlier.value) == (0, 0, 2, 0)
        fast.publish("S", 2)
        again = fake.next()
        again.answer(again.call()[0], REFUSAL, 1)
        fast.publish("S", 3)
        again.answer(again.call()[0], 1)
    assert numbers(later.value) == (1, 1, 2, 0)
    assert isinstance(later.value.__cause__, ValueError)


def test_the_service_refuses(fake: FakeService, publisher: Publisher) -> None:
    connection = fake.next()
    described = {"__class__": "builtins.ValueError", "args": ["no"], "attributes": {}}

    def refuse() -> None:
        connection.answer(connection.call()[0], described, 1)

    thread = threading.Thread(target=refuse)
    thread.start()
    refused = pytest.raises(PipelineError, match=" 1 were not published.*: no")
    with refused as caught, publisher.pipeline() as fast:
        fast.publish("S", 1)
    thread.join(10)
    assert numbers(caught.value) == (0, 1, 0, 0) and isinstance(caught.value.__cause__, ValueError)


def test_leaving_by_an_exception_sends_what_was_published(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with pytest.raises(KeyError, match="mine"), publisher.pipeline() as fast:
        fast.publish("S", 1)
        raise KeyError("mine")
    assert contents(service.batches) == [("S", 1)]
    publisher.close()
    service.join()


def test_the_original_exception_wins(
    fake: FakeService, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    connection = fake.next()
    with pytest.raises(KeyError, match="mine"), publisher.pipeline() as fast:
        fast.publish("S", 1)
        connection.call()
        connection.close()
        raise KeyError("mine")
    assert "could not send everything" in caplog.text


def test_a_finished_pipeline_is_finished(fake: FakeService, publisher: Publisher) -> None:
    with publisher.pipeline() as fast:
        pass
    with pytest.raises(EventServiceError, match="make a new one"):
        fast.publish("S", 1)


def test_order_across_pipelines_and_publish(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as one, publisher.pipeline() as two:
        for number in range(0, 40, 4):
            one.publish("S", number)
            two.publish("S", number + 1)
            one.publish("S", number + 2)
            assert publisher.publish("S", number + 3) == 1
    assert [message for _, message in contents(service.batches)] == list(range(40))
    publisher.close()
    service.join()


@pytest.mark.parametrize("shared", [True, False], ids=["one pipeline", "a pipeline each"])
def test_threads_keep_their_order(fake: FakeService, publisher: Publisher, shared: bool) -> None:
    service = Answering(fake.next())
    common = publisher.pipeline()

    def publish(name: str) -> None:
        mine = common if shared else publisher.pipeline()
        for number in range(3000):
            if number % 300 == 299:
                publisher.publish(name, number)
            else:
                mine.publish(name, number)
        if not shared:
            mine.__exit__(None, None, None)

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    common.__exit__(None, None, None)
    entries = contents(service.batches)
    for name in "abcd":
        assert [message for subject, message in entries if subject == name] == list(range(3000))
    assert publisher.statistics().published == 12_000
    publisher.close()
    service.join()


def test_closing_the_publisher_ends_a_waiting_pipeline(fake: FakeService, publisher: Publisher) -> None:
    connection: FakeConnection = fake.next()
    errors: list[Exception] = []

    def publish() -> None:
        try:
            with publisher.pipeline() as fast:
                fast.publish("S", 1)
        except EventServiceError as error:
            errors.append(error)

    thread = threading.Thread(target=publish)
    thread.start()
    connection.call()
    publisher.close()
    thread.join(10)
    assert isinstance(errors[0], OutcomeUnknownError)


def test_the_payload_is_the_codecs(fake: FakeService, publisher: Publisher) -> None:
    service = Answering(fake.next())
    with publisher.pipeline() as fast:
        fast.publish("S", ("SUN", 22.5))
    assert service.batches == [[["S", encode(("SUN", 22.5))]]]
    publisher.close()
    service.join()
