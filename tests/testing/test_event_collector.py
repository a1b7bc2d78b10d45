"""What `collect` keeps, waits for, and says when it does not come."""

from __future__ import annotations

import gc
import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from contract import in_background, running, statistics
from processes import Spawner
from waiting import eventually

from pyro_events import (
    Event,
    EventServiceError,
    EventServiceStarter,
    EventStream,
    Publisher,
    ServiceUnreachableError,
)
from pyro_events.testing import EventCollector, LocalEventService, collect

SECRET = "a long passphrase"


@pytest.fixture
def publisher(event_service: LocalEventService) -> Iterator[Publisher]:
    with Publisher() as publisher:
        yield publisher


def numbers(events: list[Event]) -> list[Any]:
    return [event.msg for event in events]


# What comes


def test_what_is_more_than_was_waited_for_stays_for_the_next_time(publisher: Publisher) -> None:
    with collect("A") as seen:
        for number in range(5):
            publisher.publish("A", number)
        assert numbers(seen.wait_for(2)) == [0, 1]
        assert numbers(seen.wait_for(1)) == [2]
        assert numbers(seen.events) == [0, 1, 2, 3, 4]
        assert numbers(seen.wait_for(2)) == [3, 4]
        later = in_background(lambda: seen.wait_for(2, timeout=20))
        publisher.publish("A", 5)
        publisher.publish("A", 6)
        assert numbers(later.result()) == [5, 6]
        assert [(event.seq, event.missed) for event in seen.events] == [(seq, 0) for seq in range(1, 8)]


def test_whatever_was_published_before_is_there(publisher: Publisher) -> None:
    """Without waiting for it: as soon as `publish` has returned, `events` has it; and so has `close`."""
    choice = random.Random(1)
    for _ in range(10):
        with collect("A") as open_until_the_end, collect("A") as seen:
            count = 0
            for _ in range(4):
                assert numbers(seen.events) == list(range(count))
                for _ in range(choice.choice([0, 1, 2, 20, 200])):
                    publisher.publish("A", count)
                    count += 1
            seen.close()
        assert numbers(seen.events) == numbers(open_until_the_end.events) == list(range(count))


def test_an_empty_list_says_that_nothing_was_published(publisher: Publisher) -> None:
    with collect("A") as seen:
        publisher.publish("B", 1)
        assert seen.events == []
    assert seen.events == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["A", "b", "NEWS.X"]),
        ({"subjects": "B"}, ["b"]),
        ({"subjects": iter("AB")}, ["A", "b"]),
        ({"match": "^N"}, ["NEWS.X"]),
        ({"match": iter(["^N", "^A$"])}, ["A", "NEWS.X"]),
        ({"subjects": ["B"], "match": "^N"}, ["b", "NEWS.X"]),
    ],
)
def test_what_is_collected(arguments: dict[str, Any], expected: list[str], publisher: Publisher) -> None:
    with collect(**arguments) as seen:
        publisher.publish(["A", "b", "NEWS.X"], 1)
        assert [event.subject for event in seen.events] == expected


def test_a_service_anywhere(service: EventServiceStarter) -> None:
    """And subjects, patterns and address by their places."""
    with collect("A", "^B", service.uri, name="a test") as seen, Publisher(es_uri=service.uri) as publisher:
        publisher.publish(["A", "B1"], 1)
        assert [event.subject for event in seen.wait_for(2)] == ["A", "B1"]
        assert statistics(service.uri)["subscribers"][0]["name"] == "a test"


def test_a_service_with_a_passphrase() -> None:
    with LocalEventService(ident=SECRET), collect("A", ident=SECRET) as seen, Publisher(SECRET) as publisher:
        publisher.publish("A", 1)
        assert numbers(seen.events) == [1]
        publisher.publish("A", 2)
    assert numbers(seen.events) == [1, 2]


def test_more_is_published_than_a_backlog_holds() -> None:
    """A test publishes in the thread that could take the events, and is not held up."""
    with (
        running(backlog=5, delivery_deadline=30) as service,
        collect("A", es_uri=service.uri) as seen,
        Publisher(es_uri=service.uri) as publisher,
    ):
        for number in range(500):
            publisher.publish("A", number, timeout=20)
        assert numbers(seen.events) == list(range(500))


def test_what_was_dropped_is_not_waited_for() -> None:
    with (
        running(backlog=50) as service,
        collect("A", es_uri=service.uri, backlog=2, overflow="drop-oldest") as seen,
        Publisher(es_uri=service.uri) as publisher,
    ):
        with publisher.pipeline() as fast:
            for number in range(5000):
                fast.publish("A", number)
        events = seen.events
        missed = sum(event.missed or 0 for event in events)
        assert missed + len(events) == 5000 and missed
        assert events[-1].msg == 4999
        with pytest.raises(AssertionError, match=r"\n  A: \d+ \(missed before it: \d+\)\n"):
            seen.wait_for(5000, timeout=0)


# What does not come


def test_a_failure_says_what_came_instead(publisher: Publisher) -> None:
    with collect(["A", "B"], match="^N") as seen:
        with pytest.raises(AssertionError) as caught:
            seen.wait_for(1, timeout=0.01)
        expected = "1 event expected within 0.01 s, none came; subscribed to: A, B, ^N"
        assert str(caught.value) == expected
        publisher.publish("A", 0)
        seen.wait_for(1)
        for number in range(1, 3):
            publisher.publish("A", number)
        assert len(seen.events) == 3
        with pytest.raises(AssertionError, match=r"^3 events .*, 2 came; .*\n  A: 1\n  A: 2$"):
            seen.wait_for(3, timeout=0.01)
        assert numbers(seen.wait_for(2)) == [1, 2]  # they have stayed


