"""What a subject is, and which texts a call may give.

Knows: which names are allowed. Must not know: what a pattern means (patterns.py does), or who subscribed. A
program that publishes needs this module, and nothing that knows patterns, which takes a while to import.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, cast

from ...constants import MAX_SUBJECT, MAX_SUBJECTS_PER_CALL
from .case_folding import fold

__all__ = ["check_length", "check_subject", "check_subjects", "check_texts", "fold", "plain_text", "shown"]

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
    subject = plain_text(name, "subject")
    if not subject:
        raise ValueError(f"subject '' is empty: a subject has 1 to {MAX_SUBJECT} characters")
    check_length(subject, "subject")
    for position, character in enumerate(subject):
        refused = _REFUSED.get(unicodedata.category(character))
        if refused:
            where = f"{character!r} at position {position}"
            raise ValueError(f"subject {shown(subject)} contains {refused} {where}: remove it")
    return subject


def check_texts(texts: object, what: str = "subject or pattern") -> list[str]:
    """Return the texts of one call: `texts` is one str, or any iterable of them.

    Their contents are not checked. what: the word for one of them in an error. Raises TypeError for something
    that is not text, and ValueError for more than 1,000 of them.
    """
    if isinstance(texts, re.Pattern):
        raise TypeError(f"a {what} is text, not a compiled pattern: give its .pattern")
    return [plain_text(text, what) for text in _each(texts, "pattern" if what == "pattern" else "subject")]


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


def plain_text(text: object, what: str) -> str:
    """The text as an exact str (an instance of a subclass, such as a member of a str Enum, by its value)."""
    if not isinstance(text, str):
        raise TypeError(f"a {what} is text, not {type(text).__name__}")
    return text if type(text) is str else str.__str__(text)


def check_length(text: str, what: str) -> None:
    """Raise ValueError for a text of more than 255 characters. what: the word for it."""
    if len(text) > MAX_SUBJECT:
        raise ValueError(f"{what} {shown(text)} is {len(text):,} characters long; the limit is {MAX_SUBJECT}")


def shown(text: str) -> str:
    """The text in quotes, as it was typed if that is safe to print; only the start of a long one."""
    start = text[:_SHOWN]
    quoted = f"'{start}'" if start.isprintable() else repr(start)
    return quoted if len(text) <= _SHOWN else quoted + "..."
