"""One group: its members, what all of them are subscribed to together, and what nobody may get any more."""

from __future__ import annotations

import pytest

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.groups.group import Group
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.snapshots import GroupStatistics
from pyro_events.options import BacklogOptions, Overflow


class Scene:
    """A group in a service's routing table."""

    def __init__(self, options: BacklogOptions | None = None) -> None:
        self.total = TotalBytes()
        self.routing: RoutingTable[Backlog] = RoutingTable()
        self.group = Group("workers", options or BacklogOptions(), self.total, self.routing)

    def member(self, *names: str, match: str = "", rights: Rights | None = None) -> Backlog:
        backlog = Backlog(f"PYRO:m{len(self.group.members)}@h:1", BacklogOptions(), self.total)
        backlog.rights = rights
        self.group.join(backlog, 0)
        self.group.add(backlog, list(names), [compile_pattern(match)] if match else [])
        return backlog

    def push(self, *names: str) -> None:
        for name in names:
            self.group.backlog.push(queued_event(name, 1.0, b""))


def test_an_event_finds_the_group_once_whoever_of_it_is_subscribed() -> None:
    scene = Scene()
    first, second = scene.member("a", match="^b"), scene.member("A", "c")
    assert [scene.routing.match(subject) for subject in "abcd"] == [(scene.group.backlog,)] * 3 + [()]
    assert scene.group.takers("a") == (first, second)
    scene.group.remove(first, ["a", "^b", "unknown"])
    assert [len(scene.routing.match(subject)) for subject in "abc"] == [1, 0, 1]
    scene.group.leave(second, Loss.GONE)
    assert [len(scene.routing.match(subject)) for subject in "abc"] == [0, 0, 0]


def test_the_text_of_a_name_and_of_a_pattern_is_kept_as_what_another_has() -> None:
    scene = Scene()
    first, second = scene.member("ab", match="ab"), scene.member("ab")
    scene.group.remove(first, ["ab"])
    assert scene.routing.match("ab") and not scene.routing.match("abc")
    scene.group.remove(second, ["ab"])
    assert not scene.routing.match("ab")


def test_what_nobody_may_get_any_more_is_lost_and_what_another_may_get_stays() -> None:
    scene = Scene()
    first, second = scene.member("a", "b"), scene.member("b")
    scene.push("a", "b", "a")
    scene.group.leave(first, Loss.DEADLINE)
    assert scene.group.backlog.lost == {"deadline": 2}
    assert scene.group.takers_of_oldest() == (second,)
    scene.group.remove(second, ["b"])
    assert scene.group.backlog.lost == {"deadline": 2, "gone": 1}
    assert scene.group.takers_of_oldest() == ()


def test_members_that_are_subscribed_to_the_same_are_alike_and_those_to_nothing_do_not_matter() -> None:
    scene = Scene()
    first = scene.member("a", "b")
    scene.member("B", "A")
    scene.member()
    assert scene.group.backlog.sorted_events is None
    scene.group.remove(first, ["a"])
    assert scene.group.backlog.sorted_events is not None
    scene.group.add(first, ["a"], [])
    assert scene.group.backlog.sorted_events is None


def test_members_with_different_rights_are_not_alike() -> None:
    scene = Scene()
    rights = Rights(subscribe=("a",))
    first, second = scene.member("a", "b", rights=rights), scene.member("a", "b")
    assert scene.group.takers("b") == (second,)
    assert scene.group.takers("a") == (first, second)
    assert scene.group.backlog.sorted_events is not None
    scene.push("b")
    second.rights = rights
    assert scene.group.rights_changed()
    assert scene.group.backlog.lost == {"denied": 1}
    assert scene.group.backlog.sorted_events is None
    assert not scene.group.rights_changed()


def test_a_group_may_block_as_long_as_each_member_may() -> None:
    scene = Scene()
    first, _ = scene.member("a"), scene.member("a")
    first.allow_blocking(False)
    scene.group.review_blocking()
    assert scene.group.backlog.overflow is Overflow.DROP_OLDEST
    scene.group.leave(first, Loss.GONE)
    assert scene.group.backlog.overflow is Overflow.BLOCK


def test_all_have_the_options_of_the_group() -> None:
    scene = Scene(BacklogOptions(7, 700, Overflow.LATEST))
    member = scene.member("a")
    assert member.options == scene.group.backlog.options
    scene.group.configure(BacklogOptions(8))
    assert member.options == scene.group.backlog.options == BacklogOptions(8)


def test_while_it_is_held_its_events_stay() -> None:
    scene = Scene()
    member = scene.member("a")
    scene.push("a")
    scene.group.held += 1
    scene.group.leave(member, Loss.GONE)
    again = scene.member("a")
    scene.group.held -= 1
    assert scene.group.review(Loss.GONE) == 0
    assert scene.group.takers_of_oldest() == (again,)


@pytest.mark.parametrize(("now", "age"), [(3.0, 2.0), (0.5, 0.0)])
def test_its_figures(now: float, age: float) -> None:
    scene = Scene()
    member = scene.member("a")
    scene.push("a", "a", "a")
    given = scene.group.backlog.give_oldest()
    assert given is not None
    member.give(*given)
    size = scene.group.backlog.bytes
    assert scene.group.statistics(now) == GroupStatistics(
        "workers", 1, "block", 2, size, age, accepted=3, given=1, lost={}
    )
    assert scene.group.backlog.subscriber == "group 'workers'"
