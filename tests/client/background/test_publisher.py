"""BackgroundPublisher: what its user may give it, what it keeps to itself, and how it ends."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgpack
import numpy as np
import pytest
from fake_service import Answering, FakeConnection, FakeService, fake_service
from waiting import eventually

from pyro_events import BackgroundPublisher, BackgroundStatistics, EventServiceError, Overflow, Publisher
from pyro_events.client.background import publisher as module
from pyro_events.client.background.options import BackgroundOptions, BackgroundTimes
from pyro_events.codec.message import decode
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import MessageTooLargeError, UnsupportedTypeError

QUICK = BackgroundTimes(first_pause=0.01, last_pause=0.02, leaving=0.1, exit=0.1)


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def publisher(fake: FakeService) -> Iterator[Publisher]:
    with Publisher(es_uri=fake.uri, name="oven") as publisher:
        fake.next()
        yield publisher


def quick(publisher: Publisher, **options: Any) -> BackgroundPublisher:
    """A background publisher that does not wait for long at its end."""
    sender: Any = publisher._Publisher__sender  # type: ignore[attr-defined]
    return BackgroundPublisher(sender, BackgroundOptions(**options), QUICK)


def contents(batches: list[list[Any]]) -> list[tuple[Any, Any]]:
    """All entries in order: (subjects, message)."""
    return [(subjects, decode(payload)) for batch in batches for subjects, payload in batch]


def received(connection: FakeConnection) -> Any:
    """The message of the next call, which has one entry."""
    frame = connection.frame()
    assert frame is not None
    _, _, [[[_, payload]]], _ = msgpack.unpackb(frame.payload)
    connection.answer(frame.seq, 1)
    return decode(payload)


def test_c35a_what_is_published_arrives_in_order(fake: FakeService, publisher: Publisher) -> None:
    with publisher.background() as instrument:
        service = Answering(fake.next())
        for number in range(1_000):
            instrument.publish("S", number)
        instrument.publish(["T", "U"], 1_000)
        instrument.publish([], "nothing")
        assert instrument.flush(timeout=20.0)
        figures = instrument.statistics()
    service.join()
    assert contents(service.batches) == [*[("S", number) for number in range(1_000)], (["T", "U"], 1_000)]
    assert figures == BackgroundStatistics(
        accepted=1_002,
        published=1_002,
        queued=figures.queued,
        dropped={"drop-oldest": 0, "drop-newest": 0, "latest": 0, "closed": 0},
        refused=0,
        unknown=0,
        waiting=0,
        waiting_bytes=0,
        reconnects=0,
        connected=True,
        address=fake.uri,
        name="oven",
    )


@pytest.mark.parametrize(
    ("subjects", "message", "kind"),
    [
        ("", 1, ValueError),
        (["A", "B\n"], 1, ValueError),
        (1, 1, TypeError),
        ("A", object(), UnsupportedTypeError),
        ([f"{number:04}" + "x" * 250 for number in range(300)], 1, MessageTooLargeError),
        ("A", bytes(MAX_MESSAGE + 1), MessageTooLargeError),
    ],
)
def test_c35a_a_mistake_of_the_callers_is_raised_at_once_and_nothing_is_queued(
    publisher: Publisher, subjects: Any, message: object, kind: type[Exception]
) -> None:
    with publisher.background() as instrument:
        with pytest.raises(kind):
            instrument.publish(subjects, message)
        assert instrument.statistics().accepted == 0


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit_bytes": 1.5}, {"overflow": "block"}])
def test_c35a_options_that_cannot_be_leave_nothing_connected(
    fake: FakeService, publisher: Publisher, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        publisher.background(**options)
    assert len(fake.connections) == 1


def mutable_messages() -> list[tuple[Any, Callable[[Any], None]]]:
    """Messages, each with what changes it."""
    large = np.arange(100_000, dtype=np.float64)
    held: list[Any] = [bytearray(b"before"), {"key": [1, 2]}]
    return [
        (bytearray(b"x" * 200_000), lambda message: message.__setitem__(0, 1)),
        (memoryview(bytearray(b"x" * 200_000)), lambda message: message.__setitem__(0, 1)),
        (large, lambda message: message.fill(0)),
        (large.reshape(100, 1_000)[:, ::2], lambda message: message.fill(0)),
        (np.zeros(10), lambda message: message.fill(1)),
        (held, lambda message: message[0].extend(b"after") or message[1]["key"].append(3)),
    ]


@pytest.mark.parametrize("chosen", range(len(mutable_messages())))
def test_c35a_the_memory_of_a_message_may_be_used_again(
    fake: FakeService, publisher: Publisher, chosen: int
) -> None:
    message, change = mutable_messages()[chosen]
    before = copy.deepcopy(message) if not isinstance(message, memoryview) else bytes(message)
    fake.close()  # it is away, so that nothing is sent before the message has changed
    with quick(publisher) as instrument:
        eventually(lambda: instrument._thread.outcomes.away)
        instrument.publish("CAMERA", message)
        change(message)
        with fake_service(fake.port) as back:
            arrived = received(back.next())
            assert instrument.flush(20.0)
    if isinstance(before, np.ndarray):
        assert np.array_equal(arrived, before) and not np.array_equal(arrived, message)
    else:
        assert arrived == ([bytes(before[0]), before[1]] if isinstance(before, list) else bytes(before))


def test_large_bytes_are_not_copied(fake: FakeService, publisher: Publisher) -> None:
    """They cannot change."""
    message = bytes(1_000_000)
    fake.close()
    with quick(publisher) as instrument:
        eventually(lambda: instrument._thread.outcomes.away)
        instrument.publish("CAMERA", message)
        (waiting,) = instrument._queue.use(lambda queue: queue._waiting)  # type: ignore[attr-defined]
        assert waiting[0][1].body is message
        assert len(message) < instrument.statistics().waiting_bytes < len(message) + 1_000


def test_c35a_while_the_service_is_away_the_limit_of_a_message_is_not_known(
    fake: FakeService, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    fake.close()
    with quick(publisher) as instrument:
        eventually(lambda: instrument._thread.outcomes.away)
        instrument.publish("CAMERA", bytes(MAX_MESSAGE + 1))
        instrument.publish("CAMERA", 1)
        with fake_service(fake.port) as back:
            service = Answering(back.next())
            assert instrument.flush(20.0)
            figures = instrument.statistics()
            instrument.close()
            service.join()
    assert (figures.refused, figures.published) == (1, 1)
    assert "has refused 1 events: the message takes 16,777,217 bytes" in caplog.text


def test_c35a_a_message_over_the_limit_makes_it_look_for_a_service_with_another_one(
    fake: FakeService, publisher: Publisher
) -> None:
    with quick(publisher) as instrument:
        fake.next().close()

        def refused() -> int:
            with pytest.raises(MessageTooLargeError, match=fake.uri):
                instrument.publish("CAMERA", bytes(MAX_MESSAGE + 1))
            return instrument.statistics().reconnects

        eventually(refused)
        assert instrument.statistics().accepted == 0


def test_flush_ends_in_time_and_says_so(fake: FakeService, publisher: Publisher) -> None:
    with quick(publisher) as instrument:
        connection = fake.next()
        instrument.publish("S", 1)
        assert not instrument.flush(0.01) and not instrument.flush(0)
        connection.answer(connection.call()[0], 1)
        assert instrument.flush() and instrument.flush(0)


def test_what_was_queued_when_an_exception_of_the_programs_own_came_is_sent_too(
    fake: FakeService, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the thread was woken: nothing else would wake it, and the end would drop the event."""

    class ProgramsOwnError(Exception):
        pass

    def interrupted(look: bool = False) -> None:
        raise ProgramsOwnError

    with publisher.background() as instrument:
        service = Answering(fake.next())
        eventually(lambda: instrument._thread.resting)
        with monkeypatch.context() as patch:
            patch.setattr(instrument._thread, "wake", interrupted)
            with pytest.raises(ProgramsOwnError):
                instrument.publish("S", 1)
        assert instrument.flush(timeout=20.0)
        assert (instrument.statistics().published, contents(service.batches)) == (1, [("S", 1)])


