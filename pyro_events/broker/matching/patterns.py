"""What a pattern is.

Knows: how RE2 compiles a pattern, and what that may cost. Must not know: the syntax of patterns, who
subscribed, or how many patterns are matched at once (`pattern_sets` knows).
"""

from __future__ import annotations

from ...constants import MAX_PATTERN_PROGRAM, PATTERN_MEMORY, PATTERN_READING
from .regexps import Regexp, RegexpError, compiled
from .subjects import check_length, plain_text, shown
from .syntax.character_sets import transcribe
from .syntax.pattern_escapes import PatternSyntaxError
from .syntax.pattern_syntax import Translation

__all__ = ["Pattern", "compile_pattern"]


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
        self._regexp: Regexp | None = None

    def matches(self, subject: str) -> bool:
        """Whether the pattern matches from the start of `subject`, ignoring case."""
        if self._regexp is None:
            self._regexp = compiled(self.expression, PATTERN_MEMORY)
        return self._regexp.match(transcribe(subject, self.spelled)) is not None

    def __repr__(self) -> str:
        return f"<Pattern {self.text!r}>"


def compile_pattern(pattern: object, ignore_case: bool = True) -> Pattern:
    """Return the Pattern of a regular expression in the syntax of Python's `re`.

    Raises TypeError if it is not text, and ValueError, with the pattern and the reason, if it is wrong, if
    RE2 cannot match it as `re` does, or if it is longer than 255 characters or too costly.
    """
    text = plain_text(pattern, "pattern")
    check_length(text, "pattern")
    try:
        text.encode()
        translation = Translation(text, MAX_PATTERN_PROGRAM, ignore_case)
    except UnicodeEncodeError:
        raise ValueError(f"pattern {shown(text)} contains a lone surrogate: remove it") from None
    except PatternSyntaxError as error:
        raise _refused(text, str(error)) from None
    reading = translation.cost + max(len(text), len(translation.expression) // PATTERN_READING)
    _check_cost(text, reading)
    try:
        regexp = compiled(translation.expression, PATTERN_MEMORY)
    except RegexpError as error:
        # RE2 refuses what `re` accepts only for too many repetitions, in one way or another.
        advice = f"{error} (use smaller repetitions and character classes)"
        raise _refused(text, advice) from None
    size = max(reading, regexp.programsize)
    _check_cost(text, size)
    return Pattern(text, translation.expression, translation.spelled, size)


def _check_cost(text: str, cost: int) -> None:
    if cost > MAX_PATTERN_PROGRAM:
        raise ValueError(
            f"pattern {shown(text)} is too costly: its RE2 program has {cost:,} steps, and the limit is "
            f"{MAX_PATTERN_PROGRAM:,}; use smaller repetitions and character classes"
        )


def _refused(text: str, reason: str) -> ValueError:
    return ValueError(f"pattern {shown(text)} is not accepted: {reason}")
