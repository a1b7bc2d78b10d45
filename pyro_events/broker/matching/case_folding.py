"""Case folding: which spellings are one name.

Knows: Unicode's simple case folding, one character for one character (statuses C and S of Unicode's
CaseFolding.txt). Must not know: subjects, patterns, or what is compared.

Python has only the full folding (`str.casefold`), which makes `ss` of `ß`. A pattern matches character by
character, so a name that was folded in full would disagree with the pattern that spells it. Python's
`re.IGNORECASE` differs from the simple folding in two characters: it takes `İ` and `ı` for an `i`.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

__all__ = ["CasedCharacters", "RememberedCharacters", "cased_characters", "fold", "fold_character"]

# Characters that Unicode 15.1 and later fold to another, and whose lower case is themselves.
_LATE: Final = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}
# Cased characters are in the first two planes only. They are found by blocks, most of which have none.
_PLANES: Final = 0x20000
_BLOCK: Final = 0x100
# How many characters are remembered after they were looked up: the letters of most scripts, in about 1 MiB.
_REMEMBERED: Final = 8192


def fold_character(character: str) -> str:
    """The simple case folding of one character."""
    folded = character.casefold()
    if len(folded) == 1:
        return folded
    lower = character.lower()
    return _LATE.get(character, lower if len(lower) == 1 else character)


class RememberedCharacters(dict[int, str]):
    """A table for `str.translate` that makes an entry when it is first needed, and keeps a bounded number."""

    def __missing__(self, code: int) -> str:
        made = self.make(chr(code))
        if len(self) < _REMEMBERED:
            self[code] = made
        return made

    def make(self, character: str) -> str:
        """The entry for a character."""
        return fold_character(character)


_FOLDED: Final = RememberedCharacters()


def fold(subject: str) -> str:
    """The form in which names are compared: two spellings with the same fold are one subject."""
    return subject.lower() if subject.isascii() else subject.translate(_FOLDED)


class CasedCharacters(NamedTuple):
    """codes: the characters that folding changes, as code points in ascending order. folds: the result for
    each of them. folded: these results, in ascending order. spellings: the characters that fold to each of
    those, including itself."""

    codes: list[int]
    folds: dict[int, int]
    folded: list[int]
    spellings: dict[int, list[int]]


@functools.cache
def cased_characters() -> CasedCharacters:
    """All characters that folding changes. Takes about 10 ms the first time."""
    folds: dict[int, int] = {}
    spellings: dict[int, list[int]] = {}
    for start in range(0, _PLANES, _BLOCK):
        block = "".join(map(chr, range(start, start + _BLOCK)))
        if block.casefold() == block:
            continue
        for character in block:
            code, folded = ord(character), ord(fold_character(character))
            if code != folded:
                folds[code] = folded
                spellings.setdefault(folded, [folded]).append(code)
    return CasedCharacters(list(folds), folds, sorted(spellings), spellings)