@pytest.mark.parametrize("timeout", ["1", True, -1, float("nan")])
def test_a_timeout_that_is_not_a_time(publisher: Publisher, timeout: Any) -> None:
    with publisher.background() as instrument, pytest.raises((TypeError, ValueError), match="timeout"):
        instrument.flush(timeout)


def test_c23_in_the_middle_of_itself_it_publishes_and_closes_but_does_not_wait(
    fake: FakeService, publisher: Publisher
) -> None:
    instrument = quick(publisher)
    service = Answering(fake.next())

    def inside(queue: object) -> None:
        instrument.publish("S", 1)
        with pytest.raises(EventServiceError, match="would wait for itself"):
            instrument.flush()
        assert instrument.statistics().accepted == 0  # not yet, and not half
        instrument.close()

    instrument._queue.use(inside)
    instrument.close()
    figures = instrument.statistics()
    assert figures.accepted == 1 == figures.published + figures.dropped["closed"] + figures.unknown
    service.join()


def test_c35a_the_end_of_the_block_drops_what_cannot_be_sent_and_raises_nothing(
    fake: FakeService, publisher: Publisher
) -> None:
    fake.close()
    with quick(publisher) as instrument:
        instrument.publish("S", 1)
    figures = instrument.statistics()
    assert figures.accepted == 1 and figures.dropped["closed"] + figures.unknown == 1
    with pytest.raises(EventServiceError, match="make a new one with publisher.background"):
        instrument.publish("S", 2)
    instrument.close()


