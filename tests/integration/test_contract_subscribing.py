"""The contract on subscribing, line by line (docs/contract.md, C6 to C12b)."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator

import pytest
from contract import account, in_background, running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import Collector, collecting, listening, set_times
from log_lines import counted
from Pyro5.api import Daemon, Proxy, expose
from Pyro5.core import URI
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher, Subscriber
from pyro_events.codec.message import decode


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def messages(collector: Collector, publisher: Publisher, *subjects: str) -> list[str]:
    """Publish an event on each of the subjects, and see which of them arrive."""
    collector.events.clear()
    for subject in subjects:
        publisher.publish(subject, subject)
    collector.subscribe("the end")
    publisher.publish("the end", "the end")
    eventually(lambda: collector.events and collector.events[-1].msg == "the end")
    return collector.messages()[:-1]


@pytest.mark.parametrize(
    "subjects",
    ["A", ["A", "B"], ("A", "B"), {"A", "B"}, map(str, "AB")],
    ids=("str", "list", "tuple", "set", "iterator"),
)
def test_c6_one_name_or_a_sequence(
    service: EventServiceStarter, publisher: Publisher, subjects: object
) -> None:
    with collecting(service.uri) as collector:
        collector.subscribe(subjects)
        assert messages(collector, publisher, "A", "C") == ["A"]


def test_c6_subscribing_twice_is_harmless(service: EventServiceStarter, publisher: Publisher) -> None:
    with collecting(service.uri, "A", "A") as collector:
        collector.subscribe("A")
        collector.subscribe(["a", "A"])
        collector.subscribeMatch("^A$")
        collector.subscribeMatch("^A$")
        assert publisher.publish("A", 1) == 1
        assert messages(collector, publisher, "A", "B")[-1:] == ["A"]
        assert collector.events[0].seq in (1, 2)
        collector.unsubscribe(["A", "^A$"])
        assert publisher.publish("A", 2) == 0


def test_c6_an_empty_sequence_subscribes_nobody(service: EventServiceStarter) -> None:
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, [])
        assert statistics(service.uri)["subscribers"] == []
        assert not subscriber.connected()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^STOCKQUOTE\.S.*$", ["STOCKQUOTE.SUN", "stockquote.sap"]),
        (r"STOCKQUOTE\.S", ["STOCKQUOTE.SUN", "stockquote.sap"]),
        (r"stock", ["STOCKQUOTE.SUN", "stockquote.sap", "STOCKQUOTE.IBM"]),
        (r".*STOCKQUOTE\.SUN$", ["STOCKQUOTE.SUN", "NYSE.STOCKQUOTE.SUN"]),
        (r"(?-i:stock)", ["stockquote.sap"]),
        ([r"NYSE", r"^\w+\.I"], ["STOCKQUOTE.IBM", "NYSE.STOCKQUOTE.SUN"]),
        (r"STOCKQUOTE\.\w{3}\Z", ["STOCKQUOTE.SUN", "stockquote.sap", "STOCKQUOTE.IBM"]),
    ],
    ids=repr,
)
def test_c7_patterns_match_from_the_start_whatever_the_case(
    service: EventServiceStarter, publisher: Publisher, pattern: object, expected: list[str]
) -> None:
    with collecting(service.uri) as collector:
        collector.subscribeMatch(pattern)
        subjects = "STOCKQUOTE.SUN", "stockquote.sap", "STOCKQUOTE.IBM", "NYSE.STOCKQUOTE.SUN", ""
        assert messages(collector, publisher, *subjects[:-1]) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(", r"missing"),
        (r"(?=x)", r"look-ahead"),
        (r"x{,3}", r"write \{0,3\}"),
        (r"[[:upper:]]", r"list the characters"),
        (r"(a)\1", r"\\1|back"),
        (r"x{1000}{1000}", "too|size|repetition"),
    ],
)
def test_c7_a_bad_pattern_is_a_value_error_that_shows_it_and_why(
    service: EventServiceStarter, publisher: Publisher, pattern: str, reason: str
) -> None:
    with collecting(service.uri) as collector:
        for attempt in (pattern, ["^good", pattern]):
            with pytest.raises(ValueError) as caught:
                collector.subscribeMatch(attempt)
            assert pattern in str(caught.value) or repr(pattern) in str(caught.value)
            assert caught.match(reason)
        assert publisher.publish("good", 1) == 0  # a call that fails changes no subscription


def test_c8_subjects_are_case_insensitive_and_spelled_as_published(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri, "StraßE.x") as collector:
        assert publisher.publish("STRAẞE.X", 1) == 1
        assert publisher.publish("straße.x", 2) == 1
        assert publisher.publish("STRASSE.X", 3) == 0
        assert [event.subject for event in collector.wait(2)] == ["STRAẞE.X", "straße.x"]
        collector.unsubscribe("ſTRAẞE.X")
        assert publisher.publish("StraßE.x", 4) == 0


@pytest.mark.parametrize("name", ["straße", "ﬀ", "İzmir", "KÖLN", "Σίσυφος", "e\u0301", "ᾳ", "\u212aelvin"])
def test_c8_a_name_and_the_pattern_that_spells_it_agree(
    service: EventServiceStarter, publisher: Publisher, name: str
) -> None:
    with collecting(service.uri, name) as exact, collecting(service.uri) as matching:
        matching.subscribeMatch(re.escape(name) + "$")
        spellings = name.upper(), name.lower(), name.swapcase(), name.casefold(), name.title(), name
        queued = [publisher.publish(spelling, None) for spelling in spellings]
        assert set(queued) <= {0, 2}
        count = sum(queued) // 2
        reached = [[event.subject for event in each.wait(count)] for each in (exact, matching)]
        assert reached[0] == reached[1]
        assert reached[0][-1] == name


def test_c8_case_is_ignored_and_a_category_is_not_its_opposite(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri) as collector:
        collector.subscribeMatch(r"^A\S$")
        assert messages(collector, publisher, "ab", "a b", "a ", "A.") == ["ab", "A."]


def test_c8_patterns_are_the_same_when_they_are_spelled_the_same(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri) as collector:
        collector.subscribeMatch(["^A$", "^a$"])
        collector.unsubscribe("^A$")
        assert publisher.publish("A", 1) == 1
        collector.unsubscribe("^a$")
        assert publisher.publish("A", 2) == 0


def test_c9_names_and_patterns_are_removed_in_one_call(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri, "A", "B", "C") as collector:
        collector.subscribeMatch(["^D", "^E"])
        collector.unsubscribe(["A", "^D", "c"])
        assert messages(collector, publisher, "A", "B", "C", "D", "E") == ["B", "E"]


def test_c9_removing_something_that_is_not_there_is_allowed(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri) as collector, Proxy(service.uri) as es:
        collector.unsubscribe("A")
        collector.unsubscribe(["A", "^B", "(", "x" * 20])
        collector.unsubscribe([])
        collector.subscribe("A")
        collector.unsubscribe(["B", "A", "A"])
        es.unsubscribe("A", "PYRO:nobody@127.0.0.1:1")
        assert publisher.publish("A", 1) == 0


def test_c9_nothing_published_after_unsubscribe_has_returned_arrives(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    """Published by one connection, unsubscribed by another, again and again."""
    with collecting(service.uri, "the end") as collector:
        for number in range(100):
            collector.subscribe("A")
            publisher.publish("A", ("before", number))
            collector.unsubscribe("A")
            assert publisher.publish("A", ("after", number)) == 0
        publisher.publish("the end", None)
        events = collector.wait(101)
        assert [event.msg for event in events[:-1]] == [("before", number) for number in range(100)]


def test_c9_what_was_queued_before_still_arrives() -> None:
    with (
        running() as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
        Proxy(service.uri) as es,
    ):
        subscribe(service.uri, subscriber.uri, "A")
        publisher.publish("A", "queued")
        es.unsubscribe("A", subscriber.uri)
        subscriber.greet()
        assert subscriber.messages(1) == ["queued"]


def test_c10_an_event_that_matches_several_ways_comes_once(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with collecting(service.uri, "A.B") as collector:
        collector.subscribeMatch(["^A", "B$", ".*B$", "^a"])
        assert publisher.publish("A.B", 1) == 1
        collector.wait(1)
        assert messages(collector, publisher, "A.B", "A.C") == ["A.B", "A.C"]
        assert [event.seq for event in collector.events] == [2, 3, 4]
        collector.unsubscribe(["A.B", "^A"])
        assert publisher.publish("A.B", 2) == 1


def test_c11_different_proxies_for_one_object_are_one_subscriber(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber, Proxy(service.uri) as es:
        ways: list[object] = [subscriber.uri, URI(subscriber.uri), Proxy(subscriber.uri)]
        ways.append(subscriber.uri.replace("127.0.0.1", "localhost"))
        for name, way in zip("ABCD", ways, strict=True):
            es.subscribe(name, way)
        for serializer in ("json", "msgpack"):
            es._pyroRelease()
            es._pyroSerializer = serializer
            with Proxy(subscriber.uri) as proxy:
                es.subscribe([serializer, "A"], proxy)
        assert publisher.publish(["A", "B", "C", "D", "json", "msgpack"], 1) == 6
        assert len(statistics(service.uri)["subscribers"]) == 1
        subscriber.greet()
        assert [row[2] for row in subscriber.take(6)] == [1, 2, 3, 4, 5, 6]
        es.unsubscribe(["A", "B", "C", "D", "json", "msgpack"], ways[2])
        assert publisher.publish("A", 2) == 0


def test_c11_objects_of_one_daemon_are_different_subscribers(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber("one") as one:
        subscribe(service.uri, one.uri, "A")
        subscribe(service.uri, one.uri.replace("one", "two"), "A")
        assert publisher.publish("A", 1) == 2


# C12: plain objects. A stock Pyro5 daemon in a thread stands for the subscribing program.


@expose
class Plain:
    """An exposed object that is not a Subscriber."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> object:
        self.events.append(event)
        if event.msg == "fail":
            raise RuntimeError("as told")
        if event.msg == "unserializable":
            return object()
        return None


