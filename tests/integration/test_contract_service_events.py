"""The contract on the service's own events (docs/contract.md, C39), with real services and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import Pyro5
import pytest
from contract import account, running, statistics
from fake_listener import Listener
from fake_subscriber import FakeSubscriber, fake_subscriber
from listening import Collecting, Collector, OwnCollector, StreamCollector, listening
from Pyro5.api import Daemon, Proxy, expose
from streams import ThreadedStream
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    AccessDeniedError,
    Event,
    EventService,
    EventServiceStarter,
    Publisher,
    Subscriber,
    aio,
    glob,
)
from pyro_events.codec.message import decode, encode
from pyro_events.options import BacklogOptions, Overflow, ServiceOptions
from pyro_events.testing import collect

ALL = r"^\$ES\."

SPELLINGS = ["$ES.SERVICE.STOPPING", "$es.anything", "$Eſ.X", "$ES.TEST."]
REFUSED = "only the event service itself publishes"


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def in_pipeline(publisher: Publisher, subjects: Any, message: Any) -> None:
    with publisher.pipeline() as fast:
        fast.publish(subjects, message)


def in_background(publisher: Publisher, subjects: Any, message: Any) -> None:
    with publisher.background() as background:
        background.publish(subjects, message)


def large(publisher: Publisher, subjects: Any, message: Any) -> None:
    publisher.publish(subjects, bytes(1 << 20))


def by_asyncio(publisher: Publisher, subjects: Any, message: Any) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=publisher.statistics().address) as other:
            await other.publish(subjects, message)

    asyncio.run(main())


def by_stock_proxy(publisher: Publisher, subjects: Any, message: Any) -> None:
    with Proxy(publisher.statistics().address) as stock:
        stock.publish(subjects, message)


def unchecked(publisher: Publisher, subjects: Any, message: Any) -> None:
    Pyro5.config.SERIALIZER = "msgpack"
    with Proxy(publisher.statistics().address) as client:
        client.publish_encoded([["A", encode(message)], [subjects, encode(message)]])


WAYS = [Publisher.publish, in_pipeline, in_background, large, by_asyncio, by_stock_proxy, unchecked]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_c39_nobody_else_publishes_them_and_nothing_of_such_a_call_is_published(
    service: EventServiceStarter, publisher: Publisher, way: Callable[[Publisher, Any, Any], object]
) -> None:
    publisher.publish("first", 0)
    with collect(["A", *SPELLINGS[:3], "last"], es_uri=service.uri) as seen:
        for name in SPELLINGS:
            for subjects in (name, ["A", name]):
                with pytest.raises(ValueError, match=REFUSED) as error:
                    way(publisher, subjects, 1)
                assert repr(name) in str(error.value)
        publisher.publish("last", 2)
        assert [event.subject for event in seen.wait_for(1)] == ["last"]


@pytest.mark.parametrize("way", WAYS[:-1], ids=lambda way: way.__name__)
def test_c39_subjects_for_tests_are_anybodys_and_no_pattern_matches_them(
    service: EventServiceStarter, publisher: Publisher, way: Callable[[Publisher, Any, Any], object]
) -> None:
    publisher.publish("first", 0)
    name = "$ES.TEST.5f3a"
    patterns = [r"\$ES\.TEST", "^.", r"^\$ES\.T.*"]
    with (
        collect(name, es_uri=service.uri) as exact,
        collect(match=patterns, es_uri=service.uri) as matching,
    ):
        way(publisher, name, 1)
        publisher.publish("last", 2)
        assert [event.subject for event in exact.wait_for(1)] == [name]
        assert [event.subject for event in matching.wait_for(1)] == ["last"]


def test_c39_a_batch_of_a_stock_client(service: EventServiceStarter) -> None:
    Pyro5.config.SERIALIZER = "json"
    with Proxy(service.uri) as stock, pytest.raises(ValueError, match=REFUSED):
        stock.publish(["A", "$ES.X"], {"a": 1})


@expose
class Plain:
    """An object with `event` in a stock daemon."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


class Functions(Subscriber):
    """Has a function for the service's own events, and `event` for others."""

    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri)
        self.events: list[Event] = []
        self.others: list[Event] = []
        self.on(match=ALL)(self.events.append)
        self.subscribeMatch(".*")

    def event(self, event: Event) -> None:
        self.others.append(event)


