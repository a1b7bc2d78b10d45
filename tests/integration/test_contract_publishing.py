"""The contract on publishing, line by line (docs/contract.md, C1 to C5)."""

from __future__ import annotations

import datetime
import decimal
import fractions
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import Pyro5.errors
import pytest
from contract import running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import collecting
from processes import Spawner
from Pyro5.api import Proxy
from raw_client import raw_client

from pyro_events import Publisher, UnsupportedTypeError
from pyro_events.codec.message import encode
from pyro_events.testing import LocalEventService, collect

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def publisher(event_service: LocalEventService) -> Iterator[Publisher]:
    with Publisher() as publisher:
        yield publisher


@pytest.mark.parametrize(
    ("subjects", "names"),
    [
        ("A", ["A"]),
        (["A", "B"], ["A", "B"]),
        (("B", "A"), ["B", "A"]),
        ({"A": 1}.keys(), ["A"]),
        (["A", "A"], ["A", "A"]),
    ],
    ids=repr,
)
def test_c1_every_name_becomes_one_event(
    event_service: LocalEventService, publisher: Publisher, subjects: object, names: list[str]
) -> None:
    with collect(["A", "B"]) as seen:
        assert publisher.publish(subjects, "x") == len(names)
        assert [(event.subject, event.msg) for event in seen.events] == [(name, "x") for name in names]


