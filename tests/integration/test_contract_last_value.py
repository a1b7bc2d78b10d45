"""The last value of a subject comes first, then what is new (C36): each way of listening and publishing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from fake_subscriber import fake_subscriber
from listening import Collector, OwnCollector, StreamCollector, collecting, disconnect
from Pyro5.api import Proxy
from streams import ThreadedStream
from waiting import eventually

from pyro_events import (
    AccessDeniedError,
    Event,
    EventService,
    EventServiceStarter,
    EventStream,
    PipelineError,
    Publisher,
    aio,
)
from pyro_events.options import ServiceOptions

LARGE = 300_000


class AioCollector(StreamCollector):
    """The same for a stream of an asyncio program."""

    def __init__(self, es_uri: str | None = None, ident: str | None = None, **others: Any) -> None:
        self._begin()
        self.stream = ThreadedStream(es_uri=es_uri, ident=ident, **others)
        for name in ("close", "statistics", "__iter__"):
            setattr(self, name, getattr(self.stream, name))

    def __iter__(self) -> Iterator[Event]:
        return iter(self.stream)

    def subscribe(self, subjects: Any, **options: Any) -> None:
        self.stream._run(self.stream._inside.subscribe(subjects, **options))

    def subscribeMatch(self, patterns: Any = (), **options: Any) -> None:
        self.stream._run(self.stream._inside.subscribeMatch(patterns, **options))

    def unsubscribe(self, subjects: Any) -> None:
        self.stream._run(self.stream._inside.unsubscribe(subjects))


KINDS: list[type[Any]] = [Collector, OwnCollector, StreamCollector, AioCollector]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["callback", "own connection", "stream", "asyncio"])


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def shown(events: list[Event]) -> list[tuple[str, Any, bool]]:
    return [(event.subject, event.msg, event.retained) for event in events]


def assert_numbered(events: list[Event]) -> None:
    assert [(event.seq, event.missed) for event in events] == [(i + 1, 0) for i in range(len(events))]


@each_kind
def test_c36_the_last_value_comes_first_then_what_is_new(
    service: EventServiceStarter, publisher: Publisher, kind: type[Any]
) -> None:
    for number in range(3):
        publisher.publish(["ROOM.A", "Room.B"], number, retain=True)
    publisher.publish("ROOM.A", "not kept")
    publisher.publish("ROOM.C", "not kept")
    publisher.publish("room.a", 3, retain=True)
    with collecting(service.uri, kind=kind) as listener:
        listener.subscribe(["ROOM.B", "ROOM.C", "room.A", "ROOM.A"], last=True)
        assert publisher.publish("ROOM.A", 4, retain=True) == 1
        events = listener.wait(3)
        assert shown(events) == [("Room.B", 2, True), ("room.a", 3, True), ("ROOM.A", 4, False)]
        assert events[0].time < events[1].time < events[2].time
        assert_numbered(events)


@each_kind
def test_c36_patterns_have_last_values_too(
    service: EventServiceStarter, publisher: Publisher, kind: type[Any]
) -> None:
    for name in ("LAB.ONE", "LAB.TWO", "OFFICE.ONE"):
        publisher.publish(name, name, retain=True)
    with collecting(service.uri, kind=kind) as listener:
        listener.subscribeMatch([r"^LAB\.", ".*ONE"], last=True)
        listener.wait(3)
        listener.subscribe("LAB.TWO")  # a subscription without it
        publisher.publish("LAB.TWO", "new")
        events = listener.wait(4)
        assert shown(events) == [
            ("LAB.ONE", "LAB.ONE", True),
            ("LAB.TWO", "LAB.TWO", True),
            ("OFFICE.ONE", "OFFICE.ONE", True),
            ("LAB.TWO", "new", False),
        ]
        assert_numbered(events)
        listener.subscribeMatch([r"^LAB\.TWO"], last=True)  # `last` belongs to the call
        assert shown(listener.wait(5))[4:] == [("LAB.TWO", "LAB.TWO", True)]


@each_kind
def test_c36_a_large_value_is_kept_whole(
    service: EventServiceStarter, publisher: Publisher, kind: type[Any]
) -> None:
    picture = bytes(range(256)) * (LARGE // 256)
    publisher.publish("CAMERA", picture, retain=True)
    publisher.publish(["CAMERA.2", "CAMERA.3"], picture, retain=True)
    with collecting(service.uri, kind=kind) as listener:
        listener.subscribeMatch("CAMERA", last=True, backlog=1)
        assert shown(listener.wait(3)) == [
            (name, picture, True) for name in ("CAMERA", "CAMERA.2", "CAMERA.3")
        ]


@pytest.mark.parametrize("overflow", ["block", "drop-oldest", "drop-newest", "latest", "disconnect"])
def test_c36_no_bound_of_the_backlog_holds_for_it(
    service: EventServiceStarter, publisher: Publisher, overflow: str
) -> None:
    for number in range(2500):
        publisher.publish(f"LAB.{number}", number, retain=True)
    with collecting(service.uri) as listener:
        listener.subscribeMatch("LAB", last=True, backlog=1, overflow=overflow)
        events = listener.wait(2500)
        assert [event.msg for event in events] == list(range(2500))
        assert_numbered(events)
        assert statistics(service.uri)["lost"] == {}


def test_c36_a_constructor_asks_for_it_too(service: EventServiceStarter, publisher: Publisher) -> None:
    publisher.publish(["A", "B"], 1, retain=True)
    for make in (EventStream, ThreadedStream):
        with make("A", match="B", es_uri=service.uri, last=True) as events:
            assert shown([events.get(20), events.get(20)]) == [("A", 1, True), ("B", 1, True)]


@each_kind
def test_c36_what_matches_by_name_and_by_pattern_comes_once(
    service: EventServiceStarter, publisher: Publisher, kind: type[Any]
) -> None:
    publisher.publish(["A", "AB", "B"], 1, retain=True)
    with collecting(service.uri, kind=kind) as listener:
        listener.subscribe("B", last=True)
        listener.wait(1)
        listener.subscribeMatch(["A", "AB"], last=True)
        listener.wait(3)
        listener.subscribe(["a", "ab"], last=True)
        assert len(listener.wait(5)) == 5
        cut(listener)
        events = listener.wait(8)[5:]
        publisher.publish("B", 2)
        assert sorted(shown(events)) == [("A", 1, True), ("AB", 1, True), ("B", 1, True)]
        assert shown(listener.wait(9)[8:]) == [("B", 2, False)]


def test_c36_a_constructor_gets_what_matches_twice_once(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    publisher.publish(["A", "AB"], 1, retain=True)
    for make in (EventStream, ThreadedStream):
        with make("A", match=["A", ".*"], es_uri=service.uri, last=True) as events:
            publisher.publish("C", 2)
            assert [events.get(20).subject for _ in range(3)] == ["A", "AB", "C"]


def test_c36_functions_get_last_values(service: EventServiceStarter, publisher: Publisher) -> None:
    publisher.publish(["A", "B"], 1, retain=True)
    got: list[tuple[str, Any, bool]] = []
    with collecting(service.uri) as listener:
        listener.on("A", match=["A", "B"], last=True)(lambda event: got.extend(shown([event])))
        eventually(lambda: len(got) == 2)
        publisher.publish("B", 2)
        eventually(lambda: len(got) == 3)
        assert got == [("A", 1, True), ("B", 1, True), ("B", 2, False)]
        assert listener.events == []


@pytest.mark.parametrize("method", ["event", "events"])
@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_c36_stock_clients_name_it_in_the_options(
    service: EventServiceStarter, method: str, serializer: str
) -> None:
    with Proxy(service.uri) as es, fake_subscriber() as subscriber:
        es._pyroSerializer = serializer
        assert es.publish("A", 1, {"retain": True}) == 0
        assert es.publish(["B", "C"], 2, {"retain": True}) == 0
        assert es.publish("A", 3, {"retain": False}) == 0
        assert es.clear_retained(["C", "D"]) == 1
        with pytest.raises(ValueError, match="keep"):
            es.publish("A", 4, {"keep": True})
        with pytest.raises(TypeError, match="retain must be"):
            es.publish("A", 4, {"retain": 1})
        with pytest.raises(TypeError, match="last must be"):
            es.subscribe("A", subscriber.uri, {"last": 1})
        es.subscribeMatch(".*", subscriber.uri, {"last": True})
        subscriber.greet(method)
        rows = subscriber.take(2)
        assert [(row[0], row[2], row[3], row[5:]) for row in rows] == [
            ("A", 1, 0, [True]),
            ("B", 2, 0, [True]),
        ]
        es.publish("A", 5)
        assert [len(row) for row in subscriber.take(1)] == [5]


def test_c36_an_object_with_event_alone_gets_the_attribute(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    publisher.publish("A", bytes(LARGE), retain=True)
    with fake_subscriber() as subscriber:
        subscriber.subscribe(service.uri, "A", last=True)
        subscriber.greet("event")
        ((*_, payload, retained),) = subscriber.take(1)
        assert len(payload) > LARGE and retained is True


def every_publisher(uri: str) -> None:
    """Publish a retained event with each way of publishing."""
    with Publisher(es_uri=uri) as publisher:
        publisher.publish("publish", 1, retain=True)
        with publisher.pipeline() as fast:
            fast.publish("pipeline", 2, retain=True)
            fast.publish("pipeline", 2.5)
            fast.publish("pipeline large", bytes(LARGE), retain=True)
        with publisher.background() as background:
            background.publish("background", 3, retain=True)
        with publisher.background(overflow="latest") as background:
            background.publish(["latest", "latest 2"], 4, retain=True)
            background.publish("latest", 5, retain=True)
            assert background.flush(20)

    async def main() -> None:
        async with aio.Publisher(es_uri=uri) as publisher:
            await publisher.publish("aio", 6, retain=True)
            async with publisher.pipeline() as fast:
                await fast.publish("aio pipeline", 7, retain=True)
                await fast.publish("aio large", bytes(LARGE), retain=True)
            async with publisher.background() as background:
                background.publish("aio background", 8, retain=True)
            assert await publisher.clear_retained(["publish", "none"]) == 1

    asyncio.run(main())


def test_c36_each_way_of_publishing_keeps_values(service: EventServiceStarter) -> None:
    every_publisher(service.uri)
    with EventStream(match=".*", es_uri=service.uri, last=True) as events:
        found = {event.subject: event.msg for event in (events.get(20) for _ in range(9))}
        with pytest.raises(TimeoutError):
            events.get(0)
    large = bytes(LARGE)
    assert found == {
        "pipeline": 2,
        "pipeline large": large,
        "background": 3,
        "latest": 5,
        "latest 2": 4,
        "aio": 6,
        "aio pipeline": 7,
        "aio large": large,
        "aio background": 8,
    }
    counts = statistics(service.uri)
    assert counts["retained"] == 9 and counts["retained_bytes"] > 2 * LARGE
    assert 10 <= counts["published_retained"] <= 11


@pytest.mark.parametrize("retain", [1, None, "yes"])
def test_c36_what_is_neither_true_nor_false_is_refused(publisher: Publisher, retain: Any) -> None:
    with publisher.pipeline() as fast, publisher.background() as background:
        for publish in (publisher.publish, fast.publish, background.publish):
            with pytest.raises(TypeError, match="retain must be True or False, not"):
                publish("A", 1, retain=retain)
    assert publisher.clear_retained("A") == 0


def test_c36_clearing_follows_what_a_pipeline_has_buffered(publisher: Publisher) -> None:
    with publisher.pipeline() as fast:
        fast.publish("A", 1, retain=True)
        assert publisher.clear_retained(["a", "B"]) == 1
    many = [f"{number:0255}" for number in range(1000)]
    for name in many[::100]:
        publisher.publish(name, 1, retain=True)
    assert publisher.clear_retained(many) == 10
    for wrong in ("", ["A", 5], "$ES.SERVICE.STOPPING"):
        with pytest.raises((TypeError, ValueError)):
            publisher.clear_retained(wrong)
    publisher.close()
    with pytest.raises(Exception, match="closed"):
        publisher.clear_retained("A")


def test_c36_beyond_the_bounds_nothing_of_the_call_is_published() -> None:
    with (
        running(max_retained=2, max_retained_bytes=10_000) as es,
        Publisher(es_uri=es.uri) as publisher,
        collecting(es.uri, "A", "B", "C", "D") as listener,
    ):
        publisher.publish(["A", "B"], 1, retain=True)
        for subjects, size, text in (("C", 1, "--max-retained$"), (["A", "D"], 1, "--max-retained$")):
            with pytest.raises(ValueError, match=text):
                publisher.publish(subjects, bytes(size), retain=True)
        with pytest.raises(ValueError, match="--max-retained-bytes"):
            publisher.publish("A", bytes(10_000), retain=True)
        with pytest.raises(PipelineError, match="--max-retained"), publisher.pipeline() as fast:
            fast.publish("B", "not published")
            fast.publish("C", "not published", retain=True)
        with Proxy(es.uri) as stock, pytest.raises(ValueError, match="--max-retained"):
            stock.publish("C", 1, {"retain": True})
        publisher.publish("A", 2, retain=True)
        assert publisher.clear_retained("B") == 1
        publisher.publish("C", 3, retain=True)
        assert listener.wait(4) and listener.messages() == [1, 1, 2, 3]


def test_c36_a_blocked_call_keeps_its_value_when_it_goes_on() -> None:
    with running(backlog=1) as es, Publisher(es_uri=es.uri) as publisher, fake_subscriber() as slow:
        slow.subscribe(es.uri, "SLOW")
        slow.greet()
        publisher.publish("A", "before", retain=True)

        def publish() -> None:
            with publisher.pipeline() as fast:
                for _ in range(5):
                    fast.publish("SLOW", 1)
                fast.publish("A", "after", retain=True)

        blocked = in_background(publish)
        eventually(lambda: (account(es.uri, slow.uri) or {}).get("unacknowledged") == 2)
        with EventStream("A", es_uri=es.uri, last=True) as early:
            assert shown([early.get(20)]) == [("A", "before", True)]
            slow.take(5)
            blocked.result()
            with EventStream("A", es_uri=es.uri, last=True) as late:
                new, kept = early.get(20), late.get(20)
                assert shown([new, kept]) == [("A", "after", False), ("A", "after", True)]
                assert new.time == kept.time


@each_kind
def test_c36_after_a_reconnection_it_comes_again(
    service: EventServiceStarter, publisher: Publisher, kind: type[Any]
) -> None:
    publisher.publish(["A", "B", "C.1", "D"], 1, retain=True)
    with collecting(service.uri, kind=kind) as listener:
        listener.subscribe(["A", "B", "D"], last=True)
        listener.subscribeMatch("C", last=True)
        listener.subscribe("B")  # the last call decides
        listener.unsubscribe("D")
        listener.subscribe("D")
        assert len(listener.wait(4)) == 4
        publisher.publish("A", 2, retain=True)
        listener.wait(5)
        cut(listener)
        events = listener.wait(7)[5:]
        assert sorted(shown(events)) == [("A", 2, True), ("C.1", 1, True)]
        assert [(event.seq, event.missed) for event in events] == [(1, None), (2, 0)]
        publisher.publish("D", 3)
        assert shown(listener.wait(8)[7:]) == [("D", 3, False)]


def test_c36_after_a_reconnection_it_comes_for_the_function_that_asked(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    """Also if another function on the same subscriber has registered for the same names since, without it."""
    publisher.publish(["A", "B", "C"], 1, retain=True)
    got: list[tuple[str, Any, bool]] = []
    with collecting(service.uri) as listener:
        listener.on("A", match=["A", "B"], last=True)(lambda event: got.extend(shown([event])))
        listener.on("A", "C", match="B")(lambda event: None)
        eventually(lambda: len(got) == 2)
        cut(listener)
        eventually(lambda: len(got) == 4)
        publisher.publish("A", 2)
        eventually(lambda: len(got) == 5)
    assert got == [("A", 1, True), ("B", 1, True)] * 2 + [("A", 2, False)]


def cut(listener: Any) -> None:
    """End the connection over which its events come."""
    if isinstance(listener, AioCollector):
        source = listener.stream._inside._receiver.source  # type: ignore[attr-defined]
        listener.stream._loop.call(source.end, "for the test")
    elif isinstance(listener, StreamCollector):
        source = listener._EventStream__receiver.source  # type: ignore[attr-defined]
        source.link.fail("for the test")
        source.check()
    else:
        disconnect(listener)


def test_c36_what_waited_during_a_fallback_comes_once(
    service: EventServiceStarter, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backlog survives it, and what is retained in it."""
    monkeypatch.setattr("Pyro5.config.HOST", "127.0.0.2")
    publisher.publish("A", 1, retain=True)
    with Collector(service.uri) as collector:
        collector.subscribe("A", last=True)
        publisher.publish("A", 2, retain=True)
        assert collector.wait_until_connected(20)
        publisher.publish("A", 3)
        collector.listen_in_background()
        assert shown(collector.wait(3)) == [("A", 1, True), ("A", 2, False), ("A", 3, False)]
        assert not collector.statistics().callback
    eventually(lambda: not statistics(service.uri)["subscribers"])


