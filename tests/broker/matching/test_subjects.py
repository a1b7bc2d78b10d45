"""Names and patterns: what is allowed, what is refused, and what the refusal says."""

from __future__ import annotations

import contextlib
import enum
import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.subjects import (
    Pattern,
    check_subject,
    check_subjects,
    check_texts,
    compile_pattern,
    fold,
)


class Stock(str, enum.Enum):
    SUN = "STOCKQUOTE.SUN"


@pytest.mark.parametrize(
    "name",
    ["a", "STOCKQUOTE.SUN", "x" * 255, "größe temp", "a\u2028b", "\u200b", "\U0010ffff", "\ue000", "😀", " "],
)
def test_allowed_names_are_returned_unchanged(name: str) -> None:
    assert check_subject(name) is name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "subject '' is empty"),
        ("x" * 256, "subject '" + "x" * 60 + "'... is 256 characters long"),
        ("a\nb", r"subject 'a\nb' contains the control character '\n' at position 1"),
        ("ab\x00", r"the control character '\x00' at position 2"),
        ("\x85", r"the control character '\x85'"),
        ("\x7f", r"the control character '\x7f'"),
        ("a\ud800", r"the lone surrogate '\ud800' at position 1"),
        ("é" * 70 + "\t", r"'... contains the control character '\t' at position 70"),
    ],
)
def test_a_refused_name_is_named(name: str, said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        check_subject(name)
    assert said in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", [None, 5, b"a", ["a"], ("a",)])
def test_a_name_is_text(name: object) -> None:
    with pytest.raises(TypeError, match=f"a subject is text, not {type(name).__name__}"):
        check_subject(name)


@given(st.text(st.characters(), max_size=300))
def test_a_name_is_refused_exactly_for_the_reasons_given(name: str) -> None:
    refused = (
        not name or len(name) > 255 or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    )
    if refused:
        with pytest.raises(ValueError):
            check_subject(name)
    else:
        assert check_subject(name) is name


def test_an_instance_of_a_subclass_counts_by_its_value() -> None:
    assert check_subjects([Stock.SUN]) == ["STOCKQUOTE.SUN"]
    assert type(check_subjects(Stock.SUN)[0]) is str


@pytest.mark.parametrize(
    ("subjects", "names"),
    [
        ("one", ["one"]),
        (["a", "b"], ["a", "b"]),
        (("a", "a", "A"), ["a", "a", "A"]),
        ({"a"}, ["a"]),
        (map(str, range(3)), ["0", "1", "2"]),
        ((letter for letter in "ab"), ["a", "b"]),
        ({"a": 1}.keys(), ["a"]),
        ([], []),
        (iter(()), []),
        ([str(number) for number in range(1000)], [str(number) for number in range(1000)]),
    ],
)
def test_one_name_or_any_iterable_of_names(subjects: object, names: list[str]) -> None:
    assert check_subjects(subjects) == names


@pytest.mark.parametrize(
    ("subjects", "said"),
    [
        (b"a", "subjects are text, not bytes: decode it first"),
        (bytearray(b"a"), "subjects are text, not bytearray"),
        (memoryview(b"a"), "subjects are text, not memoryview"),
        ({"a": 1}, "a dict is not a sequence of subjects"),
        (None, "subjects are one name or a sequence of names, not NoneType"),
        (5, "subjects are one name or a sequence of names, not int"),
        (["a", b"b"], "is text, not bytes"),
        ([["a"]], "is text, not list"),
    ],
)
def test_an_argument_that_is_not_a_sequence_of_texts_is_refused_with_advice(
    subjects: object, said: str
) -> None:
    for check in check_subjects, check_texts:
        with pytest.raises(TypeError, match=said):
            check(subjects)


def test_too_many_names_are_refused_even_when_there_is_no_end_of_them() -> None:
    for endless in (str(number) for number in iter(int, 1)), ["a"] * 1001:
        with pytest.raises(ValueError, match="more than 1,000 subjects in one call"):
            check_subjects(endless)


def test_one_bad_name_refuses_all() -> None:
    with pytest.raises(ValueError, match="is empty"):
        check_subjects(["a", ""])


def test_texts_are_not_judged() -> None:
    assert check_texts(["", "a\nb", "x" * 999]) == ["", "a\nb", "x" * 999]
    assert check_texts("(") == ["("]


@pytest.mark.parametrize(
    ("one", "other"),
    [("SUN", "sun"), ("Straße", "STRAẞE"), ("ſ", "S"), ("\u212a", "k"), ("ᾳ", "ᾼ"), ("ꭰ", "Ꭰ")],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("ﬀ", "ff"), ("İ", "i"), ("İ", "i̇"), ("ı", "I"), ("é", "e\u0301"), ("ᾳ", "αι")],
)
def test_names_that_are_two_subjects(one: str, other: str) -> None:
    assert fold(one) != fold(other)


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


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        (5, "patterns are one text or a sequence of texts, not int"),
        (b"a", "patterns are text, not bytes"),
        (re.compile("a"), "a pattern is text, not a compiled pattern: give its .pattern"),
        ([5], "a pattern is text, not int"),
        (["a"] * 1001, "more than 1,000 patterns in one call"),
    ],
)
def test_the_error_about_something_that_is_not_a_pattern_says_pattern(patterns: object, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(text)):
        check_texts(patterns, "pattern")
