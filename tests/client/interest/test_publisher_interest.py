"""What a publisher wants to know of its listeners: its connections, its thread, and how both end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from contract import in_background, statistics
from fake_service import fake_service
from forking import child
from waiting import eventually

from pyro_events import (
    EventServiceError,
    EventServiceStarter,
    EventStream,
    Publisher,
    ServiceUnreachableError,
)
from pyro_events.client.interest import publisher_interest
from pyro_events.client.interest.functions import InterestFunction
from pyro_events.client.interest.publisher_interest import PublisherInterest
from pyro_events.wire.handshake.capabilities import INTEREST, OWN_CONNECTION


class Calls(list[tuple[str, int]]):
    """How a function was called."""

    def __call__(self, subject: str, listeners: int) -> None:
        self.append((subject, listeners))


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri, name="camera") as publisher:
        yield publisher


@pytest.fixture
def interest(publisher: Publisher) -> PublisherInterest:
    return PublisherInterest(publisher._Publisher__sender)  # type: ignore[attr-defined]


def test_nothing_is_connected_before_it_is_needed_and_one_connection_serves_all_functions(
    service: EventServiceStarter, publisher: Publisher, interest: PublisherInterest
) -> None:
    assert statistics(service.uri)["connections"] == 2  # and the one that asks
    assert not interest.connected
    assert interest.listeners(["A"], False) == {"A": 0}
    assert statistics(service.uri)["connections"] == 3
    calls = Calls(), Calls()
    for each in calls:
        interest.watch(InterestFunction(each, ["A"]))
    assert interest.connected
    with EventStream("A", es_uri=service.uri):
        eventually(lambda: all(each == [("A", 1)] for each in calls))
    eventually(lambda: all(each == [("A", 1), ("A", 0)] for each in calls))
    watching = [thread for thread in threading.enumerate() if thread.name == "pyro_events-interest"]
    assert len(watching) == 1
    eventually(lambda: statistics(service.uri)["connections"] == 4)  # that for calls of it rests again
    publisher.close()
    assert not interest.connected
    with pytest.raises(EventServiceError, match="this publisher is closed: make a new one"):
        interest.listeners(["A"], False)


def test_more_names_than_fit_into_one_call_are_asked_for_in_several(interest: PublisherInterest) -> None:
    names = [f"{number:03}" + "x" * 250 for number in range(1000)]
    assert interest.listeners(names, True) == dict.fromkeys(names, 0)


def test_a_watch_that_fails_changes_nothing(
    service: EventServiceStarter, interest: PublisherInterest
) -> None:
    calls = Calls()
    interest.watch(InterestFunction(calls, ["A"]))
    many = InterestFunction(calls, [f"S{number}" for number in range(10_001)])
    with pytest.raises(ValueError, match="at most 10000 subjects"):
        interest.watch(many)
    assert many.ended
    with EventStream(match=["S5", "A"], es_uri=service.uri):
        eventually(lambda: calls == [("A", 1)])


def test_a_service_that_is_away_is_an_error_and_the_next_time_it_is_tried_again(
    publisher: Publisher, interest: PublisherInterest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(locator: object) -> None:
        raise ServiceUnreachableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(publisher_interest, "InterestReceiver", away)
        with pytest.raises(ServiceUnreachableError):
            interest.watch(InterestFunction(print, ["A"]))
    interest.watch(InterestFunction(print, ["A"]))
    assert interest.connected


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_without_a_thread_nothing_stays_connected(
    service: EventServiceStarter, interest: PublisherInterest, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise kind("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(publisher_interest.threading, "Thread", NoThread)
        with pytest.raises(EventServiceError if kind is RuntimeError else KeyboardInterrupt):
            interest.watch(InterestFunction(print, ["A"]))
    eventually(lambda: statistics(service.uri)["connections"] == 2)
    interest.watch(InterestFunction(print, ["A"]))


def test_a_first_watch_in_the_middle_of_the_first_watch_is_an_error_at_once(
    interest: PublisherInterest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a signal's handler, say."""
    receiver = publisher_interest.InterestReceiver

    def interrupted(locator: Any) -> Any:
        with pytest.raises(EventServiceError, match="in the middle of its first on_interest"):
            interest.watch(InterestFunction(print, ["B"]))
        return receiver(locator)

    monkeypatch.setattr(publisher_interest, "InterestReceiver", interrupted)
    interest.watch(InterestFunction(print, ["A"]))
    interest.watch(InterestFunction(print, ["B"]))


