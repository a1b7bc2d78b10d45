"""Publishers that watch subjects: what they are told, what that may take, and what they may not do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from contract import running, statistics
from fake_subscriber import fake_subscriber
from raw_client import RawClient, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter
from pyro_events.codec.message import decode
from pyro_events.constants import NOT_KNOWN
from pyro_events.options import ServiceOptions
from pyro_events.server.engine import Engine
from pyro_events.server.interest.watcher_delivery import WatcherDelivery
from pyro_events.server.interest.watchers import is_interest, read_watch_options
from pyro_events.server.objects import Caller

KEY = "0123456789abcdef" * 2


@pytest.fixture
def control(service: EventServiceStarter) -> Iterator[RawClient]:
    """The connection on which calls are made."""
    with raw_client(service.uri) as client:
        yield client


@pytest.fixture
def watcher(service: EventServiceStarter) -> Iterator[RawClient]:
    """The connection on which the publisher is told."""
    with raw_client(service.uri) as client:
        yield client


def told(client: RawClient, count: int) -> list[tuple[str, int]]:
    """What it is told next, so many rows, each batch acknowledged."""
    return [(row[0], decode(row[4])) for row in client.take(count)]


def listen(control: RawClient, client: RawClient, *names: str, match: Any = ()) -> dict[str, str]:
    """Make a client a listener."""
    subscriber = client.attach()
    control.call("subscribe", list(names), subscriber)
    control.call("subscribeMatch", list(match), subscriber)
    return subscriber


def test_it_is_told_how_it_is_and_then_of_the_first_listener_and_the_last(
    service: EventServiceStarter, control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True, name="camera")
    assert control.call("subscribe", ["CAM.1", "CAM.2"], key, {"name": "camera"}) == 2
    assert told(watcher, 2) == [("CAM.1", 0), ("CAM.2", 0)]
    with raw_client(service.uri) as one, raw_client(service.uri) as other:
        listen(control, one, "cam.1")
        assert told(watcher, 1) == [("CAM.1", 1)]
        second = listen(control, other, match=[r"^CAM\."])
        assert told(watcher, 1) == [("CAM.2", 1)]
        one.close()
        eventually(lambda: control.call("listeners", "CAM.1") == {"CAM.1": 1})
        assert control.call("unsubscribe", [r"^CAM\."], second) == 0
        assert sorted(told(watcher, 2)) == [("CAM.1", 0), ("CAM.2", 0)]
    assert control.call("unsubscribe", ["cam.1"], key) == 1


def test_who_asks_again_is_told_again_and_who_asks_no_longer_is_not(
    service: EventServiceStarter, control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True)
    with raw_client(service.uri) as listener:
        listen(control, listener, "A", "B")
        for _ in range(2):
            assert control.call("subscribe", "A", key) == 1
            assert told(watcher, 1) == [("A", 1)]
        assert control.call("subscribe", "B", key) == 2
        assert told(watcher, 1) == [("B", 1)]
        assert control.call("unsubscribe", "A", key) == 1
    assert told(watcher, 1) == [("B", 0)]


def test_of_what_it_has_not_read_only_the_newest_state_of_each_subject_is_sent(
    service: EventServiceStarter, control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True)
    control.call("subscribe", ["A", "B"], key)
    seq, _ = watcher.batch()  # not acknowledged
    with raw_client(service.uri) as listener:
        subscriber = listener.attach()
        for _ in range(20):
            control.call("subscribe", ["A", "B"], subscriber)
            control.call("listeners", [])
            control.call("unsubscribe", ["A"], subscriber)
            control.call("listeners", [])
        watcher.acknowledge(seq)
        rows = told(watcher, 2)
        while len(rows) > 2 or dict(rows) != {"A": 0, "B": 1}:
            # The first batch may have had one subject alone; nothing of before comes after that.
            rows = [*rows[-1:], *told(watcher, 1)]


def test_it_is_a_client_and_neither_a_subscriber_nor_a_listener(
    service: EventServiceStarter, control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True, name="camera")
    control.call("subscribe", "A", key)
    told(watcher, 1)
    assert control.call("listeners", ["A"]) == {"A": 0}
    assert control.call("publish", "A", 1) == 0
    found = statistics(service.uri)
    assert found["subscribers"] == [] and found["connections"] == 3  # with the one that asks
    assert [list(client) for client in found["clients"]] == [["camera", "127.0.0.1"]]


def test_its_state_can_be_asked_for_with_its_key_until_its_connection_ends(
    control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True)
    control.call("subscribe", ["A", "B"], key)
    standing = control.call("statistics", {"subscriber": key})
    assert standing == {"subscriptions": 2, "state": "active", "why": ""}
    watcher.close()

    def gone() -> bool:
        return bool(control.call("statistics", {"subscriber": key})["subscriptions"] == NOT_KNOWN)

    eventually(gone)
    assert control.call("subscribe", "A", key) == control.call("unsubscribe", "A", key) == NOT_KNOWN


def test_a_connection_with_the_same_key_takes_the_place_of_the_last_one(
    service: EventServiceStarter, control: RawClient, watcher: RawClient
) -> None:
    key = watcher.attach(interest=True)
    control.call("subscribe", "A", key)
    with raw_client(service.uri) as again:
        assert again.attach(interest=True, **key) == key
        watcher.wait_for_end()
        assert control.call("statistics", {"subscriber": key})["subscriptions"] == 0
        assert control.call("subscribe", "B", key) == 1
        assert told(again, 1) == [("B", 0)]


@pytest.mark.parametrize(
    ("subjects", "error"),
    [
        ("", "ValueError"),
        (["A", "x" * 256], "ValueError"),
        (["A", "$ES.SUBSCRIBER.JOINED"], "ValueError"),
        (5, "TypeError"),
        ([f"S{number}" for number in range(1001)], "ValueError"),
    ],
    ids=["empty", "long", "the service's", "number", "too many"],
)
def test_what_cannot_be_published_cannot_be_watched_and_nothing_has_changed(
    control: RawClient, watcher: RawClient, subjects: Any, error: str
) -> None:
    key = watcher.attach(interest=True)
    assert control.call("subscribe", subjects, key)["__class__"] == f"builtins.{error}"
    assert control.call("statistics", {"subscriber": key})["subscriptions"] == 0


def test_patterns_cannot_be_watched(control: RawClient, watcher: RawClient) -> None:
    key = watcher.attach(interest=True)
    assert control.call("subscribeMatch", ".*", key)["__class__"] == "builtins.ValueError"


def test_one_publisher_can_watch_as_many_subjects_as_one_subscriber_can_subscribe_to() -> None:
    with (
        running(max_subscriptions=3) as starter,
        raw_client(starter.uri) as control,
        raw_client(starter.uri) as watcher,
    ):
        key = watcher.attach(interest=True)
        assert control.call("subscribe", ["A", "B"], key) == 2
        assert control.call("subscribe", ["C", "D"], key)["__class__"] == "builtins.ValueError"
        assert control.call("subscribe", ["C", "a"], key) == 3


def test_what_is_watched_counts_as_memory_of_subscriptions_and_is_given_back() -> None:
    with running(host_subscription_bytes=64 * 1024) as starter, raw_client(starter.uri) as control:
        names = [f"SUBJECT.{number}" for number in range(100)]
        with raw_client(starter.uri) as watcher:
            key = watcher.attach(interest=True)
            assert statistics(starter.uri)["subscription_bytes"] > 4000  # the connection itself
            assert control.call("subscribe", names, key)["__class__"] == "builtins.ValueError"
            assert control.call("subscribe", names[:10], key) == 10
            took = statistics(starter.uri)["subscription_bytes"]
            assert took > 10_000
        eventually(lambda: statistics(starter.uri)["subscription_bytes"] == 0)


def test_without_memory_for_it_no_connection_is_taken_over() -> None:
    with running(host_subscription_bytes=4000) as starter, raw_client(starter.uri) as control:
        with raw_client(starter.uri) as watcher:
            assert watcher.call("attach", {"interest": True})["__class__"] == "builtins.ValueError"
            assert watcher.call("listeners", "A") == {"A": 0}
        assert control.call("statistics")["subscription_bytes"] == 0


def test_their_connections_are_admitted_as_subscribers_are() -> None:
    with running(max_connections=3) as starter, raw_client(starter.uri) as control:
        with contextlib.ExitStack() as stack:
            for _ in range(2):  # half of the three, for one host
                stack.enter_context(raw_client(starter.uri)).attach(interest=True)
            third = stack.enter_context(raw_client(starter.uri))
            assert third.call("attach", {"interest": True})["__class__"] == "builtins.ValueError"
        assert eventually(lambda: control.call("statistics")["connections"] == 1)
        with raw_client(starter.uri) as again:
            again.attach(interest=True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"interest": True, "key": "x"}, ValueError),
        ({"interest": True, "backlog": 5, "overflow": "block"}, ValueError),
        ({"interest": True, "name": ""}, ValueError),
        ({"interest": True, "name": 5}, TypeError),
    ],
    ids=["key", "of a backlog", "no name", "a number"],
)
def test_options_that_it_cannot_have_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    assert is_interest(options)
    with pytest.raises(error):
        read_watch_options(options)


def test_whoever_attaches_for_events_is_no_watcher() -> None:
    assert not any(
        is_interest(options) for options in (None, {}, {"key": KEY}, {"interest": False}, "interest")
    )
    assert read_watch_options({"interest": True, "key": KEY, "name": "me"}) == (KEY, "me")


def test_one_that_does_not_answer_heartbeats_is_disconnected() -> None:
    with running(heartbeat=0.1, heartbeat_answer=0.05) as starter, raw_client(starter.uri) as silent:
        key = silent.attach(interest=True)
        silent.wait_for_end()  # its heartbeats are read, and not answered
        with raw_client(starter.uri) as control:
            assert control.call("subscribe", "A", key) == NOT_KNOWN


def test_one_that_sends_what_it_was_not_asked_for_is_disconnected(
    control: RawClient, watcher: RawClient
) -> None:
    watcher.attach(interest=True)
    watcher.acknowledge(1)
    watcher.wait_for_end()
    assert eventually(lambda: control.call("statistics")["connections"] == 1)


def test_the_end_of_the_service_ends_their_connections() -> None:
    with running() as starter, raw_client(starter.uri) as watcher:
        watcher.attach(interest=True)
        starter.shutdown()
        watcher.wait_for_end()


@pytest.mark.parametrize("name", ["", "bob"])
def test_a_key_is_of_no_use_to_another_user(name: str) -> None:
    async def main() -> None:
        engine = Engine(ServiceOptions())
        watchers = engine.watchers
        alice, other = (Caller("127.0.0.1", 0, proved=True, user=user) for user in ("alice", name))
        key = watchers.attach(alice, {"interest": True}).answer["key"]
        assert watchers.watch(alice, key, ["A"]) == 1
        assert watchers.has(alice, key) and not watchers.has(other, key)
        assert watchers.standing(other, key) == (NOT_KNOWN, "", "")
        watchers.attach(other, {"interest": True, "key": key})
        assert watchers.standing(other, key).subscriptions == 0
        assert watchers.standing(alice, key).subscriptions == 1
        (found,) = watchers.of_users({"alice"})
        assert found.user == "alice" and len(watchers) == 2
        watchers.stop()
        await engine.stop()

    asyncio.run(main())


# ---- on the loop -------------------------------------------------------------------------------


def test_ten_thousand_watched_subjects_are_counted_in_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that comes may match any of them."""

    async def main() -> tuple[int, int, int]:
        engine = Engine(ServiceOptions())
        watchers = engine.watchers
        caller = Caller("127.0.0.1", 0)
        swap = watchers.attach(caller, {"interest": True})
        key = swap.answer["key"]
        for begin in range(0, 10_000, 1000):
            watchers.watch(caller, key, [f"SUBJECT.{number}" for number in range(begin, begin + 1000)])

        async def settle() -> int:
            turns = 0
            while watchers._work_timer is not None:
                turns += 1
                await asyncio.sleep(0)
            return turns

        await settle()
        told: list[tuple[str, int]] = []
        monkeypatch.setattr(WatcherDelivery, "tell", lambda self, *row: told.append(row[:2]))
        engine.broker.subscribe("PYRO:x@127.0.0.1:1", patterns=[".*"])
        turns = await settle()
        assert sorted(told) == sorted((f"SUBJECT.{number}", 1) for number in range(10_000))
        watchers.stop()
        await engine.stop()
        return turns, len(told), len(watchers)

    turns, told, left = asyncio.run(main())
    assert turns > 10 and told == 10_000 and left == 0


def test_what_subscribers_do_while_somebody_watches_is_told_to_the_end() -> None:
    """A storm: two hundred subscribers that come and go."""
    with running() as starter, raw_client(starter.uri) as control, raw_client(starter.uri) as watcher:
        key = watcher.attach(interest=True)
        control.call("subscribe", ["A", "B", "C"], key)
        with fake_subscriber() as here:
            states: dict[str, int] = {}
            for number in range(200):
                control.call("subscribe", "ABC"[number % 3], here.uri)
                control.call("unsubscribe", "ABC"[(number + 1) % 3], here.uri)
            expected = control.call("listeners", ["A", "B", "C"])
            while states != expected:
                states.update(told(watcher, 1))
