"""The contract on groups, line by line (docs/contract.md, C38), with each way of listening."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from fake_subscriber import fake_subscriber
from listening import AnyCollector, Collector, OwnCollector, StreamCollector, listening, set_times
from processes import Process, Spawner
from Pyro5.api import Proxy, config
from waiting import eventually

from pyro_events import Event, EventServiceStarter, EventStream, Publisher, Subscriber, aio
from pyro_events.codec.message import decode

PROGRAMS = Path(__file__).parent / "programs"
KINDS: dict[str, type[Any]] = {
    "callback": Collector,
    "own connection": OwnCollector,
    "stream": StreamCollector,
}
GROUP = {"group": "workers"}
each_way = pytest.mark.parametrize("way", ["callback", "own", "stream"])


@pytest.fixture
def service() -> Iterator[EventServiceStarter]:
    with running(delivery_deadline=60) as starter:
        yield starter


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Join = Callable[..., AnyCollector]


@pytest.fixture(params=KINDS)
def join(request: pytest.FixtureRequest, service: EventServiceStarter) -> Iterator[Join]:
    """Makes a listening member of the group: join(*subjects, match=(), **options), of each kind."""
    with ExitStack() as stack:

        def join(*subjects: str, match: Any = (), **options: Any) -> AnyCollector:
            member = KINDS[request.param](service.uri)
            stack.enter_context(listening(member))
            if subjects:
                member.subscribe(subjects, **{**GROUP, **options})
            if match:
                member.subscribeMatch(match, **{**GROUP, **options})
            eventually(lambda: member.is_connected)
            return member  # type: ignore[no-any-return]

        yield join


def group(uri: str) -> dict[str, Any]:
    """The figures of the only group."""
    [found] = statistics(uri)["groups"]
    assert found["accepted"] == found["given"] + sum(found["lost"].values()) + found["backlog"]
    return found  # type: ignore[no-any-return]


def all_messages(*members: AnyCollector) -> list[Any]:
    return sorted(message for member in members for message in member.messages())


def test_c38_each_event_goes_to_one_member_and_in_order(
    service: EventServiceStarter, publisher: Publisher, join: Join
) -> None:
    members = [join("A") for _ in range(3)]
    eventually(lambda: group(service.uri)["subscribers"] == 3)
    with publisher.pipeline() as fast:
        for number in range(1000):
            fast.publish("A", number)
    eventually(lambda: sum(len(member.events) for member in members) >= 1000)
    assert all_messages(*members) == list(range(1000))
    for member in members:
        assert member.messages() == sorted(member.messages())
        assert [event.seq for event in member.events] == list(range(1, len(member.events) + 1))
        assert {event.missed for event in member.events} <= {0}
    assert (group(service.uri)["accepted"], statistics(service.uri)["lost"]) == (1000, {})


def test_c38_patterns_names_and_single_subscribers_together(
    service: EventServiceStarter, publisher: Publisher, join: Join
) -> None:
    by_name, by_pattern = join("STOCK.SUN"), join(match=r"^stock\.")
    with EventStream("stock.sun", es_uri=service.uri) as single:
        assert [publisher.publish(name, name) for name in ("STOCK.SUN", "STOCK.IBM")] == [2, 1]
        assert single.get(timeout=20).msg == "STOCK.SUN"
    eventually(lambda: all_messages(by_name, by_pattern) == ["STOCK.IBM", "STOCK.SUN"])
    assert "STOCK.IBM" in by_pattern.messages()


def test_c38_the_name_is_compared_as_subjects_are_and_another_one_is_an_error(
    service: EventServiceStarter, publisher: Publisher, join: Join
) -> None:
    member = join("A")
    member.subscribe("B", group="WORKERS")
    with pytest.raises(ValueError, match="is in the group 'workers', so it cannot be in 'others' too"):
        member.subscribe("C", group="others")
    with pytest.raises(ValueError, match="exclude each other"):
        member.subscribe("C", group="workers", last=True)
    assert publisher.publish(["A", "B", "C"], 1) == 2
    assert len(member.wait(2)) == 2
    found = account(service.uri, member.known_as)
    assert found is not None and found["group"] == "workers"
    assert member.statistics().subscriptions == ("A", "B")


def test_c38_a_subscriber_without_a_group_cannot_get_into_one(
    service: EventServiceStarter, join: Join
) -> None:
    member = join("A", group=None)
    with pytest.raises(ValueError, match="is subscribed without a group"):
        member.subscribe("B", group="workers")
    with pytest.raises(ValueError, match="ahead is for the members of a group"):
        member.subscribe("B", ahead=1)
    assert statistics(service.uri)["groups"] == []
    member.unsubscribe("A")
    member.subscribe("B", group="workers")
    assert group(service.uri)["subscribers"] == 1


def test_c38_many_names_in_one_call_are_all_of_the_group(
    service: EventServiceStarter, publisher: Publisher, join: Join
) -> None:
    """They take more than one call of the service."""
    member = join(*[f"{number:0250}" for number in range(900)])
    assert publisher.publish(f"{899:0250}", 1) == 1
    assert member.wait(1)
    assert statistics(service.uri)["accepted"] == group(service.uri)["accepted"] == 1


def test_c38_functions_are_members_through_their_subscriber(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with (
        Subscriber(es_uri=service.uri) as one,
        EventStream("A", es_uri=service.uri, group="workers") as other,
    ):
        got: list[Any] = []
        one.on("A", group="workers")(lambda event: got.append(event.msg))
        one.listen_in_background()
        assert one.wait_until_connected(20)
        for number in range(10):
            assert publisher.publish("A", number) == 1
        with contextlib.suppress(TimeoutError):
            while len(got) < 10:
                got.append(other.get(timeout=0.5).msg)
        eventually(lambda: sorted(got) == list(range(10)))


def test_c38_stock_clients_name_it_in_the_options(service: EventServiceStarter, publisher: Publisher) -> None:
    with fake_subscriber("plain") as plain, Proxy(service.uri) as es:
        es.subscribe("A", plain.uri, {"group": "workers", "ahead": 1})
        plain.greet("event")
        for number in range(3):
            publisher.publish("A", number)
        assert decode(plain.batch()[0][4]) == 0
        assert group(service.uri)["backlog"] == 2
        plain.answer()
        assert plain.messages(2) == [1, 2]
        with pytest.raises(ValueError, match="'others' too"):
            es.subscribeMatch("A", plain.uri, {"group": "others"})
        with pytest.raises(ValueError, match="1 to 255 printable"):
            es.subscribe("A", plain.uri, {"group": ""})
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match="ahead must be a whole number of at least 1"):
                es.subscribe("A", plain.uri, {"group": "workers", "ahead": wrong})


def test_c38_asyncios_streams_too(service: EventServiceStarter, publisher: Publisher) -> None:
    async def share() -> list[Any]:
        options = {"es_uri": service.uri, "group": "workers"}
        async with aio.EventStream("A", **options) as one, aio.EventStream("A", **options) as other:
            got: list[Any] = []

            async def take(stream: aio.EventStream) -> None:
                while len(got) < 10:
                    got.append((await stream.get()).msg)

            taking = [asyncio.ensure_future(take(stream)) for stream in (one, other)]
            for number in range(10):
                assert publisher.publish("A", number) == 1
            await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
            for task in taking:
                task.cancel()
            with pytest.raises(ValueError, match="'others' too"):
                await one.subscribe("B", group="others")
            return got

    assert sorted(asyncio.run(share())) == list(range(10))


def test_c38_a_program_that_takes_nothing_holds_only_what_was_sent_to_it(
    stack: ExitStack,
) -> None:
    service = stack.enter_context(running(backlog=1000))
    publisher = stack.enter_context(Publisher(es_uri=service.uri))
    with (
        EventStream("A", es_uri=service.uri, group="workers", ahead=3) as frozen,
        EventStream("A", es_uri=service.uri, group="workers") as other,
    ):
        with publisher.pipeline() as fast:
            for number in range(200):
                fast.publish("A", number)
        kept = eventually(lambda: held(service.uri, frozen))
        assert kept <= 3
        got = [other.get(timeout=20).msg for _ in range(200 - kept)]
        assert got == sorted(got)
        assert held(service.uri, frozen) == kept
        got += [frozen.get(timeout=20).msg for _ in range(kept)]
        assert sorted(got) == list(range(200))


def held(uri: str, stream: EventStream) -> int:
    """How many events a stream has unacknowledged."""
    found = account(uri, f"OWN:{stream.statistics().id}@127.0.0.1")
    assert found is not None
    count: int = found["unacknowledged"]
    return count


def test_c38_one_that_cannot_be_reached_stays_in_its_group(
    service: EventServiceStarter, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "HOST", "127.0.0.2")  # where the service does not look for it
    got: list[Any] = []

    class Member(Subscriber):
        def event(self, event: Event) -> None:
            got.append(event.msg)

    with Member(es_uri=service.uri) as member:
        set_times(member, arrival=0.05)
        member.subscribe("A", group="workers", ahead=1)
        assert publisher.publish("A", 1) == 1
        member.listen_in_background()
        eventually(lambda: got == [1])
        assert not member.statistics().callback
        found = group(service.uri)
        assert (found["subscribers"], found["given"]) == (1, 1)


def spawn_member(spawn: Spawner, uri: str, way: str, *options: str) -> Process:
    return spawn(str(PROGRAMS / "member.py"), "--es-uri", uri, "--way", way, *options, "JOB", ready="ready")


def jobs(*members: Process) -> list[int]:
    """The jobs that they have taken."""
    return [int(job) for member in members for job in re.findall(r"^\d+ \S+ (\d+)$", member.stdout, re.M)]


def occupy(publisher: Publisher, *members: Process) -> int:
    """Publish jobs until each member has taken one: it is connected then. Returns how many there were."""
    numbers = itertools.count()
    eventually(lambda: publisher.publish("JOB", next(numbers)) and all(map(jobs, members)), 60)
    return next(numbers)


@each_way
def test_c38_of_members_that_are_killed_nothing_is_done_twice_and_nothing_is_lost_uncounted(
    es: Any, spawn: Spawner, way: str
) -> None:
    members = [spawn_member(spawn, es.uri, way, "--ahead", "1", "--pause", "0.01") for _ in range(4)]
    eventually(lambda: group(es.uri)["subscribers"] == 4)
    with Publisher(es_uri=es.uri) as publisher:
        first = occupy(publisher, *members)
        feeding = in_background(lambda: [publisher.publish("JOB", first + number) for number in range(200)])
        for member in members[:2]:
            eventually(lambda member=member: len(jobs(member)) > 3)
            member.send(signal.SIGKILL)
            member.wait()
        assert feeding.result() == [1] * 200
    eventually(lambda: statistics(es.uri)["waiting"] == 0)
    lost = statistics(es.uri)["lost"]
    assert lost.keys() <= {"unconfirmed"} and 0 <= lost.get("unconfirmed", 0) <= 2
    done, every = jobs(*members), first + 200
    assert max(Counter(done).values()) == 1
    # A stream's job is acknowledged when it is taken: the two that were killed may have had one more each.
    assert every - lost.get("unconfirmed", 0) - 2 * (way == "stream") <= len(done) <= every
    for member in members:
        assert jobs(member) == sorted(jobs(member))


@each_way
def test_c38_one_that_is_stopped_holds_only_what_was_sent_to_it_and_the_others_go_on(
    es: Any, spawn: Spawner, way: str
) -> None:
    frozen, other = (spawn_member(spawn, es.uri, way, "--ahead", "2") for _ in range(2))
    eventually(lambda: group(es.uri)["subscribers"] == 2)
    with Publisher(es_uri=es.uri) as publisher:
        first = occupy(publisher, frozen, other)
        eventually(lambda: statistics(es.uri)["waiting"] == 0 and len(jobs(frozen, other)) == first)
        before = len(jobs(frozen))
        frozen.send(signal.SIGSTOP)
        try:
            for number in range(first, first + 100):
                assert publisher.publish("JOB", number) == 1
            eventually(lambda: statistics(es.uri)["waiting"] == 2)
            eventually(lambda: len(jobs(frozen, other)) == first + 98)
        finally:
            frozen.send(signal.SIGCONT)
    eventually(lambda: sorted(jobs(frozen, other)) == list(range(first + 100)))
    assert len(jobs(frozen)) == before + 2


def test_c38_members_join_again_when_the_service_is_back(
    start_service: Any, free_port: Callable[[], int]
) -> None:
    port = str(free_port())
    first = start_service("--port", port)
    with ExitStack() as stack:
        members = []
        for kind in KINDS.values():
            member = kind(first.uri)
            stack.enter_context(listening(member))
            member.subscribe("A", **GROUP, ahead=1)
            eventually(lambda member=member: member.is_connected)
            members.append(member)
        first.process.send(signal.SIGKILL)
        first.process.wait()
        second = start_service("--port", port)
        eventually(lambda: [each["subscribers"] for each in statistics(second.uri)["groups"]] == [3], 60)
        eventually(lambda: len(statistics(second.uri)["subscribers"]) == 3)
        with Publisher(es_uri=second.uri) as publisher:
            for number in range(30):
                assert publisher.publish("A", number) == 1
        eventually(lambda: all_messages(*members) == list(range(30)))
