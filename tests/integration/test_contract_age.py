"""The contract on events that are too old, line by line (docs/contract.md, C37).

The service's clock is the test's: nothing here waits until something is old.
"""

from __future__ import annotations

import asyncio
import functools
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from fake_listener import Fake, Listener
from fake_subscriber import fake_subscriber
from listening import Collector, listening
from processes import Spawner
from Pyro5.api import Proxy
from raw_client import raw_client
from waiting import eventually

from pyro_events import Event, EventServiceStarter, EventStream, Publisher, aio
from pyro_events.codec.message import decode
from pyro_events.server import starter
from pyro_events.server.engine import Engine

PROGRAMS = Path(__file__).parent / "programs"
POLICIES = ["block", "drop-oldest", "drop-newest", "latest", "disconnect"]


class Clock:
    """The time of day, which stands still until the test sets it."""

    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every service of this test."""
    clock = Clock()
    monkeypatch.setattr(starter, "Engine", functools.partial(Engine, now=clock))
    return clock


@pytest.fixture
def service(clock: Clock) -> Iterator[EventServiceStarter]:
    with running(backlog=5, delivery_deadline=60) as starter:
        yield starter


def publish(service: EventServiceStarter, *messages: object) -> None:
    with Publisher(es_uri=service.uri) as publisher:
        for message in messages:
            assert publisher.publish("A", message) == 1


def frozen(service: EventServiceStarter, subscriber: Fake, **options: object) -> None:
    """Subscribe it to A, and send it as many events as it can take without acknowledging them."""
    subscriber.subscribe(service.uri, "A", **options)
    subscriber.greet("event")
    for _ in range(subscriber.window):
        publish(service, "in flight")
        assert decode(subscriber.batch()[0][4]) == "in flight"


def figures(service: EventServiceStarter, subscriber: Fake) -> tuple[int, int, int]:
    """How many events wait for it, how many have expired, and how many are lost at all."""
    found = account(service.uri, subscriber.uri)
    assert found is not None
    return found["backlog"], found["lost"].get("expired", 0), sum(found["lost"].values())


@pytest.mark.parametrize("policy", POLICIES)
def test_c37_what_has_waited_too_long_is_dropped_before_it_is_sent(
    service: EventServiceStarter, clock: Clock, listener: Listener, policy: str
) -> None:
    """And counted, and missed; what is in flight is not recalled."""
    with listener() as subscriber:
        frozen(service, subscriber, max_age=10, overflow=policy)
        for number in range(3):
            publish(service, f"old {number}")
        clock.now += 10
        publish(service, "young")  # with `latest` it takes the place of the others
        clock.now += 1
        subscriber.answer()
        (row,) = subscriber.batch()
        assert (decode(row[4]), row[3]) == ("young", 3)
        subscriber.answer()
        eventually(lambda: statistics(service.uri)["delivered"] == subscriber.window + 1)
        expected = {"latest": 3} if policy == "latest" else {"expired": 3}
        assert statistics(service.uri)["lost"] == expected


def test_c37_what_is_younger_is_sent(service: EventServiceStarter, clock: Clock, listener: Listener) -> None:
    with listener() as subscriber:
        frozen(service, subscriber, max_age=10)
        publish(service, 1, 2, 3)
        clock.now += 10
        subscriber.answer()
        assert subscriber.messages(3) == [1, 2, 3]
        assert statistics(service.uri)["lost"] == {}


def test_c37_what_expires_frees_memory_while_its_subscriber_does_nothing(
    service: EventServiceStarter, clock: Clock, listener: Listener
) -> None:
    with listener() as subscriber:
        frozen(service, subscriber, max_age=10)
        before = statistics(service.uri)["backlog_bytes"]
        publish(service, *["x" * 10_000] * 5)
        assert statistics(service.uri)["backlog_bytes"] > before + 50_000
        clock.now += 11
        eventually(lambda: figures(service, subscriber) == (0, 5, 5))
        assert statistics(service.uri)["backlog_bytes"] == before


def test_c37_what_expires_before_the_first_contact_is_not_kept_for_it(
    service: EventServiceStarter, clock: Clock
) -> None:
    with fake_subscriber() as subscriber:
        subscriber.subscribe(service.uri, "A", max_age=10)
        publish(service, 1, 2)
        clock.now += 11
        eventually(lambda: figures(service, subscriber) == (0, 2, 2))
        publish(service, 3)
        subscriber.greet()
        (row,) = subscriber.take(1)
        assert (decode(row[4]), row[2], row[3]) == (3, 3, 2)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "disconnect"])
def test_c37_in_a_full_backlog_it_makes_room_before_the_policy_acts(
    service: EventServiceStarter, clock: Clock, listener: Listener, policy: str
) -> None:
    with listener() as subscriber:
        frozen(service, subscriber, max_age=10, overflow=policy)
        publish(service, *range(5))
        clock.now += 11
        publish(service, *"abcde")
        assert figures(service, subscriber) == (5, 5, 5)
        subscriber.answer()
        assert subscriber.messages(5) == list("abcde")


def test_c37_blocked_publishers_go_on_when_what_fills_the_backlog_has_expired(
    service: EventServiceStarter, clock: Clock, listener: Listener
) -> None:
    """Their own events, which are as old as the calls, among them."""
    with listener() as subscriber:
        frozen(service, subscriber, max_age=10)
        publish(service, *range(5))
        talking = in_background(lambda: publish(service, "a", "b", "c", "d"))
        eventually(lambda: figures(service, subscriber)[0] == 6)
        assert not talking.done
        clock.now += 11
        talking.result()
        found = account(service.uri, subscriber.uri)
        assert found is not None and found["lost"] == {"expired": 6}  # "a" came before the time went on
        subscriber.answer()
        assert subscriber.messages(3) == ["b", "c", "d"]


def test_c37_the_total_is_freed_too(clock: Clock, listener: Listener) -> None:
    with (
        running(backlog_bytes=1 << 20, total_backlog_bytes=400_000, delivery_deadline=60) as service,
        listener() as subscriber,
    ):
        frozen(service, subscriber, max_age=10)
        talking = in_background(lambda: publish(service, *[bytes(50_000)] * 10))
        eventually(lambda: figures(service, subscriber)[0] >= 7)
        assert not talking.done
        clock.now += 11
        talking.result()


def test_c37_a_blocked_event_counts_from_the_time_that_it_carries(
    service: EventServiceStarter, clock: Clock, listener: Listener
) -> None:
    """It is accepted and has expired already."""
    with listener() as subscriber, raw_client(service.uri) as client:
        frozen(service, subscriber, max_age=10)
        call = in_background(lambda: client.call("publish_encoded", [["A", b"x"]] * 10))
        eventually(lambda: figures(service, subscriber)[0] == 6)
        clock.now += 11
        assert call.result() == 10
        eventually(lambda: figures(service, subscriber) == (0, 10, 10))


class Scene:
    """What happens to each listener: it stops, events grow old, a new one comes, and it goes on.

    gate: those that handle events wait for it.
    """

    def __init__(self, service: EventServiceStarter, clock: Clock) -> None:
        self.service = service
        self.clock = clock
        self.gate = threading.Event()

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = statistics(self.service.uri)["subscribers"][0]
        return found

    def play(self, events: list[Event], take: Callable[[], object] = int) -> None:
        """events: what it has handled so far. take: has one that pulls take the next event."""
        publish(self.service, *range(20))
        eventually(lambda: self.figures()["unacknowledged"] > 0)
        self.clock.now += 11
        eventually(lambda: self.figures()["backlog"] == 0)
        publish(self.service, "new")
        self.gate.set()
        eventually(lambda: take() or [event for event in events if event.msg == "new"])
        expired = 21 - len(events)
        assert [event.msg for event in events] == [*range(len(events) - 1), "new"]
        assert events[-1].missed == expired > 0
        assert events[-1].seq == 21
        eventually(lambda: statistics(self.service.uri)["waiting"] == 0)
        assert statistics(self.service.uri)["lost"] == {"expired": expired}


class Slow(Collector):
    """Handles nothing until the gate is opened."""

    def __init__(self, es_uri: str, gate: threading.Event, callback: bool) -> None:
        super().__init__(es_uri, callback=callback)
        self.gate = gate

    def event(self, event: Event) -> None:
        assert self.gate.wait(20)
        super().event(event)


def watch_callback(uri: str, scene: Scene, callback: bool = True) -> None:
    slow = Slow(uri, scene.gate, callback)
    with listening(slow):
        slow.subscribe("A", max_age=10)
        scene.play(slow.events)


def watch_function(uri: str, scene: Scene) -> None:
    events: list[Event] = []
    slow = Collector(uri)
    with listening(slow):

        @slow.on("A", max_age=10)
        def keep(event: Event) -> None:
            assert scene.gate.wait(20)
            events.append(event)

        scene.play(events)


def watch_stream(uri: str, scene: Scene) -> None:
    events: list[Event] = []
    with EventStream("A", es_uri=uri, max_age=10) as stream:
        scene.play(events, lambda: events.append(stream.get(timeout=10)))


def watch_asyncio(uri: str, scene: Scene) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        events: list[Event] = []
        async with aio.EventStream("A", es_uri=uri, max_age=10) as stream:

            def take() -> None:
                events.append(asyncio.run_coroutine_threadsafe(stream.get(timeout=10), loop).result(20))

            await asyncio.to_thread(scene.play, events, take)

    asyncio.run(main())


def watch_stock(uri: str, scene: Scene) -> None:
    with fake_subscriber() as stock:
        with Proxy(uri) as es:
            es.subscribe("A", stock.uri, {"max_age": 10})
        stock.greet("event")
        events: list[Event] = []

        def take() -> None:
            for subject, time, seq, missed, payload in stock.take(1):
                events.append(Event(subject, decode(payload), time, seq, missed))

        scene.play(events, take)


WATCHING: dict[str, Callable[[str, Scene], None]] = {
    "callback": watch_callback,
    "own connection": functools.partial(watch_callback, callback=False),
    "function": watch_function,
    "stream": watch_stream,
    "asyncio": watch_asyncio,
    "stock client": watch_stock,
}


@pytest.mark.parametrize("kind", WATCHING)
def test_c37_in_each_way_of_listening(clock: Clock, kind: str) -> None:
    with running(delivery_deadline=60) as service:
        WATCHING[kind](service.uri, Scene(service, clock))


@pytest.mark.parametrize("kind", ["callback", "stream"])
@pytest.mark.parametrize("hours", [-1000, 1000])
def test_c37_the_clocks_of_clients_do_not_matter(spawn: Spawner, hours: int, kind: str) -> None:
    with running() as service:
        program = spawn(
            str(PROGRAMS / "shifted_clock_listener.py"),
            service.uri,
            str(3600 * hours),
            "60",
            kind,
            ready="ready",
        )
        program.wait_for("0 9")
        publish(service, "ours", "stop")
        program.wait_for("0 stop")
        assert program.wait() == 0
        assert program.stdout.split("\n")[1:-1] == [
            f"0 {message}" for message in [*range(10), "ours", "stop"]
        ]
        assert "expired" not in statistics(service.uri)["lost"]


def test_c37_an_age_may_be_given_later_changed_and_removed(
    service: EventServiceStarter, clock: Clock, listener: Listener
) -> None:
    """It holds for what waits already. Another listener shows that the service has looked meanwhile."""
    with listener() as subscriber, fake_subscriber("another") as other, Publisher(es_uri=service.uri) as both:
        frozen(service, subscriber)
        other.subscribe(service.uri, "B", max_age=10)
        both.publish(["A", "B"], 1)
        clock.now += 20
        eventually(lambda: figures(service, other)[1] == 1)
        assert figures(service, subscriber) == (1, 0, 0)
        subscriber.subscribe(service.uri, "A", max_age=30)
        both.publish(["A", "B"], 2)
        clock.now += 20  # the first is 40 seconds old, the second 20
        eventually(lambda: figures(service, other)[1] == 2)
        eventually(lambda: figures(service, subscriber) == (1, 1, 1))
        subscriber.subscribe(service.uri, "A", backlog=3)  # an option that is not given again stays
        clock.now += 20
        eventually(lambda: figures(service, subscriber) == (0, 2, 2))
        subscriber.subscribe(service.uri, "A", max_age=math.inf)
        both.publish(["A", "B"], 3)
        clock.now += 1e6
        eventually(lambda: figures(service, other)[1] == 3)
        subscriber.answer()
        (row,) = subscriber.take(1)
        assert (decode(row[4]), row[3]) == (3, 2)


def subscribed(uri: str, method: str, max_age: Any) -> None:
    """Subscribe a subscriber by one of its methods."""
    with Collector(uri) as collector:
        getattr(collector, method)("A", max_age=max_age)


BAD: list[Any] = [math.nan, 0, -1.0, -math.inf, True, "5", None, [5]]


@pytest.mark.parametrize("value", BAD)
def test_c37_what_cannot_be_an_age_is_refused_by_the_service(
    service: EventServiceStarter, value: Any
) -> None:
    """Whatever a stock client sends; and then nothing is subscribed."""
    with fake_subscriber() as subscriber, Proxy(service.uri) as es:
        es._pyroSerializer = "msgpack"  # which carries what is not a number
        es.subscribe("A", subscriber.uri, {"max_age": 5})
        for uri in (subscriber.uri, "PYRO:new@127.0.0.1:1"):
            with pytest.raises(ValueError, match="max_age must be a positive number of seconds"):
                es.subscribe("B", uri, {"max_age": value})
        assert es.publish("B", 1) == 0
        assert len(statistics(service.uri)["subscribers"]) == 1


@pytest.mark.parametrize("value", [*BAD[:-2], [5]])
@pytest.mark.parametrize(
    "subscribe",
    [
        lambda uri, age: subscribed(uri, "subscribe", age),
        lambda uri, age: subscribed(uri, "on", age),
        lambda uri, age: EventStream("A", es_uri=uri, max_age=age),
        lambda uri, age: aio.EventStream("A", es_uri=uri, max_age=age),
    ],
    ids=["subscribe", "on", "stream", "asyncio"],
)
def test_c37_what_cannot_be_an_age_is_refused_by_the_client(
    service: EventServiceStarter, subscribe: Callable[[str, Any], object], value: Any
) -> None:
    with pytest.raises(ValueError, match="max_age must be a positive number of seconds"):
        subscribe(service.uri, value)
    assert statistics(service.uri)["subscribers"] == []


def test_c37_the_events_of_a_group_expire_while_no_member_has_room(
    service: EventServiceStarter, clock: Clock, listener: Listener
) -> None:
    """And the next event that a member gets says how many."""
    with listener() as member:
        frozen(service, member, max_age=10, group="workers")

        def lost() -> dict[str, int]:
            (group,) = statistics(service.uri)["groups"]
            found: dict[str, int] = group["lost"]
            return found

        publish(service, *range(5))
        talking = in_background(lambda: publish(service, "a", "b"))
        eventually(lambda: statistics(service.uri)["groups"][0]["backlog"] == 6)
        assert not talking.done
        clock.now += 11
        talking.result()
        eventually(lambda: lost() == {"expired": 6})
        member.answer()
        (row,) = member.take(1)
        assert (decode(row[4]), row[3]) == ("b", 6)