@contextlib.contextmanager
def plain(uri: str) -> Iterator[Plain]:
    """A Plain that a stock client has subscribed."""
    with Daemon(host="127.0.0.1") as daemon, Proxy(uri) as es:
        plain = Plain()
        daemon.register(plain)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        es.subscribeMatch(ALL, plain)
        yield plain
        daemon.shutdown()
        thread.join()


@contextlib.contextmanager
def asyncio_stream(uri: str) -> Iterator[list[Event]]:
    """The events of a stream of an asyncio program."""
    got: list[Event] = []

    def keep() -> None:
        for event in stream:
            got.append(event)

    with ThreadedStream(match=ALL, es_uri=uri) as stream:
        thread = threading.Thread(target=keep)
        thread.start()
        yield got
    thread.join(20)


@contextlib.contextmanager
def listeners(uri: str) -> Iterator[dict[str, list[Event]]]:
    """The service's own events as each kind of listener gets them."""
    with contextlib.ExitStack() as stack:
        kinds: dict[str, list[Event]] = {}
        for kind in (Collector, OwnCollector, StreamCollector):
            collector = kind(uri)
            collector.subscribeMatch(ALL)
            stack.enter_context(listening(collector))
            kinds[kind.__name__] = collector.events
        functions = Functions(uri)
        stack.enter_context(listening(functions))
        kinds["functions"] = functions.events
        kinds["stock"] = stack.enter_context(plain(uri)).events
        kinds["asyncio"] = stack.enter_context(asyncio_stream(uri))
        yield kinds
        assert [event.subject for event in functions.others if event.subject.startswith("$")] == []


def about(events: list[Event], subscriber: str) -> list[tuple[str, dict[str, Any]]]:
    """What was told of one subscriber."""
    return [(e.subject, e.msg) for e in list(events) if e.msg.get("subscriber") == subscriber]


def documented(root: Path, subject: str) -> set[str]:
    """The keys that the guide promises of an event."""
    guide = (root / "docs" / "guide.md").read_text(encoding="utf-8")
    section = guide.split("\n## The service's own events\n")[1].split("\n## ")[0]
    keys = set()
    for row in re.findall(r"^\| (`.*`) \| `(.*)` \| .* \|$", section, re.MULTILINE):
        if subject.startswith(row[1].rstrip("…")) or subject.endswith("." + row[1]):
            keys |= set(re.findall("`(.+?)`", row[0]))
    return keys


def test_c39_every_kind_of_listener_gets_what_happens_to_a_subscriber(root: Path) -> None:
    begun = time.time()
    with running(backlog=40) as service, fake_subscriber() as other, listeners(service.uri) as kinds:
        other.subscribe(
            service.uri, [f"A{number}" for number in range(12)], overflow="drop-newest", name="slow"
        )
        other.greet()
        with Publisher(es_uri=service.uri) as publisher:
            publisher.publish(["A1"] * 60, 1)
            rows = other.batch()

            def told(count: int) -> bool:
                return all(len(about(events, other.uri)) >= count for events in kinds.values())

            eventually(lambda: told(3), 20, "joined, lost and slow")
            other.answer()
            found = account(service.uri, other.uri)
            assert found is not None
            lost_events = sum(found["lost"].values())
            other.take(60 - lost_events - len(rows))
            eventually(lambda: told(4), 20, "recovered")
        other.leave()
        eventually(lambda: told(5), 20, "left")
        for events in kinds.values():
            story = about(events, other.uri)
            names = [subject.removeprefix("$ES.SUBSCRIBER.") for subject, _ in story]
            assert sorted(names[1:3]) == ["LOST", "SLOW"]
            assert [names[0], *names[3:]] == ["JOINED", "RECOVERED", "LEFT"]
            messages = dict(zip(names, [message for _, message in story], strict=True))
            for subject, message in story:
                assert documented(root, subject) <= set(message)
            assert {"losses", "user"} <= documented(root, "$ES.SUBSCRIBER.LOST")
            joined, lost, left = messages["JOINED"], messages["LOST"], messages["LEFT"]
            assert joined["subjects"] == [f"A{number}" for number in range(10)]
            assert (joined["subscriptions"], joined["overflow"]) == (12, "drop-newest")
            assert {message["name"] for message in messages.values()} == {"slow"}
            assert lost["losses"] == lost["lost"]
            assert (left["reason"], left["accepted"]) == ("gone", 60)
            assert left["lost"] == lost["lost"] == {"drop-newest": lost_events}
            assert "closed its connection" in left["why"]
            assert all(begun <= event.time <= time.time() for event in events)
        for events in (kinds["Collector"], kinds["stock"]):
            assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_c39_the_backlog_of_a_group_is_told_of_too(root: Path, collect: Collecting) -> None:
    with running() as service, collect(service.uri) as monitor, fake_subscriber("member") as member:
        monitor.subscribeMatch(glob("$ES.GROUP.*"))
        member.subscribe(service.uri, "A", group="workers", backlog=4, overflow="drop-newest", ahead=1)
        member.greet()
        with Publisher(es_uri=service.uri) as publisher:
            publisher.publish(["A"] * 20, 1)
        events = monitor.wait(2)
        assert {event.subject for event in events} == {"$ES.GROUP.SLOW", "$ES.GROUP.LOST"}
        for event in events:
            assert documented(root, event.subject) <= set(event.msg)
            assert event.msg["group"] == "workers" and event.msg["backlog"] in (3, 4)
            assert sum(event.msg["lost"].values()) >= 15


