"""The events of a group, sent to members whose every answer is the test's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from compiled_form import derives_from_compiled
from contract import Background, account, in_background, running, statistics
from fake_listener import Fake, FakeListener, Listener, fake_listener
from fake_subscriber import fake_subscriber
from raw_client import raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.codec.message import decode
from pyro_events.options import ServiceOptions
from pyro_events.server import starter
from pyro_events.server.engine import Engine
from pyro_events.server.subscribers.delivery import Delivery
from pyro_events.wire.own_connection import LISTENER_LIMITS


@pytest.fixture
def service() -> Iterator[EventServiceStarter]:
    with running(backlog=5, delivery_deadline=60) as starter:
        yield starter


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


class Members:
    """Members of the group "workers", each with a connection of its own."""

    def __init__(self, service: EventServiceStarter, stack: ExitStack) -> None:
        self._service = service
        self._stack = stack

    def join(self, subjects: Any = "A", make: Listener = fake_listener, **options: Any) -> Fake:
        member = self._stack.enter_context(make(f"m{id(options)}"))
        member.subscribe(self._service.uri, subjects, group="workers", **options)
        member.greet()
        return member

    def account(self, member: Fake) -> dict[str, Any]:
        found = account(self._service.uri, member.uri)
        assert found is not None and found["group"] == "workers"
        return found

    def unacknowledged(self, member: Fake) -> int:
        count: int = self.account(member)["unacknowledged"]
        return count


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def members(service: EventServiceStarter, stack: ExitStack) -> Members:
    return Members(service, stack)


def group(service: EventServiceStarter) -> dict[str, Any]:
    """The figures of the only group."""
    [found] = statistics(service.uri)["groups"]
    assert found["accepted"] == found["given"] + sum(found["lost"].values()) + found["backlog"]
    return found  # type: ignore[no-any-return]


def publish(publisher: Publisher, *messages: int, subject: str = "A") -> list[int]:
    return [publisher.publish(subject, message) for message in messages]


def messages(rows: list[list[Any]]) -> list[Any]:
    return [decode(row[4]) for row in rows]


def held_up(service: EventServiceStarter, *messages: int, subject: str = "A") -> Background:
    def talk() -> list[int]:
        with Publisher(es_uri=service.uri) as publisher:
            return publish(publisher, *messages, subject=subject)

    return in_background(talk)


def test_each_event_goes_to_one_member_and_counts_as_one_delivery(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one, other = members.join(), members.join()
    with fake_listener() as single:
        single.subscribe(service.uri, "A")
        assert publish(publisher, 1, 2) == [2, 2]
        assert single.messages(2) == [1, 2]
    assert messages(one.batch()) + messages(other.batch()) == [1, 2]
    assert group(service)["given"] == 2


@pytest.mark.parametrize("make", [fake_listener, fake_subscriber], ids=["own connection", "callback"])
def test_the_one_with_fewest_unacknowledged_gets_the_next_and_equals_in_turn(
    publisher: Publisher, members: Members, make: Listener
) -> None:
    busy = members.join(make=make)
    publish(publisher, 1)
    eventually(lambda: members.unacknowledged(busy) == 1)
    idle = members.join(make=make)
    eventually(lambda: members.account(idle))
    publish(publisher, 2, 3, 4)
    assert [messages(busy.batch() + busy.batch()), messages(idle.batch() + idle.batch())] == [[1, 3], [2, 4]]


def test_ahead_of_one_is_one_job_at_a_time(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one, other = members.join(ahead=1), members.join(ahead=1)
    publish(publisher, 1, 2, 3, 4)
    assert (messages(one.batch()), messages(other.batch())) == ([1], [2])
    assert [members.unacknowledged(each) for each in (one, other)] == [1, 1]
    assert group(service)["backlog"] == 2
    other.answer()
    assert messages(other.batch()) == [3]
    one.answer()
    assert messages(one.batch()) == [4]


def test_what_was_sent_to_a_member_that_goes_is_lost_and_what_was_not_goes_to_another(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one, other = members.join(ahead=1), members.join(ahead=1)
    publish(publisher, 1, 2, 3, 4)
    assert messages(one.batch()) == [1]
    one.leave()
    eventually(lambda: group(service)["subscribers"] == 1)
    assert messages(other.take(3)) == [2, 3, 4]
    assert statistics(service.uri)["lost"] == {"unconfirmed": 1}


def test_the_last_member_takes_what_waits_with_it_and_the_log_says_so(
    service: EventServiceStarter, publisher: Publisher, members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    one = members.join(ahead=1)
    publish(publisher, 1, 2, 3)
    one.leave()
    eventually(lambda: not statistics(service.uri)["groups"])
    assert statistics(service.uri)["lost"] == {"unconfirmed": 1, "gone": 2}
    assert publish(publisher, 4) == [0]
    eventually(lambda: "group 'workers': 2 events are lost, which no other member may get" in caplog.text)


def test_nothing_is_kept_of_groups_that_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    engines: list[Engine] = []

    def make(*arguments: Any, **options: Any) -> Engine:
        engines.append(Engine(*arguments, **options))
        return engines[0]

    monkeypatch.setattr(starter, "Engine", make)
    with running(heartbeat_answer=0.05) as service, fake_listener() as member:
        with Publisher(es_uri=service.uri) as publisher:
            for number in range(5):
                member.subscribe(service.uri, "A", group=f"group {number}")
                publish(publisher, number)
                assert member.messages(1) == [number]
                member.unsubscribe(service.uri, "A")
        assert len(statistics(service.uri)["groups"]) == 1
        eventually(lambda: len(engines[0].groups._coalescers) == 1)


def test_what_only_a_frozen_member_may_get_delays_no_other(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    members.join("A", ahead=1)
    other = members.join("B", ahead=1)
    publish(publisher, 1, 2, 3)
    publish(publisher, 4, 5, subject="B")
    assert messages(other.take(2)) == [4, 5]
    assert group(service)["backlog"] == 2


def test_unsubscribing_loses_what_no_other_may_get(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one = members.join(["A", "B"], ahead=1)
    other = members.join("B", ahead=1)
    publish(publisher, 1, 2, 3)
    publish(publisher, 4, 5, subject="B")
    one.unsubscribe(service.uri, "A")
    assert messages(other.batch()) == [4]
    assert group(service)["lost"] == {"gone": 2}
    other.answer()
    rows = other.batch()
    assert messages(rows) == [5]
    assert rows[0][2:4] == [4, 2]


def test_what_the_group_has_lost_is_missed_before_the_next_event(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one = members.join(ahead=1, overflow="drop-oldest", backlog=2)
    publish(publisher, *range(6))
    rows = one.take(3)
    assert [row[2:4] for row in rows] == [[1, 0], [5, 3], [6, 0]]
    assert group(service)["lost"] == {"drop-oldest": 3}
    found = members.account(one)
    assert (found["accepted"], found["lost"], found["overflow"]) == (3, {}, "drop-oldest")


def test_a_full_group_holds_publishers_up_until_a_member_has_room(
    service: EventServiceStarter, members: Members
) -> None:
    one = members.join(ahead=1)
    talking = held_up(service, *range(20))
    eventually(lambda: group(service)["backlog"] == 6)
    assert not talking.done
    assert one.messages(20) == list(range(20))
    assert talking.result() == [1] * 20


def test_a_member_that_joins_takes_from_a_full_group(service: EventServiceStarter, members: Members) -> None:
    members.join(ahead=1)
    talking = held_up(service, *range(10))
    eventually(lambda: group(service)["backlog"] == 6)
    other = members.join()
    assert other.messages(9) == list(range(1, 10))
    assert talking.result() == [1] * 10


def test_after_the_deadline_those_go_that_have_not_acknowledged(publisher: Publisher) -> None:
    with running(backlog=3, delivery_deadline=0.3, block_suspension=0.1) as service, ExitStack() as stack:
        members = Members(service, stack)
        frozen = [members.join(ahead=1), members.join(ahead=1)]
        talking = held_up(service, *range(8))
        for each in frozen:
            each.wait_for_end()
        assert 0 in talking.result()  # the group was gone
        lost = statistics(service.uri)["lost"]
        assert lost["unconfirmed"] == 2 and lost["deadline"] == 4


def test_a_member_that_acknowledges_keeps_the_others_too(members: Members) -> None:
    """A slow group is not a frozen one."""
    with running(backlog=3, delivery_deadline=0.5) as service, ExitStack() as stack:
        members = Members(service, stack)
        frozen, slow = members.join(ahead=1), members.join(ahead=1)
        talking = held_up(service, *range(8))
        eventually(lambda: group(service)["backlog"] == 4)
        assert slow.messages(7) == list(range(1, 8))
        assert talking.result() == [1] * 8
        assert members.unacknowledged(frozen) == 1


def test_those_are_disconnected_that_do_not_take_the_oldest_event_though_others_go_on() -> None:
    with running(backlog=40, delivery_deadline=0.5) as service, ExitStack() as stack:
        members = Members(service, stack)
        frozen, other = members.join("A", ahead=1), members.join("B", ahead=1)
        with Publisher(es_uri=service.uri) as publisher:
            publish(publisher, *range(3))
        talking = held_up(service, *range(100), subject="B")
        eventually(lambda: group(service)["backlog"] > 40)
        taken = 0
        while account(service.uri, frozen.uri):
            taken += len(other.take(1))
            with contextlib.suppress(AssertionError):  # it is slow
                eventually(lambda: not account(service.uri, frozen.uri), 0.1)
        assert taken < 38  # there was more for it, and it has acknowledged all the time
        other.take(100 - taken)
        assert talking.result() == [1] * 100


def test_one_that_is_not_reached_yet_is_not_why_a_group_is_full() -> None:
    with running(backlog=3, delivery_deadline=0.5) as service, ExitStack() as stack:
        members = Members(service, stack)
        frozen = members.join(ahead=1)
        late = stack.enter_context(fake_subscriber())
        late.subscribe(service.uri, "A", group="workers")
        talking = held_up(service, *range(8))
        frozen.wait_for_end()
        late.greet()
        assert late.messages(7) == list(range(1, 8))
        assert talking.result() == [1] * 8


def test_a_group_that_may_not_block_drops_the_oldest(members: Members) -> None:
    with running(backlog=3, delivery_deadline=0.3, block_suspension=600) as service, ExitStack() as stack:
        members = Members(service, stack)
        frozen, other = members.join("A", ahead=1), members.join(["A", "B"], ahead=1)
        talking = held_up(service, *range(9))
        frozen.wait_for_end()
        other.wait_for_end()
        talking.result()
        again = members.join(ahead=1)
        assert (group(service)["overflow"], members.account(again)["overflow"]) == ("drop-oldest",) * 2
        with Publisher(es_uri=service.uri) as publisher:
            publish(publisher, *range(10))
        assert group(service)["lost"] == {"drop-oldest": 6}


def test_the_policy_disconnect_ends_those_that_have_not_acknowledged(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    frozen = members.join(ahead=1, overflow="disconnect", backlog=2)
    idle = members.join("B")
    publish(publisher, 1, 2, 3, 4)
    frozen.wait_for_end()
    publish(publisher, 5, subject="B")
    assert idle.messages(1) == [5]
    assert statistics(service.uri)["lost"] == {"unconfirmed": 1, "disconnect": 3}


def test_a_group_that_holds_most_of_the_total_is_ended() -> None:
    options = {"backlog": 1000, "backlog_bytes": 1 << 20, "delivery_deadline": 0.3}
    with running(**options, total_backlog_bytes=200_000) as service, ExitStack() as stack:  # type: ignore[arg-type]
        members = Members(service, stack)
        frozen = [members.join(ahead=1), members.join(ahead=1)]
        with fake_listener() as healthy, Publisher(es_uri=service.uri) as publisher:
            healthy.subscribe(service.uri, "B")
            talking = in_background(lambda: [publisher.publish("A", bytes(10_000)) for _ in range(30)])
            for each in frozen:
                each.wait_for_end()
            assert talking.result()[-1] == 0
            publisher.publish("B", 1)
            assert healthy.messages(1) == [1]


def test_what_waits_for_a_group_is_delivered_before_the_service_stops(stack: ExitStack) -> None:
    with ExitStack() as stopping:
        service = stopping.enter_context(running(drain=10))
        one = Members(service, stack).join(ahead=1)
        with Publisher(es_uri=service.uri) as publisher:
            publish(publisher, 1, 2, 3)
        ending = in_background(stopping.pop_all().close)
        assert one.messages(3) == [1, 2, 3]
        ending.result()


def test_a_service_that_stops_waits_for_a_member_that_it_has_not_reached_yet(stack: ExitStack) -> None:
    with ExitStack() as stopping:
        service = stopping.enter_context(running(drain=10))
        late = stack.enter_context(fake_subscriber())
        late.subscribe(service.uri, "A", group="workers")
        with Publisher(es_uri=service.uri) as publisher:
            publish(publisher, 1, 2)
        ending = in_background(stopping.pop_all().close)
        with contextlib.suppress(AssertionError):
            eventually(lambda: ending.done, 0.3)
        late.greet()
        assert late.messages(2) == [1, 2]
        ending.result()


def test_one_that_is_called_back_again_finds_the_events_of_its_group(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one = members.join(ahead=1, make=fake_subscriber)
    publish(publisher, 1, 2, 3)
    assert messages(one.batch()) == [1]
    one.subscribe(service.uri, "A", group="workers", ahead=1, anew=True)
    one.greet()
    assert one.messages(2) == [2, 3]
    assert statistics(service.uri)["lost"] == {"unconfirmed": 1}


def test_one_that_connects_again_leaves_what_waits_to_the_others(
    service: EventServiceStarter, publisher: Publisher, members: Members, stack: ExitStack
) -> None:
    one, other = members.join(ahead=1), members.join(ahead=1)
    assert isinstance(one, FakeListener)
    publish(publisher, 1, 2, 3)
    assert (messages(one.batch()), messages(other.batch())) == ([1], [2])
    stack.callback(one._connection().close)  # which the service has not noticed
    one.client = None
    one.subscribe(service.uri, "A", group="workers", ahead=1)
    assert one.messages(1) == [3]
    assert statistics(service.uri)["lost"] == {"unconfirmed": 1}
    assert group(service)["subscribers"] == 2


def test_one_that_cannot_be_called_back_keeps_its_place_when_it_connects_itself(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    with fake_subscriber() as deaf:
        deaf.subscribe(service.uri, "A", group="workers", ahead=1, falls_back=True)
        publish(publisher, 1, 2)
        with raw_client(service.uri) as client:
            client.attach(subscriber=deaf.uri)
            _, rows = client.batch()
            assert messages(rows) == [1]
            found = account(service.uri, deaf.uri)
            assert found is not None and (found["group"], found["unacknowledged"]) == ("workers", 1)


def test_events_that_have_waited_too_long_go_to_nobody(
    service: EventServiceStarter, publisher: Publisher, members: Members
) -> None:
    one = members.join(ahead=1, max_age=0.05)
    publish(publisher, 1, 2)
    eventually(lambda: group(service)["lost"] == {"expired": 1})
    rows = one.take(1)
    publish(publisher, 3)
    rows += one.take(1)
    assert [(*row[2:4], decode(row[4])) for row in rows] == [(1, 0, 1), (3, 1, 3)]


@derives_from_compiled
def test_what_a_member_does_costs_no_more_the_more_others_there_are() -> None:
    """Members that come and go all the time in a group of thousands would hold up the whole service."""
    told: list[str] = []

    class Told(Delivery):
        """A delivery that notes when it is told that something may have changed."""

        __slots__ = ()

        def configured(self) -> None:
            told.append(self.backlog.subscriber)
            super().configured()

    async def main() -> None:
        engine = Engine(ServiceOptions(drain=0.01))
        broker, groups = engine.broker, engine.groups
        members = [broker.subscribe(f"m{number}", "A", group="g") for number in range(50)]
        for member in members:
            engine.deliveries.table[member] = Told(
                engine, member, ("192.0.2.1", 1), "object", engine.options, LISTENER_LIMITS, "192.0.2.1"
            )
            groups.changed(broker.groups.of(member), member)
        told.clear()
        for number in range(10):
            broker.subscribe("m7", f"B{number}", group="g")
            groups.changed(broker.groups.of(members[7]), members[7])
        assert told == ["m7"] * 10
        told.clear()
        broker.subscribe("m0", "A", options={"overflow": "latest"}, group="g")
        groups.changed(broker.groups.of(members[0]), members[0])
        assert told == [f"m{number}" for number in range(50)]
        engine.deliveries.table.clear()
        await engine.stop()

    asyncio.run(main())
