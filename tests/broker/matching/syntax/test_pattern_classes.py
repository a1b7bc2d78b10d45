"""Character classes: where one ends, what is in it, and what is refused; beside `re`."""

from __future__ import annotations

import re
import warnings

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.syntax.character_sets import transcribe
from pyro_events.broker.matching.syntax.pattern_classes import PatternWithClasses
from pyro_events.broker.matching.syntax.pattern_escapes import PatternSyntaxError

MEMBERS = ["a", "b-d", "-", "^", "[", "é", "À-Þ", r"\d", r"\W", r"\]", r"\-", r"\x41", r"\b", "~", "&"]
classes = st.builds(
    lambda negated, first, rest: f"[{'^' * negated}{first}{''.join(rest)}]",
    st.booleans(),
    st.sampled_from(["]", "-", *MEMBERS]),
    st.lists(st.sampled_from(MEMBERS), max_size=4),
)


def read(text: str) -> tuple[str, int]:
    """The expression for a class, and where reading goes on."""
    pattern = PatternWithClasses(text)
    found, negated = pattern._read_set()
    return found.expression(negated=negated), pattern._at


@given(classes, st.sampled_from("aAbcdeEéÉÀà]-^[~&_ 5٣€"))
def test_a_class_contains_what_it_contains_to_re(text: str, character: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets, which `re` may come to know
        try:
            wanted = re.compile(text, re.IGNORECASE)
        except re.error:
            with pytest.raises(PatternSyntaxError):
                read(text)
            return
    expression, end = read(text + "rest")
    assert end == len(text)
    assert bool(re2.fullmatch(expression, transcribe(character))) == bool(wanted.fullmatch(character))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "missing ]"),
        ("[]", "missing ]"),
        ("[^]", "missing ]"),
        ("[a-", "missing ]"),
        ("[b-a]", "bad character range"),
        (r"[\d-z]", "bad character range"),
        (r"[a-\w]", "bad character range"),
        ("[[:upper:]]", "no classes such as [:upper:]"),
        ("[a\\", "end of pattern"),
    ],
)
def test_a_class_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PatternSyntaxError) as caught:
        read(text)
    assert reason in str(caught.value)
