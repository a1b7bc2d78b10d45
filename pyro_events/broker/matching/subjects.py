"""What a subject and a pattern are.

Knows: which names are allowed, and how RE2 compiles a pattern. Must not know: who subscribed, or how many
patterns are matched at once (`pattern_sets` knows).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Protocol, cast

import re2

from ...constants import (
    MAX_PATTERN_PROGRAM,
    MAX_SUBJECT,
    MAX_SUBJECTS_PER_CALL,
    PATTERN_MEMORY,
    PATTERN_READING,
)
from .case_folding import fold
from .character_sets import transcribe
from .pattern_escapes import PatternSyntaxError
from .pattern_syntax import Translation

__all__ = [
    "Pattern",
    "check_subject",
    "check_subjects",
    "check_texts",
    "compile_pattern",
    "fold",
    "re2_options",
]

# Error texts show this many characters of a longer name.
_SHOWN: Final = 60
# Control characters garble logs and terminals; a lone surrogate cannot be written as UTF-8.
_REFUSED: Final = {"Cc": "the control character", "Cs": "the lone surrogate"}


def check_subject(name: object) -> str:
    """Return `name`, a plain str that may name a subject.

    Raises TypeError if it is not text, and ValueError if the name is empty, longer than 255 characters, or
    contains a control character or a lone surrogate.
    """
    if type(name) is str and 0 < len(name) <= MAX_SUBJECT and name.isprintable():
        return name
    return _check_unusual(name)


def _check_unusual(name: object) -> str:
    """Check a name that is not obviously right: raise an error, or return it."""
    subject = _plain(name, "subject")
    if not subject:
        raise ValueError(f"subject '' is empty: a subject has 1 to {MAX_SUBJECT} characters")
    _check_length(subject, "subject")
    for position, character in enumerate(subject):
        refused = _REFUSED.get(unicodedata.category(character))
        if refused:
            where = f"{character!r} at position {position}"
            raise ValueError(f"subject {_shown(subject)} contains {refused} {where}: remove it")
    return subject


def check_texts(texts: object, what: str = "subject or pattern") -> list[str]:
    """Return the texts of one call: `texts` is one str, or any iterable of them.

    Their contents are not checked. what: the word for one of them in an error. Raises TypeError for something
    that is not text, and ValueError for more than 1,000 of them.
    """
    if isinstance(texts, re.Pattern):
        raise TypeError(f"a {what} is text, not a compiled pattern: give its .pattern")
    return [_plain(text, what) for text in _each(texts, "pattern" if what == "pattern" else "subject")]


def check_subjects(subjects: object) -> list[str]:
    """Return the names of one call: `subjects` is one name, or any iterable of names.

    A name given twice is returned twice, and there may be none. Raises what `check_subject` raises, and
    ValueError for more than 1,000 names.
    """
    if type(subjects) is str:
        return [check_subject(subjects)]
    return [check_subject(name) for name in _each(subjects)]


def _each(subjects: object, what: str = "subject") -> list[object]:
    if isinstance(subjects, str):
        return [subjects]
    names = list(islice(_iterate(subjects, what), MAX_SUBJECTS_PER_CALL + 1))
    if len(names) > MAX_SUBJECTS_PER_CALL:
        raise ValueError(f"more than {MAX_SUBJECTS_PER_CALL:,} {what}s in one call: make several calls")
    return names


def _iterate(subjects: object, what: str) -> Iterator[object]:
    kind = type(subjects).__name__
    if isinstance(subjects, (bytes, bytearray, memoryview)):
        raise TypeError(f"{what}s are text, not {kind}: decode it first")
    if isinstance(subjects, Mapping):
        raise TypeError(f"a {kind} is not a sequence of {what}s: to use its keys, give them as a list")
    try:
        return iter(cast("Any", subjects))
    except TypeError:
        one = "name" if what == "subject" else "text"
        raise TypeError(f"{what}s are one {one} or a sequence of {one}s, not {kind}") from None


def _plain(text: object, what: str) -> str:
    """The text as an exact str (an instance of a subclass, such as a member of a str Enum, by its value)."""
    if not isinstance(text, str):
        raise TypeError(f"a {what} is text, not {type(text).__name__}")
    return text if type(text) is str else str.__str__(text)


def _check_length(text: str, what: str) -> None:
    if len(text) > MAX_SUBJECT:
        raise ValueError(
            f"{what} {_shown(text)} is {len(text):,} characters long; the limit is {MAX_SUBJECT}"
        )


def _shown(text: str) -> str:
    """The text in quotes, as it was typed if that is safe to print; only the start of a long one."""
    start = text[:_SHOWN]
    quoted = f"'{start}'" if start.isprintable() else repr(start)
    return quoted if len(text) <= _SHOWN else quoted + "..."


class _Regexp(Protocol):
    """The part of the object that `re2.compile` returns that is used here."""

    programsize: int

    def match(self, text: str) -> object: ...


def re2_options(max_mem: int) -> Any:
    """The options of every pattern: log nothing, remember no groups. Case counts, because it is folded
    before: expressions are translated, and subjects transcribed."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem
    return options


