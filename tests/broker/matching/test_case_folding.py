"""Case folding, compared with RE2's and with that of Python's `re`, for every character there is."""

from __future__ import annotations

import functools
import re
import unicodedata

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching import case_folding
from pyro_events.broker.matching.case_folding import cased_characters, fold, fold_character


@functools.cache  # and not on import, because every process of pytest-xdist imports all tests
def everything() -> list[str]:
    """All characters."""
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


@functools.cache
def cased() -> list[str]:
    """What any way of changing the case changes."""
    return [each for each in everything() if {each.lower(), each.upper(), each.casefold()} != {each}]


def spellings(character: str) -> set[str]:
    """All characters with the fold of this one."""
    folded = fold_character(character)
    return {chr(code) for code in cased_characters().spellings.get(ord(folded), [ord(folded)])}


def test_every_character_that_folding_changes_is_known() -> None:
    changed = {ord(each): ord(fold_character(each)) for each in everything() if fold_character(each) != each}
    known = cased_characters()
    assert known.folds == changed
    assert known.codes == sorted(changed)
    assert known.folded == sorted(set(changed.values()))
    assert {code for codes in known.spellings.values() for code in codes} == {*changed, *changed.values()}


def test_folding_twice_changes_nothing_more() -> None:
    assert [each for each in cased() if fold(fold(each)) != fold(each)] == []


def test_one_character_stays_one_character() -> None:
    assert [each for each in cased() if len(fold(each)) != 1] == []


def test_case_folds_as_re2_folds_it() -> None:
    options = re2.Options()
    options.case_sensitive = False
    text = "".join(cased())
    for character in cased():
        found = set(re2.findall(re2.escape(character), text, options))
        # RE2's Unicode may be newer than Python's, and know letters that Python does not know yet.
        known = {each for each in found if unicodedata.category(each) != "Cn"}
        assert known == spellings(character), character


def test_case_folds_as_in_re_but_for_the_two_letters_that_are_documented() -> None:
    text = "".join(cased())
    differ = {
        character
        for character in cased()
        if set(re.findall(re.escape(character), text, re.IGNORECASE)) != spellings(character)
    }
    assert differ == {"i", "I", "İ", "ı"}


@given(st.text())
def test_a_text_folds_character_by_character(text: str) -> None:
    assert fold(text) == "".join(map(fold_character, text))


def test_the_characters_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_folding, "_REMEMBERED", 3)
    table = case_folding.RememberedCharacters()
    assert "ÄÖÜÉÈ".translate(table) == "äöüéè"
    assert "ÄÖÜÉÈ".translate(table) == "äöüéè"
    assert len(table) == 3