@pytest.mark.parametrize("pattern", [False, True], ids=["name", "pattern"])
def test_c36_no_gap_and_no_double_for_those_who_come_at_full_speed(
    service: EventServiceStarter, pattern: bool
) -> None:
    """Each sees one retained number, and from there on each following one of that publisher.

    While each stream is opened, every publisher publishes 1,000 events as fast as it can. More of them would
    fill the backlogs of those that are not read yet, and end these after ten seconds.
    """
    names = ("a", "b", "c")
    allowed = {name: threading.Semaphore(1) for name in names}
    stopped = False

    def publish(name: str) -> int:
        number = 0
        with Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
            while allowed[name].acquire() and not stopped:
                number += 1
                fast.publish("SPEED", (name, number), retain=True)
        return number

    def go_on(events: int = 1000) -> None:
        for name in names:
            allowed[name].release(events)

    publishers = [in_background(lambda name=name: publish(name)) for name in names]
    how = {"match": "SPE"} if pattern else {"subjects": "SPEED"}
    try:
        with contextlib.ExitStack() as stack:
            eventually(lambda: statistics(service.uri)["retained"] == 1)
            streams = []
            for _ in range(30):
                go_on()
                stream = EventStream(es_uri=service.uri, last=True, backlog=100_000, **how)  # type: ignore[arg-type]
                streams.append(stack.enter_context(stream))
            go_on()
            for stream in streams:
                assert_follows([stream.get(20) for _ in range(300)])
    finally:
        stopped = True
        go_on(1)
        counts = [each.result(60) for each in publishers]
    assert all(counts)


