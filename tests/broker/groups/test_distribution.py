"""Which member is given which event."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.broker.accounting import Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.groups.distribution import Distribution, Room, distribute
from pyro_events.broker.groups.group import Group
from pyro_events.broker.matching.rights import Rights
from pyro_events.constants import BATCH_BYTES
from pyro_events.options import BacklogOptions

MIB = 1 << 20


class Scene:
    """A group of some members, in a broker."""

    def __init__(self, *subscriptions: list[str], ahead: int = 0) -> None:
        self.broker = Broker(BacklogOptions(), 1 << 30)
        self.members = [
            self.broker.subscribe(f"s{number}", names, group="g", ahead=ahead)
            for number, names in enumerate(subscriptions)
        ]

    @property
    def group(self) -> Group:
        return next(iter(self.broker.groups))

    def publish(self, *names: str, payload: bytes = b"") -> None:
        self.broker.publish(iter([(names, payload)]), 1.0)

    def distribute(self, batches: int, limit: int, *some: int) -> list[int]:
        """To some of the members, or to all. Returns how many each of these has unacknowledged then."""
        members = [self.members[number] for number in some] or self.members
        for member in members:
            self.group.offer(member)
        rooms = {member: Room(batches, limit) for member in members}
        got = distribute(self.group, rooms.get)
        for member in got:
            while len(member):
                member.take(limit, BATCH_BYTES)
        return [member.unacknowledged for member in members]


def subjects_of(member: Backlog) -> list[str]:
    return [row[0] for batch in member._in_flight for row in batch.rows]


def test_the_one_with_fewest_unacknowledged_comes_first_and_equals_in_turn() -> None:
    scene = Scene(["a"], ["a"], ["a"])
    scene.publish(*"aaaa")
    assert scene.distribute(1, 9) == [2, 1, 1]
    scene.publish(*"aa")
    assert scene.distribute(1, 9) == [2, 2, 2]
    scene.publish("a")
    assert scene.distribute(1, 9) == [3, 2, 2]  # whose last turn was the longest ago


def test_a_member_gets_at_most_what_it_has_room_for() -> None:
    scene = Scene(["a"], ["a"])
    scene.publish(*"aaaaaaaaaa")
    assert scene.distribute(2, 2, 0) == [4]
    assert scene.distribute(0, 9, 1) == [0]
    assert scene.distribute(1, 0, 1) == [1]  # a batch has one event at least
    assert len(scene.group.backlog) == 5


def test_ahead_bounds_what_a_member_has_unacknowledged() -> None:
    scene = Scene(["a"], ["a"], ahead=1)
    scene.publish(*"aaaa")
    assert scene.distribute(2, 9) == [1, 1]
    assert scene.distribute(2, 9) == [1, 1]
    first = scene.members[0]
    first.acknowledge(first._in_flight[0])
    assert scene.distribute(2, 9) == [1, 1]
    assert len(scene.group.backlog) == 1


def test_a_batch_is_full_when_it_has_its_bytes() -> None:
    scene = Scene(["a"])
    for _ in range(5):
        scene.publish("a", payload=bytes(BATCH_BYTES // 2))
    assert scene.distribute(2, 100) == [4]
    assert [len(batch.rows) for batch in scene.members[0]._in_flight] == [2, 2]


def test_what_a_frozen_member_alone_may_get_delays_no_other() -> None:
    scene = Scene(["a"], ["b", "c"], ["c"])
    scene.publish(*"aaabac")
    assert scene.distribute(1, 9, 1, 2) == [1, 1]
    assert subjects_of(scene.members[1]) == ["b"]
    assert subjects_of(scene.members[2]) == ["c"]
    assert scene.distribute(1, 2, 0) == [2]
    assert len(scene.group.backlog) == 2


def test_a_member_without_a_subscription_gets_nothing() -> None:
    scene = Scene(["a"], [])
    scene.publish(*"aa")
    assert scene.distribute(1, 9) == [2, 0]


@pytest.mark.parametrize("lost", [0, 3])
def test_each_member_counts_its_own_and_the_next_one_is_told_what_the_group_has_lost(lost: int) -> None:
    scene = Scene(["a"], ["a"])
    scene.broker.subscribe("s0", options={"backlog": 2, "overflow": "drop-oldest"})
    scene.publish(*"aa")
    scene.distribute(1, 9)
    for _ in range(2 + lost):
        scene.publish("a")
    scene.distribute(1, 9)
    numbers = [[row[2:4] for batch in each._in_flight for row in batch.rows] for each in scene.members]
    assert numbers == [[(1, 0), (2 + lost, lost)], [(1, 0), (2, 0)]]


def test_many_members_share_evenly() -> None:
    scene = Scene(*[["a"]] * 50)
    for _ in range(10):
        scene.publish(*["a"] * 100)
    assert Counter(scene.distribute(2, 100)) == {20: 50}


def test_events_that_have_waited_too_long_are_passed_over_and_count_as_missed() -> None:
    scene = Scene(["a"])
    scene.broker.subscribe("s0", options={"max_age": 5})
    scene.publish(*"aaa")
    scene.broker.publish(iter([("a", b"")]), 9.0)
    member = scene.members[0]
    scene.group.offer(member)
    assert distribute(scene.group, lambda backlog: Room(1, 9), 10.0) == [member]
    assert [row[1:4] for row in member.take(9, MIB).rows] == [(9.0, 4, 3)]
    assert scene.group.backlog.lost == {"expired": 3}


# In slices


class Sliced:
    """A group whose members come, go, change what they are subscribed to and acknowledge, while its many
    events are sorted and given in slices that are as short as can be."""

    def __init__(self) -> None:
        self.broker = Broker(BacklogOptions(backlog=150, overflow="drop-oldest"), 1 << 30)
        self.first = self.broker.subscribe("first", "x", group="g", ahead=1)
        self.group = next(iter(self.broker.groups))
        self.members = {0: self.first}
        self.got: dict[Backlog, list[int]] = {self.first: []}
        self.allowed: dict[Backlog, set[str]] = {self.first: {"x"}}
        self.count = 0
        self.work: Distribution | None = None

    def publish(self, subject: str) -> None:
        for _ in range(60):
            self.count += 1
            self.broker.publish(iter([((subject,), b"%d" % self.count)]), 1.0)

    def change(self, number: int, subject: str) -> None:
        member = self.members.get(number)
        if member is not None and subject in self.allowed[member]:
            self.broker.unsubscribe(member.subscriber, subject)
            self.allowed[member].remove(subject)
        elif len(self.allowed) < 50:
            member = self.broker.subscribe(f"m{number}", subject, group="g", ahead=3)
            self.members[number] = member
            self.allowed.setdefault(member, set()).add(subject)
            self.got.setdefault(member, [])
        for each in self.members.values():
            self.group.offer(each)

    def leave(self, number: int) -> None:
        member = self.members.pop(number, None)
        if member is not None:
            self.broker.remove(member, Loss.GONE)

    def acknowledge(self, number: int) -> None:
        member = self.members.get(number)
        if member is not None:
            while member.unacknowledged:
                member.acknowledge(member._in_flight[0])
            self.group.offer(member)

    def slice(self) -> bool:
        work, self.work = self.work or Distribution(self.group, lambda member: Room(2, 2)), None
        finished = work.go_on(1.0, lambda: True)
        if work.started:
            self.work = work
        got, work.got = work.got, []
        for member in got:
            while len(member):
                batch = member.take(9, BATCH_BYTES)
                assert {row[0] for row in batch.rows} <= self.allowed[member]
                self.got[member] += [int(bytes(row[4])) for row in batch.rows]
        return finished

    def finish(self) -> None:
        while len(self.group.backlog):
            for number in self.members:
                self.acknowledge(number)
            while not self.slice():
                pass


numbers, some = st.integers(1, 4), st.sampled_from("xyz")


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("publish"), some),
            st.tuples(st.just("change"), numbers, some),
            st.tuples(st.just("leave"), numbers),
            st.tuples(st.just("acknowledge"), st.integers(0, 4)),
            st.tuples(st.just("slice")),
        ),
        max_size=40,
    )
)
def test_in_slices_each_event_goes_to_one_that_may_get_it_and_to_each_in_order(steps: list[Any]) -> None:
    scene = Sliced()
    for name, *arguments in steps:
        getattr(scene, name)(*arguments)
    scene.finish()
    for got in scene.got.values():
        assert got == sorted(got)
    together = [number for got in scene.got.values() for number in got]
    assert len(together) == len(set(together)) == scene.group.backlog.given


def test_while_nobody_has_room_no_event_is_looked_at() -> None:
    """Of many events that many frozen members share unequally, each one that comes would cost as much."""
    scene = Scene(["a", "b"], ["a"], ["b"], ahead=1)
    scene.publish(*"abab")
    assert scene.distribute(1, 9) == [1, 1, 1]
    events = scene.group.backlog.sorted_events
    assert events is not None
    for member in scene.members:
        scene.group.offers.withdraw(scene.group.members[member])
    work = Distribution(scene.group, lambda member: Room(1, 9))
    assert work.go_on(1.0, lambda: True) and not work.started


def test_without_pauses_many_events_are_sorted_and_given_at_once() -> None:
    scene = Scene(["a", "b"], ["b"])
    scene.publish(*["a", "b"] * 400)
    scene.broker.subscribe("s1", "c", group="g")
    assert scene.group.backlog.unsorted
    assert scene.distribute(99, 99) == [400, 400]
    assert not scene.group.backlog.unsorted


def test_what_is_lost_in_a_pause_is_not_given() -> None:
    scene = Scene(["a", "b"], ["b"])
    scene.publish(*"aabb")
    for member in scene.members:
        scene.group.offer(member)
    work = Distribution(scene.group, lambda member: Room(9, 9))
    assert not work.go_on(1.0, lambda: True)
    scene.group.backlog.lose_everything(Loss.STOPPED)
    scene.publish(*"ab")
    while not work.go_on(1.0, lambda: True):
        pass
    assert scene.group.backlog.given == 3


def test_a_member_is_told_of_no_loss_of_what_it_may_not_get() -> None:
    """Otherwise it would learn how much is published of that."""
    broker = Broker(BacklogOptions(backlog=2, overflow="drop-oldest"), 1 << 30)
    rights = Rights(subscribe=("LAB.*",))
    everything = broker.subscribe("alice", (), ".*", group="g", ahead=1)
    laboratory = broker.subscribe("bob", (), ".*", group="g", ahead=1, rights=rights)
    broker.restrict()
    group = next(iter(broker.groups))

    def publish(*names: str) -> None:
        broker.publish(iter([((name,), b"") for name in names]), 1.0)

    def give(member: Backlog) -> list[tuple[str, int]]:
        group.offer(member)
        assert distribute(group, {member: Room(1, 1)}.get) == [member]
        batch = member.take(9, BATCH_BYTES)
        member.acknowledge(batch)
        return [(row[0], row[3]) for row in batch.rows]

    publish(*["SECRET.A"] * 7, "LAB.A")
    assert give(laboratory) == [("LAB.A", 0)]
    publish(*["LAB.B"] * 3)
    assert give(laboratory) == [("LAB.B", 1)]
    assert give(everything) == [("LAB.B", 7)]
    for number in range(3000):
        publish(f"SECRET.{number}")
    assert give(everything) == [("SECRET.2998", 2998)]
