"""Which names match patterns: as matching each by itself says, whatever came and went before."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyro_events.broker.matching.patterns import Pattern, compile_pattern
from pyro_events.broker.retained import name_index
from pyro_events.broker.retained.name_index import NameIndex

NAMES = ["a", "A", "ab", "straße", "STRASSE", "x.1", "x.2", "X.1"]
PATTERNS = [compile_pattern(text) for text in ("a", ".*", r"x\.", "(?-i:x)", "nothing", "stra")]
some_patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3)


def expected(names: set[str], patterns: list[Pattern]) -> set[str]:
    return {name for name in names if any(pattern.matches(name) for pattern in patterns)}


class IndexMachine(RuleBasedStateMachine):
    """An index that soon writes its log anew and remembers little."""

    def __init__(self) -> None:
        super().__init__()
        self.index = NameIndex(remembered=40)
        self.names: set[str] = set()

    @rule(name=st.sampled_from(NAMES))
    def add(self, name: str) -> None:
        if name not in self.names:
            self.names.add(name)
            self.index.add(name)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        if name in self.names:
            self.names.remove(name)
            self.index.remove(name)

    @rule(patterns=some_patterns)
    def ask(self, patterns: list[Pattern]) -> None:
        assert self.index.matching(patterns) & self.names == expected(self.names, patterns)
        assert self.index.knows(patterns)

    @rule(patterns=some_patterns, name=st.sampled_from(NAMES), steps=st.integers(0, 2), comes=st.booleans())
    def ask_while_names_change(self, patterns: list[Pattern], name: str, steps: int, comes: bool) -> None:
        search = self.index.search(patterns)
        for _ in range(steps):
            next(search, None)
        if comes:
            self.add(name)
        else:
            self.remove(name)
        for _ in search:
            pass
        self.ask(patterns)

    @invariant()
    def the_log_is_bounded(self) -> None:
        assert len(self.index._log) <= 2 * len(self.names) + name_index._SPARE + 1


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_index, "_PIECE", 2)
    monkeypatch.setattr(name_index, "_SPARE", 2)


TestNameIndex = IndexMachine.TestCase


def test_what_was_found_is_not_looked_for_again() -> None:
    index = NameIndex()
    for name in NAMES:
        index.add(name)
    (pattern,) = PATTERNS[:1]
    assert not index.knows([pattern])
    assert sum(1 for _ in index.search([pattern])) == len(NAMES) / 2
    assert index.knows([pattern, pattern]) and list(index.search([pattern])) == []
    index.add("another")
    assert not index.knows([pattern]) and sum(1 for _ in index.search([pattern])) == 1
    assert index.matching([pattern]) == {"a", "A", "ab", "another"}


def test_a_name_that_comes_back_was_looked_at() -> None:
    index = NameIndex()
    index.add("a")
    assert index.matching(PATTERNS[:1]) == {"a"}
    index.remove("a")
    index.add("a")
    assert index.knows(PATTERNS[:1])


def test_a_log_that_is_written_anew_during_a_search_is_searched_from_the_beginning() -> None:
    index, everything = NameIndex(), [PATTERNS[1]]
    names = [f"name {number}" for number in range(20)]
    for name in names:
        index.add(name)
    search = index.search(everything)
    next(search)
    for name in names[:15]:
        index.remove(name)
    index.add("late")
    for _ in search:
        pass
    assert index.knows(everything)
    assert index.matching(everything) >= {*names[15:], "late"}


def test_what_was_asked_for_long_ago_is_forgotten() -> None:
    index = NameIndex(remembered=45)
    for name in NAMES:
        index.add(name)
    everything, single = [PATTERNS[1]], [PATTERNS[0]]
    index.matching(everything)
    index.matching(single)
    index.matching(everything)
    index.matching([PATTERNS[1], PATTERNS[2]])
    assert index.knows(everything) and not index.knows(single)


def test_patterns_that_match_nothing_are_forgotten_too() -> None:
    """Strangers may ask for others all the time."""
    asked = [[compile_pattern(f"nothing {number} {'x' * 200}")] for number in range(50)]
    index = NameIndex(remembered=500)
    index.add("a")
    for patterns in asked:
        assert index.matching(patterns) == set()
    known = sum(map(index.knows, asked))
    assert 10 < known < 30 and index.knows(asked[-1])