def assert_follows(events: list[Event]) -> None:
    first, *new = events
    assert first.retained and not any(event.retained for event in new)
    assert_numbered(events)
    numbers = {first.msg[0]: first.msg[1]}
    for event in new:
        name, number = event.msg
        assert number == numbers.get(name, number - 1) + 1
        numbers[name] = number


def test_c36_what_is_refused_after_a_long_search_says_so() -> None:
    with running(max_subscriptions=1) as es, Publisher(es_uri=es.uri) as publisher:
        publisher.publish("A", 1, retain=True)
        with collecting(es.uri) as listener, pytest.raises(ValueError, match="at most 1 subscriptions"):
            listener.subscribeMatch(["A", "B"], last=True)
        with EventStream(es_uri=es.uri) as events:
            with pytest.raises(ValueError, match="at most 1 subscriptions"):
                events.subscribeMatch(["A", "C"], last=True)
            with pytest.raises(ValueError, match="not accepted"):
                events.subscribeMatch(["("], last=True)
            events.subscribeMatch(["A"], last=True)
            assert shown([events.get(20)]) == [("A", 1, True)]


def test_c36_a_service_in_a_stock_daemon_keeps_values_too() -> None:
    with fake_subscriber() as subscriber:
        service = EventService(ServiceOptions(max_subscriptions=1))
        try:
            assert service.publish(["A", "B"], 1, {"retain": True}) == 0
            with pytest.raises(ValueError, match="at most 1 subscriptions"):
                service.subscribeMatch(["A", "B"], subscriber.uri, {"last": True})
            service.subscribeMatch(".*", subscriber.uri, {"last": True})
            subscriber.greet()
            assert [(row[0], row[5:]) for row in subscriber.take(2)] == [("A", [True]), ("B", [True])]
            assert service.clear_retained(["a", "B", "C"]) == 2
            assert service.statistics()["published_retained"] == 2
        finally:
            service.close()


