"""Groups compared with a simple one: who may get which event, each at most once, every one accounted for."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from backlog_model import ROW, length
from group_model import ModelGroup, ModelMember, shared_bytes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.accounting import Batch, Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.groups.distribution import Room, distribute
from pyro_events.broker.groups.group import Group
from pyro_events.broker.groups.waiting_events import SORTED_OVERHEAD, SortedEvents
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.matching.subjects import fold
from pyro_events.constants import BATCH_BYTES, TEXT_OVERHEAD
from pyro_events.options import BacklogOptions, Overflow

MIB = 1 << 20
URIS = [f"PYRO:s{number}@127.0.0.1:{number}" for number in range(1, 5)]
NAMES = ["stock.sun", "STOCK.SUN", "stock.ibm", "cars.left"]
PATTERNS = [r"^stock\.", ".*"]
# What most members are subscribed to, so that they often are alike.
USUAL = ["stock.sun", "stock.ibm"]

uris = st.sampled_from(URIS)
texts = st.sampled_from(
    [list(some) for size in range(3) for some in product([*NAMES, *PATTERNS], repeat=size)]
)
policies = st.sampled_from([policy.value for policy in Overflow])
bounds = st.tuples(
    policies, st.integers(1, 5), st.sampled_from([600, 1500, 5000]), st.sampled_from([math.inf, 2.0])
)
entries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([b"", b"x" * 300])), min_size=1, max_size=6
)


def options_of(policy: str, events: int, size: int, age: float) -> dict[str, Any]:
    return {"overflow": policy, "backlog": events, "backlog_bytes": size, "max_age": age}


class GroupMachine(RuleBasedStateMachine):
    """One group beside its model, in a broker where another subscriber gets everything."""

    @initialize(bounds=bounds)
    def begin(self, bounds: tuple[str, int, int, float]) -> None:
        self.broker = Broker(BacklogOptions(), MIB)
        self.bounds = bounds
        self.model = ModelGroup(*bounds)
        self.batches: dict[str, list[Batch]] = {}
        self.bystander = self.broker.subscribe("PYRO:b@127.0.0.1:9", patterns=".*")
        self.clock = 100.0
        self.pushed: list[tuple[str, float, bytes]] = []
        self.sent: list[tuple[str, float, bytes]] = []
        self.gone: list[ModelMember | ModelGroup] = []

    @property
    def group(self) -> Group | None:
        return next(iter(self.broker.groups), None)

    # What clients do

    @rule(uri=uris, ahead=st.sampled_from([0, 0, 1, 2, 3]), name=st.sampled_from(["Work", "WORK"]))
    def join(self, uri: str, ahead: int, name: str) -> None:
        self._subscribe(uri, USUAL, [], ahead, name)

    @rule(uri=uris, texts=texts, ahead=st.sampled_from([0, 1]))
    def subscribe(self, uri: str, texts: list[str], ahead: int) -> None:
        names = [text for text in texts if text in NAMES]
        self._subscribe(uri, names, [text for text in texts if text in PATTERNS], ahead, "work")

    def _subscribe(self, uri: str, names: list[str], patterns: list[str], ahead: int, name: str) -> None:
        new = uri not in self.model.members
        options = options_of(*self.bounds) if not self.model.members else None
        if new and self.broker.find(uri) is None and self.model.members:
            options = options_of("block", 1, 1, 0.5)  # not the first member, so these do not hold
        self.broker.subscribe(uri, names, patterns, options, group=name, ahead=ahead)
        member = self.model.join(uri, ahead)
        self.batches.setdefault(uri, [])
        member.subscribe(names, patterns)

    @rule(uri=uris, texts=texts)
    def unsubscribe(self, uri: str, texts: list[str]) -> None:
        self.broker.unsubscribe(uri, texts)
        if uri in self.model.members:
            self.model.members[uri].unsubscribe(texts)
            self.model.lose_unwanted("gone")

    @precondition(lambda self: self.model.members)
    @rule(data=st.data(), reason=st.sampled_from([Loss.GONE, Loss.DEADLINE, Loss.STOPPED]))
    def leave(self, data: st.DataObject, reason: Loss) -> None:
        """It is killed, unsubscribes for good, or is disconnected."""
        uri = data.draw(st.sampled_from(list(self.model.members)))
        member = self.model.members.pop(uri)
        backlog = self._backlog(uri)
        assert self.broker.remove(backlog, reason) == member.load
        assert backlog.group == ""
        member.lost["unconfirmed"] += member.load
        member.in_flight = []
        del self.batches[uri]
        self.gone.append(member)
        self.model.lose_unwanted(reason.value)
        if not self.model.members:
            assert self.group is None
            self.gone.append(self.model)
            self.model = ModelGroup(*self.bounds)

    @rule(entries=entries, together=st.booleans())
    def publish(self, entries: list[tuple[str, bytes]], together: bool) -> None:
        todo: list[tuple[list[str], bytes]] = [([name], payload) for name, payload in entries]
        for calls in [todo] if together else [[entry] for entry in todo]:
            self.clock += 1
            rest = iter(calls)
            while calls:
                expected, calls = self._published(calls)
                assert self.broker.publish(rest, self.clock) == expected
                self.broker.take_full()
        self._free_the_bystander()

    def _published(self, todo: list[tuple[list[str], bytes]]) -> tuple[int, list[tuple[list[str], bytes]]]:
        """How many deliveries are queued, and what is left behind an entry that found a backlog full."""
        queued = 0
        for position, ([name], payload) in enumerate(todo, 1):
            queued += 1  # for the bystander
            if any(member.wants(name) for member in self.model.members.values()):
                self.pushed.append((name, self.clock, payload))
                outcome = self.model.backlog.push(name, self.clock, payload)
                queued += outcome in ("queued", "full")
                if outcome == "full":
                    return queued, todo[position:]
        return queued, []

    def _free_the_bystander(self) -> None:
        """It gets every event, whoever of the group gets it."""
        batch = self.bystander.take(1000, MIB)
        self.bystander.acknowledge(batch)

    # What the service does

    @precondition(lambda self: self.model.members)
    @rule(data=st.data())
    def distribute(self, data: st.DataObject) -> None:
        """Some members have room, others are slow or frozen."""
        some = data.draw(st.lists(st.sampled_from(list(self.model.members)), unique=True))
        rooms = {uri: data.draw(st.tuples(st.integers(0, 2), st.integers(1, 3))) for uri in some}
        assert self.group is not None
        self.clock += data.draw(st.integers(0, 2))
        free = {self._backlog(uri): Room(*room) for uri, room in rooms.items()}
        for backlog in free:
            self.group.offer(backlog)
        got = distribute(self.group, free.get, self.clock)
        expected = self.model.distribute(rooms, self.clock)
        assert {backlog.subscriber for backlog in got} == expected.keys()
        for uri, rows in expected.items():
            backlog = self._backlog(uri)
            taken = []
            while len(backlog):
                batch = backlog.take(rooms[uri][1], BATCH_BYTES)
                self.batches[uri].append(batch)
                taken += batch.rows
            assert taken == rows
            self.sent += [(row[0], row[1], row[4]) for row in rows]

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data(), failed=st.integers(0, 2), unreadable=st.booleans())
    def acknowledge(self, data: st.DataObject, failed: int, unreadable: bool) -> None:
        uri = data.draw(st.sampled_from([uri for uri, each in self.batches.items() if each]))
        batch, member = self.batches[uri].pop(0), self.model.members[uri]
        events = len(member.in_flight.pop(0))
        assert len(batch.rows) == events
        if unreadable:
            self._backlog(uri).lose_batch(batch)
            member.lost["unconfirmed"] += events
            return
        failed = min(failed, events)
        self._backlog(uri).acknowledge(batch, failed)
        member.delivered += events - failed
        member.lost["handler-error"] += failed

    def _backlog(self, uri: str) -> Backlog:
        backlog = self.broker.find(uri)
        assert backlog is not None
        return backlog

    # What must hold at any moment

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        left = self.pushed.copy()
        for event in self.sent:
            left.remove(event)  # raises for one that was sent more often than it was published

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        found = self.broker.statistics(self.clock)
        assert found.accepted == found.delivered + sum(found.lost.values()) + found.waiting
        assert found.accepted == len(self.pushed) + self.bystander.accepted
        shown = [each for each in found.subscribers if each.group]
        assert [each.subscriber for each in shown] == list(self.broker_members)
        for each, member in zip(shown, self.model.members.values(), strict=True):
            assert each.accepted == member.given == member.delivered + sum(member.lost.values()) + member.load
            assert (each.unacknowledged, each.backlog) == (member.load, 0)
            assert sorted(each.subjects) == sorted(member.names + member.patterns)
        for group in found.groups:
            assert group.accepted == group.given + sum(group.lost.values()) + group.backlog
            waiting = self.model.backlog.waiting
            assert (group.subscribers, group.given) == (len(self.model.members), self.model.given)
            assert (group.backlog, group.backlog_bytes) == (
                len(waiting),
                self.model.backlog.waiting_bytes,
            )
            assert group.lost == {name: count for name, count in self.model.backlog.lost.items() if count}
            assert group.oldest == (self.clock - waiting[0].time if waiting else None)
            assert group.overflow == self.model.backlog.policy
        assert len(found.groups) == bool(self.model.members)

    @property
    def broker_members(self) -> list[str]:
        return [each.subscriber for each in self.broker.backlogs() if each.group]

    @invariant()
    def the_total_is_what_all_hold(self) -> None:
        group = self.group
        sorting = 0
        if group is not None and isinstance(group.backlog._store, SortedEvents):
            waiting, sorting = self.model.backlog.waiting, group.backlog._store.memory
            least = SORTED_OVERHEAD * len(waiting)
            if self.model.backlog.policy == "latest":
                least += sum(TEXT_OVERHEAD + length(fold(event.subject)) for event in waiting)
            assert least <= sorting and bool(sorting) == bool(waiting)
        assert self.broker.backlog_bytes == shared_bytes(self.model, ROW) + sorting


TestGroupMachine = pytest.mark.timeout(900)(GroupMachine.TestCase)
TestGroupMachine.settings = settings(deadline=None, max_examples=1000, stateful_step_count=20)


# Who may be in which group


def broker_of(**subscribers: str) -> Broker:
    """Subscribers by their names, each in a group or, with "", in none."""
    broker = Broker(BacklogOptions(), MIB)
    for subscriber, group in subscribers.items():
        broker.subscribe(subscriber, "a", group=group)
    return broker


@pytest.mark.parametrize(
    ("subscriber", "group", "text"),
    [
        ("single", "workers", "single is subscribed without a group"),
        ("member", "others", "member is in the group 'workers'"),
    ],
)
def test_a_subscriber_is_in_one_group_or_in_none(subscriber: str, group: str, text: str) -> None:
    broker = broker_of(single="", member="workers")
    before = broker.statistics(1.0)
    with pytest.raises(ValueError, match=text):
        broker.subscribe(subscriber, "b", group=group, options={"backlog": 3})
    assert broker.statistics(1.0) == before


def test_ahead_is_for_members() -> None:
    broker = broker_of(single="", member="workers")
    for subscriber in ("single", "new"):
        with pytest.raises(ValueError, match="ahead is for the members of a group"):
            broker.subscribe(subscriber, "b", ahead=1)
    assert broker.find("new") is None
    member = broker.subscribe("member", "b", ahead=3)
    assert only_group(broker).members[member].ahead == 3
    broker.subscribe("member", "c")
    assert only_group(broker).members[member].ahead == 3


def only_group(broker: Broker) -> Group:
    [group] = broker.groups
    return group


def test_a_member_stays_in_its_group_whatever_else_it_subscribes_to() -> None:
    broker = broker_of(member="Workers", other="WORKERS")
    broker.subscribe("member", "b")
    broker.subscribe("member", "c", group="workers")
    assert only_group(broker).name == "Workers"
    assert [each.group for each in broker.statistics(1.0).subscribers] == ["Workers", "Workers"]
    assert broker.groups.subscriptions(broker.backlogs()[0], 9) == ["a", "b", "c"]


def test_one_that_has_no_subscription_left_may_choose_again() -> None:
    broker = broker_of(single="", member="workers")
    for subscriber in ("single", "member"):
        broker.unsubscribe(subscriber, "a")
        assert broker.subscribe(subscriber, "b", group="others").group == "others"
    assert [group.name for group in broker.groups] == ["others"]
    assert broker.publish(iter([(["a", "b"], b"")]), 1.0) == 1


def test_the_first_members_options_hold_for_the_group() -> None:
    broker = Broker(BacklogOptions(), MIB)
    first = broker.subscribe("first", "a", (), {"backlog": 5}, group="g")
    second = broker.subscribe("second", "a", (), {"backlog": 7, "overflow": "latest"}, group="g")
    assert first.options == second.options == only_group(broker).backlog.options == BacklogOptions(5)
    broker.subscribe("first", "a", options={"backlog": 9})
    assert second.options == BacklogOptions(9)
    broker.remove(first, Loss.GONE)
    broker.subscribe("second", "a", options={"overflow": "latest"})
    assert only_group(broker).backlog.overflow is Overflow.LATEST


def test_subscribing_to_nothing_counts_as_a_member_and_gets_nothing() -> None:
    broker = Broker(BacklogOptions(), MIB)
    broker.subscribe("s", group="g")
    assert broker.publish(iter([(["a"], b"")]), 1.0) == 0
    assert only_group(broker).statistics(1.0).subscribers == 1


def test_limits_count_for_each_member() -> None:
    broker = Broker(BacklogOptions(), MIB, max_subscriptions=2)
    single = broker.subscribe("x", ["a", "b"])
    of_single = broker.statistics(1.0).subscription_bytes
    broker.remove(single, Loss.GONE)
    for member in "yz":
        broker.subscribe(member, ["a", "b"], group="g")
        with pytest.raises(ValueError, match="at most 2 subscriptions"):
            broker.subscribe(member, "c")
    assert broker.statistics(1.0).subscription_bytes > 2 * of_single
    for backlog in broker.backlogs():
        broker.remove(backlog, Loss.GONE)
    assert broker.statistics(1.0).subscription_bytes == 0


def test_a_subscriber_that_is_replaced_by_itself_keeps_the_events_of_its_group() -> None:
    broker = broker_of(member="workers", single="")
    broker.publish(iter([("a", b"")]), 1.0)
    for subscriber in ("member", "single"):
        backlog = broker.find(subscriber)
        assert backlog is not None
        with broker.groups.hold(backlog):
            broker.remove(backlog, Loss.GONE)
            broker.subscribe(subscriber, "a", group=backlog.group or "workers" * (subscriber == "member"))
    assert len(only_group(broker).backlog) == 1
    member = broker.find("member")
    assert member is not None
    with broker.groups.hold(member):
        broker.remove(member, Loss.GONE)
    assert list(broker.groups) == []
    assert broker.statistics(1.0).lost == {"gone": 2}


def test_rights_decide_what_a_group_gets_and_who_of_it() -> None:
    broker = Broker(BacklogOptions(), MIB)
    some = Rights(subscribe=("a",))
    broker.restrict()
    member = broker.subscribe("s", patterns=".*", rights=some, group="g")
    assert broker.publish(iter([(["a", "b"], b"")]), 1.0) == 1
    admin = broker.subscribe("t", ["b"], group="g")
    assert broker.publish(iter([(["a", "b"], b"")]), 1.0) == 2
    assert [only_group(broker).takers(subject) for subject in "ab"] == [(member,), (admin,)]
    broker.unsubscribe("t", "b")
    assert only_group(broker).backlog.lost == {"gone": 1}
    assert broker.publish(iter([(["b"], b"")]), 1.0) == 0
    everything = broker.subscribe("u", patterns=".*", group="g")  # as the first, which may not get it
    assert broker.publish(iter([(["b"], b"")]), 1.0) == 1
    broker.remove(everything, Loss.GONE)
    assert only_group(broker).backlog.lost == {"gone": 2}
    assert broker.publish(iter([(["b"], b"")]), 1.0) == 0
    member.rights = Rights()
    assert broker.restrict() == [only_group(broker).backlog]
    assert only_group(broker).backlog.lost == {"gone": 2, "denied": 2}
    assert broker.publish(iter([(["a"], b"")]), 1.0) == 0
