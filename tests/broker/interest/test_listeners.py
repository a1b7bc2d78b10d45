"""How many listeners subjects have: against a model, and while subscriptions change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.interest.listeners import count_listeners, finished
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.matching.subjects import fold

EVERYTHING = (".*", "", "^.")
PATTERNS = (*EVERYTHING, "A", "^A.*", r".*\.B", "(?-i:a)")
SUBJECTS = ("A", "a", "A.B", "b", "X.b", "Ж")


def table(names: list[tuple[int, str]], patterns: list[tuple[int, str]]) -> RoutingTable[int]:
    routing: RoutingTable[int] = RoutingTable()
    for target, name in names:
        routing.add_name(name, target)
    for target, text in patterns:
        known = routing.known_pattern(text)
        routing.add_pattern(compile_pattern(text) if known is None else known, target)
    return routing


PAIRS_OF_NAMES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(SUBJECTS)), max_size=6)
PAIRS_OF_PATTERNS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(PATTERNS)), max_size=6)


@given(PAIRS_OF_NAMES, PAIRS_OF_PATTERNS, st.booleans())
def test_each_listener_counts_once_however_it_matches(
    names: list[tuple[int, str]], patterns: list[tuple[int, str]], exact: bool
) -> None:
    expected = {
        subject: len(
            {target for target, name in names if fold(name) == fold(subject)}
            | {
                target
                for target, text in patterns
                if compile_pattern(text).matches(subject) and not (exact and text in EVERYTHING)
            }
        )
        for subject in SUBJECTS
    }
    assert finished(count_listeners(table(names, patterns), SUBJECTS, exact)) == expected


def test_a_subject_given_twice_is_one_and_none_are_none() -> None:
    routing = table([(1, "A")], [])
    assert finished(count_listeners(routing, ["A", "A", "a"])) == {"A": 1, "a": 1}
    assert finished(count_listeners(routing, [])) == {}


def test_the_work_is_made_in_pieces_one_for_each_subject_and_each_pattern() -> None:
    routing = table([], [(1, ".*"), (2, "A")])
    assert len(list(count_listeners(routing, SUBJECTS))) == len(SUBJECTS)
    assert len(list(count_listeners(routing, SUBJECTS, exact=True))) == len(SUBJECTS) + 2  # judged once each


def test_a_subscription_that_comes_during_a_pause_is_judged_too() -> None:
    routing = table([], [(1, ".*")])
    pieces = count_listeners(routing, ["A"], exact=True)
    next(pieces)
    routing.add_pattern(compile_pattern("^.*$"), 2)
    routing.add_pattern(compile_pattern("A"), 3)
    assert finished(pieces) == {"A": 1}