@expose
class Deaf:
    """An exposed object with neither method."""

    def listen(self) -> None:
        raise AssertionError("nobody calls this")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon(host="127.0.0.1") as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        yield daemon
        daemon.shutdown()
        thread.join()


def test_c12_a_plain_object_on_a_stock_daemon(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon
) -> None:
    plain = Plain()
    daemon.register(plain)
    with Proxy(service.uri) as es:
        es.subscribe("A", plain)
        es.subscribeMatch("^B", plain)
        for number in range(50):
            assert publisher.publish(["A", "B"][number % 2], number) == 1
        eventually(lambda: len(plain.events) == 50)
        assert [event.msg for event in plain.events] == list(range(50))
        assert [event.seq for event in plain.events] == list(range(1, 51))
        assert {type(event) for event in plain.events} == {Event}
        es.unsubscribe(["A", "^B"], plain)
        assert publisher.publish(["A", "B"], 1) == 0


def test_c12_and_c20_a_batch_for_a_plain_object_is_resumed_behind_an_exception(
    service: EventServiceStarter, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Plain()
    uri = str(daemon.register(plain))
    sent = [0, "fail", 2, "fail", "fail", 5, 6, "fail"]
    with Proxy(service.uri) as es, Publisher(es_uri=service.uri) as publisher:
        es.subscribe("A", plain)
        for round in range(20):  # batches grow with the pace, so the exceptions fall anywhere in them
            with publisher.pipeline() as fast:
                for message in sent:
                    fast.publish("A", message)
            eventually(lambda end=8 * (round + 1): len(plain.events) >= end)  # type: ignore[misc]
        assert [event.msg for event in plain.events] == sent * 20
        assert [event.seq for event in plain.events] == list(range(1, 161))
        found = eventually(lambda: (at := account(service.uri, uri)) and not at["unacknowledged"] and at)
        assert found["delivered"] == 80
        assert found["lost"] == {"handler-error": 80}
    eventually(lambda: counted(caplog.records, "raised for subject 'A'") == 80)
    assert "as told" in caplog.text


def test_c12_and_c20_a_result_that_cannot_be_serialized_costs_its_batch_alone(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Plain()
    uri = str(daemon.register(plain))
    with Proxy(service.uri) as es:
        es.subscribe("A", plain)
        for message in ("before", "unserializable", "after"):
            publisher.publish("A", message)
            eventually(lambda: not statistics(service.uri)["waiting"])
        assert [event.msg for event in plain.events] == ["before", "unserializable", "after"]
        assert [(event.seq, event.missed) for event in plain.events] == [(1, 0), (2, 0), (3, 0)]
        found = account(service.uri, uri)
        assert found is not None
        assert found["delivered"] == 2
        assert found["lost"] == {"unconfirmed": 1}
    assert "unconfirmed" in caplog.text


def test_c12_an_object_with_neither_method_is_refused_at_once(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon
) -> None:
    deaf = Deaf()
    daemon.register(deaf)
    with Proxy(service.uri) as es:
        for serializer in ("serpent", "json", "msgpack"):
            es._pyroRelease()
            es._pyroSerializer = serializer
            with pytest.raises(TypeError, match="`event`"):
                es.subscribe("A", deaf)
            with pytest.raises(TypeError, match="`event`"):
                es.subscribeMatch("A", deaf)
    assert publisher.publish("A", 1) == 0
    assert statistics(service.uri)["subscribers"] == []


def test_c12_a_bare_proxy_to_such_an_object_is_dropped_at_first_contact_and_logged(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    uri = str(daemon.register(Deaf()))
    subscribe(service.uri, uri, "A")
    publisher.publish("A", 1)
    eventually(lambda: statistics(service.uri)["subscribers"] == [])
    eventually(lambda: "neither `event` nor `events`" in caplog.text)
    assert uri in caplog.text
    assert publisher.publish("A", 2) == 0
    lost = statistics(service.uri)["lost"]
    assert lost in ({}, {"refused": 1})  # it may have been found out before the publish


def test_c12_an_object_that_is_not_there_is_dropped_and_logged(
    service: EventServiceStarter, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(service.uri, f"PYRO:nobody@{daemon.locationStr}", "A")
    eventually(lambda: statistics(service.uri)["subscribers"] == [])
    eventually(lambda: "unknown object" in caplog.text)


def test_c12_an_object_that_is_unregistered_meanwhile_is_dropped_and_logged(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Plain()
    daemon.register(plain)
    with Proxy(service.uri) as es:
        es.subscribe("A", plain)
        publisher.publish("A", 1)
        eventually(lambda: plain.events)
        daemon.unregister(plain)
        publisher.publish("A", 2)
        eventually(lambda: publisher.publish("A", 3) == 0)
        eventually(lambda: "unknown object" in caplog.text)
        assert len(plain.events) == 1
        snapshot = statistics(service.uri)
        assert snapshot["subscribers"] == []
        assert snapshot["delivered"] == 1
        assert set(snapshot["lost"]) <= {"refused", "unconfirmed"}


def test_c12_a_subscriber_need_not_derive_from_our_base_class_nor_have_a_daemon_of_ours(
    service: EventServiceStarter, publisher: Publisher, daemon: Daemon
) -> None:
    """An object with `events` on a stock daemon gets rows."""

    @expose
    class Rows:
        def __init__(self) -> None:
            self.rows: list[list[object]] = []

        def events(self, batch: list[list[object]]) -> list[int]:
            self.rows += batch
            return []

    rows = Rows()
    daemon.register(rows)
    with Proxy(service.uri) as es:
        es._pyroSerializer = "msgpack"
        es.subscribe("A", rows)
        publisher.publish("A", (1, 2))
        eventually(lambda: rows.rows)
        ((subject, time, seq, missed, payload),) = rows.rows
        assert (subject, seq, missed) == ("A", 1, 0)
        assert isinstance(time, float)
        assert isinstance(payload, bytes)
        assert decode(payload) == (1, 2)


def test_c12_the_service_calls_back_the_address_that_the_call_came_from(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    """Whatever host the URI names (docs/security.md)."""
    with fake_subscriber() as subscriber:
        subscribe(service.uri, f"PYRO:fake@192.0.2.1:{subscriber.port}", "A")
        publisher.publish("A", 1)
        subscriber.greet()
        assert subscriber.messages(1) == [1]
        assert account(service.uri, subscriber.uri)


def test_c12a_subscribing_in_init_long_before_listen(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    class Early(Collector):
        def __init__(self, es_uri: str) -> None:
            super().__init__(es_uri)
            self.subscribe("A")

    with Early(service.uri) as early:
        for number in range(10):
            assert publisher.publish("A", number) == 1
        (found,) = statistics(service.uri)["subscribers"]
        assert found["backlog"] == 10  # the events wait in the backlog
        assert early.events == []
        with listening(early):
            assert [event.msg for event in early.wait(10)] == list(range(10))
            assert [event.seq for event in early.events] == list(range(1, 11))


def test_c12a_a_plain_daemons_loop_may_start_later(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    plain = Plain()
    with Daemon(host="127.0.0.1") as daemon, Proxy(service.uri) as es:
        daemon.register(plain)
        es.subscribe("A", plain)
        assert publisher.publish("A", "early") == 1
        assert plain.events == []
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        eventually(lambda: plain.events)
        daemon.shutdown()
        thread.join()


def test_c12a_first_contact_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    with (
        running(first_contact=0.3) as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
    ):
        subscribe(service.uri, subscriber.uri, "A")
        assert publisher.publish("A", 1) == 1
        eventually(lambda: not statistics(service.uri)["subscribers"])
        assert publisher.publish("A", 2) == 0
        assert statistics(service.uri)["lost"] == {"gone": 1}
        eventually(lambda: "listen()" in caplog.text)
        # A later subscription starts again from 1.
        subscriber.accept()
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        publisher.publish("A", 3)
        assert [(row[2], row[3]) for row in subscriber.take(1)] == [(1, 0)]


def test_c12a_nobody_there_at_all_ends_the_subscription(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_subscriber() as subscriber:
        uri = subscriber.uri
    subscribe(service.uri, uri, "A")
    eventually(lambda: not statistics(service.uri)["subscribers"])
    eventually(lambda: "cannot be connected to" in caplog.text)


def test_c12a_a_listen_that_starts_late_subscribes_again(
    publisher: Publisher, service: EventServiceStarter
) -> None:
    """With short times in place of the service's 60 s and the subscriber's 45 s."""
    with running(first_contact=0.3) as impatient, Publisher(es_uri=impatient.uri) as speaker:
        late = Collector(impatient.uri)
        set_times(late, late=0.1)
        late.subscribe("A", backlog=7)
        late.subscribeMatch("^B")
        eventually(lambda: not statistics(impatient.uri)["subscribers"])
        assert speaker.publish("A", 1) == 0
        with listening(late):
            eventually(lambda: speaker.publish(["A", "B"], 2) == 2)
            late.wait(2)
            assert late.events[0].missed is None


def test_c12a_a_listen_that_starts_late_takes_what_a_patient_service_has_kept(
    publisher: Publisher, service: EventServiceStarter
) -> None:
    late = Collector(service.uri)
    set_times(late, late=0.0)
    late.subscribe("A")
    assert [publisher.publish("A", number) for number in range(3)] == [1, 1, 1]
    with listening(late):
        late.wait(3)
        assert [event.missed for event in late.events] == [0, 0, 0]


def test_c12b_options_belong_to_the_subscriber_and_the_last_ones_hold() -> None:
    with (
        running(backlog=1000, delivery_deadline=60) as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
    ):
        subscribe(service.uri, subscriber.uri, "A", overflow="drop-newest", backlog=5)
        subscribe(service.uri, subscriber.uri, "B", overflow="drop-oldest", backlog=2)
        subscriber.greet("event")
        publisher.publish("A", 0)
        (row,) = subscriber.batch()
        for number in range(1, 6):
            publisher.publish("A", number)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert (found["overflow"], found["backlog"]) == ("drop-oldest", 2)
        assert found["lost"] == {"drop-oldest": 3}
        assert sorted(found["subjects"]) == ["A", "B"]
        subscribe(service.uri, subscriber.uri, "C")  # without options nothing changes
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["overflow"] == "drop-oldest"
        subscriber.answer()
        assert subscriber.messages(2) == [4, 5]


@pytest.mark.parametrize(
    "options",
    [{"backlog": 0}, {"backlog": "many"}, {"overflow": "explode"}, {"bogus": 1}, {"backlog": 10**9}, 5, "x"],
    ids=repr,
)
def test_c12b_bad_options_are_refused_and_change_nothing(
    service: EventServiceStarter, publisher: Publisher, options: object
) -> None:
    with fake_subscriber() as subscriber, Proxy(service.uri) as es:
        with pytest.raises((ValueError, TypeError)):
            es.subscribe("A", subscriber.uri, options)
        assert statistics(service.uri)["subscribers"] == []
        es.subscribe("A", subscriber.uri, {"backlog": 5})
        with pytest.raises((ValueError, TypeError)):
            es.subscribe("B", subscriber.uri, options)
        found = account(service.uri, subscriber.uri)
        assert found is not None
        assert found["subjects"] == ["A"]
        assert publisher.publish(["A", "B"], 1) == 1


def test_c12b_our_subscriber_gives_the_same_options(service: EventServiceStarter) -> None:
    with Subscriber(es_uri=service.uri) as subscriber:
        subscriber.subscribe("A", overflow="latest", backlog=3, backlog_bytes=1000)
        (found,) = statistics(service.uri)["subscribers"]
        assert found["overflow"] == "latest"
        with pytest.raises(ValueError, match="more than the service allows"):
            subscriber.subscribeMatch("B", backlog=10**9)
        (found,) = statistics(service.uri)["subscribers"]
        assert found["subjects"] == ["A"]


def test_limits_of_section_7_on_subscriptions(service: EventServiceStarter, publisher: Publisher) -> None:
    with fake_subscriber() as subscriber, Proxy(service.uri) as es:
        es._pyroSerializer = "msgpack"
        with pytest.raises(ValueError, match="1000|1,000"):
            es.subscribe([f"n{number}" for number in range(1001)], subscriber.uri)
        assert statistics(service.uri)["subscribers"] == []
        for start in range(10):
            es.subscribe([f"n{start}.{number}" for number in range(1000)], subscriber.uri)
        with pytest.raises(ValueError, match="10000|10,000"):
            es.subscribe(["one", "more"], subscriber.uri)
        assert publisher.publish(["one", "n9.999"], 1) == 1
        es.subscribe("n1.1", subscriber.uri)  # it is there already
        es.unsubscribe(["n1.1", "n1.2"], subscriber.uri)
        es.subscribe(["one", "more"], subscriber.uri)
        assert publisher.publish(["one", "more"], 1) == 2


def test_a_subscribing_call_beside_publishers_at_work(service: EventServiceStarter) -> None:
    """Every event is published wholly before a subscription or wholly after it."""
    with Publisher(es_uri=service.uri) as publisher, collecting(service.uri) as collector:

        def publish() -> int:
            return sum(publisher.publish(["A", "B"], number) for number in range(300))

        counted = in_background(publish)
        for _ in range(50):
            collector.subscribe(["A", "B"])
            collector.unsubscribe(["B", "A"])
        queued = counted.result()
        events = collector.wait(queued)
        assert len(events) == queued
        assert queued % 2 == 0
        for one, other in zip(events[::2], events[1::2], strict=True):
            assert (one.subject, other.subject, one.msg) == ("A", "B", other.msg)


def test_the_log_of_a_subscriber_that_ends_normally_is_quiet(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pyro_events"):
        with collecting(service.uri, "A") as collector, Publisher(es_uri=service.uri) as publisher:
            publisher.publish("A", 1)
            collector.wait(1)
        eventually(lambda: not statistics(service.uri)["subscribers"])
        # Its delivery lingers after the unsubscribing; the daemon that closes ends it.
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
