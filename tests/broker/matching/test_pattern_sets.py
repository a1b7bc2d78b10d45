"""Matching many patterns: the same answer as matching them one by one, at any moment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_work import PatternWork, watched

from pyro_events.broker.matching import pattern_sets
from pyro_events.broker.matching.pattern_sets import PatternSets
from pyro_events.broker.matching.patterns import Pattern, compile_pattern
from pyro_events.broker.matching.regexps import Matcher

# Letters whose upper and lower case are special, and some that are not.
LETTERS = "abkKsSiIßẞſ\u212aİıεΣς."


def quoted(letter: str) -> str:
    return "\\" + letter if letter == "." else letter


PATTERNS = st.recursive(
    st.sampled_from(LETTERS).map(quoted)
    | st.sampled_from(
        [".", "[ab]", "[^a]", r"\w", r"\S", r"\D", "", "[a-z]", r"\w*Σ", "(?-i:a)", "^", "$", r"\b"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from("?*+")).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
).filter(lambda text: len(text) < 200)
SUBJECTS = st.text(LETTERS, min_size=1, max_size=8)


def filled(texts: Sequence[str], **bounds: int) -> PatternSets:
    sets = PatternSets(**bounds)
    for text in texts:
        sets.add(compile_pattern(text))
    return sets


def expected(texts: Sequence[str], subject: str) -> list[str]:
    return sorted(text for text in texts if compile_pattern(text).matches(subject))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> PatternWork:
    return watched(monkeypatch)


@given(
    st.lists(PATTERNS, max_size=12, unique=True),
    st.lists(SUBJECTS, min_size=1, max_size=5),
    st.integers(1, 6),
    st.sampled_from([60, 40_000]),
    st.sampled_from([100, 20_000, 8 << 20]),
)
@settings(deadline=None)
def test_sets_answer_what_single_patterns_answer(
    texts: list[str], subjects: list[str], size: int, program: int, memory: int
) -> None:
    sets = filled(texts, set_patterns=size, set_program=program, max_mem=memory)
    for subject in subjects:
        assert sorted(sets.match(subject)) == expected(texts, subject)


def test_no_pattern_matches_nothing(work: PatternWork) -> None:
    sets = PatternSets()
    assert sets.match("a") == []
    assert len(sets) == 0
    assert work.sizes == []


def test_a_pattern_is_found_by_its_text() -> None:
    sets = filled(["a"])
    assert sets.get("a") is not None
    assert sets.get("A") is None
    sets.remove("a")
    assert sets.get("a") is None


def test_sets_double_until_they_are_full(work: PatternWork) -> None:
    sets = PatternSets(set_patterns=8)
    for number in range(64):
        sets.add(compile_pattern(f"x{number}$"))
        assert sets.match(f"X{number}") == [f"x{number}$"]
        assert work.asked_by(sets.match) <= number // 8 + 4
    assert work.asked_by(sets.match) == 8
    assert max(work.sizes) == 8
    assert len(sets) == 64


def test_patterns_that_come_together_are_compiled_together(work: PatternWork) -> None:
    sets = filled([f"x{number}$" for number in range(100)], set_patterns=40)
    assert work.sizes == [40, 40]  # so that what waits for the next match is bounded
    assert sets.match("x99") == ["x99$"]
    assert work.sizes == [40, 40, 20]


def test_a_set_is_bounded_by_the_size_of_its_program(work: PatternWork) -> None:
    one = compile_pattern("x0$").program_size
    sets = PatternSets(set_program=10 * one)
    for number in range(10, 60):
        sets.add(compile_pattern(f"x{number}$"))
        assert sets.match(f"x{number}") == [f"x{number}$"]
    assert 5 <= work.asked_by(sets.match) <= 13
    assert max(steps for _, steps in work.compiled) <= 10 * one


def test_only_what_still_waits_counts_towards_the_bound_of_what_waits(work: PatternWork) -> None:
    one = compile_pattern("x10$")
    sets = PatternSets(set_program=10 * one.program_size)
    for _ in range(30):
        sets.add(one)
        sets.remove(one.text)
    for number in range(10, 19):
        sets.add(compile_pattern(f"x{number}$"))
    assert work.sizes == []
    sets.match("x")
    sets.add(compile_pattern("x20$"))
    sets.add(compile_pattern("x21$"))
    assert work.sizes == [9]
    assert sets.match("x21") == ["x21$"]


@pytest.mark.parametrize("each", [False, True])
def test_removed_patterns_do_not_match_and_come_back(each: bool, work: PatternWork) -> None:
    texts = [f"x{number}$" for number in range(20)]
    sets = filled(texts)
    sets.match("x")
    for number in range(0, 12, 2):
        sets.remove(texts[number])
        if each:
            assert sets.match(f"x{number}") == []
    assert sets.match("x0") == []
    assert sets.match("x1") == ["x1$"]
    sets.add(compile_pattern("x0$"))
    assert sets.match("x0") == ["x0$"]
    assert work.sizes == [20]
    assert len(sets) == 15


def test_a_pattern_removed_before_it_was_in_a_set() -> None:
    sets = filled(["a", "b"])
    sets.remove("a")
    assert sets.match("a") == []
    assert sets.match("b") == ["b"]


def test_a_set_of_which_more_than_a_third_is_dead_is_built_again(work: PatternWork) -> None:
    texts = [f"x{number}$" for number in range(10)]
    sets = filled(texts)
    sets.match("x")
    for text in texts[:3]:
        sets.remove(text)
    sets.match("x")
    assert work.sizes == [10]
    sets.remove(texts[3])
    for _ in range(2):
        assert sets.match("x9") == ["x9$"]
        assert work.sizes == [10, 6]
    assert sets.match("x3") == []
    sets.add(compile_pattern("x3$"))
    assert sets.match("x3") == ["x3$"]


def test_a_few_large_patterns_that_are_dead_count_as_much_as_many(work: PatternWork) -> None:
    sets = filled(["x" * 200 + "1", "x" * 200 + "2", *[f"x{number}$" for number in range(10)]])
    sets.match("x")
    sets.remove("x" * 200 + "1")
    assert sets.match("x9") == ["x9$"]
    assert work.sizes == [12, 11]


def test_a_worn_set_that_fills_again_stays(work: PatternWork) -> None:
    texts = [f"x{number}$" for number in range(10)]
    sets = filled(texts)
    sets.match("x")
    for text in texts[:7]:
        sets.remove(text)
    for text in texts[:7]:
        sets.add(compile_pattern(text))
    assert sets.match("x0") == ["x0$"]
    assert work.sizes == [10]


def test_a_set_without_a_living_pattern_is_dropped_at_once(work: PatternWork) -> None:
    sets = filled(["a", "b"])
    sets.match("x")
    sets.remove("a")
    sets.remove("b")
    assert work.asked_by(sets.match) == 0
    assert work.sizes == [2]
    assert sets.match("a") == []


def test_a_set_that_does_not_compile_is_split(work: PatternWork) -> None:
    texts = [f"lab{number}\\.sensor\\.[a-z]+" for number in range(100)]
    wide, narrow = filled(texts), filled(texts, max_mem=30_000)
    for subject in "lab7.sensor.x", "LAB99.sensor.y", "lab":
        assert sorted(narrow.match(subject)) == sorted(wide.match(subject))
    assert work.asked_by(wide.match) == 1
    assert 2 <= work.asked_by(narrow.match) < 100


def test_a_single_pattern_that_does_not_compile_as_a_set_is_matched_by_itself() -> None:
    sets = filled(["a.*b$", "a"], max_mem=100)
    assert sorted(sets.match("Axxb")) == ["a", "a.*b$"]
    assert sets.match("b") == []
    sets.remove("a")
    assert sets.match("ab") == ["a.*b$"]


class Forgetful:
    """A set that runs out of memory on some subjects, and then answers as RE2 does."""

    def __init__(self, matcher: Matcher, answer: list[int] | None) -> None:
        self._matcher = matcher
        self._answer = answer

    def Match(self, text: bytes) -> list[int] | None:
        return self._answer if text.startswith(b"hard") else self._matcher.Match(text)


@pytest.mark.parametrize("answer", [None, [], [1]])
@pytest.mark.parametrize("spelled", [[], ["(?-i:hard)", "(?-i:Hard)"]])
def test_no_match_is_lost_when_a_set_runs_out_of_memory(
    answer: list[int] | None, spelled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pattern_sets._compile

    def forgetful(members: Sequence[Pattern], max_mem: int) -> Matcher:
        return Forgetful(real(members, max_mem), answer)

    monkeypatch.setattr(pattern_sets, "_compile", forgetful)
    sets = filled(["hard", "ha", "easy", "hard.2", "h", *spelled])
    sets.match("x")
    sets.remove("ha")
    for _ in range(2):
        assert sorted(sets.match("hard 2")) == [*spelled[:1], "h", "hard", "hard.2"]
        assert sorted(sets.match("Hard 2")) == [*spelled[1:], "h", "hard", "hard.2"]
    assert sets.match("easy") == ["easy"]


def test_what_the_canary_is_for() -> None:
    """An RE2 set says "nothing matched" as None; a set with the canary never has a reason to."""
    with_canary = pattern_sets._compile([compile_pattern("a")], 8 << 20)
    assert with_canary.Match(b"zzz") == [0]
    assert sorted(with_canary.Match(b"a") or []) == [0, 1]
    plain = re2.Set.MatchSet()
    plain.Add("a")
    plain.Compile()
    assert plain.Match(b"zzz") is None
