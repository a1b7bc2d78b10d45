"""Character classes of a pattern: `[a-z]`, `[^\\d_]`.

Knows: the syntax of Python's `re` between brackets, and what of it is refused. Must not know: what is around
a class, or the expression that is written for it.
"""

from __future__ import annotations

import re
from typing import Final

from .character_sets import CharacterSet
from .pattern_escapes import PatternText

# The letters of \w and the like.
CATEGORIES: Final = frozenset("wWdDsS")
_POSIX_CLASS: Final = re.compile(r"\[:\^?[a-z]+:\]")


class PatternWithClasses(PatternText):
    """A pattern whose classes can be read."""

    def _read_set(self) -> tuple[CharacterSet, bool]:
        """A class, and whether it is negated."""
        start = self._at
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        first = self._at
        found = CharacterSet()
        while self._at == first or not self._text.startswith("]", self._at):
            low = self._read_member(found, start)
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                self._read_range(found, low, start)
            elif low is not None:
                found.add_range(low, low)
        self._at += 1
        return found, negated

    def _read_member(self, found: CharacterSet, start: int) -> int | None:
        """The code point of one character; None for a category, which is added."""
        if self._at >= len(self._text):
            self._at = start
            raise self._error("missing ], unterminated character set")
        character = self._text[self._at]
        if character != "\\":
            if character == "[" and (posix := _POSIX_CLASS.match(self._text, self._at)):
                raise self._error(
                    f"Python's `re` has no classes such as {posix.group()}: list the characters"
                )
            self._at += 1
            return ord(character)
        letter = self._escaped_letter()
        if letter in CATEGORIES:
            self._at += 2
            found.add_category(letter)
            return None
        if letter == "b":
            self._at += 2
            return 8
        return self._escaped_code(letter)

    def _read_range(self, found: CharacterSet, low: int | None, start: int) -> None:
        begin = self._at - 1
        high = self._read_member(found, start)
        if low is None or high is None or high < low:
            self._at = begin
            raise self._error("bad character range")
        found.add_range(low, high)
