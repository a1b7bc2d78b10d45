"""Service subjects: the names that begin with `$ES.`, under which the service tells of itself.

Knows: which names these are, which of them a publisher may use, and which patterns and rules may mean them.
Must not know: what the service publishes under them, who subscribed, or what a rule says of them.

A pattern such as `.*` is meant for a program's own subjects, so it does not match these. A pattern that means
them begins with their first characters: `\\$ES`, or `^\\$ES`. Names and patterns are judged after folding, so
that another spelling (`$es.`, `$Eſ.`) does not get around it.
"""

from __future__ import annotations

from typing import Final

from ...constants import MAX_SUBJECT
from .case_folding import fold
from .subjects import check_subject, check_subjects

__all__ = [
    "check_published",
    "check_published_all",
    "is_service_pattern",
    "is_service_rule",
    "is_service_subject",
    "is_test_subject",
    "may_match",
]

# What service subjects, and those of tests, begin with; folded, as are the beginnings of rules and patterns.
_SERVICE: Final = "$es."
_TEST: Final = "$es.test."
# How what means them begins: a rule, and a pattern.
_RULE: Final = "$es"
_PATTERNS: Final = (r"\$es", r"^\$es")
# How many characters of a pattern decide. Folding changes one character into one.
_BEGINNING: Final = max(map(len, _PATTERNS))


def is_service_subject(folded: str) -> bool:
    """Whether the service alone publishes a subject, or it is one for tests. folded: the subject, folded."""
    return folded.startswith(_SERVICE)


def is_test_subject(folded: str) -> bool:
    """Whether anybody may use a subject for a test. folded: the subject, folded."""
    return folded.startswith(_TEST)


def is_service_rule(folded: str) -> bool:
    """Whether a rule for subjects (see rights.py) may cover service subjects. folded: its text, folded."""
    return folded.startswith(_RULE)


def is_service_pattern(text: str) -> bool:
    """Whether a pattern may match service subjects. text: its spelling."""
    return fold(text[:_BEGINNING]).startswith(_PATTERNS)


def may_match(text: str, folded: str) -> bool:
    """Whether a pattern may match a subject at all, whatever the expression says.

    text: the pattern's spelling. folded: the subject, folded. A subject for tests is matched by no pattern.
    """
    if not is_service_subject(folded):
        return True
    return is_service_pattern(text) and not is_test_subject(folded)


def check_published(name: object) -> str:
    """Return `name`, a plain str that a publisher may use as a subject.

    Raises what `check_subject` raises, and ValueError for a service subject, unless it is `$ES.TEST.` and at
    least one more character.
    """
    # As in check_subject, for whose call there is no time: this runs for each event. Only names that are
    # empty, or begin with a character up to "$", come before "%".
    if type(name) is str and name >= "%" and len(name) <= MAX_SUBJECT and name.isprintable():
        return name
    subject = check_subject(name)
    _refuse_service_subject(subject)
    return subject


def check_published_all(subjects: object) -> list[str]:
    """The same for the names of one call: `subjects` is one name, or any iterable of names.

    Raises what `check_subjects` and `check_published` raise.
    """
    names = check_subjects(subjects)
    for name in names:
        if name[0] == "$":
            _refuse_service_subject(name)
    return names


def _refuse_service_subject(subject: str) -> None:
    folded = fold(subject[: len(_TEST) + 1])
    if is_service_subject(folded) and not (folded.startswith(_TEST) and len(folded) > len(_TEST)):
        raise ValueError(
            f"subject {subject[:60]!r} begins with '$ES.', and only the event service itself publishes such "
            "subjects: choose another name, or '$ES.TEST.' and a name of your own for a test"
        )
