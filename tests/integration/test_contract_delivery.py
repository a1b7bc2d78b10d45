"""The contract on what a subscriber gets, line by line (docs/contract.md, C13 to C15, C18 to C20).

test_contract_overflow.py has C16 and C17.
"""

from __future__ import annotations

import itertools
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from contract import account, in_background, running, statistics, subscribe
from fake_listener import Listener
from fake_subscriber import fake_subscriber
from listening import Collecting, Collector, StreamCollector, collecting, listening
from log_lines import counted
from processes import Spawner
from Pyro5.api import Proxy
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher, Subscriber
from pyro_events.wire.frames import EXCEPTION

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def test_c13_what_an_event_has(
    service: EventServiceStarter, publisher: Publisher, collect: Collecting
) -> None:
    with collect(service.uri, "A", "B") as collector:
        before = time.time()
        publisher.publish("A", ("SUN", 22.44))
        publisher.publish("b", None)
        first, second = collector.wait(2)
        assert (first.subject, first.msg, first.seq, first.missed) == ("A", ("SUN", 22.44), 1, 0)
        assert (second.subject, second.msg, second.seq, second.missed) == ("b", None, 2, 0)
        assert before - 0.001 <= first.time <= second.time <= time.time() + 0.001
        assert str(first) == f"<EVENT SUBJ A ({time.ctime(first.time)}): ('SUN', 22.44)>"


def test_c13_seq_counts_for_each_subscriber(
    service: EventServiceStarter, publisher: Publisher, collect: Collecting
) -> None:
    with collect(service.uri, "A") as one, collect(service.uri, "A", "B") as other:
        for number in range(6):
            publisher.publish("AB"[number % 2], number)
        assert [event.seq for event in one.wait(3)] == [1, 2, 3]
        assert [event.seq for event in other.wait(6)] == [1, 2, 3, 4, 5, 6]


def test_c13_seq_starts_again_after_a_reconnection(
    service: EventServiceStarter, publisher: Publisher, listener: Listener
) -> None:
    with listener() as subscriber:
        for _ in range(2):
            subscriber.subscribe(service.uri, "A")
            subscriber.greet()
            publisher.publish("A", 1)
            publisher.publish("A", 2)
            assert [row[2] for row in subscriber.take(2)] == [1, 2]
            subscriber.leave()
            eventually(lambda: not statistics(service.uri)["subscribers"])


def test_c13_the_connection_lingers_after_the_last_subscription() -> None:
    with (
        running(linger=1.0) as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
        Proxy(service.uri) as es,
    ):
        es.subscribe("A", subscriber.uri)
        subscriber.greet()
        publisher.publish("A", 1)
        es.unsubscribe("A", subscriber.uri)
        es.subscribe("B", subscriber.uri)
        publisher.publish("B", 2)
        assert [row[2] for row in subscriber.take(2)] == [1, 2]  # on the same connection
        es.unsubscribe("B", subscriber.uri)
        assert account(service.uri, subscriber.uri)
        subscriber.wait_for_end()
        eventually(lambda: not statistics(service.uri)["subscribers"])
        es.subscribe("A", subscriber.uri)
        subscriber.greet()
        publisher.publish("A", 3)
        assert [row[2] for row in subscriber.take(1)] == [1]


def test_c13_each_unsubscribing_lingers_for_its_whole_time() -> None:
    """Many programs turn from subject to subject, for longer than a connection lingers."""
    with (
        running(linger=1.0) as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
        Proxy(service.uri) as es,
    ):
        es.subscribe("A", subscriber.uri)
        subscriber.greet()
        end = time.monotonic() + 1.7
        expected = 0
        while time.monotonic() < end:
            es.unsubscribe("A", subscriber.uri)
            for _ in range(5):
                assert publisher.publish("A", None) == 0
            es.subscribe("A", subscriber.uri)
            assert publisher.publish("A", None) == 1
            expected += 1
            assert [row[2] for row in subscriber.take(1)] == [expected]


