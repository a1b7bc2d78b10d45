"""Character sets as RE2 sees them, beside what `re` says of each character."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.syntax.character_sets import NEVER, Case, CharacterSet, literal, transcribe

CHARACTERS = "abkKsSzZ019 _.-~ßſ\u212aµμéÉΣςσٳ٣²½Ⅷ\u00a0\u2003€→\u0301\U0001f600\ue000"
characters = st.sampled_from(CHARACTERS)
categories = st.sampled_from("wWdDsS")


def matches(expression: str, subject: str, spelled: bool = False) -> bool:
    return bool(re2.fullmatch(expression, transcribe(subject, spelled)))


@given(characters, categories)
def test_categories_are_those_of_re(character: str, letter: str) -> None:
    found = CharacterSet()
    found.add_category(letter)
    assert matches(found.expression(), character) == bool(re.fullmatch(f"\\{letter}", character))


@given(characters, characters, characters, st.booleans(), categories)
def test_ranges_and_their_opposites_are_those_of_re(
    one: str, other: str, character: str, negated: bool, letter: str
) -> None:
    low, high = sorted((one, other))
    for added in ("", f"\\{letter}"):
        wanted = f"[{'^' * negated}{re.escape(low)}-{re.escape(high)}{added}]"
        for case, flags, spelled in (
            (Case.FOLDED, re.IGNORECASE, False),
            (Case.IGNORED, re.IGNORECASE, True),
            (Case.EXACT, 0, True),
        ):
            found = CharacterSet()
            found.add_range(ord(low), ord(high))
            if added:
                found.add_category(letter)
            expression = found.expression(case, negated)
            assert matches(expression, character, spelled) == bool(re.fullmatch(wanted, character, flags)), (
                wanted,
                case,
            )


@given(characters, characters)
def test_a_literal_matches_itself_in_every_case_and_nothing_else(one: str, other: str) -> None:
    wanted = bool(re.fullmatch(re.escape(one), other, re.IGNORECASE))
    assert matches(literal(ord(one)), other) == wanted
    assert matches(literal(ord(one), Case.EXACT), other, spelled=True) == (one == other)


@pytest.mark.parametrize("code", [0, 0x1F, 0x7F, 0x85, 0xD800, 0xDFFF])
def test_what_no_subject_contains_matches_nothing(code: int) -> None:
    assert literal(code) == NEVER
    assert CharacterSet().expression() == NEVER
    assert not any(matches(NEVER, character) for character in CHARACTERS)


@given(st.text(CHARACTERS, max_size=4), st.text(CHARACTERS, max_size=4))
def test_subjects_that_differ_in_more_than_case_stay_different(one: str, other: str) -> None:
    same = bool(re.fullmatch(re.escape(one), other, re.IGNORECASE))
    assert (transcribe(one) == transcribe(other)) == same
    assert (transcribe(one, spelled=True) == transcribe(other, spelled=True)) == (one == other)


def test_a_large_range_costs_more_to_read_than_a_small_one() -> None:
    small, large = CharacterSet(), CharacterSet()
    small.add_range(0xE9, 0xEA)
    large.add_range(0x80, 0x10FFFF)
    small.expression()
    large.expression()
    assert 0 < small.cost < large.cost
