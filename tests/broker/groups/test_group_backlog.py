"""A group's backlog against a list, under every policy, whether all its members may get the same or not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from backlog_model import OVERHEAD, ModelBacklog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog, Outcome
from pyro_events.broker.groups.group_backlog import GroupBacklog, Takers
from pyro_events.options import BacklogOptions, Overflow

POLICIES = [policy.value for policy in Overflow]
each_policy = pytest.mark.parametrize("policy", POLICIES)
subjects = st.sampled_from(["a", "A", "b", "straße", "STRASSE", "c.d"])
payloads = st.sampled_from([b"", b"p" * 100, b"p" * 450])
bounds = st.tuples(
    st.sampled_from(POLICIES),
    st.integers(1, 5),
    st.sampled_from([1, 2 * OVERHEAD + 130, 1100, 5000]),
    st.sampled_from([math.inf, 3.0]),
)
MEMBER = Backlog("PYRO:m@h:1", BacklogOptions(), TotalBytes())


def everybody(subject: str) -> Takers:
    return (MEMBER,)


def backlog_of(policy: str = "block", events: int = 3, size: int = 10_000) -> GroupBacklog:
    return GroupBacklog("g", BacklogOptions(events, size, Overflow(policy)), TotalBytes(), everybody)


def push(backlog: GroupBacklog, *names: str) -> list[Outcome]:
    return [backlog.push(queued_event(name, 1.0, b"")) for name in names]


def options_of(policy: str, events: int, size: int, age: float) -> BacklogOptions:
    return BacklogOptions(events, size, Overflow(policy), age)


class GroupBacklogMachine(RuleBasedStateMachine):
    """One backlog beside its model. Some subjects may become nobody's."""

    @initialize(bounds=bounds)
    def begin(self, bounds: tuple[str, int, int, float]) -> None:
        self.unwanted: set[str] = set()
        self.backlog = GroupBacklog("g", options_of(*bounds), TotalBytes(), self._takers)
        self.model = ModelBacklog(*bounds[:3], max_age=bounds[3])
        self.given = 0
        self.clock = 10.0

    def _takers(self, subject: str) -> Takers:
        return () if subject in self.unwanted else (MEMBER,)

    @rule(events=st.lists(st.tuples(subjects, payloads), max_size=6))
    def push(self, events: list[tuple[str, bytes]]) -> None:
        for subject, payload in events:
            self.clock += 1
            outcome = self.backlog.push(queued_event(subject, self.clock, payload))
            assert outcome.name.lower() == self.model.push(subject, self.clock, payload)

    @rule(events=st.lists(st.tuples(subjects, payloads), max_size=4))
    def extend(self, events: list[tuple[str, bytes]]) -> None:
        """As the broker does, within what is free."""
        queued = [queued_event(subject, self.clock, payload) for subject, payload in events]
        size = sum(event[3] for event in queued)
        free, free_bytes = self.backlog.free
        if len(queued) <= free and size <= free_bytes and self.backlog.extend(queued, size):
            for subject, payload in events:
                self.model.push(subject, self.clock, payload)

    @rule(subject=subjects, space=st.booleans())
    def offer(self, subject: str, space: bool) -> None:
        """Nobody waits for it, so it is dropped where there is no space."""
        self.backlog.offer(queued_event(subject, self.clock, b""), space)
        self.model.offer(subject, self.clock, b"", space)

    @rule(middle=st.booleans())
    def give(self, middle: bool) -> None:
        if not self.model.waiting:
            return
        takers = None
        if middle and self.backlog.sorted_events is not None:
            takers = self.backlog.sorted_events.lanes()[0][1]
        given = self.backlog.give_oldest(takers, self.clock)
        expected = [each for each in self.model.waiting if takers in (None, self._takers(each.subject))][0]
        self.model.waiting.remove(expected)
        if expected.time < self.clock - self.model.max_age:
            self.model.lost["expired"] += 1
            assert given is None
            return
        assert given is not None
        event, missed = given
        assert event[:3] == (expected.subject, expected.time, expected.payload)
        assert missed == sum(self.model.lost.values()) - self.given
        self.given += missed

    @rule(later=st.integers(0, 4))
    def expire(self, later: int) -> None:
        self.clock += later
        assert self.backlog.expire(self.clock, 99) == self.model.expire(self.clock)

    @rule(unwanted=st.sets(subjects, max_size=2), alike=st.booleans())
    def arrange(self, unwanted: set[str], alike: bool) -> None:
        self.unwanted = unwanted
        lost = [event for event in self.model.waiting if event.subject in unwanted]
        assert self.backlog.arrange(alike, Loss.GONE) == len(lost)
        self._lose(lost, "gone")
        self.unwanted = set()
        assert (self.backlog.sorted_events is None) == alike

    @rule(subjects=st.sets(subjects, max_size=2))
    def lose_those(self, subjects: set[str]) -> None:
        lost = [event for event in self.model.waiting if event.subject in subjects]
        assert self.backlog.waiting_subjects() == {event.subject for event in self.model.waiting}
        assert self.backlog.lose_those(subjects, Loss.DENIED) == len(lost)
        self._lose(lost, "denied")

    def _lose(self, events: list[Any], reason: str) -> None:
        for event in events:
            self.model.waiting.remove(event)
        self.model.lost[reason] += len(events)

    @rule(bounds=bounds)
    def configure(self, bounds: tuple[str, int, int, float]) -> None:
        self.backlog.configure(options_of(*bounds))
        self.model.configure(*bounds)

    @rule(allowed=st.booleans())
    def allow_blocking(self, allowed: bool) -> None:
        self.backlog.allow_blocking(allowed)
        self.model.allow_blocking(allowed)

    @invariant()
    def it_is_as_the_model(self) -> None:
        backlog, waiting = self.backlog, self.model.waiting
        assert [event[:2] for event in backlog._events()] == [(each.subject, each.time) for each in waiting]
        assert (len(backlog), backlog.bytes) == (len(waiting), self.model.waiting_bytes)
        assert backlog.accepted == self.model.accepted
        assert +backlog.lost == +self.model.lost
        assert backlog.accepted == backlog.given + sum(backlog.lost.values()) + len(backlog)
        assert backlog.overflow.value == self.model.policy
        assert backlog.oldest_subject == (waiting[0].subject if waiting else None)
        assert backlog.oldest == (waiting[0].time if waiting else None)


