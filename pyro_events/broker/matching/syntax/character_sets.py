"""Character sets: the characters that one place of a pattern matches, written for RE2 as `re` means them.

Knows: Unicode as Python knows it, and how a subject is transcribed so that RE2 sees that. Must not know: the
syntax of patterns.

RE2's `\\w`, `\\d`, `\\s` and `\\b` know only ASCII, its Unicode classes take a thousand program steps, and
its tables are of another Unicode version than Python's. So RE2 does not have to know what a character is.
Subjects are transcribed before they are matched, and patterns are translated to match transcriptions:

- Letters are folded, so RE2 compares case-sensitively.
- A character outside ASCII is put between two marks that say of which kind it is. `KÖLN 5€` becomes
  `kLöXln 5Oo`, but with control characters in place of the `O` and the `o`.
- For the few patterns in which case counts somewhere, `(?-i:...)`, letters stay as they are spelled, and an
  ASCII capital becomes a small letter with a mark before it: `KÖLN` becomes `UkLÖXUlUn`.

The marks are characters that no transcribed subject contains otherwise: capital letters around word
characters, control characters around others. For RE2 the former are word characters and the latter are not,
so its `\\b` finds the boundaries that Python's finds.
"""

from __future__ import annotations

import enum
import functools
from bisect import bisect_left, bisect_right
from typing import Final

from ..case_folding import RememberedCharacters, cased_characters, fold_character

__all__ = ["BOUNDARY", "NEVER", "NOT_BOUNDARY", "Case", "CharacterSet", "literal", "transcribe"]

# RE2's expression for "no character"; subjects contain no control characters, for instance.
NEVER: Final = r"[^\x00-\x{10ffff}]"
BOUNDARY: Final = r"\b"
NOT_BOUNDARY: Final = r"\B"

_LAST: Final = 0x10FFFF
# Folding this many characters of a range takes as long as a step of an RE2 program (0.8 µs).
_CASED_PER_STEP: Final = 8
# The cost of the rest of it, in those steps.
_RANGE: Final = 8
_OUTSIDE: Final = r"[^\x00-\x7f]"
# A character outside ASCII has nothing but its marks beside it, so this matches any mark.
_MARK: Final = r"[\x00-\x7f]"
_PRINTABLE: Final = sum(1 << code for code in range(0x20, 0x7F))
_CAPITALS: Final = sum(1 << code for code in range(0x41, 0x5B))
_SMALL: Final = _CAPITALS << 32


class Case(enum.Enum):
    """What an expression is for: folded subjects, or subjects as they are spelled, where case is either
    ignored or counts."""

    FOLDED = "folded"
    IGNORED = "ignored"
    EXACT = "exact"


class _Kind(enum.IntFlag):
    """What `re` wants to know about a character outside ASCII; each character has exactly one kind."""

    LETTER = 1  # a word character that is not a decimal digit
    DIGIT = 2
    SPACE = 4
    OTHER = 8
    WORD = LETTER | DIGIT
    ALL = WORD | SPACE | OTHER


# The mark before a character of each kind, consecutive, so that they make one range; and the marks after it.
_BEFORE: Final = {_Kind.LETTER: "L", _Kind.DIGIT: "M", _Kind.SPACE: "\x01", _Kind.OTHER: "\x02"}
_AFTER_WORD: Final = "X"
_AFTER_OTHER: Final = "\x03"
_CAPITAL: Final = "U"


def _kind(character: str) -> _Kind:
    if character.isdecimal():
        return _Kind.DIGIT
    if character.isalnum():
        return _Kind.LETTER
    return _Kind.SPACE if character.isspace() else _Kind.OTHER


def _mask(characters: str) -> int:
    return sum(1 << ord(character) for character in characters)


# For ASCII: the characters of each category, and their kinds outside it.
_DIGITS: Final = _mask("0123456789")
_CATEGORIES: Final = {
    "w": (_DIGITS | _CAPITALS | _SMALL | _mask("_"), _Kind.WORD),
    "d": (_DIGITS, _Kind.DIGIT),
    "s": (_mask(" "), _Kind.SPACE),
}


class _Folded(RememberedCharacters):
    def make(self, character: str) -> str:
        folded = fold_character(character)
        return folded if folded.isascii() else _marked(folded, _kind(character))


class _Spelled(RememberedCharacters):
    def make(self, character: str) -> str:
        if not character.isascii():
            return _marked(character, _kind(character))
        return _CAPITAL + character.lower() if character.isupper() else character


def _marked(character: str, kind: _Kind) -> str:
    return _BEFORE[kind] + character + (_AFTER_WORD if kind & _Kind.WORD else _AFTER_OTHER)


_FOLDED: Final = _Folded()
_SPELLED: Final = _Spelled()


def transcribe(subject: str, spelled: bool = False) -> str:
    """The form in which subjects are matched: folded, or as they are spelled."""
    if spelled:
        return subject.translate(_SPELLED)
    return subject.lower() if subject.isascii() else subject.translate(_FOLDED)


def literal(code: int, case: Case = Case.FOLDED) -> str:
    """The expression that matches one character."""
    if case is not Case.FOLDED:
        return CharacterSet.of(code).expression(case)
    if code < 0x80:
        return _ascii_literal(code)
    if code < 0xA0 or 0xD800 <= code < 0xE000:
        return NEVER
    folded = fold_character(chr(code))
    if folded.isascii():
        return _ascii_literal(ord(folded))
    kinds = {_kind(chr(each)) for each in cased_characters().spellings.get(ord(folded), [code])}
    if len(kinds) > 1:  # the iota is a letter, and also a mark when it is below another letter
        return CharacterSet.of(code).expression()
    return f"(?:{_marked(folded, kinds.pop())})"


