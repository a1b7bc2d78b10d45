"""The contract on full backlogs and deadlines, line by line (docs/contract.md, C16, C17, C40a).

A FakeSubscriber answers when the test says so; until then the first event is in flight and the others fill
its backlog.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event as Flag

import pytest
from contract import Background, account, in_background, running, statistics, subscribe
from fake_listener import Fake, Listener
from fake_subscriber import fake_subscriber
from listening import collecting, listening
from Pyro5.api import Proxy
from raw_client import call_body, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher, Subscriber
from pyro_events.codec.message import decode, encode
from pyro_events.wire.frames import INVOKE, MSGPACK, PING, write_frame


@pytest.fixture
def service() -> Iterator[EventServiceStarter]:
    """A service whose backlogs are full soon, with long deadlines."""
    with running(backlog=5, delivery_deadline=60) as starter:
        yield starter


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def engaged(service: EventServiceStarter, subscriber: Fake, **options: object) -> None:
    """Subscribe it to A, and let it take as many events as it can without acknowledging them.

    That is one where it has `event` alone, and two over a connection of its own.
    """
    subscriber.subscribe(service.uri, "A", **options)
    subscriber.greet("event")
    with Publisher(es_uri=service.uri) as publisher:
        for _ in range(subscriber.window):
            publisher.publish("A", 0)
            (row,) = subscriber.batch()
            assert decode(row[4]) == 0


def holding(service: EventServiceStarter, first: int, last: int) -> Background:
    """Publish numbers on A, one after the other, in a thread that is going to be held up."""

    def talk() -> list[int]:
        with Publisher(es_uri=service.uri) as publisher:
            return [publisher.publish("A", number) for number in range(first, last + 1)]

    return in_background(talk)


def backlog(service: EventServiceStarter, subscriber: Fake) -> int:
    """How many events wait for it."""
    found = account(service.uri, subscriber.uri)
    return found["backlog"] if found else 0


def test_c16_block_is_the_default_and_loses_nothing(service: EventServiceStarter, listener: Listener) -> None:
    with listener() as subscriber:
        engaged(service, subscriber)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["overflow"] == "block"
        talking = holding(service, 1, 20)
        eventually(lambda: backlog(service, subscriber) == 6)  # the sixth found it full
        assert not talking.done
        subscriber.answer()
        assert subscriber.messages(20) == list(range(1, 21))
        assert talking.result() == [1] * 20
        eventually(lambda: statistics(service.uri)["delivered"] == 20 + subscriber.window)
        assert statistics(service.uri)["lost"] == {}


def test_c16_block_by_bytes(service: EventServiceStarter, listener: Listener) -> None:
    with listener() as subscriber, Publisher(es_uri=service.uri) as publisher:
        engaged(service, subscriber, backlog_bytes=10_000)
        assert publisher.publish("A", bytes(6_000)) == 1
        held = in_background(lambda: publisher.publish("A", bytes(6_000)))
        eventually(lambda: backlog(service, subscriber) == 2)
        assert not held.done
        subscriber.answer()
        subscriber.take(2)
        assert held.result() == 1


def test_c16_an_event_larger_than_the_bound_is_delivered_all_the_same(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    with listener() as subscriber:
        subscriber.subscribe(service.uri, "A", backlog_bytes=1_000)
        subscriber.greet()
        assert publisher.publish("A", bytes(100_000)) == 1
        assert len(subscriber.messages(1)[0]) == 100_000


def test_c16_block_holds_up_only_publishers_of_that_subscriber(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    with listener("frozen") as frozen, collecting(service.uri, "B") as healthy:
        engaged(service, frozen)
        talking = [holding(service, 1, 10) for _ in range(3)]
        eventually(lambda: backlog(service, frozen) >= 6)
        for number in range(50):  # other publishers, other subjects; and control calls
            assert publisher.publish("B", number) == 1
        with collecting(service.uri, "C") as third:
            assert publisher.publish("C", 1) == 1
            third.wait(1)
        healthy.wait(50)
        assert not any(each.done for each in talking)
        frozen.answer()
        assert sorted(frozen.messages(30)) == sorted([*range(1, 11)] * 3)
        for each in talking:
            each.result()


def test_c16_a_subscriber_without_the_full_one_is_served_by_the_same_publication(
    service: EventServiceStarter, listener: Listener
) -> None:
    """The event that holds its publisher up has reached everybody else."""
    with listener() as frozen, collecting(service.uri, "A") as healthy:
        engaged(service, frozen)
        talking = holding(service, 1, 10)
        eventually(lambda: backlog(service, frozen) == 6)
        eventually(lambda: healthy.messages() == [0] * frozen.window + [*range(1, 7)])
        assert not talking.done
        frozen.answer()
        frozen.take(10)
        talking.result()
        healthy.wait(10 + frozen.window)


def test_c16_a_batch_is_held_up_in_the_middle_and_resumed(
    service: EventServiceStarter, listener: Listener
) -> None:
    with listener() as subscriber, raw_client(service.uri) as client:
        engaged(service, subscriber)
        seq = client.send_call("publish_encoded", [["A", encode(number)] for number in range(1, 21)])
        eventually(lambda: backlog(service, subscriber) == 6)
        assert statistics(service.uri)["published"] == 6 + subscriber.window
        subscriber.answer()
        assert subscriber.messages(20) == list(range(1, 21))
        frame = client.frame()
        assert frame is not None and frame.seq == seq
        assert frame.payload == b"\x14"  # 20 deliveries


def test_c16_several_names_of_one_call_are_published_together(
    service: EventServiceStarter, listener: Listener
) -> None:
    with (
        listener() as subscriber,
        collecting(service.uri, "B") as healthy,
        Publisher(es_uri=service.uri) as publisher,
    ):
        engaged(service, subscriber)
        for number in range(5):
            publisher.publish("A", number)
        held = in_background(lambda: publisher.publish(["A", "B"], "both"))
        assert healthy.wait(1)[0].msg == "both"
        assert not held.done
        subscriber.answer()
        subscriber.take(6)
        assert held.result() == 2


def test_c16_a_publisher_that_leaves_while_it_is_held_up(
    service: EventServiceStarter, listener: Listener
) -> None:
    """What was accepted is delivered, and nobody else notices."""
    with listener() as subscriber:
        engaged(service, subscriber)
        with raw_client(service.uri) as client:
            client.send_call("publish_encoded", [["A", encode(number)] for number in range(1, 21)])
            eventually(lambda: backlog(service, subscriber) == 6)
        talking = holding(service, 100, 104)
        eventually(lambda: backlog(service, subscriber) == 7)
        subscriber.answer()
        got = subscriber.messages(11)
        while 104 not in got:  # a call that has been read may be made or not: its outcome is unknown
            got += subscriber.messages(1)
        talking.result()
        assert [number for number in got if number >= 100] == [100, 101, 102, 103, 104]
        assert got[:6] == [1, 2, 3, 4, 5, 6]
        assert statistics(service.uri)["lost"] == {}


def test_c16_and_c9_a_full_subscriber_that_unsubscribes_frees_its_publishers_when_it_goes() -> None:
    with (
        running(backlog=5, delivery_deadline=0.5, linger=0.1) as service,
        fake_subscriber() as subscriber,
        Proxy(service.uri) as es,
    ):
        engaged(service, subscriber)
        talking = holding(service, 1, 10)
        eventually(lambda: backlog(service, subscriber) == 6)
        es.unsubscribe("A", subscriber.uri)
        results = talking.result()
        assert results == [1] * 6 + [0] * 4


def test_c16_a_subscriber_that_leaves_frees_its_publishers(
    service: EventServiceStarter, listener: Listener
) -> None:
    with listener() as subscriber:
        engaged(service, subscriber)
        talking = [holding(service, 1, 10) for _ in range(5)]
        eventually(lambda: backlog(service, subscriber) == 10)
        subscriber.leave()
        for each in talking:
            each.result()
        assert statistics(service.uri)["subscribers"] == []


def test_c16_and_c17_what_is_taken_into_flight_frees_space_at_once() -> None:
    """A slow handler is not to blame for a backlog that is not full any more."""
    with running(backlog=2, delivery_deadline=1.0) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        held = holding(service, 1, 3)
        eventually(lambda: backlog(service, subscriber) == 3)
        subscriber.greet()  # two are sent, and none is acknowledged
        assert held.result() == [1, 1, 1]
        Flag().wait(1.5)
        assert subscriber.messages(3) == [1, 2, 3]
        held = holding(service, 4, 20)
        assert subscriber.messages(17) == list(range(4, 21))
        assert held.result() == [1] * 17
        assert statistics(service.uri)["lost"] == {}


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest", "disconnect"])
def test_c16_the_other_policies_block_no_publisher(
    service: EventServiceStarter, policy: str, listener: Listener
) -> None:
    with listener() as subscriber:
        engaged(service, subscriber, overflow=policy)
        holding(service, 1, 100).result()
        lost = statistics(service.uri)["lost"]
        expected = {"drop-oldest": 95, "drop-newest": 95, "latest": 99}
        if policy == "disconnect":
            subscriber.wait_for_end()
            eventually(lambda: not statistics(service.uri)["subscribers"])
            lost = statistics(service.uri)["lost"]
            assert lost["unconfirmed"] == subscriber.window
            assert lost["disconnect"] >= 6
            return
        assert lost == {policy: expected[policy]}
        subscriber.answer()
        kept = {"drop-oldest": [96, 97, 98, 99, 100], "drop-newest": [1, 2, 3, 4, 5], "latest": [100]}
        assert subscriber.messages(len(kept[policy])) == kept[policy]


def test_c16_latest_keeps_the_newest_of_each_subject(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    with listener() as subscriber:
        engaged(service, subscriber, overflow="latest")
        subscriber.subscribe(service.uri, ["B", "C"])
        for number in range(10):
            publisher.publish(["A", "b", "B"], number)
        publisher.publish("C", "once")
        subscriber.answer()
        rows = subscriber.take(3)
        assert [(row[0], decode(row[4])) for row in rows] == [("A", 9), ("B", 9), ("C", "once")]
        # 31 and the one that is acknowledged were accepted, the last three are not lost.
        assert sum(row[3] for row in rows) == 28
        assert statistics(service.uri)["lost"] == {"latest": 28}


def test_c16_latest_is_the_latest_whether_the_backlog_is_full_or_not(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    """A display that is slower than a camera: nothing is sent ahead that grows old on the way."""
    with listener() as display:
        display.subscribe(service.uri, "camera", overflow="latest")
        display.greet("events")
        publisher.publish("camera", 0)
        for newest in range(1, 40, 6):
            display.batch()
            for number in range(newest, newest + 6):  # while one frame is shown
                publisher.publish("camera", number)
            eventually(lambda: backlog(service, display) == 1)
            found = account(service.uri, display.uri)
            assert found is not None
            assert found["unacknowledged"] == 1
            display.answer()
            (row,) = display.batch()
            assert decode(row[4]) == newest + 5
            display.answer()
            publisher.publish("camera", "again")


def test_c16_latest_with_a_backlog_of_one_keeps_the_newest_of_all(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    """`backlog=` counts subjects: with four of them, it is four that keep the last value of each."""
    with listener("one") as one, listener("four") as four:
        engaged(service, one, overflow="latest", backlog=1)
        engaged(service, four, overflow="latest", backlog=4)
        for each in (one, four):
            each.subscribe(service.uri, ["B", "C", "D"])
        for number in range(3):
            publisher.publish(["A", "B", "C", "D"], number)
        for each in (one, four):
            each.answer()
        assert [(row[0], decode(row[4])) for row in one.take(1)] == [("D", 2)]
        assert [(row[0], decode(row[4])) for row in four.take(4)] == [(name, 2) for name in "ABCD"]


def test_c16_a_change_to_latest_holds_for_what_waits(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        engaged(service, subscriber)
        for number in range(1, 5):
            publisher.publish("A", number)
        subscribe(service.uri, subscriber.uri, "A", overflow="latest")
        assert backlog(service, subscriber) == 1
        subscriber.answer()
        assert subscriber.messages(1) == [4]


def test_c16_disconnect_says_so(
    service: EventServiceStarter, publisher: Publisher, caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    with listener() as subscriber:
        engaged(service, subscriber, overflow="disconnect", backlog=2)
        assert [publisher.publish("A", number) for number in range(2)] == [1, 1]
        assert publisher.publish("A", "too much") == 0
        subscriber.wait_for_end()
        eventually(lambda: publisher.publish("A", "gone") == 0)
        lost = {"disconnect": 3, "unconfirmed": subscriber.window}
        assert statistics(service.uri)["lost"] == lost
        eventually(lambda: "full backlog" in caplog.text)
        assert subscriber.uri in caplog.text


# C17


def test_c17_a_subscriber_that_holds_up_a_publisher_for_the_deadline_is_disconnected(
    caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    with running(backlog=5, delivery_deadline=0.4) as service, listener() as subscriber:
        engaged(service, subscriber)
        began = time.monotonic()
        assert holding(service, 1, 10).result() == [1] * 6 + [0] * 4
        assert time.monotonic() - began >= 0.4
        subscriber.wait_for_end()
        snapshot = statistics(service.uri)
        assert snapshot["subscribers"] == []
        assert snapshot["lost"] == {"unconfirmed": subscriber.window, "deadline": 6}
        eventually(lambda: "blocked a publisher for 0.4 s" in caplog.text)
        assert subscriber.uri in caplog.text


def test_c17_during_first_contact_too() -> None:
    with running(backlog=5, delivery_deadline=0.4) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")  # and then it never answers
        assert holding(service, 1, 10).result() == [1] * 6 + [0] * 4
        assert statistics(service.uri)["lost"] == {"deadline": 6}


def test_c17_one_that_acknowledges_now_and_then_stays(listener: Listener) -> None:
    """It is held to the time between two acknowledgements, not to the time that a publisher waits."""
    with running(backlog=80, delivery_deadline=2.0) as service, listener() as subscriber:
        engaged(service, subscriber)
        holding(service, 1, 80).result()
        began = time.monotonic()
        held = holding(service, 81, 81)  # until an eighth of the backlog is free
        got = [0]
        while not held.done:
            Flag().wait(0.3)  # a slow handler
            subscriber.answer()
            got += [decode(row[4]) for row in subscriber.batch()]
        assert time.monotonic() - began > 2.0
        assert held.result() == [1]
        subscriber.answer()
        got += subscriber.messages(81 - got[-1])
        assert got == list(range(82))
        assert statistics(service.uri)["lost"] == {}


def test_c17_a_subscriber_is_not_disconnected_for_a_handler_that_takes_long(listener: Listener) -> None:
    with running(backlog=5, delivery_deadline=0.2, heartbeat=0.1) as service, listener() as subscriber:
        engaged(service, subscriber)
        holding(service, 1, 5).result()  # its backlog is full, but nobody is held up
        Flag().wait(0.8)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["backlog"] == 5
        subscriber.answer()
        assert subscriber.messages(5) == [1, 2, 3, 4, 5]


def test_c17_batches_adapt_to_the_pace_of_the_subscriber() -> None:
    with running(backlog=100_000, backlog_bytes=1 << 26) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        with Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
            for number in range(20_000):
                fast.publish("A", number)
        subscriber.greet()
        sizes = []
        while sum(sizes) < 10_000:
            sizes.append(len(subscriber.batch()))
            subscriber.answer()
        assert sizes[0] == 1  # nothing is known of its pace
        assert max(sizes) > 100  # and then it turns out to be fast
        for _ in range(5):  # now a handler takes a millisecond
            sizes.append(len(subscriber.batch()))
            Flag().wait(0.001 * sizes[-1])
            subscriber.answer()
        assert sizes[-1] <= 500  # half a second's work


def test_c17_a_connection_that_breaks_ends_it_at_once(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    with listener() as subscriber:
        subscriber.subscribe(service.uri, "A")
        subscriber.greet()
        subscriber.leave()
        eventually(lambda: publisher.publish("A", 1) == 0)
        eventually(lambda: statistics(service.uri)["subscribers"] == [])


def test_c17_an_idle_one_that_leaves_heartbeats_unanswered_is_disconnected(
    caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    with (
        caplog.at_level("INFO", "pyro_events"),
        running(heartbeat=0.3, heartbeat_answer=0.4) as service,
        listener("dumb") as dumb,
        listener("alive") as alive,
        collecting(service.uri, "A") as ours,
        Publisher(es_uri=service.uri) as publisher,
    ):
        for each in (dumb, alive):
            each.subscribe(service.uri, "A")
            each.greet()
        for _ in range(6):
            frame = alive.frame()
            assert frame is not None and frame.type == PING
            alive.send(PING, frame.seq, "pong")
        eventually(lambda: publisher.publish("A", 1) == 2)
        assert [decode(row[4]) for row in alive.take(1)] == [1]
        ours.wait(1)
        assert "3 heartbeats unanswered" in caplog.text
        pings = 0
        while dumb.frame() is not None:
            pings += 1
        assert pings == 3


@pytest.mark.parametrize(("method", "comes"), [("events", True), ("event", False)])
def test_c27_a_disconnected_subscriber_gets_a_hint_if_it_can_come_back(
    monkeypatch: pytest.MonkeyPatch, method: str, comes: bool
) -> None:
    """Its network may have failed; a plain object, without our base class, would not know what to do."""
    monkeypatch.setattr("pyro_events.server.subscribers.callbacks.reconnect_hint.HINT_INTERVAL", 0.05)
    with running(heartbeat=0.1, heartbeat_answer=0.1) as service, fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet(method)
        subscriber.wait_for_end()
        if comes:
            subscriber.accept()
            assert subscriber.frame() is None  # and without sending anything
        else:
            Flag().wait(0.3)
            assert not subscriber.connected()


def test_c17_one_that_is_busy_is_not_asked_for_heartbeats(listener: Listener) -> None:
    with running(heartbeat=0.1, heartbeat_answer=0.1) as service, listener() as subscriber:
        engaged(service, subscriber)
        Flag().wait(0.8)  # its handler takes eight times as long
        assert account(service.uri, subscriber.uri)
        subscriber.answer()


@pytest.fixture
def scarce() -> Iterator[EventServiceStarter]:
    """A service that may hold 10,000 bytes in all."""
    with running(total_backlog_bytes=10_000, delivery_deadline=1.5) as starter:
        yield starter


def test_c17_the_total_holds_publishers_up_until_there_is_space(
    scarce: EventServiceStarter, listener: Listener
) -> None:
    with listener() as subscriber, collecting(scarce.uri, "B") as healthy:
        engaged(scarce, subscriber, overflow="drop-oldest")
        with Publisher(es_uri=scarce.uri) as publisher:
            held = in_background(lambda: [publisher.publish("A", bytes(3_000)) for _ in range(6)])
            eventually(lambda: statistics(scarce.uri)["backlog_bytes"] > 10_000)
            assert not held.done
            subscriber.answer()
            subscriber.take(6)
            assert held.result() == [1] * 6
            assert publisher.publish("B", bytes(3_000)) == 1
        healthy.wait(1)
        assert statistics(scarce.uri)["lost"] == {}


@pytest.mark.parametrize("policy", ["block", "drop-oldest", "drop-newest", "disconnect"])
def test_c17_the_one_that_holds_most_and_frees_nothing_goes_whatever_its_policy(
    scarce: EventServiceStarter, policy: str, caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    with (
        listener("silent") as silent,
        collecting(scarce.uri, "A", "B") as healthy,
        Publisher(es_uri=scarce.uri) as publisher,
    ):
        engaged(scarce, silent, overflow=policy)
        results = [publisher.publish("A", bytes(3_000)) for _ in range(6)]
        assert results[0] == 2
        assert results[-1] == 1  # the last ones found it gone
        silent.wait_for_end()
        eventually(lambda: "freed least of it" in caplog.text)
        healthy.wait(7)
        found = statistics(scarce.uri)
        assert [one["subscriber"] for one in found["subscribers"]] != [silent.uri]
        assert found["lost"]["deadline"] >= 3


def test_c17_a_trickle_does_not_count_and_those_that_share_go_one_after_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Six hold the same events and take one each second: no publisher would ever go on."""
    with running(total_backlog_bytes=100_000, delivery_deadline=1.0) as service, ExitStack() as stack:
        slow = [stack.enter_context(fake_subscriber(f"slow{number}")) for number in range(6)]
        for each in slow:
            engaged(service, each, overflow="drop-oldest")
        stop = Flag()

        def trickle() -> None:
            while not stop.wait(0.3):
                for each in slow:
                    with contextlib.suppress(OSError, AssertionError):
                        each.answer()
                        each.batch()

        trickling = in_background(trickle)
        with Publisher(es_uri=service.uri) as publisher:
            results = [publisher.publish("A", bytes(5_000)) for _ in range(40)]
        stop.set()
        trickling.result()
        assert results[0] == 6
        assert results[-1] <= 1  # until publishers go on: the last one shares with nobody
        assert len(statistics(service.uri)["subscribers"]) == results[-1]
        assert "freed least of it" in caplog.text


