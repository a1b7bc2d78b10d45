"""Shell-style patterns match what fnmatch matches, without regard to case."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.shell_patterns import glob

SUBJECTS = st.text("abz.ß-]![^\\*?&~|$ (+", min_size=1, max_size=8)
CLASSES = st.builds(
    lambda negated, members: f"[{negated}{members}]",
    st.sampled_from(["", "!"]),
    st.sampled_from(
        ["a", "ab", "a-z", "z", "]", "]a", "^a", "a^", "-", "a-", "-a", "--b", "\\", "&&", "[", "b-b", "!"]
    ),
)
PIECES = st.one_of(st.sampled_from("abz.ß-]!^\\*?&~|$ (+["), CLASSES)
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@given(PATTERNS, st.lists(SUBJECTS, max_size=5))
def test_it_matches_as_fnmatch_does(pattern: str, subjects: list[str]) -> None:
    try:
        expression = compile_pattern(glob(pattern))
    except ValueError as error:
        assert "begins behind its end" in str(error)  # fnmatch takes such a range for none
        return
    for subject in [*subjects, pattern]:
        expected = re.match(fnmatch.translate(pattern), subject, re.IGNORECASE)
        assert expression.matches(subject) == bool(expected), (pattern, subject)


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("STOCKQUOTE.S*", r"^STOCKQUOTE\.S.*$"),
        ("LAB.?", r"^LAB\..$"),
        ("a**b***", "^a.*b.*$"),
        ("[a-c][!x]", "^[a-c][^x]$"),
        ("[]]", r"^[\]]$"),
        ("[", r"^\[$"),
        ("a[", r"^a\[$"),
        ("[!", r"^\[!$"),
        ("[*]", "^[*]$"),
    ],
)
def test_how_it_reads(pattern: str, expression: str) -> None:
    assert glob(pattern) == expression


def test_it_matches_the_whole_subject_in_any_case() -> None:
    quotes = compile_pattern(glob("STOCKQUOTE.S*"))
    assert quotes.matches("stockquote.sun") and quotes.matches("STOCKQUOTE.S")
    assert not quotes.matches("NYSE.STOCKQUOTE.SUN") and not quotes.matches("STOCKQUOTE.IBM")
    assert not compile_pattern(glob("STOCK")).matches("STOCKQUOTE")


@pytest.mark.parametrize(
    ("pattern", "error", "text"),
    [
        (5, TypeError, "a shell-style pattern is text, not int"),
        (b"a*", TypeError, "not bytes"),
        ("", ValueError, "is empty; '\\*' matches every subject"),
        ("[z-a]", ValueError, "the range z-a begins behind its end"),
    ],
)
def test_what_is_no_pattern(pattern: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        glob(pattern)  # type: ignore[arg-type]
