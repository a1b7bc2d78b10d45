"""The table of watched subjects: against a model that counts everything at once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyro_events.broker.interest.watched import InterestTable
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.matching.subjects import fold

WATCHERS = st.sampled_from(["one", "two", "three"])
TARGETS = st.integers(1, 3)
SUBJECTS = st.sampled_from(["A", "a", "A.B", "a.b", "C"])
PATTERNS = st.sampled_from([".*", "A", "(?-i:a)", r".*\.B", "X"])


class Told(RuleBasedStateMachine):
    """A routing table whose changes are told to watchers; each remembers what it was told last."""

    def __init__(self) -> None:
        super().__init__()
        self.routing: RoutingTable[int] = RoutingTable()
        self.table: InterestTable[str] = InterestTable(lambda subject: len(self.routing.match(subject)))
        self.routing.notify(self.table.changed)
        self.watched: dict[str, dict[str, str]] = {}  # watcher -> folded -> spelled
        self.told: dict[tuple[str, str], list[int]] = {}  # since it watches

    @rule(name=SUBJECTS, listener=TARGETS)
    def subscribe(self, name: str, listener: int) -> None:
        self.routing.add_name(name, listener)

    @rule(text=PATTERNS, listener=TARGETS)
    def subscribe_to_a_pattern(self, text: str, listener: int) -> None:
        self.routing.add_pattern(self.routing.known_pattern(text) or compile_pattern(text), listener)

    @rule(text=st.one_of(SUBJECTS, PATTERNS), listener=TARGETS)
    def unsubscribe(self, text: str, listener: int) -> None:
        self.routing.remove(text, listener)

    @rule(listener=TARGETS)
    def leave(self, listener: int) -> None:
        self.routing.remove_target(listener)

    @rule(watcher=WATCHERS, subject=SUBJECTS)
    def watch(self, watcher: str, subject: str) -> None:
        self.table.watch(watcher, subject)
        mine = self.watched.setdefault(watcher, {})
        mine[fold(subject)] = subject
        self.told[watcher, fold(subject)] = []

    @rule(watcher=WATCHERS, subject=SUBJECTS)
    def unwatch(self, watcher: str, subject: str) -> None:
        self.table.unwatch(watcher, subject)
        self.watched.get(watcher, {}).pop(fold(subject), None)

    @rule(watcher=WATCHERS)
    def remove(self, watcher: str) -> None:
        self.table.remove(watcher)
        self.watched.pop(watcher, None)

    @rule(most=st.integers(1, 3))
    def look(self, most: int) -> None:
        for watcher, subject, count in self.table.look(most):
            assert self.watched[watcher][fold(subject)] == subject
            assert count == len(self.routing.match(subject))
            self.told[watcher, fold(subject)].append(count)

    @precondition(lambda self: self.table.pending)
    @rule()
    def look_at_everything(self) -> None:
        looks = 0
        while self.table.pending:
            self.look(2)
            looks += 1
            assert looks <= 5, "it does not come to an end"
        for watcher, mine in self.watched.items():
            for folded, subject in mine.items():
                assert (self.told[watcher, folded][-1] > 0) == bool(self.routing.match(subject))

    @invariant()
    def nobody_is_told_the_same_twice(self) -> None:
        for told in self.told.values():
            states = [count > 0 for count in told]
            assert all(before != after for before, after in zip(states, states[1:], strict=False)), told

    @invariant()
    def what_has_to_be_counted_is_pending(self) -> None:
        assert bool(self.table) == any(self.watched.values())
        for watcher in ("one", "two", "three"):
            mine = self.watched.get(watcher, {})
            assert self.table.watched_by(watcher) == len(mine)
            assert all(self.table.is_watched(watcher, folded) for folded in mine)
        if not self.table.pending:
            for watcher, mine in self.watched.items():
                for folded, subject in mine.items():
                    assert (self.told[watcher, folded][-1] > 0) == bool(self.routing.match(subject))


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=150, stateful_step_count=40)


def counted(table: InterestTable[str], most: int = 100) -> list[tuple[str, str, int]]:
    return table.look(most)


def test_a_watcher_is_told_at_once_how_it_is_and_then_of_changes_only() -> None:
    listeners = Counter({"A": 2})
    table: InterestTable[str] = InterestTable(lambda subject: listeners[subject])
    table.watch("me", "A")
    table.watch("me", "B")
    assert table.pending
    assert counted(table) == [("me", "A", 2), ("me", "B", 0)]
    assert not table.pending
    listeners["A"] = 1
    assert table.changed("a") and counted(table) == []
    listeners["A"] = 0
    assert table.changed("a") and counted(table) == [("me", "A", 0)]


def test_who_watches_again_is_told_again() -> None:
    table: InterestTable[str] = InterestTable(lambda subject: 1)
    table.watch("me", "A")
    table.watch("other", "A")
    counted(table)
    table.watch("me", "A")
    assert counted(table) == [("me", "A", 1)]


def test_a_name_that_nobody_watches_is_nothing_to_count() -> None:
    table: InterestTable[str] = InterestTable(lambda subject: 0)
    table.watch("me", "A")
    counted(table)
    assert not table.changed("b")
    assert table.changed(None)


def test_nothing_is_left_of_a_watcher_that_has_gone() -> None:
    table: InterestTable[str] = InterestTable(lambda subject: 1)
    for subject in ("A", "a", "B"):
        table.watch("me", subject)
    table.remove("me")
    table.remove("me")
    assert not table and not table.pending and not table.changed("a") and not table.changed(None)


@pytest.mark.parametrize("changing", ["names", "patterns"])
def test_neither_names_nor_patterns_that_change_all_the_time_keep_the_others_waiting(changing: str) -> None:
    """Before each look at two subjects a hundred names change, or all patterns."""
    told: set[str] = set()
    waited_for = ["X"] if changing == "patterns" else [f"Y{number}" for number in range(100)]
    busy = [f"N{number}" for number in range(100)]
    listeners: Counter[str] = Counter()
    table: InterestTable[str] = InterestTable(lambda subject: listeners[subject])
    for subject in [*busy, *waited_for]:
        table.watch("me", subject)
    counted(table, 1000)
    listeners.update(waited_for)
    table.changed("x" if changing == "patterns" else None)
    for _ in range(300):
        for subject in busy:
            table.changed(subject.lower()) if changing == "names" else table.changed(None)
        told.update(subject for _, subject, _ in counted(table, 2))
    assert told == set(waited_for)


def test_to_a_watcher_that_may_not_know_of_a_subject_it_has_no_listeners_until_it_may() -> None:
    table: InterestTable[str] = InterestTable(lambda subject: 3)
    allowed = {("me", "A"), ("other", "A")}
    table.may = lambda watcher, subject: (watcher, subject) in allowed
    for subject in ("A", "B"):
        table.watch("me", subject)
    table.watch("other", "A")
    assert counted(table) == [("me", "A", 3), ("other", "A", 3), ("me", "B", 0)]
    allowed.remove(("me", "A"))
    assert table.changed(None) and counted(table) == [("me", "A", 0)]
    allowed |= {("me", "A"), ("me", "B")}
    assert table.changed(None) and sorted(counted(table)) == [("me", "A", 3), ("me", "B", 3)]


@given(st.lists(SUBJECTS))
def test_two_spellings_of_one_name_are_one_to_a_watcher(subjects: list[str]) -> None:
    table: InterestTable[str] = InterestTable(lambda subject: 1)
    for subject in subjects:
        table.watch("me", subject)
    last = {fold(subject): subject for subject in subjects}
    assert sorted(subject for _, subject, _ in counted(table)) == sorted(last.values())