def test_c36_a_member_of_a_group_cannot_ask_for_it(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    publisher.publish("A", 1, retain=True)
    with EventStream(es_uri=service.uri, group="workers") as events:
        for ask in (events.subscribe, events.subscribeMatch):
            with pytest.raises(ValueError, match="exclude each other"):
                ask("A", last=True, group="workers")
        events.subscribe("A")
        with pytest.raises(ValueError, match="exclude each other"):
            events.subscribe("B", last=True)
        assert events.statistics().subscriptions == ("A",)


PERMISSIONS = """
[users.alice]
ident = "key of alice"
publish = ["LAB.*"]
subscribe = ["*", "!SECRET.*"]
[users.root]
ident = "key of root"
publish = ["*"]
subscribe = ["*"]
"""


@each_kind
def test_c36_a_user_gets_only_the_last_values_that_it_may_see(tmp_path: Path, kind: type[Any]) -> None:
    file = tmp_path / "permissions.toml"
    file.write_text(PERMISSIONS, encoding="utf-8")
    file.chmod(0o600)
    alice, root = ({"user": name, "ident": f"key of {name}"} for name in ("alice", "root"))
    with running(permissions=file) as es, Publisher(es_uri=es.uri, **root) as publisher:
        for name in ("LAB.A", "SECRET.B", "secret.c", "HALL.D"):
            publisher.publish(name, name, retain=True)
        with collecting(es.uri, kind=kind, **alice) as listener:
            listener.subscribeMatch([".*", "(?i:SECRET)", "S"], last=True)
            publisher.publish("SECRET.B", "not for alice", retain=True)
            publisher.publish("HALL.D", "for all")
            assert shown(listener.wait(3)) == [
                ("LAB.A", "LAB.A", True),
                ("HALL.D", "HALL.D", True),
                ("HALL.D", "for all", False),
            ]
            assert_numbered(listener.events)
        with Publisher(es_uri=es.uri, **alice) as hers:
            hers.publish("LAB.E", 1, retain=True)
            for call in (
                lambda: hers.publish(["LAB.E", "HALL.D"], 1, retain=True),
                lambda: hers.clear_retained(["LAB.A", "HALL.D"]),
            ):
                with pytest.raises(AccessDeniedError, match="'HALL.D'"):
                    call()
            assert hers.clear_retained(["lab.a", "LAB.E", "LAB.X"]) == 2
        assert publisher.clear_retained(["SECRET.B", "SECRET.C", "HALL.D"]) == 3