def test_c13_what_is_queued_is_delivered_before_a_lingering_connection_ends() -> None:
    with (
        running(linger=0.05, delivery_deadline=5) as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
        Proxy(service.uri) as es,
    ):
        es.subscribe("A", subscriber.uri)
        subscriber.greet()
        for number in range(20):
            publisher.publish("A", number)
        es.unsubscribe("A", subscriber.uri)
        got = []
        for pause in itertools.chain([0.2, 0.1], itertools.repeat(0)):
            rows = subscriber.batch()
            got += [row[2] for row in rows]
            threading.Event().wait(pause)  # a slow handler
            subscriber.answer()
            if len(got) == 20:
                break
        assert got == list(range(1, 21))
        subscriber.wait_for_end()
        eventually(lambda: statistics(service.uri)["delivered"] == 20)


def test_c14_one_publishers_order_and_one_total_order_for_all_subscribers(
    es, spawn: Spawner, collect: Collecting
) -> None:
    count = 200
    listeners = [
        spawn(str(PROGRAMS / "listener.py"), "--es-uri", es.uri, "--without-threading", "A", ready="ready")
        for _ in range(2)
    ]
    with collect(es.uri, "A") as collector:
        publishers = [spawn(str(PROGRAMS / "publisher.py"), es.uri, "a", str(count)) for _ in range(2)]

        def talk(sign: int) -> None:
            with Publisher(es_uri=es.uri) as publisher, publisher.pipeline() as fast:
                for number in range(count):
                    fast.publish("A", sign * number)

        mine = [in_background(lambda sign=sign: talk(sign)) for sign in (1, -1)]  # type: ignore[misc]
        for each in mine:
            each.result(30)
        for publisher in publishers:
            assert publisher.wait() == 0
            assert f"deliveries: {3 * count}" in publisher.stdout
        events = collector.wait(4 * count)
    assert [event.seq for event in events] == list(range(1, 4 * count + 1))
    assert sorted(event.msg for event in events) == sorted([*range(count)] * 3 + [-n for n in range(count)])
    positive = [event.msg for event in events if event.subject == "A" and event.msg > 0]
    negative = [-event.msg for event in events if event.msg < 0]
    assert positive == negative == list(range(1, count))
    total = [f"{event.seq} {event.subject} {event.msg}" for event in events]
    for listener in listeners:
        listener.wait_for(rf"^{4 * count} ")
        assert listener.stdout.splitlines()[1:] == total


def test_c14_order_holds_for_publishers_that_are_held_up(listener: Listener) -> None:
    with running(backlog=4) as service, listener() as subscriber:
        subscriber.subscribe(service.uri, "A")
        subscriber.greet()

        def talk(name: str) -> None:
            with Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
                for number in range(200):
                    fast.publish("A", (name, number))

        publishers = [in_background(lambda name=name: talk(name)) for name in "abc"]  # type: ignore[misc]
        got = subscriber.messages(600)
        for each in publishers:
            each.result()
        for name in "abc":
            assert [number for who, number in got if who == name] == list(range(200))


def test_c15_a_frozen_subscriber_delays_nobody(es, spawn: Spawner) -> None:
    frozen = spawn(
        str(PROGRAMS / "listener.py"), "--es-uri", es.uri, "--without-threading", "A", ready="ready"
    )
    with collecting(es.uri, "A") as healthy, Publisher(es_uri=es.uri) as publisher:
        assert publisher.publish("A", "first") == 2
        frozen.wait_for("^1 A 'first'")
        frozen.send(signal.SIGSTOP)
        with publisher.pipeline() as fast:
            for number in range(5000):
                fast.publish("A", number)
        events = healthy.wait(5001)  # all of it while the other is frozen
        assert [event.seq for event in events] == list(range(1, 5002))
        waiting = [one for one in statistics(es.uri)["subscribers"] if one["backlog"]]
        assert len(waiting) == 1
        assert "first" in frozen.stdout and "4999" not in frozen.stdout
        frozen.send(signal.SIGCONT)
        frozen.wait_for("^5001 A 4999$")
        assert len(frozen.stdout.splitlines()) == 5002


def test_c15_a_subscriber_that_does_not_read_delays_nobody(
    service: EventServiceStarter, listener: Listener, collect: Collecting
) -> None:
    with (
        listener() as silent,
        collect(service.uri, "A") as healthy,
        Publisher(es_uri=service.uri) as publisher,
    ):
        silent.subscribe(service.uri, "A")
        silent.greet()
        for number in range(60):
            assert publisher.publish("A", (number, bytes(1_000_000))) == 2
        assert len(healthy.wait(60)) == 60


