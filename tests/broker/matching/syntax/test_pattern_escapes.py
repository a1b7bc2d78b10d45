"""Escapes that stand for one character: as `re` reads them, or refused with the place and the reason."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.syntax.pattern_escapes import PatternSyntaxError, PatternText


def read(escape: str) -> tuple[str, int]:
    """The character that an escape stands for, and where reading goes on."""
    text = PatternText(escape)
    return chr(text._escaped_code(text._escaped_letter())), text._at


@pytest.mark.parametrize(
    "escape",
    [r"\x41", r"\u00e9", r"\U0001f600", r"\N{EURO SIGN}", r"\0", r"\07", r"\012", r"\n", r"\t", r"\."],
)
def test_an_escape_is_the_character_that_re_takes_it_for(escape: str) -> None:
    character, end = read(escape + "rest")
    assert end == len(escape)
    assert re.fullmatch(escape, character)


@given(st.characters(exclude_categories=["L", "N", "Cs"]))
def test_other_characters_than_letters_and_digits_stand_for_themselves(character: str) -> None:
    assert read("\\" + character) == (character, 2)


@pytest.mark.parametrize(
    ("escape", "reason"),
    [
        (r"\x4", r"incomplete escape \x4"),
        (r"\u12g4", r"incomplete escape \u12"),
        (r"\U00110000", r"bad escape \U00110000"),
        (r"\N", "missing the name"),
        (r"\N{EURO", "missing the name"),
        (r"\N{NO SUCH SIGN}", "undefined character name"),
        (r"\p{L}", "Unicode classes"),
        (r"\Q", "re.escape"),
        (r"\y", r"bad escape \y"),
        ("\\", "end of pattern"),
    ],
)
def test_what_re_does_not_know_is_refused_where_it_stands(escape: str, reason: str) -> None:
    with pytest.raises(PatternSyntaxError) as caught:
        read(escape)
    assert reason in str(caught.value)
    assert str(caught.value).endswith("(at position 0)")


def test_an_octal_escape_of_three_digits_is_none_of_a_group() -> None:
    text = PatternText(r"\101")
    assert (text._octal_or_reference(), text._at) == (ord("A"), 4)
    for pattern, reason in ((r"\1", "back-references"), (r"\18", "back-references"), (r"\777", "0-0o377")):
        with pytest.raises(PatternSyntaxError, match=reason):
            PatternText(pattern)._octal_or_reference()


def test_a_token_is_a_character_or_an_escape() -> None:
    text = PatternText(r"a\)b")
    assert [text._next_token() for _ in range(3)] == ["a", r"\)", "b"]
