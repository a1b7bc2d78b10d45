"""The sums over all subscribers, those that are gone among them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.groups.groups import Groups
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.statistics import GoneSubscribers, described
from pyro_events.options import BacklogOptions

T = TypeVar("T")


def backlog_of(events: int, delivered: int = 0) -> Backlog:
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(), TotalBytes())
    for _ in range(events):
        backlog.push(queued_event("a", 1.0, b""))
    if delivered:
        backlog.acknowledge(backlog.take(delivered, 10_000))
    return backlog


def result_of(pieces: Generator[None, None, T]) -> tuple[int, T]:
    """How often there was a pause, and what came in the end."""
    pauses = 0
    while True:
        try:
            next(pieces)
        except StopIteration as done:
            return pauses, done.value
        pauses += 1


def test_what_subscribers_had_stays_in_the_sums_when_they_are_gone() -> None:
    gone = GoneSubscribers()
    for delivered in (1, 2):
        backlog = backlog_of(5, delivered)
        backlog.lose_everything(Loss.GONE)
        gone.add(backlog)
    there = backlog_of(4, 3).statistics((), 1.0)
    found = gone.and_those([there], published=9, backlog_bytes=10, subscription_bytes=11)
    assert (found.accepted, found.delivered, found.lost, found.waiting) == (14, 6, {"gone": 7}, 1)
    assert (found.published, found.backlog_bytes, found.subscription_bytes) == (9, 10, 11)
    assert found.subscribers == (there,)


def test_a_copy_stays_as_it_is() -> None:
    gone = GoneSubscribers()
    copy = gone.copy()
    backlog = backlog_of(2)
    backlog.lose_everything(Loss.STOPPED)
    gone.add(backlog)
    assert (copy.accepted, dict(copy.lost)) == (0, {})
    assert (gone.accepted, dict(gone.lost)) == (2, {"stopped": 2})


def groups_of(gone: GoneSubscribers | None = None) -> Groups:
    return Groups(RoutingTable(), TotalBytes(), (gone or GoneSubscribers()).add_group)


def test_many_subscribers_are_described_with_pauses_and_few_of_their_subjects() -> None:
    groups = groups_of()
    backlogs = [backlog_of(1) for _ in range(250)]
    for backlog in backlogs:
        groups.add(backlog, list("abcdefghij"), [])
    pauses, (found, shared) = result_of(described(backlogs, groups, 2.0))
    assert (pauses, len(found), shared) == (2, 250, [])
    assert {each.subscriptions for each in found} == {10}
    assert {len(each.subjects) for each in found} == {10}
    pauses, (found, _) = result_of(described(backlogs[:3], groups, 2.0))
    assert pauses == 0 and [each.oldest for each in found] == [1.0] * 3


def member_of(groups: Groups, name: str) -> Backlog:
    backlog = backlog_of(0)
    groups.enter(backlog, name, 0, None)
    groups.add(backlog, ["a"], [])
    return backlog


def give(groups: Groups, member: Backlog, count: int) -> None:
    group = groups.of(member)
    assert group is not None
    for _ in range(count):
        given = group.backlog.give_oldest()
        assert given is not None
        member.give(*given)


def test_an_event_that_is_given_to_a_member_during_a_pause_counts_once() -> None:
    gone = GoneSubscribers()
    groups = groups_of(gone)
    members = [member_of(groups, name) for name in ("one", "one", "two", "two")]
    for group in groups:
        for _ in range(9):
            group.backlog.push(queued_event("a", 1.0, b""))
    pieces = described(members, groups, 2.0)
    next(pieces)  # behind the first group
    give(groups, members[1], 4)
    give(groups, members[3], 3)
    later = member_of(groups, "two")
    _, (found, shared) = result_of(pieces)
    assert later.group == "two" and len(found) == 4
    assert [(each.group, each.backlog) for each in shared] == [("one", 9), ("two", 6)]
    assert [each.backlog for each in found] == [0, 0, 0, 3]
    assert [each.group for each in found] == ["one", "one", "two", "two"]
    sums = gone.and_those(found, 18, 0, 0, shared)
    assert (sums.accepted, sums.waiting, sums.groups) == (18, 18, tuple(shared))


def test_what_a_group_has_lost_stays_in_the_sums_when_it_is_gone() -> None:
    gone = GoneSubscribers()
    groups = groups_of(gone)
    member = member_of(groups, "workers")
    group = groups.of(member)
    assert group is not None
    for _ in range(5):
        group.backlog.push(queued_event("a", 1.0, b""))
    give(groups, member, 2)
    groups.remove_all(member, Loss.GONE)
    member.lose_everything(Loss.GONE)
    gone.add(member)
    assert (gone.accepted, gone.lost) == (5, {"gone": 5})
