"""Which patterns count as those that match everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.interest.everything import SAMPLES, matches_everything
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.subjects import check_subject
from pyro_events.constants import MAX_SUBJECT

EVERYTHING = [
    "", ".*", "^.*$", ".", "^", "^.", ".+", "(?s).*", r"\S|\s", r"[\w\W]", "(a|.)", "x*",
    "(STOCK)?", r"^[^\n]", "(?-i:.)", "$|.",
]  # fmt: skip
NOT_EVERYTHING = [
    "^$", "$", "..", r"\S", r"\w", r".*\d", ".{1,40}$", ".{2,}", "(..)*$", "[^x]", "[^ ]", "STOCK.*",
    ".*[.]", "é?$", r"[\x20-\x7e]", r"\b", "(?-i:[^A])", "[^é]", "[ -~]*$", "(.{5})*$",
]  # fmt: skip


@pytest.mark.parametrize("text", EVERYTHING)
def test_a_pattern_that_matches_every_subject_is_found(text: str) -> None:
    assert matches_everything(compile_pattern(text))


@pytest.mark.parametrize("text", NOT_EVERYTHING)
def test_a_pattern_that_chooses_is_not_taken_for_one(text: str) -> None:
    assert not matches_everything(compile_pattern(text))


def test_the_samples_are_subjects_of_every_length() -> None:
    assert [check_subject(sample) for sample in SAMPLES] == list(SAMPLES)
    assert {len(sample) for sample in SAMPLES} == set(range(1, MAX_SUBJECT + 1))
    assert set(map(chr, range(0x20, 0x7F))) <= set(SAMPLES)


def test_the_judgement_is_remembered_with_the_pattern() -> None:
    pattern = compile_pattern(".*")
    before = pattern.everything
    assert matches_everything(pattern)
    assert (before, pattern.everything) == (None, True)
    pattern.everything = False  # as it would be after another judgement
    assert not matches_everything(pattern)


SUBJECTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=MAX_SUBJECT)


@given(st.sampled_from(EVERYTHING), SUBJECTS)
def test_what_counts_as_matching_everything_matches_any_subject(text: str, subject: str) -> None:
    assert compile_pattern(text).matches(subject)


@given(st.sampled_from(["a", ".", "^", "$", "x*", "(a|.)", "[^b]", r"\w", ".*", "b?"]), st.data())
def test_a_pattern_that_does_not_match_a_sample_does_not_count(first: str, data: st.DataObject) -> None:
    second = data.draw(st.sampled_from(["", "a", ".", "$", ".*$", "[^a]*", "..?"]))
    pattern = compile_pattern(first + second)
    assert matches_everything(pattern) == all(pattern.matches(sample) for sample in SAMPLES)
