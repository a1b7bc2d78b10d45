"""Interest: what a watcher may watch, what it takes, and when it is woken."""

from __future__ import annotations

import pytest

from pyro_events.broker.interest.interest import Interest
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.subscriptions.memory import SubscriptionMemory


class Scene:
    def __init__(self, most: int = 10, total: int = 1 << 20, of_one: int = 1 << 20) -> None:
        self.routing: RoutingTable[int] = RoutingTable()
        self.memory: SubscriptionMemory[object] = SubscriptionMemory(total, of_one)
        self.interest = Interest(self.routing, self.memory, most)
        self.woken = 0
        self.interest.wake = self.wake

    def wake(self) -> None:
        self.woken += 1

    def told(self) -> list[tuple[object, str, int]]:
        found = self.interest.look(100)
        assert not self.interest.pending
        return list(found)


def test_who_watches_is_told_of_the_first_and_the_last_listener() -> None:
    scene = Scene()
    scene.interest.watch("me", ["A", "B"], "uri", "host")
    assert scene.told() == [("me", "A", 0), ("me", "B", 0)]
    scene.routing.add_name("a", 1)
    scene.routing.add_pattern(compile_pattern("B"), 2)
    assert scene.told() == [("me", "A", 1), ("me", "B", 1)]
    scene.routing.remove_target(1)
    assert scene.told() == [("me", "A", 0)]
    assert scene.woken == 4  # for watching, and for each change


def test_nothing_is_noted_while_nobody_watches() -> None:
    scene = Scene()
    scene.routing.add_name("A", 1)
    scene.interest.watch("me", ["A"], "uri", "host")
    scene.interest.remove("me")
    woken = scene.woken
    scene.routing.add_name("A", 2)
    scene.routing.add_pattern(compile_pattern(".*"), 2)
    assert scene.woken == woken and not scene.interest.pending
    assert scene.memory.total == 0


def test_a_watcher_counts_before_it_watches_anything() -> None:
    scene = Scene()
    scene.interest.watch("me", (), "uri", "host")
    assert scene.memory.total > 4000
    scene.routing.add_pattern(compile_pattern(".*"), 1)
    assert scene.woken == 0
    scene.interest.remove("me")
    assert scene.memory.total == 0


def test_a_change_that_concerns_nobody_wakes_nobody() -> None:
    scene = Scene()
    scene.interest.watch("me", ["A"], "uri", "host")
    scene.told()
    woken = scene.woken
    scene.routing.add_name("B", 1)
    assert scene.woken == woken


def test_who_may_not_know_is_told_that_nobody_listens() -> None:
    scene = Scene()
    scene.routing.add_pattern(compile_pattern(".*"), 1)
    scene.interest.watch("me", ["A", "B"], "uri", "host")
    assert scene.told() == [("me", "A", 1), ("me", "B", 1)]
    woken = scene.woken
    scene.interest.restrict(lambda watcher, subject: subject != "A")
    assert scene.woken == woken + 1
    assert scene.told() == [("me", "A", 0)]


def test_until_it_is_set_wake_does_nothing() -> None:
    interest = Interest(RoutingTable[int](), SubscriptionMemory(1 << 20, 1 << 20), 10)
    interest.watch("me", ["A"], "uri", "host")
    assert interest.pending


def test_more_subjects_than_a_watcher_may_watch_are_refused_and_nothing_has_changed() -> None:
    scene = Scene(most=2)
    scene.interest.watch("me", ["A", "a"], "uri", "host")
    scene.interest.watch("me", ["B", "A"], "uri", "host")
    took = scene.memory.total
    with pytest.raises(ValueError, match="at most 2 subjects, and this would make 4: use several publishers"):
        scene.interest.watch("me", ["C", "D", "A"], "uri", "host")
    assert scene.interest.watched_by("me") == 2 and scene.memory.total == took
    scene.interest.watch("other", ["C", "D"], "uri", "host")
    scene.interest.unwatch("me", ["b", "C"])
    scene.interest.watch("me", ["C"], "uri", "host")
    assert scene.interest.watched_by("me") == 2


@pytest.mark.parametrize("bound", ["total", "of_one"])
def test_what_is_watched_counts_as_memory_of_subscriptions(bound: str) -> None:
    scene = Scene(most=1000, **{bound: 60_000})
    scene.interest.watch("me", ["A"], "uri", "host")
    took = scene.memory.total
    with pytest.raises(ValueError, match="subscriptions"):
        scene.interest.watch("me", [f"S{number}" for number in range(100)], "uri", "host")
    assert scene.interest.watched_by("me") == 1 and scene.memory.total == took
    scene.interest.watch("me", ["B"], "uri", "host")
    assert scene.memory.total > took
    scene.interest.unwatch("me", ["B", "b"])
    assert scene.memory.total == took
    scene.interest.unwatch("me", ["a"])
    scene.interest.unwatch("me", ["a"])
    scene.interest.remove("me")
    assert scene.memory.total == 0


def test_another_spelling_neither_takes_nor_gives_back_more() -> None:
    scene = Scene()
    scene.interest.watch("me", ["K"], "uri", "host")
    took = scene.memory.total
    scene.interest.watch("me", ["\u212a"], "uri", "host")  # the Kelvin sign
    assert scene.memory.total == took
    assert [subject for _, subject, _ in scene.told()] == ["\u212a"]


def test_the_listeners_of_subjects_are_counted() -> None:
    scene = Scene()
    scene.routing.add_pattern(compile_pattern(".*"), 1)
    for exact, count in ((False, 1), (True, 0)):
        pieces = scene.interest.listeners(["A"], exact)
        with pytest.raises(StopIteration) as done:
            while True:
                next(pieces)
        assert done.value.value == {"A": count}