_OPTIONS: Final = re2_options(PATTERN_MEMORY)


class Pattern:
    """A regular expression that was checked.

    `text` is its spelling, which is also its identity. `expression` is given to RE2 to match transcribed
    subjects; `spelled` says how they are transcribed. `program_size` is the cost to compile and to match it:
    the size of RE2's program, or the cost of reading its text if that is more. `everything`: whether it
    matches every subject, None as long as nobody has asked (interest/everything.py).
    """

    __slots__ = ("_regexp", "everything", "expression", "program_size", "spelled", "text")

    def __init__(self, text: str, expression: str, spelled: bool, program_size: int) -> None:
        self.text = text
        self.expression = expression
        self.spelled = spelled
        self.program_size = program_size
        self.everything: bool | None = None
        # Compiled on first use only, because it takes 5 KiB and patterns are matched in sets.
        self._regexp: _Regexp | None = None

    def matches(self, subject: str) -> bool:
        """Whether the pattern matches from the start of `subject`, ignoring case."""
        if self._regexp is None:
            self._regexp = cast("_Regexp", re2.compile(self.expression, _OPTIONS))
        return self._regexp.match(transcribe(subject, self.spelled)) is not None

    def __repr__(self) -> str:
        return f"<Pattern {self.text!r}>"


def compile_pattern(pattern: object, ignore_case: bool = True) -> Pattern:
    """Return the Pattern of a regular expression in the syntax of Python's `re`.

    Raises TypeError if it is not text, and ValueError, with the pattern and the reason, if it is wrong, if
    RE2 cannot match it as `re` does, or if it is longer than 255 characters or too costly.
    """
    text = _plain(pattern, "pattern")
    _check_length(text, "pattern")
    try:
        text.encode()
        translation = Translation(text, MAX_PATTERN_PROGRAM, ignore_case)
    except UnicodeEncodeError:
        raise ValueError(f"pattern {_shown(text)} contains a lone surrogate: remove it") from None
    except PatternSyntaxError as error:
        raise _refused(text, str(error)) from None
    reading = translation.cost + max(len(text), len(translation.expression) // PATTERN_READING)
    _check_cost(text, reading)
    try:
        compiled = cast("_Regexp", re2.compile(translation.expression, _OPTIONS))
    except re2.error as error:
        raise _refused(text, _advice(error)) from None
    size = max(reading, compiled.programsize)
    _check_cost(text, size)
    return Pattern(text, translation.expression, translation.spelled, size)


def _check_cost(text: str, cost: int) -> None:
    if cost > MAX_PATTERN_PROGRAM:
        raise ValueError(
            f"pattern {_shown(text)} is too costly: its RE2 program has {cost:,} steps, and the limit is "
            f"{MAX_PATTERN_PROGRAM:,}; use smaller repetitions and character classes"
        )


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"pattern {_shown(text)} is not accepted: {reason}")


def _advice(error: Exception) -> str:
    """Why RE2 refuses a pattern that `re` accepts: it has too many repetitions, in one way or another."""
    detail: bytes = error.args[0]
    return f"{detail.decode()} (use smaller repetitions and character classes)"
