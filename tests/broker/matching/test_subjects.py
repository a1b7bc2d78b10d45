"""Names: what is allowed, what is refused, and what the refusal says."""

from __future__ import annotations

import enum
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.subjects import check_subject, check_subjects, check_texts, fold


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