def _ascii_literal(code: int) -> str:
    if not _PRINTABLE >> code & 1:
        return NEVER
    character = chr(code).lower()
    return character if character.isalnum() or character in "_ " else "\\" + character


class CharacterSet:
    """The characters that a class such as `[^a-z\\d]` matches, while it is read.

    cost: of reading it, in steps of an RE2 program (0.8 µs).
    """

    def __init__(self) -> None:
        self.cost = 0
        self._ascii = 0
        self._kinds = _Kind(0)
        self._ranges: list[tuple[int, int]] = []

    @classmethod
    def of(cls, code: int) -> CharacterSet:
        """The set of one character."""
        made = cls()
        made.add_range(code, code)
        return made

    def add_category(self, letter: str) -> None:
        """Add `\\w`, `\\d` or `\\s`, or its opposite (a capital)."""
        ascii_part, kinds = _CATEGORIES[letter.lower()]
        if letter.isupper():
            ascii_part, kinds = _PRINTABLE & ~ascii_part, _Kind.ALL & ~kinds
        self._ascii |= ascii_part
        self._kinds |= kinds

    def add_range(self, low: int, high: int) -> None:
        """Add the characters from one code point to another, in every case."""
        if low < 0x80:
            last = min(high, 0x7F)
            self._ascii |= ((1 << last + 1) - (1 << low)) & _PRINTABLE
        if high >= 0x80:
            self._ranges.append((max(low, 0x80), high))

    def expression(self, case: Case = Case.FOLDED, negated: bool = False) -> str:
        """The expression that matches one character of the set, or one that is not in it."""
        if case is not Case.EXACT:
            self._fold()
        if case is Case.IGNORED:
            self._unfold()
        ranges = _merged(self._ranges)
        ascii_part, whole, partly = self._ascii, self._kinds, _Kind.ALL & ~self._kinds
        if negated:
            ascii_part = _PRINTABLE & ~ascii_part
            if ranges:
                ranges, whole = _complement(ranges), _Kind(0)
            else:
                whole, partly = partly, _Kind(0)
        small, capitals = ascii_part & ~_CAPITALS, (ascii_part & _CAPITALS) << 32
        parts = [_ascii_class(small)] if small else []
        if capitals and case is not Case.FOLDED:
            parts.append(_CAPITAL + _ascii_class(capitals))
        if whole:
            parts.append(_before(whole) + _OUTSIDE + _after(whole))
        if partly and ranges:
            parts.append(_before(partly) + _bracketed(ranges) + _after(partly))
        if not parts:
            return NEVER
        return parts[0] if small and len(parts) == 1 else f"(?:{'|'.join(parts)})"

    def _fold(self) -> None:
        """Add the folds of the characters."""
        self._ascii |= (self._ascii & _CAPITALS) << 32
        cased = cased_characters() if self._ranges else None
        for low, high in _merged(self._ranges):
            assert cased is not None
            found = cased.codes[bisect_left(cased.codes, low) : bisect_right(cased.codes, high)]
            self.cost += _RANGE + len(found) // _CASED_PER_STEP
            for folded in [cased.folds[code] for code in found]:
                if folded < 0x80:
                    self._ascii |= 1 << folded
                elif not low <= folded <= high:
                    self._ranges.append((folded, folded))

    def _unfold(self) -> None:
        """Add everything that folds to the characters."""
        self._ascii |= (self._ascii & _SMALL) >> 32
        cased = cased_characters()
        ranges = _merged([*self._ranges, *_runs(self._ascii)])
        for low, high in ranges:
            found = cased.folded[bisect_left(cased.folded, low) : bisect_right(cased.folded, high)]
            self.cost += len(found) // _CASED_PER_STEP
            for folded in found:
                self._ranges += [(code, code) for code in cased.spellings[folded] if code >= 0x80]


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same characters in ascending ranges that do not touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return merged


def _complement(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """All other characters outside ASCII."""
    others = []
    start = 0x80
    for low, high in ranges:
        if low > start:
            others.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        others.append((start, _LAST))
    return others


@functools.lru_cache(maxsize=256)
def _ascii_class(mask: int) -> str:
    return _bracketed(_runs(mask))


def _runs(mask: int) -> list[tuple[int, int]]:
    """The ranges of a set of ASCII characters."""
    codes = [code for code in range(0x20, 0x7F) if mask >> code & 1]
    return _merged([(code, code) for code in codes])


def _bracketed(ranges: list[tuple[int, int]]) -> str:
    written = [_code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in ranges]
    return f"[{''.join(written)}]"


def _code(code: int) -> str:
    if code > 0xFF:
        return f"\\x{{{code:x}}}"
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{code:02x}"


@functools.cache
def _before(kinds: _Kind) -> str:
    if kinds == _Kind.ALL:
        return _MARK
    return f"[{''.join(mark for kind, mark in _BEFORE.items() if kind & kinds)}]"


@functools.cache
def _after(kinds: _Kind) -> str:
    if not kinds & ~_Kind.WORD:
        return _AFTER_WORD
    return _MARK if kinds & _Kind.WORD else _AFTER_OTHER