TestGroupBacklogMachine = pytest.mark.timeout(900)(GroupBacklogMachine.TestCase)
TestGroupBacklogMachine.settings = settings(deadline=None, max_examples=1000, stateful_step_count=20)


@each_policy
def test_losing_everything_frees_everything(policy: str) -> None:
    backlog = backlog_of(policy)
    events = [queued_event(name, 1.0, b"x") for name in "abc"]
    backlog._total.value += sum(event[3] for event in events)
    for event in events:
        backlog.push(event)
    assert backlog.lose_everything(Loss.STOPPED) == 3
    assert (len(backlog), backlog.bytes, backlog._total.value) == (0, 0, 0)
    assert backlog.lost == {"stopped": 3}


def test_what_is_lost_is_told_once_and_before_the_next_event() -> None:
    backlog = backlog_of("drop-oldest", events=2)
    push(backlog, "a", "b", "c", "d")
    given = [backlog.give_oldest(), backlog.give_oldest()]
    assert [each and each[1] for each in given] == [2, 0]


def test_expired_events_are_dropped_in_slices() -> None:
    backlog = GroupBacklog("g", BacklogOptions(max_age=1.0), TotalBytes(), everybody)
    push(backlog, *"aaaaa")
    assert [backlog.expire(9.0, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_several_events_come_together_as_long_as_all_fit() -> None:
    backlog = backlog_of(events=3)
    events = [queued_event("a", 1.0, b"")] * 4
    assert not backlog.extend(events, sum(event[3] for event in events))
    assert backlog.extend(events[:3], sum(event[3] for event in events[:3]))
    assert (len(backlog), backlog.free[0]) == (3, 0)


@pytest.mark.parametrize("policy", ["latest", "block"])
def test_sorted_events_come_one_by_one_because_the_sorting_takes_memory(policy: str) -> None:
    backlog = backlog_of(policy)
    backlog.arrange(False, Loss.GONE)
    assert backlog.free == (0, 0)
    assert backlog.extend([queued_event(name, 1.0, b"") for name in "aab"], 0)
    assert backlog.accepted == 3


def test_nothing_is_sent_from_it() -> None:
    with pytest.raises(NotImplementedError, match="members"):
        backlog_of().take(1, 1)


@pytest.mark.parametrize("policy", ["drop-oldest", "latest"])
def test_what_has_expired_makes_space_before_anything_younger_goes(policy: str) -> None:
    options = BacklogOptions(2, 10_000, Overflow(policy), max_age=5.0)
    backlog = GroupBacklog("g", options, TotalBytes(), everybody)
    backlog.push(queued_event("a", 1.0, b""))
    backlog.push(queued_event("b", 8.0, b""))
    backlog.push(queued_event("c", 9.0, b"x" * 300))
    assert backlog.lost == {"expired": 1}
    backlog.configure(BacklogOptions(9, 700, Overflow(policy), max_age=5.0))
    backlog.push(queued_event("d", 13.5, b"x" * 300))
    assert backlog.lost == {"expired": 2, policy: 1}


def test_when_members_change_many_events_are_sorted_later_and_in_pieces() -> None:
    """To find who may get an event takes 20 µs or more, and whoever joins and leaves all the time would hold
    up everybody."""
    asked: list[str] = []

    def takers(subject: str) -> Takers:
        asked.append(subject)
        return () if subject.endswith("0") else (MEMBER,)

    backlog = GroupBacklog("g", BacklogOptions(), TotalBytes(), takers)
    push(backlog, *(f"s{number}" for number in range(1000)))
    for _ in range(5):
        assert backlog.arrange(True, Loss.GONE) == 0
    assert (asked, backlog.unsorted) == ([], True)
    backlog.sort(10)
    assert (len(asked), len(backlog), backlog.lost) == (10, 999, {"gone": 1})
    while backlog.unsorted:
        backlog.sort(100)
    assert (len(asked), len(backlog), backlog.lost) == (1000, 900, {"gone": 100})
    assert backlog.sorted_events is None  # all may get all again
    backlog.sort(1)
    given = [backlog.give_oldest() for _ in range(900)]
    assert [each[1] for each in given if each is not None][:2] == [100, 0]
    assert backlog.free[0] == BacklogOptions().backlog
    backlog.sort(1)
