"""The contract on threads, line by line (docs/contract.md, C21 to C24)."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import accounts
import pytest
from contract import in_background, running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import Collector, collecting, listening
from processes import Spawner
from Pyro5.api import Proxy
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher, Subscriber

PROGRAMS = Path(__file__).parent / "programs"
MANY = 8000


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


class Busy(Subscriber):
    """Its handlers wait until they are let go; it notes how many run, and when they start."""

    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri)
        self.lock = threading.Lock()
        self.started: list[object] = []
        self.finished: list[object] = []
        self.threads: set[int] = set()
        self.running = 0
        self.most = 0
        self.go = threading.Event()

    def event(self, event: Event) -> None:
        with self.lock:
            self.started.append(event.msg)
            self.threads.add(threading.get_ident())
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.go.wait(20)
        with self.lock:
            self.running -= 1
            self.finished.append(event.msg)


def warmed_up(service: EventServiceStarter, busy: Busy, publisher: Publisher) -> None:
    """Let it handle events quickly, so that the service knows its pace; then its handlers wait."""
    busy.go.set()
    busy.subscribe("A")
    with publisher.pipeline() as fast:
        for number in range(500):
            fast.publish("A", number)
    eventually(lambda: statistics(service.uri)["delivered"] == 500)
    busy.started.clear()
    busy.finished.clear()
    busy.threads.clear()
    busy.go.clear()


@pytest.mark.usefixtures("each_way")
def test_c21_events_arrive_in_threads_of_the_daemon(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    busy = Busy(service.uri)
    busy.go.set()
    with listening(busy):
        busy.subscribe("A")
        publisher.publish("A", 1)
        eventually(lambda: busy.finished)
        assert threading.main_thread().ident not in busy.threads


@pytest.mark.usefixtures("each_way")
def test_c21_a_new_event_may_start_while_the_previous_one_is_handled(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    busy = Busy(service.uri)
    with listening(busy):
        warmed_up(service, busy, publisher)
        publisher.publish("A", 0)
        publisher.publish("A", 1)
        eventually(lambda: busy.running == 2)
        assert busy.started == [0, 1]  # they start in order
        busy.go.set()
        eventually(lambda: len(busy.finished) == 2)
        assert len(busy.threads) == 2


@pytest.mark.usefixtures("each_way")
def test_c21_the_events_of_one_batch_too(service: EventServiceStarter, publisher: Publisher) -> None:
    busy = Busy(service.uri)
    with listening(busy):
        warmed_up(service, busy, publisher)
        assert publisher.publish(["A"] * 5, "x") == 5
        eventually(lambda: busy.running == 5)
        busy.go.set()
        eventually(lambda: len(busy.finished) == 5)


@pytest.mark.usefixtures("each_way")
def test_c21_threads_are_bounded(service: EventServiceStarter, publisher: Publisher) -> None:
    busy = Busy(service.uri)
    before = threading.active_count()
    with listening(busy):
        warmed_up(service, busy, publisher)
        with publisher.pipeline() as fast:
            for number in range(200):
                fast.publish("A", number)
        eventually(lambda: busy.running >= 10)
        threading.Event().wait(0.5)  # time enough to start too many
        assert threading.active_count() - before < 30
        assert busy.running <= 16
        assert busy.started == list(range(busy.running))
        busy.go.set()
        eventually(lambda: len(busy.finished) == 200)


@pytest.mark.usefixtures("each_way")
def test_c21_without_threading_strictly_one_by_one(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    busy = Busy(service.uri)
    busy.setThreading(False)
    with listening(busy):
        busy.subscribe("A")
        publisher.publish("A", 0)
        eventually(lambda: busy.running == 1)
        for number in range(1, 100):
            publisher.publish("A", number)
        threading.Event().wait(0.2)  # time enough to start another
        assert busy.started == [0]
        busy.go.set()
        eventually(lambda: len(busy.finished) == 100)
        assert busy.started == busy.finished == list(range(100))
        busy.go.clear()
        publisher.publish(["A"] * 10, "together")
        eventually(lambda: busy.running == 1)
        threading.Event().wait(0.2)
        assert len(busy.started) == 101
        busy.go.set()
        eventually(lambda: len(busy.finished) == 110)
        assert busy.most == 1


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("threads", [True, False])
def test_c21_a_batch_is_acknowledged_when_all_its_events_have_returned(threads: bool) -> None:
    """So a handler's pace reaches the publishers."""
    with running(backlog=5, delivery_deadline=60) as service, Publisher(es_uri=service.uri) as publisher:
        busy = Busy(service.uri)
        busy.setThreading(threads)
        with listening(busy):
            busy.subscribe("A")
            held = in_background(lambda: [publisher.publish("A", number) for number in range(50)])
            eventually(lambda: busy.running >= 1)
            eventually(lambda: statistics(service.uri)["subscribers"][0]["backlog"] >= 5)
            assert statistics(service.uri)["delivered"] == 0
            assert not held.done
            busy.go.set()
            assert held.result() == [1] * 50
            eventually(lambda: statistics(service.uri)["delivered"] == 50)