def test_c15_a_dead_subscriber_delays_nobody_and_is_forgotten(
    es, spawn: Spawner, collect: Collecting
) -> None:
    doomed = spawn(str(PROGRAMS / "listener.py"), "--es-uri", es.uri, "A", ready="ready")
    with collect(es.uri, "A") as healthy, Publisher(es_uri=es.uri) as publisher:
        assert publisher.publish("A", 0) == 2
        doomed.wait_for("^1 A 0$")  # one that was never reached may come by another way, for a minute
        doomed.send(signal.SIGKILL)
        eventually(lambda: publisher.publish("A", 1) == 1)
        assert publisher.publish("A", "last") == 1
        eventually(lambda: healthy.events and healthy.events[-1].msg == "last")
        snapshot = statistics(es.uri)
        assert len(snapshot["subscribers"]) == 1
        assert set(snapshot["lost"]) <= {"gone", "unconfirmed"}


# C18, C19


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [("drop-oldest", [(1, 0), (6, 4), (7, 0), (8, 0)]), ("drop-newest", [(1, 0), (2, 0), (3, 0), (4, 0)])],
)
def test_c18_lost_events_show_in_seq_in_missed_and_in_statistics(
    service: EventServiceStarter, publisher: Publisher, overflow: str, kept: list[tuple[int, int]]
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A", backlog=3, overflow=overflow)
        subscriber.greet("event")
        publisher.publish("A", 1)
        rows = subscriber.batch()
        for number in range(2, 9):
            publisher.publish("A", number)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["lost"] == {overflow: 4}
        assert (found["accepted"], found["backlog"], found["unacknowledged"]) == (8, 3, 1)
        subscriber.answer()
        rows += subscriber.take(3)
        assert [(row[2], row[3]) for row in rows] == kept
        publisher.publish("A", 9)
        (row,) = subscriber.take(1)
        assert row[2] == 9
        assert row[3] == 8 - kept[-1][0]
        # Every hole in seq is announced by the event behind it.
        assert sum(row[3] for row in [*rows, row]) == 4


def test_c18_the_accounts_are_exact_for_every_policy_under_load() -> None:
    """Random bursts, five policies, slow and failing handlers; `statistics` checks the identity."""

    class Weary(Collector):
        """Takes its time now and then, and fails sometimes."""

        def __init__(self, es_uri: str, seed: int) -> None:
            super().__init__(es_uri)
            self.dice = random.Random(seed)

        def event(self, event: Event) -> None:
            self.events.append(event)
            if self.dice.random() < 0.05:
                threading.Event().wait(0.005)
            if self.dice.random() < 0.05:
                raise RuntimeError("tired")

    policies = "block", "drop-oldest", "drop-newest", "latest", "disconnect"
    with running(backlog=50) as service, Publisher(es_uri=service.uri) as publisher:
        weary = [Weary(service.uri, seed) for seed in range(len(policies))]
        for each, policy in zip(weary, policies, strict=True):
            each.subscribe(["A", "B"], overflow=policy, backlog=20)
        uris = [str(each.daemon.uriFor(each)) for each in weary]
        with listening(weary[0]), listening(weary[1]), listening(weary[2]), listening(weary[3]):
            with listening(weary[4]), publisher.pipeline() as fast:
                for number in range(1500):
                    fast.publish("AB"[number % 2], number)
                    if number % 100 == 0:
                        statistics(service.uri)
            eventually(lambda: not statistics(service.uri)["waiting"], 20)
            for each, policy, uri in zip(weary[:4], policies, uris, strict=False):
                found = account(service.uri, uri)
                assert found is not None, policy
                assert found["accepted"] == 1500
                failed = each.statistics().failed
                assert failed > 0
                assert found["lost"].get("handler-error", 0) == failed
                assert found["delivered"] == len(each.events) - failed
                dropped = sum(found["lost"].values()) - failed
                announced = sum(event.missed or 0 for event in each.events)
                assert dropped == announced + 1500 - each.events[-1].seq
                seqs = [event.seq for event in each.events]
                assert seqs == sorted(set(seqs))
            assert len(weary[0].events) == 1500


def test_c18_the_accounts_of_streams_are_exact_for_every_policy_under_load() -> None:
    """The same for programs that take their events at random moments, and that cannot fail to take one."""

    class Weary(StreamCollector):
        dice: random.Random

        def event(self, event: Event) -> None:
            self.events.append(event)
            if self.dice.random() < 0.05:
                threading.Event().wait(0.005)

    policies = "block", "drop-oldest", "drop-newest", "latest"
    with running(backlog=50) as service, ExitStack() as stack:
        publisher = stack.enter_context(Publisher(es_uri=service.uri))
        weary = [Weary(service.uri) for _ in policies]
        for seed, (each, policy) in enumerate(zip(weary, policies, strict=True)):
            each.dice = random.Random(seed)
            stack.enter_context(listening(each))
            each.subscribe(["A", "B"], overflow=policy, backlog=20)
        with publisher.pipeline() as fast:
            for number in range(1500):
                fast.publish("AB"[number % 2], number)
                if number % 100 == 0:
                    statistics(service.uri)
        eventually(lambda: not statistics(service.uri)["waiting"], 20)
        for each, policy in zip(weary, policies, strict=True):
            found = account(service.uri, each.known_as)
            assert found is not None and found["accepted"] == 1500, policy
            # The last batch may have been acknowledged before its last event was noted.
            eventually(lambda each=each, found=found: len(each.events) == found["delivered"])
            announced = sum(event.missed or 0 for event in each.events)
            assert sum(found["lost"].values()) == announced + 1500 - each.events[-1].seq
            seqs = [event.seq for event in each.events]
            assert seqs == sorted(set(seqs))
        assert len(weary[0].events) == 1500


def test_c18_what_a_subscriber_that_is_gone_did_not_get_is_counted(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet("event")
        for number in range(10):
            publisher.publish("A", number)
        assert len(subscriber.batch()) == 1
        subscriber.leave()
        eventually(lambda: not statistics(service.uri)["subscribers"])
        snapshot = statistics(service.uri)
        assert snapshot["accepted"] == 10
        assert snapshot["lost"] == {"unconfirmed": 1, "gone": 9}


def test_c18_a_slow_subscriber_is_logged_once_per_episode(caplog: pytest.LogCaptureFixture) -> None:
    """A display with a backlog of one behind a camera, whose backlog is full again and again."""

    def lines(text: str) -> int:
        return sum(text in record.getMessage() for record in caplog.records)

    with (
        running(heartbeat_answer=0.2) as service,  # which looks twenty times a second, too
        Publisher(es_uri=service.uri) as publisher,
        fake_subscriber() as subscriber,
    ):
        subscribe(service.uri, subscriber.uri, "A", backlog=1, overflow="latest")
        subscriber.greet("event")
        publisher.publish("A", 0)

        def one_more_frame() -> bool:
            for number in range(6):
                publisher.publish("A", number)
            subscriber.batch()
            subscriber.answer()
            return lines("is slow") > 0

        eventually(one_more_frame, 60)
        for _ in range(50):
            one_more_frame()
        assert (lines("is slow"), lines("caught up")) == (1, 0)
        subscriber.take(1)
        eventually(lambda: lines("caught up"), 10.0)
        assert (lines("is slow"), lines("caught up")) == (1, 1)
    assert subscriber.uri in caplog.text


def test_c18_closing_a_subscriber_that_never_listened_logs_no_warning(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "pyro_events"):
        with Subscriber(es_uri=service.uri) as subscriber:
            subscriber.subscribe("A")
        eventually(lambda: not statistics(service.uri)["subscribers"])
        # It has closed the connection, or it has closed before there was one.
        eventually(lambda: "disconnected, 0 events lost" in caplog.text)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_c18_statistics_tell_the_age_of_the_oldest_event(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["oldest"] is None
        publisher.publish("A", 1)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        first = found["oldest"]
        assert 0 <= first < 10
        publisher.publish("A", 2)
        eventually(lambda: (now := account(service.uri, subscriber.uri)) and now["oldest"] > first)


def test_c19_the_original_time_stamp_stays(service: EventServiceStarter, publisher: Publisher) -> None:
    """A listener that was frozen for a while can tell what is too old."""

    class Skipping(Collector):
        def event(self, event: Event) -> None:
            if event.time >= threshold:
                super().event(event)

    with Skipping(service.uri) as late:
        late.subscribe("A")
        publisher.publish("A", "old")
        published = time.time()
        threshold = eventually(lambda: (now := time.time()) > published and now)
        publisher.publish("A", "new")
        with listening(late):
            assert [event.msg for event in late.wait(1)] == ["new"]
            assert late.events[0].seq == 2


# C20


class Failing(Collector):
    """Raises what its events hold."""

    def event(self, event: Event) -> None:
        super().event(event)
        if event.msg == "exit":
            sys.exit(1)
        if event.msg == "interrupt":
            raise KeyboardInterrupt
        if event.msg == "fail":
            raise RuntimeError("as told")


@pytest.mark.parametrize("kind", ["fail", "exit", "interrupt"])
@pytest.mark.parametrize("threading", [True, False])
def test_c20_an_exception_loses_that_event_alone(
    service: EventServiceStarter,
    publisher: Publisher,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    threading: bool,
) -> None:
    failing = Failing(service.uri)
    failing.setThreading(threading)
    with listening(failing):
        failing.subscribe("A.b")
        with publisher.pipeline() as fast:
            for number in range(100):
                fast.publish("A.b", kind if number % 10 == 5 else number)
        failing.wait(100)
        eventually(lambda: not statistics(service.uri)["waiting"])
        found = statistics(service.uri)["subscribers"][0]
        assert (found["delivered"], found["lost"]) == (90, {"handler-error": 10})
        assert sorted(event.seq for event in failing.events) == list(range(1, 101))
        assert publisher.publish("A.b", "still there") == 1
        failing.wait(101)
    eventually(lambda: counted(caplog.records, "its event raised for subject 'A.b'") == 10)
    named = [record for record in caplog.records if record.name == "pyro_events.delivery"]
    assert len(named) < 10, "ten lines within a second are two"


@pytest.mark.parametrize("answer", ["nonsense", 5, [7], [-1], ["0"], [None], [[]], {"a": 1}], ids=repr)
def test_c20_a_reply_that_cannot_be_read_counts_its_batch_as_unconfirmed(
    service: EventServiceStarter,
    publisher: Publisher,
    caplog: pytest.LogCaptureFixture,
    answer: object,
    listener: Listener,
) -> None:
    with listener() as subscriber:
        subscriber.subscribe(service.uri, "A")
        subscriber.greet()
        publisher.publish("A", 1)
        assert len(subscriber.batch()) == 1
        subscriber.answer(answer)
        publisher.publish("A", 2)
        assert [row[2] for row in subscriber.take(1)] == [2]  # nothing is sent twice
        eventually(lambda: not statistics(service.uri)["waiting"])
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert (found["delivered"], found["lost"]) == (1, {"unconfirmed": 1})
    assert "unconfirmed" in caplog.text


def test_c20_an_exception_in_place_of_a_reply(
    service: EventServiceStarter, publisher: Publisher, caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    described = {"__class__": "builtins.SystemExit", "__exception__": True, "args": ["die"], "attributes": {}}
    with listener() as subscriber:
        subscriber.subscribe(service.uri, "A")
        subscriber.greet()
        publisher.publish("A", 1)
        subscriber.batch()
        subscriber.answer(described, EXCEPTION)
        publisher.publish("A", 2)
        assert [row[2] for row in subscriber.take(1)] == [2]
        eventually(lambda: statistics(service.uri)["lost"] == {"unconfirmed": 1})
    assert "SystemExit" in caplog.text


def test_c20_positions_that_raised_are_counted_once(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        for number in range(20):
            publisher.publish("A", number)
        subscriber.greet()
        left = 20
        while (size := len(subscriber.batch())) == 1:
            subscriber.answer()
            left -= 1
        subscriber.answer([1, 1, 1])
        subscriber.take(left - size)
        eventually(lambda: not statistics(service.uri)["waiting"])
        assert statistics(service.uri)["lost"] == {"handler-error": 1}


def test_c20_a_handler_that_was_not_overridden_does_not_fail(
    service: EventServiceStarter, publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    subscriber = Subscriber(es_uri=service.uri)
    with listening(subscriber):
        subscriber.subscribe("A")
        for _ in range(3):
            publisher.publish("A", 1)
        eventually(lambda: statistics(service.uri)["delivered"] == 3)
    assert capsys.readouterr().out.count("<EVENT SUBJ A (") == 3
