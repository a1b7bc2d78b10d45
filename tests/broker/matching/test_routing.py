"""The routing table against a naive one, at rest and while it changes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pattern_work import watched

from pyro_events.broker.matching.pattern_sets import PatternSets
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.matching.service_subjects import may_match
from pyro_events.broker.matching.subjects import fold
from pyro_events.constants import SET_PATTERNS, SET_PROGRAM

compiled = functools.cache(compile_pattern)


class Naive:
    """What the table should do, in the plainest way."""

    def __init__(self) -> None:
        self.targets: dict[str, tuple[dict[str, str], list[str]]] = {}

    def _of(self, target: str) -> tuple[dict[str, str], list[str]]:
        return self.targets.setdefault(target, ({}, []))

    def add_name(self, name: str, target: str) -> bool:
        names = self._of(target)[0]
        new = fold(name) not in names
        names.setdefault(fold(name), name)
        return new

    def add_pattern(self, text: str, target: str) -> bool:
        patterns = self._of(target)[1]
        new = text not in patterns
        if new:
            patterns.append(text)
        return new

    def remove(self, text: str, target: str, by_name: bool, by_pattern: bool) -> bool:
        names, patterns = self.targets.get(target, ({}, []))
        removed = by_name and names.pop(fold(text), None) is not None
        if by_pattern and text in patterns:
            patterns.remove(text)
            removed = True
        if target in self.targets and not names and not patterns:
            del self.targets[target]
        return removed

    def match(self, subject: str) -> tuple[str, ...]:
        return tuple(
            target
            for target, (names, patterns) in self.targets.items()
            if fold(subject) in names
            or any(compiled(text).matches(subject) and may_match(text, fold(subject)) for text in patterns)
        )

    def subscriptions(self, target: str) -> list[str]:
        names, patterns = self.targets.get(target, ({}, []))
        return [*names.values(), *patterns]

    def program_size(self, target: str) -> int:
        return sum(compiled(text).program_size for text in self.targets.get(target, ({}, []))[1])


NAMES = ["a", "A", "ab", "AB", "Straße", "STRASSE", "ſ", "s", "\u212a", "k", "İ", "i̇", "I", ".", "$Eſ.a"]
TEXTS = [
    "a",
    "^A",
    "a.*",
    ".",
    ".*B$",
    "[ab]+$",
    "stra(ß|ss)e",
    "s",
    "k",
    "i",
    "İ",
    r"\S",
    "",
    r"(?-i:A)",
    "^$",
    r"\$ES",
    r"^\$es\.|A",
]
SUBJECTS = [*NAMES, "aab", "Aß", "strasse.1", "x", "STRAẞE", "$ES.A", "$es.TEST.a"]
TARGETS = ["one", "two", "three", "four"]
names, texts = st.sampled_from(NAMES), st.sampled_from(TEXTS)
subjects, targets = st.sampled_from(SUBJECTS), st.sampled_from(TARGETS)


class Routing(RuleBasedStateMachine):
    """Any sequence of changes and matches; the bounds are small, so that all of them are met."""

    @initialize(
        cache_size=st.sampled_from([0, 4, 1000]),
        set_patterns=st.integers(1, 8),
        max_mem=st.sampled_from([100, 8 << 20]),
    )
    def start(self, cache_size: int, set_patterns: int, max_mem: int) -> None:
        sets = PatternSets(set_patterns=set_patterns, max_mem=max_mem)
        self.table: RoutingTable[str] = RoutingTable(cache_size, sets)
        self.naive = Naive()

    @rule(name=names, who=targets)
    def add_name(self, name: str, who: str) -> None:
        assert self.table.add_name(name, who) == self.naive.add_name(name, who)

    @rule(text=texts, who=targets)
    def add_pattern(self, text: str, who: str) -> None:
        assert self.table.add_pattern(compiled(text), who) == self.naive.add_pattern(text, who)

    @rule(text=names | texts, who=targets, kinds=st.tuples(st.booleans(), st.booleans()))
    def remove(self, text: str, who: str, kinds: tuple[bool, bool]) -> None:
        assert self.table.remove(text, who, *kinds) == self.naive.remove(text, who, *kinds)

    @rule(who=targets)
    def remove_target(self, who: str) -> None:
        self.table.remove_target(who)
        self.naive.targets.pop(who, None)

    @rule(subject=subjects)
    def match(self, subject: str) -> None:
        assert self.table.recall(subject) in (None, self.naive.match(subject))
        assert self.table.match(subject) == self.naive.match(subject)

    @rule(who=targets, some_names=st.lists(names, max_size=3), some_texts=st.lists(texts, max_size=3))
    def announce_and_add(self, who: str, some_names: list[str], some_texts: list[str]) -> None:
        patterns = [compiled(text) for text in some_texts]
        before = self.table.subscriptions(who)
        announced = self.table.would_add(who, some_names, patterns)
        assert self.table.subscriptions(who) == before
        for name in some_names:
            self.add_name(name, who)
        for text in some_texts:
            self.add_pattern(text, who)
        assert announced == (self.table.count(who), self.naive.program_size(who), self.table.memory(who))

    @invariant()
    def counts_agree(self) -> None:
        for target in TARGETS if hasattr(self, "table") else ():
            listed = self.naive.subscriptions(target)
            assert self.table.subscriptions(target) == listed
            assert self.table.count(target) == len(listed)
            memory = self.table.memory(target)
            assert bool(memory) == bool(listed)
            assert self.table.would_add(target) == (len(listed), self.naive.program_size(target), memory)

    def teardown(self) -> None:
        if not hasattr(self, "table"):
            return
        for subject in SUBJECTS:
            assert self.table.match(subject) == self.naive.match(subject)
        for target in TARGETS:
            self.table.remove_target(target)
        assert [self.table.match(subject) for subject in SUBJECTS] == [()] * len(SUBJECTS)
        assert [self.table.known_pattern(text) for text in TEXTS] == [None] * len(TEXTS)
        assert [self.table.would_add(target) for target in TARGETS] == [(0, 0, 0)] * len(TARGETS)


TestRouting = Routing.TestCase
TestRouting.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)

# Where Python's `re` and RE2 agree about case: not the dotted and dotless i.
LETTERS = "aAbBsSkKß\u212aſ.-1"
PIECES = st.sampled_from(
    ["a", "B", "s", "K", "1", r"\.", "-", ".", "[ab]", "[^a]", "(a|k)", "ß", r"\S", r"\d"]
)
REGEXES = st.lists(st.tuples(PIECES, st.sampled_from(["", "", "?", "*", "+"])).map("".join), max_size=5).map(
    "".join
)


@given(
    st.lists(
        st.tuples(st.text(LETTERS, min_size=1, max_size=3) | REGEXES, st.booleans(), targets), max_size=20
    ),
    st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=8),
    st.sampled_from([0, 2, 1000]),
)
@settings(deadline=None)
def test_routing_is_what_a_dict_and_re_would_do(
    subscriptions: list[tuple[str, bool, str]], published: list[str], cache_size: int
) -> None:
    table: RoutingTable[str] = RoutingTable(cache_size, PatternSets(set_patterns=3))
    accepted = []
    for text, by_name, target in subscriptions:
        if by_name:
            table.add_name(text, target)
            accepted.append((text, True, target))
        elif is_regex(text):
            table.add_pattern(compile_pattern(text), target)
            accepted.append((text, False, target))
        for subject in published:
            expected: dict[str, None] = {}
            order = dict.fromkeys(target for _, _, target in accepted)
            for text_, named, target_ in accepted:
                if fold(subject) == fold(text_) if named else re.match(text_, subject, re.IGNORECASE):
                    expected[target_] = None
            assert table.match(subject) == tuple(one for one in order if one in expected)


def is_regex(text: str) -> bool:
    try:
        re.compile(text)
        compile_pattern(text)
    except (re.error, ValueError):
        return False
    return "++" not in text and "*+" not in text and "?+" not in text  # possessive to Python 3.11


@pytest.fixture(params=[0, 10_000], ids=["uncached", "cached"])
def table(request: pytest.FixtureRequest) -> Iterator[RoutingTable[str]]:
    yield RoutingTable(cache_size=request.param)


def test_nobody(table: RoutingTable[str]) -> None:
    assert table.match("a") == ()
    assert table.match("a") is table.match("b")


def test_names_are_case_insensitive_and_patterns_too(table: RoutingTable[str]) -> None:
    table.add_name("STOCKQUOTE.SUN", "by name")
    table.add_pattern(compile_pattern(r"^stockquote\.s.*$"), "by pattern")
    assert table.match("StockQuote.Sun") == ("by name", "by pattern")
    assert table.match("STOCKQUOTE.SAP") == ("by pattern",)
    assert table.match("NYSE.STOCKQUOTE.SUN") == ()


def test_a_target_that_matches_several_ways_comes_once(table: RoutingTable[str]) -> None:
    table.add_pattern(compile_pattern("a"), "x")
    table.add_pattern(compile_pattern("a.*"), "x")
    table.add_name("AB", "x")
    assert table.match("ab") == ("x",)


def test_targets_come_in_the_order_of_their_first_subscription(table: RoutingTable[str]) -> None:
    table.add_name("else", "first")
    table.add_pattern(compile_pattern("a"), "second")
    table.add_name("a", "third")
    table.add_name("a", "first")
    assert table.match("a") == ("first", "second", "third")
    table.remove_target("first")
    table.add_name("a", "first")
    assert table.match("a") == ("second", "third", "first")


def test_two_patterns_are_the_same_when_they_are_spelled_the_same(table: RoutingTable[str]) -> None:
    assert table.add_pattern(compile_pattern("^A"), "x")
    assert table.add_pattern(compile_pattern("^a"), "x")
    assert not table.add_pattern(compile_pattern("^A"), "x")
    assert table.subscriptions("x") == ["^A", "^a"]
    assert table.remove("^A", "x")
    assert table.match("a") == ("x",)
    assert table.remove("^a", "x")
    assert table.match("a") == ()


def test_a_text_that_is_a_name_and_a_pattern_is_removed_as_both(table: RoutingTable[str]) -> None:
    table.add_name("Sun", "x")
    table.add_pattern(compile_pattern("Sun"), "x")
    table.add_pattern(compile_pattern("SUN"), "x")
    assert table.subscriptions("x") == ["Sun", "Sun", "SUN"]
    assert table.remove("Sun", "x")
    assert table.subscriptions("x") == ["SUN"]
    assert not table.remove("Sun", "x")


def test_removing_what_is_not_there_changes_nothing(table: RoutingTable[str]) -> None:
    table.add_name("a", "x")
    assert not table.remove("b", "x")
    assert not table.remove("a", "y")
    table.remove_target("y")
    assert table.match("a") == ("x",)


def test_a_target_that_is_removed_takes_its_patterns_along(table: RoutingTable[str]) -> None:
    for target in ("x", "y"):
        table.add_pattern(compile_pattern("^a"), target)
    table.add_pattern(compile_pattern("^b"), "x")
    table.remove_target("x")
    assert (table.match("a"), table.match("b")) == (("y",), ())


def test_a_pattern_is_shared_by_its_targets(table: RoutingTable[str]) -> None:
    first = compile_pattern("a")
    table.add_pattern(first, "x")
    table.add_pattern(compile_pattern("a"), "y")
    assert table.known_pattern("a") is first
    assert table.match("a") == ("x", "y")
    table.remove("a", "x")
    assert table.match("a") == ("y",)
    table.remove("a", "y")
    assert table.known_pattern("a") is None
    assert table.match("a") == ()


def test_results_given_out_do_not_change(table: RoutingTable[str]) -> None:
    table.add_name("a", "x")
    before = table.match("a")
    table.add_name("A", "y")
    assert before == ("x",)
    assert table.match("a") == ("x", "y")


def test_what_was_asked_for_lately_is_recalled_until_it_changes() -> None:
    table: RoutingTable[str] = RoutingTable()
    table.add_name("a", "x")
    assert table.recall("a") is None
    assert table.match("a") == ("x",) == table.recall("a")
    table.add_name("A", "y")
    assert table.recall("a") is None


def test_what_was_not_asked_for_lately_is_still_remembered() -> None:
    table: RoutingTable[str] = RoutingTable(cache_size=4)
    table.add_name("a", "x")
    first = table.match("a")
    for other in ("b", "c"):  # half of what is remembered, and one more
        table.match(other)
    assert first == ("x",)
    assert table.match("a") is first


def test_more_subjects_than_are_remembered_are_found_by_few_targets_and_by_many() -> None:
    table: RoutingTable[str] = RoutingTable(cache_size=10)
    listeners = [f"listener {number}" for number in range(20)]
    for number, listener in enumerate(listeners):
        for subject in range(number, 20):
            table.add_name(f"S.{subject}", listener)
    for _ in range(3):
        for subject in range(20):
            assert table.match(f"s.{subject}") == tuple(listeners[: subject + 1])
            assert table.match(f"unknown.{subject}") == ()
    table.remove_target(listeners[0])
    assert [table.match(f"s.{subject}") for subject in (0, 1)] == [(), (listeners[1],)]


def test_adding_patterns_one_by_one_holds_up_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is compiling a large set: once in a call at most, a bounded one, and seldom."""
    work = watched(monkeypatch)
    table: RoutingTable[int] = RoutingTable()
    most = 3_000
    for number in range(most):
        compiled_before = len(work.compiled)
        table.add_pattern(compile_pattern(rf"^STOCKQUOTE\.S{number}(\.|$)"), number)
        assert len(work.compiled) == compiled_before
        assert table.match(f"stockquote.s{number}") == (number,)
        assert len(work.compiled) == compiled_before + 1
    assert max(work.sizes) <= SET_PATTERNS
    assert max(steps for _, steps in work.compiled) <= SET_PROGRAM
    assert sum(work.sizes) <= 11 * most  # each ten times again at most
    assert work.sizes.count(SET_PATTERNS) <= most // SET_PATTERNS
    assert work.asked_by(table.match) < 15


