"""Patterns that match everything: which these are.

Knows: sample subjects, and how a pattern is tried on them. Must not know: who subscribed to a pattern, or why
anybody asks.

Whether two expressions match the same can be decided, but not cheaply, and nobody needs it to the last
character. So a pattern counts as one that matches everything if it matches each of the samples: every
printable character of ASCII and a few others alone, and one subject of each length up to the longest. What
really matches everything (`.*`, `^.*$`, `.`, and the empty pattern) always passes. What passes and does not
match everything (`[^†]`) leaves out so little that it was not meant to choose.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Final

from ...constants import MAX_SUBJECT, PATTERN_MEMORY
from ..matching.patterns import Pattern
from ..matching.regexps import compiled
from ..matching.syntax.character_sets import transcribe

__all__ = ["SAMPLES", "matches_everything"]

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))
# A letter of some scripts, a digit, spaces, a sign, a combining accent, and what lies beyond 16 bits.
_OTHERS: Final = "éßΩ漢٣\u00a0\u3000€\u0301😀"


def _of_length(length: int) -> str:
    """A subject of that length, from another place of the alphabet for each."""
    return "".join(islice(cycle(_PRINTABLE + _OTHERS), 7 * length, 8 * length))


SAMPLES: Final = (*_PRINTABLE, *_OTHERS, *(_of_length(length) for length in range(2, MAX_SUBJECT + 1)))


class _Transcribed:
    """The samples as patterns read them, made when they are needed first: 60 KiB of each kind."""

    def __init__(self) -> None:
        self._made: dict[bool, tuple[bytes, ...]] = {}

    def of(self, spelled: bool) -> tuple[bytes, ...]:
        """spelled: as in Pattern."""
        if spelled not in self._made:
            self._made[spelled] = tuple([transcribe(sample, spelled).encode() for sample in SAMPLES])
        return self._made[spelled]


_transcribed: Final = _Transcribed()


def matches_everything(pattern: Pattern) -> bool:
    """Whether a pattern matches each of the samples; remembered, because it takes up to a millisecond.

    Most patterns fail at one of the first.
    """
    if pattern.everything is None:
        # Compiled for this alone: what a Pattern keeps takes 5 KiB that nobody counts.
        regexp = compiled(pattern.expression, PATTERN_MEMORY)
        samples = _transcribed.of(pattern.spelled)
        pattern.everything = all(regexp.match(sample) is not None for sample in samples)
    return pattern.everything