@pytest.mark.usefixtures("each_way")
def test_c21_never_two_at_once_also_across_a_reconnection(caplog: pytest.LogCaptureFixture) -> None:
    """And what had not started on the old connection is discarded, and counted by the service."""
    with running(backlog=2, delivery_deadline=0.4) as service, Publisher(es_uri=service.uri) as publisher:
        busy = Busy(service.uri)
        busy.setThreading(False)
        with listening(busy):
            for number in range(1, 4):  # before it subscribes they vanish
                publisher.publish("A", -number)
            busy.subscribe("A")
            publisher.publish("A", "stuck")
            eventually(lambda: busy.running == 1)
            while publisher.publish("A", "never started"):
                pass  # until the deadline has disconnected it
            assert statistics(service.uri)["subscribers"] == []
            busy.subscribe("A")
            assert publisher.publish("A", "new") == 1
            eventually(lambda: busy.statistics().connections >= 1)
            threading.Event().wait(0.2)  # time enough to start a second handler
            assert busy.started == ["stuck"]
            busy.go.set()
            eventually(lambda: "new" in busy.finished)
            assert busy.started == ["stuck", "new"]
            assert busy.most == 1
            snapshot = statistics(service.uri)
            assert snapshot["lost"]["unconfirmed"] >= 1
            assert set(snapshot["lost"]) == {"unconfirmed", "deadline"}


