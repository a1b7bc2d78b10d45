"""A clock that jumps or drifts: events carry what it says, and nothing else depends on it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import pytest
from contract import running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import collecting
from waiting import eventually

from pyro_events import Publisher
from pyro_events.server import starter
from pyro_events.server.engine import Engine

HOUR = 3600.0


class Clock:
    """The time of day, which somebody sets, and which may run fast, slowly or backwards."""

    def __init__(self) -> None:
        self.offset, self.rate = 0.0, 1.0
        self._begun = time.monotonic()

    def __call__(self) -> float:
        return 1.7e9 + self.offset + self.rate * (time.monotonic() - self._begun)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every service of this test."""
    clock = Clock()
    monkeypatch.setattr(starter, "Engine", functools.partial(Engine, now=clock))
    return clock


def step(clock: Clock, seconds: float) -> None:
    clock.offset += seconds


def drift(clock: Clock, rate: float) -> None:
    clock.rate = rate


@pytest.mark.parametrize(
    "fault",
    [
        functools.partial(step, seconds=HOUR),
        functools.partial(step, seconds=-HOUR),
        functools.partial(drift, rate=2.0),
        functools.partial(drift, rate=-1.0),
    ],
    ids=["an hour ahead", "an hour back", "twice as fast", "backwards"],
)
def test_a_wrong_clock_changes_time_stamps_only(clock: Clock, fault: Callable[[Clock], None]) -> None:
    """Heartbeats of a quarter second and a deadline of one do not see it."""
    with (
        running(heartbeat=0.5, heartbeat_answer=0.5, delivery_deadline=1.0) as service,
        collecting(service.uri, "A") as collector,
        Publisher(es_uri=service.uri) as publisher,
    ):
        publisher.publish("A", 0)
        before = clock()
        fault(clock)
        for number in range(1, 50):
            publisher.publish("A", number)
        # Longer than heartbeats and deadline together, so that a timer by the wrong clock would show.
        idle = time.monotonic()
        eventually(lambda: time.monotonic() - idle > 1.2, 3.0)
        publisher.publish("A", 50)
        events = collector.wait(51)
        assert [event.msg for event in events] == list(range(51))
        assert [event.seq for event in events] == list(range(1, 52))
        assert all(event.missed == 0 for event in events)
        assert events[0].time <= before
        assert abs(events[-1].time - clock()) < 5.0
        snapshot = statistics(service.uri)
        assert snapshot["lost"] == {}
        assert len(snapshot["subscribers"]) == 1


def test_an_hour_back_makes_no_event_older_than_it_is(clock: Clock) -> None:
    """`oldest` in the statistics is an age, never below zero."""
    with running() as service, fake_subscriber() as subscriber, Publisher(es_uri=service.uri) as publisher:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        publisher.publish("A", 1)
        subscriber.batch()
        step(clock, -HOUR)
        (account,) = statistics(service.uri)["subscribers"]
        assert account["oldest"] == 0.0
        subscriber.answer()