def test_c39_that_the_service_stops_comes_before_the_end(root: Path) -> None:
    with running() as service, listeners(service.uri) as kinds:
        service.shutdown()
        for name, events in kinds.items():
            eventually(lambda: "$ES.SERVICE.STOPPING" in [event.subject for event in events], 20, name)  # noqa: B023
            stopping = next(event.msg for event in events if event.subject == "$ES.SERVICE.STOPPING")
            assert (stopping["subscribers"], stopping["drain"]) == (6, 10.0)
            assert documented(root, "$ES.SERVICE.STOPPING") == set(stopping)


def test_c39_a_listener_sees_itself_join_but_not_leave(
    service: EventServiceStarter, collect: Collecting
) -> None:
    with collect(service.uri) as first:
        first.subscribeMatch(glob("$ES.*"))
        ((joined, message),) = eventually(lambda: about(first.events, first.known_as))
        assert (joined, message["subjects"]) == ("$ES.SUBSCRIBER.JOINED", [glob("$ES.*")])
        with collect(service.uri) as second:
            second.subscribe(["$ES.SUBSCRIBER.LEFT", "$ES.SUBSCRIBER.JOINED"])
            eventually(lambda: about(second.events, second.known_as))
            known_as = second.known_as
        eventually(lambda: len(about(first.events, known_as)) == 2)
        assert [subject for subject, _ in about(second.events, known_as)] == ["$ES.SUBSCRIBER.JOINED"]


def waiting(service: EventServiceStarter, subscriber: str) -> int:
    """How many events wait for a subscriber to be sent."""
    found = account(service.uri, subscriber)
    assert found is not None
    return int(found["backlog"])


@pytest.mark.parametrize("policy", ["block", "disconnect", "drop-oldest"])
def test_c39_they_wait_for_nobody_and_push_nothing_out(listener: Listener, policy: str) -> None:
    """The monitor is frozen, and its backlog is full of its program's own events."""
    with running(backlog=3) as service, listener("monitor") as monitor, listener("other") as other:
        monitor.subscribe(service.uri, ["A", "$ES.SUBSCRIBER.JOINED"], overflow=policy)
        monitor.greet("event")
        with Publisher(es_uri=service.uri) as publisher:
            assert monitor.take(1)[0][0] == "$ES.SUBSCRIBER.JOINED"
            sent = 0
            while waiting(service, monitor.uri) < 3:  # others are in flight
                publisher.publish("A", sent)
                sent += 1
            for name in "BCD":
                other.rename()
                other.subscribe(service.uri, name)  # each is one that joins
                other.greet()
                assert publisher.publish(name, 1) == 1
                assert len(other.take(1)) == 1
                other.leave()
        found = account(service.uri, monitor.uri)
        assert found is not None and found["lost"] == {"drop-newest": 3}
        assert [decode(row[4]) for row in monitor.take(sent)] == list(range(sent))


def storm(service: EventServiceStarter, monitor: Collector, count: int) -> list[Event]:
    """Let so many subscribers join and leave, one after the other; returns what the monitor got, until
    something was left out."""
    with contextlib.ExitStack() as stack, Proxy(service.uri) as es:
        fakes = [stack.enter_context(fake_subscriber(f"s{number}")) for number in range(4)]

        def all_join() -> None:
            for number in range(count):
                fake: FakeSubscriber = fakes[number % 4]
                es.subscribe("A", f"PYRO:n{number}@127.0.0.1:{fake.port}")

        all_join()
        eventually(lambda: "$ES.SERVICE.OMITTED" in [event.subject for event in monitor.events], 20)
    return list(monitor.events)