@pytest.mark.usefixtures("each_way")
def test_c21a_abort_returns_at_once_and_listen_does_not_wait_for_handlers(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    busy = Busy(service.uri)
    busy.setThreading(False)
    with busy:
        listener = in_background(busy.listen)
        busy.subscribe("A")
        for number in range(20):
            publisher.publish("A", number)
        eventually(lambda: busy.running == 1)
        busy.abort()
        listener.result()  # while the handler is still running
        assert busy.running == 1
        busy.go.set()
        eventually(lambda: busy.finished == [0])
        threading.Event().wait(0.2)  # time enough to start another
        assert busy.started == [0]


@pytest.mark.usefixtures("each_way")
def test_c21a_abort_inside_event(service: EventServiceStarter, publisher: Publisher) -> None:
    class Once(Collector):
        returned = False

        def event(self, event: Event) -> None:
            super().event(event)
            self.abort()
            self.returned = True

    for threads in (True, False):
        with Once(service.uri) as once:
            once.setThreading(threads)
            once.subscribe("A")
            for number in range(10):
                publisher.publish("A", number)
            once.listen()  # returns
            eventually(lambda once=once: once.returned)  # type: ignore[misc]
            threading.Event().wait(0.1)
            assert once.messages() == [0]


@pytest.mark.usefixtures("each_way")
def test_c21a_listen_can_be_called_again(service: EventServiceStarter, publisher: Publisher) -> None:
    class Pairs(Collector):
        def event(self, event: Event) -> None:
            super().event(event)
            if event.msg % 2:
                self.abort()

    with Pairs(service.uri) as pairs:
        pairs.subscribe("A")
        for number in range(6):
            publisher.publish("A", number)
        for times in (2, 4, 6):
            pairs.listen()
            eventually(lambda times=times: len(pairs.events) == times)  # type: ignore[misc]
        assert pairs.messages() == list(range(6))


@pytest.mark.usefixtures("each_way")
def test_c21a_close_unsubscribes_everything_first(service: EventServiceStarter, publisher: Publisher) -> None:
    collector = Collector(service.uri)
    collector.subscribe(["A", "B"])
    collector.subscribeMatch("^C")
    assert publisher.publish(["A", "B", "C"], 1) == 3
    collector.close()
    assert publisher.publish(["A", "B", "C"], 2) == 0
    with collecting(service.uri, "A") as another:
        publisher.publish("A", 3)
        another.wait(1)
    assert publisher.publish("A", 4) == 0


@pytest.mark.usefixtures("each_way")
def test_c22_event_may_publish_subscribe_unsubscribe_and_abort(service: EventServiceStarter) -> None:
    class Chain(Publisher, Subscriber):
        def __init__(self, es_uri: str) -> None:
            Publisher.__init__(self, es_uri=es_uri)
            Subscriber.__init__(self, es_uri=es_uri)
            self.setThreading(False)
            self.seen: list[tuple[str, object]] = []
            self.subscribe("link 0")

        def event(self, event: Event) -> None:
            self.seen.append((event.subject, event.msg))
            number = int(event.subject.split()[1])
            if number == 50:
                self.abort()
                return
            self.unsubscribe(event.subject)
            self.subscribe(f"link {number + 1}")
            assert self.publish(f"link {number + 1}", number) == 1

    with Chain(service.uri) as chain, Publisher(es_uri=service.uri) as publisher:
        assert publisher.publish("link 0", None) == 1
        chain.listen()
        assert [subject for subject, _ in chain.seen] == [f"link {number}" for number in range(51)]


@pytest.mark.usefixtures("each_way")
def test_c22_control_calls_pass_a_publisher_that_is_held_up() -> None:
    """Also in one object that is both, whose publishing end is not read by the service."""

    class Both(Publisher, Subscriber):
        def __init__(self, es_uri: str) -> None:
            Publisher.__init__(self, es_uri=es_uri)
            Subscriber.__init__(self, es_uri=es_uri)

        def event(self, event: Event) -> None:
            self.subscribe("B")
            self.unsubscribe("A")
            done.set()

    done = threading.Event()
    with running(backlog=1, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        both = Both(service.uri)
        both.subscribe("A")
        held = in_background(lambda: [both.publish("full", number) for number in range(5)])
        eventually(lambda: statistics(service.uri)["waiting"] == 2)
        with listening(both), Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", 1) == 1
            assert done.wait(10)
            eventually(lambda: publisher.publish("B", 2) == 1)
            assert not held.done
            frozen.greet()
            frozen.take(5)
            assert held.result() == [1] * 5


def test_c23_a_publisher_may_be_used_from_any_thread(service: EventServiceStarter) -> None:
    count, threads = 200, 8
    with collecting(service.uri, "A") as collector, Publisher(es_uri=service.uri) as publisher:

        def talk(name: int) -> int:
            queued = sum(publisher.publish("A", (name, number)) for number in range(count))
            with publisher.pipeline() as fast:
                for number in range(count, 2 * count):
                    fast.publish("A", (name, number))
            return queued

        talking = [in_background(lambda name=name: talk(name)) for name in range(threads)]  # type: ignore[misc]
        assert [each.result(30) for each in talking] == [count] * threads
        events = collector.wait(2 * count * threads)
        for name in range(threads):
            mine = [event.msg[1] for event in events if event.msg[0] == name]
            assert mine == list(range(2 * count))
        assert len({event.seq for event in events}) == 2 * count * threads


# C24: looked at from outside, as the system sees the service's process.


@accounts.needs_proc
def test_c24_the_service_needs_no_thread_per_publisher_or_subscriber(es) -> None:
    with collecting(es.uri, "A") as first, Publisher(es_uri=es.uri) as publisher:
        publisher.publish("A", 1)
        first.wait(1)
        with Proxy(es.uri) as stock:
            stock.publish("A", "x" * 20_000)  # serpent, read in the pool
            stock.publish("A", "x" * 20_000)
        before = accounts.threads(es.process.pid)
        publishers = [Publisher(es_uri=es.uri) for _ in range(60)]
        with fake_subscriber() as held:
            for number in range(60):
                subscribe(es.uri, f"{held.uri}".replace("fake", f"fake{number}"), ["A", "B"])
            for each in publishers:
                assert each.publish(["A", "B"], 1) == 121
            assert accounts.threads(es.process.pid) <= before + 1
            for each in publishers:
                each.close()


@accounts.needs_proc
@pytest.mark.timeout(180)
def test_c24_8000_subscribers_cost_under_8_kib_each_and_no_thread(start_service, spawn: Spawner) -> None:
    files = 2 * MANY + 500  # half of them are for clients
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < files:
        pytest.skip("the limit of open files cannot be raised far enough")
    es = start_service("--max-per-host", str(MANY + 10))
    resource.prlimit(es.process.pid, resource.RLIMIT_NOFILE, (files, files))
    with collecting(es.uri, "warm") as collector, Publisher(es_uri=es.uri) as publisher:
        for number in range(100):
            publisher.publish("warm", number)
        collector.wait(100)
        used, before = accounts.memory(es.process.pid), accounts.threads(es.process.pid)
        many = spawn(str(PROGRAMS / "many_subscribers.py"), es.uri, str(MANY))
        many.wait_for("^connected", timeout=40)
        each = (accounts.memory(es.process.pid) - used) * 1024 * 1024 / MANY
        assert each < 8 * 1024, f"{each:.0f} bytes for each subscriber"
        assert accounts.threads(es.process.pid) == before
        # All of them are really subscribed, and one event reaches everybody.
        assert publisher.publish(["own.0", f"own.{MANY - 1}"], 1) == 2
        many.write("expect 2\n")
        many.wait_for("received")
        assert publisher.publish("all", 2) == MANY
        many.write(f"expect {MANY}\n")
        many.wait_for(r"received\n.*received", timeout=30)
        assert accounts.threads(es.process.pid) == before
    assert many.terminate() == -15
