"""Which function gets which event, against a model that does the same in the plainest way."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.subjects import fold
from pyro_events.client.subscribing.functions import Functions, Wanted

compiled = functools.cache(compile_pattern)

NAMES = ["A", "a", "b.c", "straße", "STRASSE", "B.C", "K", "K"]
PATTERNS = ["^a", "a", "A", "b.c", "B.C", "^.$", r"\S", "", "(?-i:A)", "straße"]
SUBJECTS = [*NAMES, "bxc", "strasse", "STRAẞE", "nobody's own"]
# None is `event`.
FUNCTIONS: list[Callable[[Any], object] | None] = [None, print, repr, len, [].append]


class Model:
    """Rows of a function, its folded names, and the texts of its patterns, in the order of registration."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, set[str], set[str]]] = []

    def on(self, function: Any, names: list[str], patterns: list[str]) -> None:
        row = next((row for row in self.rows if row[0] == function), (function, set(), set()))
        self.rows = self.rows if row in self.rows else [*self.rows, row]
        row[1].update(map(fold, names))
        row[2].update(patterns)
        self.rows = [row for row in self.rows if row[1] or row[2]]

    def off(self, functions: list[Any], texts: list[str]) -> None:
        for _, names, patterns in [row for row in self.rows if row[0] in functions]:
            names.difference_update(map(fold, texts))
            patterns.difference_update(texts)
        self.rows = [row for row in self.rows if row[1] or row[2]]

    def match(self, subject: str) -> list[Any]:
        def wants(names: set[str], patterns: set[str]) -> bool:
            return fold(subject) in names or any(compiled(text).matches(subject) for text in patterns)

        return [function for function, names, patterns in self.rows if wants(names, patterns)]

    def wanted(self) -> tuple[set[str], set[str]]:
        """What the service has to be told."""
        names = set().union(*(row[1] for row in self.rows))
        return names, set().union(*(row[2] for row in self.rows))


names, texts = st.lists(st.sampled_from(NAMES), max_size=3), st.lists(st.sampled_from(PATTERNS), max_size=3)
functions, subjects = st.sampled_from(FUNCTIONS), st.sampled_from(SUBJECTS)


def wanted(names: list[str], patterns: list[str]) -> Wanted:
    return Wanted(names, [compiled(text) for text in patterns])


class Histories(RuleBasedStateMachine):
    """Any sequence of `on`, `off`, `subscribe`, `unsubscribe`, calls that fail, and events."""

    @initialize(cache_size=st.sampled_from([0, 4, 1000]))
    def start(self, cache_size: int) -> None:
        self.functions = Functions(cache_size)
        self.model = Model()
        self.told: tuple[set[str], set[str]] = set(), set()

    @rule(function=functions, names=names, patterns=texts)
    def on(self, function: Any, names: list[str], patterns: list[str]) -> None:
        self.functions.add(function, wanted(names, patterns))
        self.model.on(function, names, patterns)
        self.told[0].update(map(fold, names))
        self.told[1].update(patterns)

    @rule(function=functions, names=names, patterns=texts, subject=subjects)
    def on_and_fail(self, function: Any, names: list[str], patterns: list[str], subject: str) -> None:
        addition = self.functions.add(function, wanted(names, patterns))
        self.functions.match(subject)  # an event that comes before the service has refused
        self.functions.take_back(addition)

    @rule(function=st.sampled_from(FUNCTIONS[1:]), some=names | texts | st.none())
    def off(self, function: Any, some: list[str] | None) -> None:
        names, patterns = self.functions.remove(function, some)
        self.model.off([function], NAMES + PATTERNS if some is None else some)
        assert not set(map(fold, names)) - self.told[0] and not set(patterns) - self.told[1]
        self.told[0].difference_update(map(fold, names))
        self.told[1].difference_update(patterns)

    @rule(some=names | texts)
    def unsubscribe(self, some: list[str]) -> None:
        self.functions.unsubscribe(some)
        self.model.off(FUNCTIONS, some)
        self.told[0].difference_update(map(fold, some))
        self.told[1].difference_update(some)

    @rule(subject=subjects)
    def event(self, subject: str) -> None:
        found = [registration.function for registration in self.functions.match(subject)]
        assert found == self.model.match(subject)

    @invariant()
    def the_service_is_told_what_somebody_wants_and_nothing_else(self) -> None:
        if hasattr(self, "told"):
            assert self.told == self.model.wanted()


TestHistories = Histories.TestCase


@given(st.lists(st.tuples(functions, names, texts), max_size=8), st.lists(subjects, max_size=4))
def test_each_gets_an_event_once_in_the_order_of_registration(
    steps: list[tuple[Any, list[str], list[str]]], events: list[str]
) -> None:
    """C10, for a function that is registered again with other names."""
    registered, model = Functions(), Model()
    for function, some, patterns in steps:
        registered.add(function, wanted(some, patterns))
        model.on(function, some, patterns)
    for subject in events:
        for _ in range(2):  # from the table, and from what is remembered
            found = [each.function for each in registered.match(subject)]
            assert found == model.match(subject) and len(found) == len(set(map(id, found)))


class Screen:
    """An object with a method; objects of it are equal, and cannot be hashed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Screen)

    def show(self, event: object) -> None:
        pass

    def __call__(self, event: object) -> None:
        pass


def test_a_function_is_found_by_what_it_is_equal_to() -> None:
    registered, screen, other = Functions(), Screen(), Screen()
    registered.add(screen.show, wanted(["A"], []))
    registered.add(other.show, wanted(["A"], []))  # of another object
    registered.add(screen.show, wanted(["B"], []))  # a bound method is a new object each time
    assert [len(registered.match(subject)) for subject in "AB"] == [2, 1]
    assert registered.remove(screen.show) == (["B"], [])
    assert [each.function for each in registered.match("A")] == [other.show]
    registered.add(screen, wanted(["C"], []))
    registered.add(other, wanted(["D"], []))
    assert registered.match("C") == registered.match("D")
    assert registered.remove(len) == ([], [])


def test_via_stays_until_another_is_given() -> None:
    registered = Functions()
    vias = [lambda call: call(), lambda call: call()]
    for via, names, expected in ((vias[0], "A", 0), (None, "B", 0), (vias[1], "C", 1)):
        registered.add(print, wanted([names], []), via)
        (found,) = registered.match(names)
        assert found.via is vias[expected]
    addition = registered.add(print, wanted(["D"], []), vias[0])
    registered.take_back(addition)
    (found,) = registered.match("A")
    assert found.via is vias[1]


def test_what_a_change_has_replaced_is_found_by_no_other_thread() -> None:
    """While one thread brings the table up to date, another must not use what is remembered."""
    registered = Functions()
    registered.add(print, wanted(["A"], []))
    assert len(registered.match("A")) == 1
    registered.remove(print)
    inside, go_on = threading.Event(), threading.Event()
    follow = registered._follow

    def slowly(*change: Any) -> None:
        inside.set()
        assert go_on.wait(10)
        follow(*change)

    registered._follow = slowly  # type: ignore[method-assign]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(registered.match("A"))) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    threads[1].join(0.05)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found == [(), ()]