def test_a_publisher_that_is_closed_in_the_middle_of_the_first_watch_stays_closed(
    service: EventServiceStarter,
    publisher: Publisher,
    interest: PublisherInterest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = publisher_interest.InterestReceiver

    def closing(locator: Any) -> Any:
        found = receiver(locator)
        publisher.close()
        return found

    monkeypatch.setattr(publisher_interest, "InterestReceiver", closing)
    with pytest.raises(EventServiceError, match="closed"):
        interest.watch(InterestFunction(print, ["A"]))
    eventually(lambda: statistics(service.uri)["connections"] == 1)


def test_a_function_may_watch_and_publish_and_close_its_publisher(
    service: EventServiceStarter, publisher: Publisher, interest: PublisherInterest
) -> None:
    done, more = threading.Event(), Calls()

    def closing(subject: str, listeners: int) -> None:
        interest.watch(InterestFunction(more, ["A"]))
        publisher.publish("A", listeners)
        publisher.close()
        done.set()

    with EventStream("A", es_uri=service.uri) as stream:
        interest.watch(InterestFunction(closing, ["A"]))
        assert stream.get(10).msg == 1
        assert done.wait(10)
    assert more == []


def test_a_function_that_wants_to_end_the_program_does_not_end_the_thread(
    service: EventServiceStarter, interest: PublisherInterest
) -> None:
    calls, leaving = Calls(), InterestFunction(lambda subject, listeners: sys.exit(1), ["A"])
    interest.watch(leaving)
    interest.watch(InterestFunction(calls, ["A"]))
    with EventStream("A", es_uri=service.uri):
        eventually(lambda: calls == [("A", 1)])
    eventually(lambda: calls == [("A", 1), ("A", 0)])
    assert leaving.failed == 2


def test_who_closes_the_publisher_waits_for_a_running_function_but_not_for_ever(
    service: EventServiceStarter, publisher: Publisher, interest: PublisherInterest
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def stuck(subject: str, listeners: int) -> None:
        entered.set()
        leave.wait(60)

    interest.watch(InterestFunction(stuck, ["A"]))
    with EventStream("A", es_uri=service.uri):
        assert entered.wait(10)
        publisher.close()  # the test's time is the bound
    leave.set()


def test_the_end_of_a_watch_waits_for_nobody_who_waits_for_a_frozen_service() -> None:
    with fake_service(capabilities=[OWN_CONNECTION, INTEREST]) as fake:
        publisher = Publisher(es_uri=fake.uri)
        interest = PublisherInterest(publisher._Publisher__sender)  # type: ignore[attr-defined]
        first = InterestFunction(print, ["A"])
        watching = in_background(lambda: interest.watch(first))
        fake.next()  # the publisher's own
        fake.next()  # the first for calls
        own = fake.next()
        seq, method, _ = own.call()
        assert method == "attach"
        own.answer(seq, {"key": "0" * 32, "id": "1", "subscriptions": 0})
        calls = fake.next()
        assert calls.call()[1] == "subscribe"  # and no answer
        interest.unwatch(first)
        assert first.ended
        publisher.close()
        with pytest.raises(EventServiceError):
            watching.result()


def test_a_watch_can_end_in_the_middle_of_another_and_after_its_publisher(
    service: EventServiceStarter, publisher: Publisher, interest: PublisherInterest
) -> None:
    function = InterestFunction(print, ["A"])
    interest.watch(function)
    with interest._changing:
        interest.unwatch(function)
    assert statistics(service.uri)["subscription_bytes"] < 10_000
    other = InterestFunction(print, ["B"])
    interest.watch(other)
    publisher.close()
    interest.unwatch(other)
    interest.unwatch(other)


@pytest.mark.parametrize("moment", ["discard", "unsubscribe_all"])
def test_what_is_watched_in_the_middle_of_the_end_of_another_watch_is_told(
    service: EventServiceStarter, interest: PublisherInterest, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """By a signal's handler, say: before the service is told that nobody wants to know, or just after."""
    calls, first = Calls(), InterestFunction(print, ["A", "B"])
    interest.watch(first)
    assert interest._receiver is not None
    remote: Any = interest._receiver.remote
    usual = getattr(remote, moment)

    def interrupted(texts: list[str]) -> None:
        monkeypatch.undo()
        interest.watch(InterestFunction(calls, ["a"]))
        usual(texts)

    monkeypatch.setattr(remote, moment, interrupted)
    interest.unwatch(first)
    with EventStream("A", es_uri=service.uri):
        eventually(lambda: calls == [("a", 1)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_a_forked_child_nothing_is_watched_and_the_parents_goes_on(
    service: EventServiceStarter, publisher: Publisher, interest: PublisherInterest
) -> None:
    calls = Calls()
    function = InterestFunction(calls, ["A"])
    interest.watch(function)

    def work() -> None:
        assert not interest.connected
        interest.unwatch(function)
        with pytest.raises(EventServiceError):
            interest.watch(function)
        with pytest.raises(EventServiceError):
            interest.listeners(["A"], False)
        publisher.close()

    with child(work), EventStream("A", es_uri=service.uri):
        eventually(lambda: calls == [("A", 1)])
    eventually(lambda: calls == [("A", 1), ("A", 0)])