def test_c1_any_python_object_crosses_processes(es, spawn: Spawner) -> None:
    messages: list[object] = [
        ("SUN", 22.44),
        None,
        2**100,
        b"\x00\xff",
        {1, 2},
        frozenset({"a"}),
        {(1, 2): [3]},
        datetime.datetime(2020, 2, 29, 12, tzinfo=datetime.timezone.utc),
        decimal.Decimal("0.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        range(3),
    ]
    listener = spawn(str(PROGRAMS / "listener.py"), "--es-uri", es.uri, "A", ready="ready")
    with Publisher(es_uri=es.uri) as publisher:
        for message in messages:
            assert publisher.publish("A", message) == 1
        for number, message in enumerate(messages, 1):
            line = listener.wait_for(rf"^{number} A (.*)$")
            assert line.group(1) == repr(message)
        publisher.publish("A", "stop")
    listener.wait_for("listening ended")
    assert listener.wait() == 0


def test_c1_a_message_that_cannot_be_carried_is_not_published(
    event_service: LocalEventService, publisher: Publisher
) -> None:
    with collect() as seen:
        with pytest.raises(UnsupportedTypeError, match=r"object.*\[1\]"):
            publisher.publish(["A", "B"], [1, object()])
        assert seen.events == []
    assert statistics(event_service.uri)["published"] == 0


def test_c1_and_c2_all_events_of_one_call_share_one_time_for_all_subscribers(
    event_service: LocalEventService, publisher: Publisher
) -> None:
    with collect(["A", "B"]) as one, collect(["B", "C"]) as other:
        before = time.time()
        assert publisher.publish(["A", "B", "C"], "x") == 4
        after = time.time()
        assert [len(seen.events) for seen in (one, other)] == [2, 2]
        times = {event.time for event in one.events + other.events}
        assert len(times) == 1
        (stamp,) = times
        assert type(stamp) is float
        assert before - 0.001 <= stamp <= after + 0.001


def test_c2_an_event_is_stamped_when_it_is_accepted_not_when_it_is_delivered() -> None:
    with (
        running() as service,
        fake_subscriber() as subscriber,
        Publisher(es_uri=service.uri) as publisher,
    ):
        subscribe(service.uri, subscriber.uri, "A")
        publisher.publish("A", 1)
        accepted = time.time()
        subscriber.greet()  # only now can it be delivered
        (row,) = subscriber.take(1)
        assert row[1] <= accepted + 0.001


def test_c3_publish_returns_when_the_event_is_queued_for_every_subscriber(
    event_service: LocalEventService, publisher: Publisher
) -> None:
    with fake_subscriber("one") as one, fake_subscriber("two") as two:
        subscribe(event_service.uri, one.uri, ["A", "B"])
        subscribe(event_service.uri, two.uri, "B")
        assert publisher.publish("A", 1) == 1
        assert publisher.publish(["A", "B"], 2) == 3
        # Neither subscriber has answered, but all events are accounted for.
        snapshot = statistics(event_service.uri)
        assert (snapshot["accepted"], snapshot["waiting"], snapshot["delivered"]) == (4, 4, 0)
        assert [each["accepted"] for each in snapshot["subscribers"]] == [3, 1]


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_c3_a_stock_client_is_acknowledged_alike(event_service: LocalEventService, serializer: str) -> None:
    with fake_subscriber() as subscriber, Proxy(event_service.uri) as es:
        es._pyroSerializer = serializer
        subscribe(event_service.uri, subscriber.uri, "A")
        assert es.publish(["A", "A", "B"], 1) == 2
        assert statistics(event_service.uri)["waiting"] == 2


def test_c3_a_pipeline_ends_when_everything_is_acknowledged(
    event_service: LocalEventService, publisher: Publisher
) -> None:
    with fake_subscriber() as subscriber:
        subscribe(event_service.uri, subscriber.uri, "A")
        with publisher.pipeline() as fast:
            for number in range(500):
                fast.publish("A", number)
        assert statistics(event_service.uri)["accepted"] == 500


def test_c4_without_a_listener_the_event_disappears(
    event_service: LocalEventService, publisher: Publisher
) -> None:
    assert publisher.publish("A", "too early") == 0
    with collect("A") as seen:
        assert publisher.publish("A", "in time") == 1
        assert [(event.msg, event.seq) for event in seen.events] == [("in time", 1)]
    snapshot = statistics(event_service.uri)
    assert snapshot["published"] == 2
    assert snapshot["accepted"] == 1


def test_c4_subscriptions_are_not_stored(start_service, free_port: Callable[[], int]) -> None:
    port = str(free_port())
    service = start_service("--port", port)
    with fake_subscriber() as subscriber:
        subscribe(service.uri, subscriber.uri, "A")
        subscriber.greet()
        assert service.process.terminate() == 0
        again = start_service("--port", port)
        assert again.uri == service.uri
        with Publisher(es_uri=again.uri) as publisher:
            assert publisher.publish("A", 1) == 0
        assert statistics(again.uri)["subscribers"] == []


@pytest.mark.parametrize("subjects", [[], (), set(), iter([])], ids=("list", "tuple", "set", "iterator"))
def test_c5_an_empty_sequence_publishes_nothing(
    event_service: LocalEventService, publisher: Publisher, subjects: object
) -> None:
    with collect() as seen, Proxy(event_service.uri) as es:
        assert publisher.publish(subjects, "x") == 0
        assert es.publish([], "x") == 0
        assert seen.events == []
    assert statistics(event_service.uri)["published"] == 0


BAD_NAMES = ["", "x" * 256, "A\n", "A\x00B", "\x7f", "A\x85"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_c5_a_bad_name_is_a_value_error_that_names_it(
    event_service: LocalEventService, publisher: Publisher, name: str
) -> None:
    with collect() as seen:
        for attempt in (name, ["A", name], [name, "A"]):
            with pytest.raises(ValueError) as caught:
                publisher.publish(attempt, "x")
            assert repr(name)[:30] in str(caught.value) or "x" * 20 in str(caught.value)
            with Proxy(event_service.uri) as es, pytest.raises(ValueError):
                es.publish(attempt, "x")
        assert seen.events == []
    assert statistics(event_service.uri)["published"] == 0


def test_c5_a_name_of_255_characters_is_good(event_service: LocalEventService, publisher: Publisher) -> None:
    name = "ü" * 255
    with collect(name) as seen:
        assert publisher.publish(name, "x") == 1
        assert [event.subject for event in seen.events] == [name]


@pytest.mark.parametrize(
    "batch",
    [
        [["A", encode(1)], ["", encode(2)]],
        [["A", encode(1)], [["B", "x" * 256], encode(2)]],
        [["A", encode(1)], ["A", "text"]],
        [["A", encode(1)], ["A"]],
        [["A", encode(1)], 5],
        [["A", encode(1)], [5, encode(2)]],
        [["A", encode(1)], [{"A": 1}, encode(2)]],
        [["A", encode(1)], [["A"] * 1001, encode(2)]],
        5,
        "A",
    ],
    ids=lambda batch: repr(batch)[:40],
)
def test_c5_nothing_of_a_call_is_published_when_any_part_of_it_is_bad(
    event_service: LocalEventService, batch: object
) -> None:
    with collect(["A", "B"]) as seen, raw_client(event_service.uri) as client:
        answer = client.call("publish_encoded", batch)
        assert answer["__class__"] in ("builtins.ValueError", "builtins.TypeError"), answer
        assert statistics(event_service.uri)["published"] == 0
        assert client.call("publish_encoded", [["A", encode(3)]]) == 1
        assert [event.msg for event in seen.events] == [3]


def test_c5_in_a_large_call_too(event_service: LocalEventService) -> None:
    payload = encode(b"x" * 100_000)
    with collect("A") as seen, raw_client(event_service.uri) as client:
        for subjects in ("", ["A", ""], 5, [["A"]], {"A": 1}, "x" * 256):
            answer = client.call("publish_encoded", [[subjects, payload]])
            assert isinstance(answer, dict) and "Error" in answer["__class__"], answer
        assert statistics(event_service.uri)["published"] == 0
        assert client.call("publish_encoded", [[["A"], payload]]) == 1
        assert [event.payload for event in seen.events] == [payload]


def test_messages_are_bounded_by_the_services_limit_whatever_their_size() -> None:
    """Section 7: one message is at most max_message, in a small call as in a large one."""
    with running(max_message=1000) as service, Publisher(es_uri=service.uri) as publisher:
        with collect("A", es_uri=service.uri) as seen:
            for size in (1001, 10_000, 60_000, 65_000, 65_600):
                with pytest.raises(Pyro5.errors.MessageTooLargeError, match="limit"):
                    publisher.publish("A", b"x" * size)
            with Proxy(service.uri) as es, pytest.raises(Exception, match="limit"):
                es.publish("A", "x" * 2000)
            assert publisher.publish("A", b"x" * 900) == 1
            assert [event.msg for event in seen.events] == [b"x" * 900]
        assert statistics(service.uri)["published"] == 1


def test_messages_of_16_mib_arrive(event_service: LocalEventService, publisher: Publisher) -> None:
    message = bytes(16 * 1024 * 1024 - 100)
    with collecting(event_service.uri, "A") as collector:
        assert publisher.publish("A", message) == 1
        assert collector.wait(1)[0].msg == message
        with pytest.raises(Pyro5.errors.MessageTooLargeError, match="--max-message"):
            publisher.publish("A", message + bytes(200))
        assert publisher.publish("A", "still there") == 1
        collector.wait(2)


def test_a_frame_between_the_limits_holds_one_publication(event_service: LocalEventService) -> None:
    """Sections 4 and 7: over 64 KiB only publish_encoded with one entry is read."""
    two = [["A", bytes(40_000)], ["A", bytes(40_000)]]
    body = msgpack.packb("x" * 70_000)
    with collect() as seen, raw_client(event_service.uri) as client:
        answer = client.call("publish_encoded", two)
        assert "single event" in str(answer)
        answer = client.call("publish", "A", body)
        assert "single event" in str(answer)
        answer = client.call("publish_large", "A", b"")
        assert "AttributeError" in str(answer)
        assert seen.events == []
    assert statistics(event_service.uri)["published"] == 0