def test_c35a_an_exception_of_the_block_goes_on(fake: FakeService, publisher: Publisher) -> None:
    with pytest.raises(KeyError, match="mine"), publisher.background() as instrument:
        service = Answering(fake.next())
        instrument.publish("S", 1)
        raise KeyError("mine")
    service.join()
    assert contents(service.batches) == [("S", 1)]


def test_an_exception_in_the_middle_of_closing_ends_it_at_once(
    fake: FakeService, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> bool:
        raise KeyboardInterrupt("mine")

    instrument = quick(publisher)
    connection = fake.next()
    monkeypatch.setattr(instrument._queue, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt, match="mine"):
        instrument.close()
    assert connection.frame() is None


def test_it_ends_with_its_publisher(fake: FakeService, publisher: Publisher) -> None:
    with closing(quick(publisher)) as instrument:
        connection = fake.next()
        instrument.publish("S", 1)
        connection.call()
        publisher.close()
        assert instrument.statistics().unknown == 1
        with pytest.raises(EventServiceError, match="closed"):
            instrument.publish("S", 2)
    with pytest.raises(EventServiceError, match="this publisher is closed"):
        publisher.background()


def test_one_that_nobody_has_any_more_sends_what_is_queued_and_ends(
    fake: FakeService, publisher: Publisher
) -> None:
    instrument = publisher.background()
    connection = fake.next()
    instrument.publish("S", 1)
    with pytest.warns(ResourceWarning, match="'oven'.* was not closed: use it in a with statement"):
        del instrument
        gc.collect()
    assert received(connection) == 1
    assert connection.frame() is None


def test_one_that_was_closed_says_nothing(publisher: Publisher) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        instrument = publisher.background()
        instrument.close()
        del instrument
        gc.collect()


def test_c35a_at_the_end_of_the_program_what_is_queued_is_sent_or_the_log_says_how_much_was_not(
    fake: FakeService, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    with quick(publisher) as instrument, quick(publisher) as closed:
        connections = [fake.next(), fake.next()]
        closed.close()
        instrument.publish("S", 1)
        module._flush_all()
        assert "oven: the program ended before 1 events were sent" in caplog.text
        instrument.publish("S", 2)  # by another function that runs at the end
        assert instrument.statistics().waiting == 2
        for connection in connections:
            if (frame := connection.frame()) is not None:
                connection.answer(frame.seq, 1)
                connection.answer(connection.call()[0], 1)
                assert instrument.flush(20.0)
                break
        caplog.clear()
        module._flush_all()
        assert caplog.text == ""


def test_what_repr_says_and_what_cannot_be_copied(fake: FakeService, publisher: Publisher) -> None:
    with quick(publisher, limit=1) as instrument:
        fake.next()
        eventually(lambda: instrument.statistics().connected)
        instrument.publish("S", 1)
        assert repr(instrument) == "<BackgroundPublisher 'oven', connected, 1 events waiting, 0 dropped>"
        for copied in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError, match=r"make another one with publisher\.background"):
                copied(instrument)
    assert "closed, 0 events waiting" in repr(instrument)


@pytest.mark.parametrize("overflow", [Overflow.LATEST, "latest"])
def test_c35a_the_newest_of_each_subject(fake: FakeService, publisher: Publisher, overflow: Any) -> None:
    fake.close()
    with publisher.background(overflow=overflow) as instrument:
        eventually(lambda: instrument._thread.outcomes.away)
        for number in range(10):
            instrument.publish(["A", f"B{number % 2}"], number)
        with fake_service(fake.port) as back:
            service = Answering(back.next())
            assert instrument.flush(20.0)
            figures = instrument.statistics()
            instrument.close()
            service.join()
    assert contents(service.batches) == [("B0", 8), (["A", "B1"], 9)]
    assert (figures.accepted, figures.published, figures.dropped["latest"]) == (20, 3, 17)


def test_one_whose_sending_has_failed_is_closed_instead_of_filling_up(
    fake: FakeService, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By an error that nobody expects, such as of memory that is exhausted."""

    def exhausted() -> None:
        raise MemoryError("no memory for it")

    with publisher.background() as instrument:
        fake.next()
        eventually(lambda: instrument._thread.resting)
        with monkeypatch.context() as patch:
            patch.setattr(instrument._queue._queue, "take", exhausted)
            instrument.publish("S", 1)
            assert instrument.flush(timeout=20.0)
        with pytest.raises(EventServiceError, match="this background publisher is closed"):
            instrument.publish("S", 2)
        assert instrument.statistics().dropped["closed"] == 1
    eventually(lambda: "sending in the background has failed" in caplog.text)
    assert "no memory for it" in caplog.text