def test_c39_a_storm_is_a_hundred_a_second_and_one_that_says_how_many_were_left_out(
    root: Path, collect: Collecting
) -> None:
    with running(max_per_host=1000) as service, collect(service.uri) as monitor:
        monitor.subscribeMatch(glob("$ES.*"))
        monitor.wait(1)
        events = storm(service, monitor, 300)
        omitted = [event for event in events if event.subject == "$ES.SERVICE.OMITTED"]
        others = [event.time for event in events if event not in omitted]
        for position, moment in enumerate(others[100:]):
            assert moment - others[position] > 0.9  # the service's clocks differ a little
        assert documented(root, "$ES.SERVICE.OMITTED") == set(omitted[0].msg)
        assert omitted[0].msg["omitted"] == sum(omitted[0].msg["subjects"].values()) > 0
        assert set(omitted[0].msg["subjects"]) <= {"$ES.SUBSCRIBER.JOINED", "$ES.SUBSCRIBER.LEFT"}


def test_c39_nobody_pays_for_what_nobody_wants(service: EventServiceStarter, collect: Collecting) -> None:
    with collect(service.uri) as everything:
        everything.subscribeMatch([".*", "^.", "[$]ES.*"])
        with fake_subscriber() as other:
            other.subscribe(service.uri, "A")
            other.greet()
        eventually(lambda: account(service.uri, other.uri) is None)
        assert statistics(service.uri)["published"] == 0
        assert everything.events == []


def test_c39_in_a_stock_daemon(collect: Collecting) -> None:
    options = ServiceOptions(backlog=BacklogOptions(10, 1 << 20, Overflow.BLOCK))
    with Daemon(host="127.0.0.1") as daemon:
        service = EventService(options)
        uri = str(daemon.register(service, EVENTSERVER_NAME))
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with Proxy(uri) as es, pytest.raises(ValueError, match=REFUSED):
                es.publish("$ES.X", 1)
            monitor = Collector(uri)
            with listening(monitor):
                monitor.subscribeMatch(ALL)
                with fake_subscriber() as other:
                    other.subscribe(uri, "A")
                    other.greet()
                    eventually(lambda: about(monitor.events, other.uri))
                eventually(lambda: len(about(monitor.events, other.uri)) == 2)
                service.close()
                assert monitor.events[-1].subject == "$ES.SERVICE.STOPPING"
        finally:
            daemon.shutdown()
            thread.join()
            service.close()


PERMISSIONS = """
[users.operator]
ident = "an operator's passphrase"
subscribe = ["$ES.SUBSCRIBER.*", "!$ES.SUBSCRIBER.LEFT"]
[users.scientist]
ident = "a scientist's passphrase"
subscribe = ["*"]
publish = ["*"]
"""


def test_c39_with_permissions_only_rights_that_name_them_cover_them(
    tmp_path: Path, collect: Collecting
) -> None:
    """The events tell of other users' subscribers."""
    file = tmp_path / "permissions.toml"
    file.write_text(PERMISSIONS)
    file.chmod(0o600)
    patterns = [glob("$ES.*"), ".*"]
    operator = {"user": "operator", "ident": "an operator's passphrase"}
    scientist = {"user": "scientist", "ident": "a scientist's passphrase"}
    with (
        running(permissions=str(file)) as service,
        collect(service.uri, **operator) as allowed,
        collect(service.uri, **scientist) as not_allowed,
        Publisher(es_uri=service.uri, **scientist) as publisher,
    ):
        allowed.subscribeMatch(patterns)
        not_allowed.subscribeMatch(patterns)
        with pytest.raises(AccessDeniedError, match="JOINED"):
            not_allowed.subscribe("$ES.SUBSCRIBER.JOINED")
        with collect(service.uri, **scientist) as other:
            other.subscribe("A")
            known_as = other.known_as
            joined = eventually(lambda: about(allowed.events, known_as))
        assert [(subject, message["user"]) for subject, message in joined] == (
            [("$ES.SUBSCRIBER.JOINED", "scientist")]
        )
        eventually(lambda: publisher.listeners("A")["A"] == 1)  # the other one has left
        publisher.publish("last", 1)
        assert [event.subject for event in not_allowed.wait(1)] == ["last"]
        assert {event.subject for event in allowed.events} == {"$ES.SUBSCRIBER.JOINED"}