def test_a_restriction_is_asked_once_for_a_subject_until_it_is_set_again() -> None:
    table: RoutingTable[str] = RoutingTable()
    for target in ("one", "other"):
        table.add_name("X", target)
    assert table.match("x") == ("one", "other")
    asked: list[str] = []

    def one_alone(subject: str, targets: tuple[str, ...]) -> tuple[str, ...]:
        asked.append(subject)
        return tuple(target for target in targets if target == "one")

    table.restrict(one_alone)
    assert table.match("x") == table.match("x") == table.match("X") == ("one",)
    assert asked == ["x", "X"]
    table.restrict(lambda subject, targets: targets)
    assert table.match("x") == ("one", "other")


def test_each_change_is_told_with_the_name_that_it_concerns() -> None:
    table: RoutingTable[str] = RoutingTable()
    told: list[tuple[str | None, int]] = []
    table.notify(lambda folded: told.append((folded, len(table.match("Straße")))))
    assert table.add_name("STRAßE", "x") and not table.add_name("straße", "x")
    assert table.add_pattern(compile_pattern("S"), "y") and not table.add_pattern(compile_pattern("S"), "y")
    assert not table.remove("nothing", "x") and table.remove("straße", "x") and table.remove("S", "y")
    # After each change, and never for what changes nothing.
    assert told == [("straße", 1), (None, 2), ("straße", 1), (None, 0)]
    table.add_name("A", "x")
    table.add_pattern(compile_pattern(".*"), "x")
    told.clear()
    table.remove_target("x")
    assert told == [("a", 1), (None, 0)]
    table.notify(None)
    table.add_name("A", "x")
    assert len(told) == 2


def test_exactly_leaves_out_who_matches_only_by_patterns_that_were_found_to_match_everything() -> None:
    table: RoutingTable[str] = RoutingTable()
    for text, target in ((".*", "all"), (".*", "both"), ("A", "both"), (r"^\$ES.*", "service")):
        table.add_pattern(table.known_pattern(text) or compile_pattern(text), target)
    table.add_name("A", "name")
    assert sorted(pattern.text for pattern in table.matching("a")) == [".*", "A"]
    assert [pattern.text for pattern in table.matching("$ES.X")] == [r"^\$ES.*"]
    assert set(table.match_exactly("a")) == {"all", "both", "name"}  # nobody has looked at the patterns yet
    for pattern in table.matching("a"):
        pattern.everything = pattern.text == ".*"
    assert table.match_exactly("a") == ("both", "name")
    assert table.match_exactly("$es.x") == ("service",)
    assert set(table.match("a")) == {"all", "both", "name"}