def test_c17_bytes_that_many_share_are_counted_once() -> None:
    with running(total_backlog_bytes=1 << 20) as service, ExitStack() as stack:
        frozen = [stack.enter_context(fake_subscriber(f"frozen{number}")) for number in range(18)]
        for each in frozen:
            subscribe(service.uri, each.uri, "A")
        with Publisher(es_uri=service.uri) as publisher:
            for _ in range(50):
                assert publisher.publish("A", bytes(10_000)) == 18
        assert 500_000 < statistics(service.uri)["backlog_bytes"] < 600_000


def test_c17_publishers_that_give_up_do_not_keep_a_frozen_subscriber(listener: Listener) -> None:
    """Each of them waits for less than the deadline, and another one comes at once."""
    with running(backlog=1, delivery_deadline=1.0) as service, listener() as frozen:
        engaged(service, frozen)
        holding(service, 1, 1).result()

        def impatient() -> bool:
            with raw_client(service.uri) as client:
                client.send_call("publish", "A", "more")
                Flag().wait(0.4)
            return not statistics(service.uri)["subscribers"]

        eventually(impatient)


# C40a


def test_c40a_one_that_held_publishers_up_cannot_do_so_again_at_once(
    caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    """Whatever it calls itself when it comes back."""
    with running(backlog=5, delivery_deadline=0.4) as service, listener() as subscriber:
        engaged(service, subscriber)
        assert holding(service, 1, 10).result() == [1] * 6 + [0] * 4
        subscriber.wait_for_end()
        for _ in range(2):
            subscriber.subscribe(service.uri, "A", overflow="block")
            subscriber.greet("event")
            assert holding(service, 1, 20).result() == [1] * 20  # nobody is held up
            found = account(service.uri, subscriber.uri)
            assert found is not None
            assert found["overflow"] == "drop-oldest"
            assert found["lost"] == {"drop-oldest": 15 - subscriber.window}
            subscriber.leave()
            eventually(lambda: not statistics(service.uri)["subscribers"])
            subscriber.rename()
        with listener("elsewhere") as other:
            other.subscribe(service.uri, "A")
            assert holding(service, 1, 20).result() == [1] * 20
        eventually(lambda: "has drop-oldest in place of block for 60 s" in caplog.text)


def test_c40a_the_right_comes_back(listener: Listener) -> None:
    with (
        running(backlog=5, delivery_deadline=0.4, block_suspension=1.0) as service,
        listener() as subscriber,
    ):
        engaged(service, subscriber)
        holding(service, 1, 10).result()
        subscriber.wait_for_end()
        subscriber.subscribe(service.uri, "A")
        eventually(lambda: (account(service.uri, subscriber.uri) or {})["overflow"] == "block")


def test_c17_one_that_only_now_got_something_to_do_is_not_to_blame(scarce: EventServiceStarter) -> None:
    """It has been idle for longer than the frozen one has been frozen, which is not its fault."""
    with fake_subscriber("busy") as busy, fake_subscriber("frozen") as frozen:
        subscribe(scarce.uri, busy.uri, "B")
        busy.greet()
        engaged(scarce, frozen, overflow="drop-oldest")
        with Publisher(es_uri=scarce.uri) as publisher:
            held = in_background(lambda: [publisher.publish("A", bytes(3_000)) for _ in range(4)])
            eventually(lambda: statistics(scarce.uri)["backlog_bytes"] > 10_000)
            Flag().wait(0.75)  # half of the deadline
            with Publisher(es_uri=scarce.uri) as other:
                late = in_background(lambda: other.publish("B", 1))
                assert len(busy.batch()) == 1
                frozen.wait_for_end()
                assert account(scarce.uri, busy.uri)
                busy.answer()
                assert late.result() == 1
            held.result()
        assert account(scarce.uri, busy.uri)


def test_c16_and_c17_a_publisher_into_its_own_full_backlog_is_freed_by_the_deadline() -> None:
    """C22 says that it holds itself up until then."""

    class Echo(Subscriber):
        def __init__(self, es_uri: str) -> None:
            super().__init__(es_uri=es_uri)
            self.setThreading(False)
            self.results: list[int] = []

        def event(self, event: object) -> None:
            if not self.results:
                with Publisher(es_uri=service.uri) as publisher:
                    for _ in range(5):
                        self.results.append(publisher.publish("A", "echo"))

    with running(backlog=2, delivery_deadline=0.4) as service:
        echo = Echo(service.uri)
        with listening(echo), Publisher(es_uri=service.uri) as publisher:
            echo.subscribe("A")
            publisher.publish("A", "begin")
            eventually(lambda: len(echo.results) == 5)
            assert echo.results == [1, 1, 1, 1, 0]  # one in flight beside the one that is handled


def test_c17_calls_that_are_held_up_count_towards_the_total(start_service) -> None:
    """Eighty publishers of a message each, for a subscriber that takes none."""
    total, size = 16 << 20, 1 << 20
    es = start_service("--total-backlog-bytes", str(total), "--delivery-deadline", "120")
    with fake_subscriber() as frozen, contextlib.ExitStack() as stack:
        subscribe(es.uri, frozen.uri, "A", backlog=1)
        frozen.greet()
        with Publisher(es_uri=es.uri) as publisher:
            publisher.publish("A", 1)
        payload = encode(bytes(size))
        call = write_frame(INVOKE, 0, MSGPACK, 1, call_body("publish_encoded", [["A", payload]]))
        clients = [stack.enter_context(raw_client(es.uri)) for _ in range(80)]
        for client in clients:
            client.send(call)
        # As many events are accepted as fit into the total, and as many calls wait as well.
        eventually(lambda: sum(not ended(client.sock) for client in clients) <= 2 * total // size, 20)
        assert any(not ended(client.sock) for client in clients), "what fits is not ended"
        frozen.leave()
        with Publisher(es_uri=es.uri) as other:
            assert eventually(lambda: other.publish("B", "space again") == 0)


def ended(sock: socket.socket) -> bool:
    """Whether the service has closed a connection on which it answers nothing."""
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
