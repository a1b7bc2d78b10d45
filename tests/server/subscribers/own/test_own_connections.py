"""Listeners that have made a connection of their own (C31): what a key may do, and what strangers may not."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from contract import account, in_background, running, statistics
from fake_subscriber import fake_subscriber
from raw_client import RawClient, raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.codec.message import decode
from pyro_events.constants import BATCH_EVENTS, NOT_KNOWN
from pyro_events.options import ServiceOptions
from pyro_events.server.engine import Engine
from pyro_events.server.objects import Caller
from pyro_events.server.subscribers.callbacks.callback_address import read_subscriber
from pyro_events.server.subscribers.subscribe_options import read_options
from pyro_events.wire.frames import (
    BATCH,
    COMPRESSED,
    INVOKE,
    MSGPACK,
    ONEWAY,
    RESULT,
    SERPENT,
    write_frame,
)
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import CALL_OPTION
from pyro_events.wire.own_connection import id_of

KEY = "0123456789abcdef" * 2


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


@pytest.fixture
def control(service: EventServiceStarter) -> Iterator[RawClient]:
    """The connection on which subscriptions are changed."""
    with raw_client(service.uri) as client:
        yield client


@pytest.fixture
def listener(service: EventServiceStarter) -> Iterator[RawClient]:
    with raw_client(service.uri) as client:
        yield client


def uri_of(subscriber: dict[str, str]) -> str:
    return f"OWN:{id_of(subscriber['key'])}@127.0.0.1"


def test_events_come_over_the_listeners_own_connection(
    service: EventServiceStarter, publisher: Publisher, control: RawClient, listener: RawClient
) -> None:
    subscriber = listener.attach(name="plotter", backlog=500)
    assert control.call("subscribe", ["A", "B"], subscriber) == 2
    assert control.call("subscribeMatch", "^N", subscriber, {"overflow": "drop-oldest"}) == 3
    assert publisher.publish(["A", "NEWS", "C"], "hello") == 2
    rows = listener.take(2)
    assert [(row[0], row[2], row[3], decode(row[4])) for row in rows] == [
        ("A", 1, 0, "hello"),
        ("NEWS", 2, 0, "hello"),
    ]
    found = eventually(lambda: _delivered(service.uri, uri_of(subscriber), 2))
    assert (found["name"], found["overflow"], found["unacknowledged"]) == ("plotter", "drop-oldest", 0)
    assert control.call("unsubscribe", ["A", "^N"], subscriber) == 1
    assert publisher.publish(["A", "NEWS"], "no") == 0


def _delivered(uri: str, subscriber: str, count: int) -> dict[str, Any] | None:
    found = account(uri, subscriber)
    return found if found is not None and found["delivered"] == count else None


def test_it_counts_as_a_subscriber_and_not_as_a_client(
    service: EventServiceStarter, control: RawClient, listener: RawClient
) -> None:
    assert statistics(service.uri)["connections"] == 3
    listener.attach()
    found = statistics(service.uri)
    assert (found["connections"], len(found["subscribers"])) == (2, 1)
    listener.close()
    eventually(lambda: not statistics(service.uri)["subscribers"])


def test_it_stays_when_it_has_unsubscribed_from_everything(
    publisher: Publisher, control: RawClient, listener: RawClient
) -> None:
    subscriber = listener.attach()
    control.call("subscribe", "A", subscriber)
    assert control.call("unsubscribe", "A", subscriber) == 0
    assert control.call("subscribe", "A", subscriber) == 1
    publisher.publish("A", 1)
    assert len(listener.batch()[1]) == 1


@pytest.mark.parametrize("method", ["subscribe", "subscribeMatch", "unsubscribe"])
def test_a_key_that_nobody_has_changes_nothing(
    service: EventServiceStarter, control: RawClient, listener: RawClient, method: str
) -> None:
    listener.attach()
    assert control.call(method, "A", {"key": KEY}) == NOT_KNOWN
    assert control.call("statistics", {"subscriber": {"key": KEY}}) == {
        "subscriptions": NOT_KNOWN,
        "state": "",
        "why": "",
    }
    assert [each["subjects"] for each in statistics(service.uri)["subscribers"]] == [[]]


@pytest.mark.parametrize("key", ["", "x", 5, KEY.upper()])
def test_what_is_no_key_is_refused(control: RawClient, key: Any) -> None:
    answer = control.call("subscribe", "A", {"key": key})
    assert answer["__class__"] == "builtins.ValueError" and "32 digits" in answer["args"][0]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        (5, "TypeError", "options must be a dictionary, not int"),
        ({"key": "x"}, "ValueError", "32 digits and letters"),
        ({"name": ""}, "ValueError", "name is empty"),
        ({"backlog": 0}, "ValueError", "backlog"),
        ({"nonsense": 1}, "ValueError", "nonsense"),
        ({"subscriber": 5}, "TypeError", "must be a Pyro proxy"),
    ],
)
def test_wrong_options_are_refused_and_the_connection_goes_on(
    service: EventServiceStarter, listener: RawClient, options: Any, kind: str, text: str
) -> None:
    answer = listener.call("attach", options)
    assert answer["__class__"] == f"builtins.{kind}" and text in answer["args"][0]
    assert not statistics(service.uri)["subscribers"]
    assert listener.call("attach")["key"]


def test_it_must_be_a_call_by_itself(service: EventServiceStarter, listener: RawClient, caplog: Any) -> None:
    listener.send_call("attach", flags=ONEWAY)
    eventually(lambda: "has to be a call by itself" in caplog.text)
    body = ["Pyro.EventService", "<batch>", [["attach", [], {}]], {}]
    listener.send_packed(INVOKE, BATCH, body)
    frame = listener.frame()
    assert frame is not None and b"has to be a call by itself" in frame.payload
    assert not statistics(service.uri)["subscribers"]


def test_whoever_sends_more_before_the_answer_is_refused(
    service: EventServiceStarter, listener: RawClient
) -> None:
    with raw_client(service.uri) as other:
        other.send(listener.packed("attach") + listener.packed("statistics"))
        other.wait_for_end()
    eventually(lambda: not statistics(service.uri)["subscribers"])


def test_one_that_calls_on_the_swapped_connection_is_disconnected(
    service: EventServiceStarter, control: RawClient, listener: RawClient
) -> None:
    subscriber = listener.attach()
    control.call("subscribe", "A", subscriber)
    listener.send_call("publish", "A", 1)
    listener.wait_for_end()
    assert control.call("subscribe", "A", subscriber) == NOT_KNOWN
    why = control.call("statistics", {"subscriber": subscriber})["why"]
    assert "a message of type 4 is not expected here" in why


@pytest.mark.parametrize(
    "answer",
    [
        write_frame(RESULT, 0, MSGPACK, 1, msgpack.packb([0] * 5000)),
        write_frame(RESULT, 0, SERPENT, 1, b"[]"),
        write_frame(RESULT, COMPRESSED, MSGPACK, 1, zlib.compress(b"\x90")),
    ],
)
def test_one_whose_answer_costs_more_than_it_has_to_is_disconnected(
    service: EventServiceStarter, publisher: Publisher, control: RawClient, listener: RawClient, answer: bytes
) -> None:
    control.call("subscribe", "A", listener.attach())
    publisher.publish("A", 1)
    listener.batch()
    listener.send(answer)
    listener.wait_for_end()
    eventually(lambda: not statistics(service.uri)["subscribers"])


def test_one_may_say_of_every_event_that_it_has_failed(
    service: EventServiceStarter, publisher: Publisher, control: RawClient, listener: RawClient
) -> None:
    control.call("subscribe", "A", subscriber := listener.attach())
    publisher.publish(["A"] * BATCH_EVENTS, 1)
    failed = 0
    while failed < BATCH_EVENTS:
        seq, rows = listener.batch()
        listener.acknowledge(seq, list(range(len(rows))))
        failed += len(rows)
    eventually(lambda: account(service.uri, uri_of(subscriber))["lost"] == {"handler-error": BATCH_EVENTS})


def test_it_keeps_its_id_when_it_connects_again_and_hears_what_it_has_lost(
    service: EventServiceStarter, publisher: Publisher, control: RawClient, listener: RawClient
) -> None:
    subscriber = listener.attach()
    control.call("subscribe", "A", subscriber)
    publisher.publish("A", 1)
    listener.batch()  # and is not acknowledged
    with raw_client(service.uri) as again:  # the service has not noticed any loss
        answer = again.call("attach", {"key": subscriber["key"]})
        assert answer["key"] == subscriber["key"] and answer["id"] == id_of(subscriber["key"])
        assert answer["subscriptions"] == 0
        assert answer["disconnected"] == "1 events that waited for it were lost"
        listener.wait_for_end()
        assert control.call("subscribe", "A", subscriber) == 1
        publisher.publish("A", 2)
        ((_, _, number, missed, _),) = again.take(1)
        assert (number, missed) == (1, 0)
        assert statistics(service.uri)["lost"] == {"unconfirmed": 1}


def test_what_waits_for_a_daemon_that_cannot_be_reached_waits_for_the_own_connection(
    service: EventServiceStarter,
    publisher: Publisher,
    control: RawClient,
    listener: RawClient,
    free_port: Any,
) -> None:
    proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
    control.call("subscribe", "A", proxy, {"falls_back": True})
    assert publisher.publish("A", 1) == 1
    found = eventually(lambda: _standing(control, proxy, "unreachable"))
    assert found["subscriptions"] == 1 and "cannot be connected to" in found["why"]
    answer = listener.call("attach", {"subscriber": proxy})
    assert answer["subscriptions"] == 1
    ((subject, _, number, missed, payload),) = listener.batch()[1]
    assert (subject, number, missed, decode(payload)) == ("A", 1, 0, 1)
    assert [each["subscriber"] for each in statistics(service.uri)["subscribers"]] == [proxy]
    assert control.call("unsubscribe", "A", proxy) == 0  # the proxy still means it


def test_the_same_for_a_daemon_that_accepts_and_does_not_answer(
    service: EventServiceStarter, publisher: Publisher, control: RawClient, listener: RawClient
) -> None:
    with fake_subscriber() as silent:
        control.call("subscribe", "A", silent.uri, {"falls_back": True})
        silent.accept()
        publisher.publish("A", 1)
        assert listener.call("attach", {"subscriber": silent.uri})["subscriptions"] == 1
        assert len(listener.batch()[1]) == 1
        while silent.frame() is not None:  # the service has left it
            pass


def test_only_the_key_takes_over_what_has_a_connection_of_its_own(
    service: EventServiceStarter, control: RawClient, listener: RawClient, free_port: Any
) -> None:
    """Behind a router that translates addresses all programs have one host."""
    proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
    control.call("subscribe", "A", proxy, {"falls_back": True})
    key = listener.attach(subscriber=proxy)["key"]
    eventually(lambda: _standing(control, {"key": key}, "active"))
    with raw_client(service.uri) as stranger:
        answer = stranger.call("attach", {"subscriber": proxy})
        assert answer["__class__"] == "Pyro5.errors.SecurityError" and "only its key" in answer["args"][0]
        assert _standing(control, {"key": key}, "active")["subscriptions"] == 1
        assert stranger.attach(subscriber=proxy, key=key) == {"key": key}
        listener.wait_for_end()


@pytest.mark.parametrize("bound", ["first_contact", "delivery_deadline"])
def test_one_that_does_not_come_is_given_up_after_the_shorter_of_two_times(
    free_port: Any, bound: str
) -> None:
    with running(**{bound: 0.2}) as service, raw_client(service.uri) as control:
        proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
        control.call("subscribe", "A", proxy, {"falls_back": True})
        eventually(lambda: not statistics(service.uri)["subscribers"])
        assert "cannot be connected to" in _standing(control, proxy)["why"]


def _standing(control: RawClient, subscriber: Any, state: str = "") -> Any:
    found = control.call("statistics", {"subscriber": subscriber})
    return found if found["state"] == state else None


def test_one_whose_place_another_takes_before_the_roles_are_swapped_leaves_nothing() -> None:
    proxy = "PYRO:nobody@127.0.0.1:4711"

    async def work() -> None:
        engine = Engine(ServiceOptions())
        caller = Caller("127.0.0.1", MSGPACK)
        own, admission = engine.own_connections, engine.deliveries.admission
        callback = read_subscriber(proxy, caller.host, frozenset())
        engine.deliveries.subscribe(caller, callback, "A", (), read_options({"falls_back": True}))
        first = own.attach(caller, {"subscriber": proxy})  # both calls come in one turn of the loop
        second = own.attach(caller, {"subscriber": proxy})
        assert own.standing(caller, first.answer["key"]).subscriptions == NOT_KNOWN
        assert own.standing(caller, second.answer["key"]).subscriptions == 1
        third = own.attach(caller, {"key": first.answer["key"]})
        assert len(admission) == 2
        for swap in (first, second, third):
            swap.abandon()
        assert len(admission) == 0
        await engine.stop()

    asyncio.run(work())


@pytest.mark.parametrize("name", ["", "bob", "alice "])
def test_a_key_is_of_no_use_to_another_user(name: str) -> None:
    """It gets the answers that it would get to a key that nobody has."""

    async def work() -> None:
        engine = Engine(ServiceOptions())
        own, deliveries = engine.own_connections, engine.deliveries
        alice = Caller("127.0.0.1", MSGPACK, proved=True, user="alice")
        other = Caller("127.0.0.1", MSGPACK, proved=True, user=name)
        key = own.attach(alice, {}).answer["key"]
        assert own.subscribe(alice, key, "A", (), read_options({})) == 1
        for guessed in (key, KEY):
            assert own.subscribe(other, guessed, "B", (), read_options({})) == NOT_KNOWN
            assert own.unsubscribe(other, guessed, "A") == NOT_KNOWN
            assert own.standing(other, guessed) == (NOT_KNOWN, "", "")
            taken = own.attach(other, {"key": guessed, "subscriber": "PYRO:nobody@127.0.0.1:4711"})
            assert taken.answer["subscriptions"] == 0
            assert taken.answer["id"] == id_of(guessed, name) != id_of(guessed, "alice")
        assert own.standing(alice, key).subscriptions == 1
        assert len(deliveries.table) == 3 and len(deliveries.of_users({"alice"})) == 1
        assert own.attach(alice, {"key": key}).answer["subscriptions"] == 1
        await engine.stop()

    asyncio.run(work())


def test_another_user_does_not_get_the_place_of_what_was_called_back() -> None:
    proxy = "PYRO:nobody@127.0.0.1:4711"

    async def work() -> None:
        engine = Engine(ServiceOptions())
        alice, bob = (Caller("127.0.0.1", MSGPACK, user=name) for name in ("alice", "bob"))
        callback = read_subscriber(proxy, alice.host, frozenset())
        access = engine.access
        access.replace_users(lambda user: Identity(b"key", user))
        wanted = read_options({"falls_back": True, CALL_OPTION: KEY})
        alice.proved = True
        engine.deliveries.subscribe(alice, callback, "A", (), wanted)
        assert engine.own_connections.attach(bob, {"subscriber": proxy}).answer["subscriptions"] == 0
        assert engine.own_connections.attach(alice, {"subscriber": proxy}).answer["subscriptions"] == 1
        await engine.stop()

    asyncio.run(work())


def test_another_host_cannot_take_over_a_subscription(service: EventServiceStarter, free_port: Any) -> None:
    proxy = f"PYRO:nobody@127.0.0.1:{free_port()}"
    with raw_client(service.uri) as control, raw_client(service.uri, source="127.0.0.2") as stranger:
        control.call("subscribe", "A", proxy, {"falls_back": True})
        # From there it means the object at its own host, which has no subscription.
        taken = stranger.attach(subscriber=proxy)
        assert {each["subscriber"] for each in statistics(service.uri)["subscribers"]} == {
            proxy,
            f"OWN:{id_of(taken['key'])}@127.0.0.2",
        }


def test_the_name_of_an_object_at_another_host_cannot_be_taken() -> None:
    """The service calls back objects at 127.0.0.3, whoever subscribes them."""
    proxy = "PYRO:display@127.0.0.3:4711"
    with (
        running(allow_callback=frozenset({"127.0.0.3"})) as service,
        raw_client(service.uri) as stranger,
        raw_client(service.uri, source="127.0.0.3") as control,
    ):
        stranger.attach(subscriber=proxy)
        assert control.call("subscribe", "A", proxy, {"falls_back": True}) is None


def test_as_many_as_there_may_be_subscribers() -> None:
    with running(max_connections=2, max_per_host=2) as service, raw_client(service.uri) as first:
        first.attach()
        with raw_client(service.uri) as second:
            second.attach()
            with raw_client(service.uri) as third:
                answer = third.call("attach")
                assert "limit" in answer["args"][0]
            second.close()
            eventually(lambda: len(statistics(service.uri)["subscribers"]) == 1)
            with raw_client(service.uri) as third:
                assert third.attach()


def test_a_service_that_stops_delivers_what_is_queued() -> None:
    with running(drain=5.0) as service, raw_client(service.uri) as first, raw_client(service.uri) as control:
        subscriber = first.attach(key=os.urandom(16).hex())
        control.call("subscribe", "A", subscriber)
        with Publisher(es_uri=service.uri) as publisher:
            publisher.publish("A", 1)
        stopping = in_background(service.shutdown)
        assert len(first.take(1)) == 1
        first.wait_for_end()
        stopping.result()
