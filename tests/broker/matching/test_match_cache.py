"""The memory of the routing table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.match_cache import MatchCache


def remember(cache: MatchCache[int], subject: str, *targets: int) -> None:
    cache.remember(subject, subject.casefold(), targets)


def find(cache: MatchCache[int], subject: str) -> tuple[int, ...] | None:
    found = cache.recent.get(subject)
    return cache.recall(subject, subject.casefold()) if found is None else found


def test_what_was_put_in_is_found_as_it_was_spelled() -> None:
    cache: MatchCache[int] = MatchCache(10)
    remember(cache, "a", 1, 2)
    remember(cache, "A", 3)
    assert find(cache, "a") == (1, 2)
    assert find(cache, "A") == (3,)
    assert find(cache, "b") is None
    assert len(cache) == 2


@pytest.mark.parametrize("size", [0, 1])
def test_without_space_nothing_is_remembered(size: int) -> None:
    cache: MatchCache[int] = MatchCache(size)
    remember(cache, "a", 1)
    assert find(cache, "a") is None
    assert len(cache) == 0


def test_a_name_is_forgotten_in_all_spellings_and_alone() -> None:
    cache: MatchCache[int] = MatchCache(20)
    for subject in "a", "A", "straße", "STRASSE", "b":
        remember(cache, subject, 1)
    cache.invalidate("a")
    cache.invalidate("strasse")
    cache.invalidate("unheard of")
    assert [subject for subject in ("a", "A", "straße", "STRASSE", "b") if find(cache, subject)] == ["b"]


def test_a_name_is_forgotten_in_the_older_generation_too() -> None:
    cache: MatchCache[int] = MatchCache(4)
    remember(cache, "A", 1)
    remember(cache, "b", 2)
    remember(cache, "c", 3)  # now A and b are of the older generation
    cache.invalidate("a")
    assert find(cache, "A") is None
    assert find(cache, "b") == (2,)


def test_a_flood_of_new_subjects_does_not_push_out_those_in_use() -> None:
    cache: MatchCache[int] = MatchCache(10)
    remember(cache, "in use", 1)
    remember(cache, "not in use", 2)
    for number in range(100):
        remember(cache, str(number), number)
        assert find(cache, "in use") == (1,)
        assert len(cache) <= 10
    assert find(cache, "not in use") is None


def test_the_targets_are_bounded_too() -> None:
    cache: MatchCache[int] = MatchCache(1000, targets=20)
    for number in range(100):
        remember(cache, str(number), 1, 2, 3)
        assert len(cache) <= 6
    remember(cache, "large", *range(50))
    assert find(cache, "large") == tuple(range(50))


def test_clear_forgets_everything() -> None:
    cache: MatchCache[int] = MatchCache(4)
    for subject in "abc":
        remember(cache, subject, 1)
    cache.clear()
    assert [find(cache, subject) for subject in "abc"] == [None, None, None]


@given(st.integers(0, 9), st.lists(st.tuples(st.sampled_from("aAbBcCdD"), st.integers(-3, 5)), max_size=60))
def test_what_is_found_is_what_was_put_in_last(size: int, steps: list[tuple[str, int]]) -> None:
    cache: MatchCache[int] = MatchCache(size, targets=12)
    model: dict[str, tuple[int, ...]] = {}
    for subject, count in steps:
        if count < 0:
            cache.invalidate(subject.casefold())
            model.pop(subject.lower(), None)
            model.pop(subject.upper(), None)
            continue
        found = find(cache, subject)
        if found is None:
            model[subject] = tuple(range(count))
            remember(cache, subject, *range(count))
        else:
            assert found == model[subject]
        assert len(cache) <= max(size, 0)


def test_who_wants_to_know_is_told_when_results_have_to_be_found_anew() -> None:
    cache: MatchCache[int] = MatchCache(4)
    remember(cache, "A", 1)
    cache.invalidate("a")
    told: list[str | None] = []
    cache.changed = told.append
    cache.invalidate("b")  # not remembered, but it may have targets now
    cache.clear()
    remember(cache, "A", 1)
    assert told == ["b", None]
    cache.changed = None
    cache.clear()
    assert told == ["b", None]


def test_of_cheap_results_only_some_are_remembered_when_there_is_no_room() -> None:
    cache: MatchCache[int] = MatchCache(10)
    for number in range(50):
        cache.remember(str(number), str(number), (number,), cheap=True)
    assert list(cache.recent) == ["45", "46", "47", "48", "49"]
    assert len(cache) == 10 and find(cache, "4") == (4,)


def test_a_result_that_is_not_cheap_is_remembered_among_cheap_ones() -> None:
    cache: MatchCache[int] = MatchCache(10)
    for number in range(20):
        cache.remember(str(number), str(number), (number,), cheap=True)
    remember(cache, "dear", 1)
    assert find(cache, "dear") == (1,)