def test_while_the_service_is_away(event_service: LocalEventService, publisher: Publisher) -> None:
    with collect("A") as seen:
        publisher.publish("A", 1)
        assert numbers(seen.events) == [1]
        event_service.stop()
        with pytest.raises(AssertionError) as caught:
            eventually(lambda: seen.wait_for(2, timeout=0.1))
        assert f"the connection to {event_service.uri} is lost" in str(caught.value)
        assert numbers(seen.events) == [1]
        event_service.start()
        event_service.wait_for_subscriber("A", timeout=20)
        with Publisher() as another:
            another.publish("A", 2)
        assert numbers(seen.events) == [1, 2]
        with pytest.raises(AssertionError, match=r"\n  A: 2 \(missed before it: nobody knows\)$"):
            seen.wait_for(3, timeout=0)
        event_service.stop()
    assert numbers(seen.events) == [1, 2]


def test_a_frozen_service_is_not_waited_for(spawn: Spawner) -> None:
    service = spawn("-m", "pyro_events.es", "--no-ns", "--host", "127.0.0.1", "--port", "0", ready="started")
    uri = service.wait_for(r"PYRO:\S+").group()
    with collect("A", es_uri=uri) as seen, Publisher(es_uri=uri) as publisher:
        publisher.publish("A", 1)
        seen.wait_for(1)
        service.send(signal.SIGSTOP)
        try:
            assert numbers(seen.events) == [1]
        finally:
            service.send(signal.SIGCONT)


def test_a_connection_that_is_made_again_meanwhile(event_service: LocalEventService) -> None:
    """The service then counts from the start."""
    with collect("A") as seen, Publisher() as publisher:
        for number in range(3):
            publisher.publish("A", number)
        assert len(seen.events) == 3
        asked = seen._account
        accounts = [{"accepted": 9, "delivered": 3, "lost": {}}]
        seen._account = lambda: accounts.pop() if accounts else asked()  # type: ignore[method-assign]
        assert len(seen.events) == 3


# What it refuses, and its end


def test_after_the_end(publisher: Publisher) -> None:
    with collect("A") as seen:
        for number in range(3):
            publisher.publish("A", number)
        seen.wait_for(1)
    publisher.publish("A", 3)
    seen.close()
    assert numbers(seen.wait_for(2)) == [1, 2]
    assert numbers(seen.events) == [0, 1, 2]
    with pytest.raises(EventServiceError, match="is closed; it has kept 0 more, and not 1"):
        seen.wait_for(1)
    assert repr(seen).startswith("<EventCollector with 3 events of <EventStream ")


def test_one_that_is_not_closed_says_so(publisher: Publisher) -> None:
    seen = collect("A")
    stream = seen._stream
    with pytest.warns(ResourceWarning, match="<EventCollector with 0 events .* was not closed"):
        del seen
        gc.collect()
    stream.close()


def test_the_stream_of_the_program_itself(event_service: LocalEventService, publisher: Publisher) -> None:
    stream = EventStream("A", overflow="drop-newest")
    with EventCollector(stream) as seen:
        publisher.publish("A", 1)
        assert numbers(seen.events) == [1]
    with pytest.raises(EventServiceError, match="closed"):
        stream.get(0)
    with pytest.raises(TypeError, match="stream must be an EventStream, not list"):
        EventCollector([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"n": 0}, ValueError, "n=0 is not allowed: give 1 or more; .* look at `events`"),
        ({"n": -1}, ValueError, "n=-1"),
        ({"n": "1"}, TypeError, "n must be a number of events, an int, not str"),
        ({"n": True}, TypeError, "n must be a number of events"),
        ({"n": 1, "timeout": -1}, ValueError, "timeout"),
        ({"n": 1, "timeout": "1"}, TypeError, "timeout"),
    ],
)
def test_waiting_for_what_cannot_be(
    wrong: dict[str, Any], error: type[Exception], text: str, publisher: Publisher
) -> None:
    with collect("A") as seen, pytest.raises(error, match=text):
        seen.wait_for(**wrong)


def test_arguments_that_are_wrong_leave_nothing_connected(service: EventServiceStarter) -> None:
    wrong: list[tuple[type[Exception], Callable[[], object]]] = [
        (ValueError, lambda: collect("", es_uri=service.uri)),
        (ValueError, lambda: collect(match="(", es_uri=service.uri)),
        (TypeError, lambda: collect(5, es_uri=service.uri)),  # type: ignore[arg-type]
        (TypeError, lambda: collect(match=5, es_uri=service.uri)),  # type: ignore[arg-type]
        (ValueError, lambda: collect("A", es_uri=service.uri, backlog=0)),
        (ValueError, lambda: collect("A", es_uri=service.uri, overflow="latst")),  # type: ignore[arg-type]
        (TypeError, lambda: collect("A", es_uri=service.uri, ident=5)),  # type: ignore[arg-type]
        (ValueError, lambda: collect("A", es_uri="lab-server")),
        (ServiceUnreachableError, lambda: collect("A", es_uri="127.0.0.1:1")),
    ]
    for kind, make in wrong:
        with pytest.raises(kind):
            make()
    eventually(lambda: statistics(service.uri)["connections"] == 1)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_what_a_signal_s_handler_raises_is_not_taken_for_silence(
    event_service: LocalEventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handler(number: int, frame: object) -> None:
        raise TimeoutError("the program's own")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with collect("A") as seen:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match="the program's own"):
                seen.wait_for(1, timeout=30)
    finally:
        signal.signal(signal.SIGALRM, before)
