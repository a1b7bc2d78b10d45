"""Patterns: what is allowed, what is refused, and what the refusal says."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.patterns import Pattern, compile_pattern


@pytest.mark.parametrize("subject", ["STOCKQUOTE.SUN", "stockquote.sap", "StockQuote.S"])
def test_the_pattern_of_the_manual_matches(subject: str) -> None:
    assert compile_pattern(r"^STOCKQUOTE\.S.*$").matches(subject)


@pytest.mark.parametrize("subject", ["STOCKQUOTE.IBM", "NYSE.STOCKQUOTE.SUN", "STOCKQUOTExSUN"])
def test_the_pattern_of_the_manual_does_not_match(subject: str) -> None:
    assert not compile_pattern(r"^STOCKQUOTE\.S.*$").matches(subject)


def test_a_pattern_matches_from_the_start_and_needs_no_caret() -> None:
    pattern = compile_pattern("SUN")
    assert pattern.matches("sunny")
    assert pattern.matches("sun")
    assert not pattern.matches("the sun")


def test_case_is_ignored_by_the_engine_and_never_by_folding_the_text() -> None:
    assert compile_pattern(r"\S\D\W").matches("AB-")
    assert not compile_pattern(r"\S").matches(" ")
    assert compile_pattern("k[s]").matches("\u212aſ")
    assert compile_pattern("größe").matches("GRÖSSE") is False  # ß is one letter
    assert compile_pattern("größe").matches("GRÖẞE")


def test_the_empty_pattern_matches_every_subject() -> None:
    assert compile_pattern("").matches("anything")


def test_a_pattern_knows_its_text_and_cost() -> None:
    pattern = compile_pattern("^A.$")
    assert pattern.text == "^A.$"
    assert 1 <= pattern.program_size < 50
    assert repr(pattern) == "<Pattern '^A.$'>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("STOCK(", "pattern 'STOCK(' is not accepted: missing ), unterminated subpattern (at position 5)"),
        (r"(a)\1", r"pattern '(a)\1' is not accepted: back-references are not supported"),
        ("a\x1b[(", r"pattern 'a\x1b[(' is not accepted: missing ], unterminated character set"),
        ("(?P<n>a)(?P<n>\x1b)", r"'(?P<n>a)(?P<n>\x1b)' is not accepted: redefinition"),
        ("\\\x1b\\i", "bad escape"),
        ("\ud800", r"pattern '\ud800' contains a lone surrogate: remove it"),
        ("a" * 256, "'... is 256 characters long; the limit is 255"),
        ("(?:(?:a{30}){30}){30}", "invalid repetition size"),
        ("(?:é{30}){30}", "is too costly"),
        ("(?:[^é]{25}){40}", "pattern too large - compile failed (use smaller repetitions"),
        (r"[\xa1-\uffff]" * 10, "too costly: use smaller character classes"),
        ("." * 150, "is too costly: "),
    ],
)
def test_a_bad_pattern_is_shown_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        compile_pattern(text)
    assert said in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("pattern", [None, b"a", 5])
def test_a_pattern_is_text(pattern: object) -> None:
    with pytest.raises(TypeError, match="a pattern is text, not "):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        (r"\w{0}" * 50, 250),
        (r"[\u0100-\U0010ffff]{0}", 150),
        ("[Ā-\U0010ffff]{0}", 150),
        ("[éèü]{0}" * 10, 200),
        ("()" * 100, 200),
    ],
)
def test_what_is_costly_to_read_counts_though_nothing_of_it_is_left(text: str, least: int) -> None:
    assert compile_pattern(text).program_size >= least


@pytest.mark.parametrize(
    "text", [r"\w" * 127, "[éèü]{0}" * 30, "(?:" * 63 + ")" * 63, "(?:.{999}){0}" * 19, "[Ā-\U0010ffff]" * 50]
)
def test_judging_a_hostile_pattern_takes_no_time(text: str) -> None:
    # About 1 ms of the processor; the bound is wide, because it is a machine like any other.
    begin = time.process_time()
    with contextlib.suppress(ValueError):
        compile_pattern(text)
    assert time.process_time() - begin < 0.1


@given(st.text(max_size=40) | st.text("ab(|)*+?{}[]^-\\.$pPLzZ12,:=!<", max_size=40))
def test_any_text_is_a_pattern_or_a_value_error(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except ValueError as error:
        assert str(error).startswith(("pattern '", 'pattern "'))
        assert str(error).isprintable()
    else:
        assert isinstance(pattern, Pattern)
        assert isinstance(pattern.matches("ab"), bool)
