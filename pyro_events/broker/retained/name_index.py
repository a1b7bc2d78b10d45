"""NameIndex: which of many names match some patterns. What was found is remembered while names come and go.

Knows: names as they are spelled, and how patterns are matched. Must not know: what the names are of, or who
asks.

Routing finds the patterns that match a name; this finds the names that match patterns, which takes a
microsecond for each name, and may take much longer for patterns that are meant to. So it is done in pieces,
with pauses, and the names that were found for some patterns are remembered. Of the names that come later,
only these are matched when the same patterns are asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from itertools import compress
from typing import Final

from ...constants import RETAINED_MATCHES
from ..matching.pattern_sets import PatternSets
from ..matching.patterns import Pattern

# How many names are matched without a pause.
_PIECE: Final = 64
# What is remembered takes as much as so many names: for some patterns, and for each character of them.
_PATTERNS_TAKE: Final = 10
_CHARACTER_TAKES: Final = 1 / 16
# The log of names may be so much longer than the names that are there before it is written anew.
_SPARE: Final = 1_000

# The texts of the patterns that are asked for together, each once.
_Texts = tuple[str, ...]


class _Found:
    """The names in the first part of the log that match, also those that have gone meanwhile. looked: how
    long that part is."""

    __slots__ = ("looked", "names")

    def __init__(self, names: set[str], looked: int) -> None:
        self.names = names
        self.looked = looked


class NameIndex:
    """A changing collection of names."""

    def __init__(self, remembered: int = RETAINED_MATCHES) -> None:
        """remembered: how many found names may be remembered for all patterns together, about. The patterns
        themselves count too, because there may be many that match nothing."""
        self._most = remembered
        self._names: set[str] = set()
        # Every name that has come, in that order, each spelling once.
        self._log: list[str] = []
        self._logged: set[str] = set()
        # What was found for which patterns; those that were used last are the last.
        self._found: dict[_Texts, _Found] = {}
        self._remembered = 0

    def add(self, name: str) -> None:
        """A name has come that was not there."""
        self._names.add(name)
        if name not in self._logged:
            self._logged.add(name)
            self._log.append(name)

    def remove(self, name: str) -> None:
        """A name has gone that was there."""
        self._names.remove(name)
        if len(self._log) > 2 * len(self._names) + _SPARE:
            self._log = list(self._names)
            self._logged = set(self._names)
            self._found.clear()
            self._remembered = 0

    def knows(self, patterns: Iterable[Pattern]) -> bool:
        """Whether `matching` needs no search for these patterns."""
        found = self._found.get(_texts(patterns))
        return found is not None and found.looked == len(self._log)

    def matching(self, patterns: Collection[Pattern]) -> set[str]:
        """The names that any of the patterns matches, and perhaps some that have gone. Not to be changed."""
        for _ in self.search(patterns):
            pass
        texts = _texts(patterns)
        found = self._found[texts] = self._found.pop(texts)
        return found.names

    def search(self, patterns: Collection[Pattern]) -> Generator[None, None, None]:
        """Find the names for these patterns, with pauses, so that `knows` them. Names may come and go in the
        pauses."""
        if self.knows(patterns):
            return
        texts = _texts(patterns)
        sets = PatternSets()
        for pattern in {pattern.text: pattern for pattern in patterns}.values():
            sets.add(pattern)
        before, log = self._found.get(texts) or _Found(set(), 0), self._log
        hits = bytearray()  # there may be many searches at once, and a set takes sixty times as much
        while True:
            if log is not self._log:  # it was written anew
                before, log, hits = _Found(set(), 0), self._log, bytearray()
            start = before.looked + len(hits)
            piece = log[start : start + _PIECE]
            if not piece:
                break
            hits += bytes([bool(sets.match(name)) for name in piece])
            yield
        names = before.names.union(compress(log[before.looked :], hits))
        self._remember(texts, _Found(names, len(log)))

    def _remember(self, texts: _Texts, found: _Found) -> None:
        self._forget(texts)
        self._found[texts] = found
        self._remembered += _size(texts, found)
        while self._remembered > self._most and len(self._found) > 1:
            self._forget(next(iter(self._found)))

    def _forget(self, texts: _Texts) -> None:
        found = self._found.pop(texts, None)
        if found is not None:
            self._remembered -= _size(texts, found)


def _size(texts: _Texts, found: _Found) -> int:
    """What is remembered for some patterns, as a number of names."""
    characters = sum(map(len, texts))
    return len(found.names) + _PATTERNS_TAKE + len(texts) + int(characters * _CHARACTER_TAKES)


def _texts(patterns: Iterable[Pattern]) -> _Texts:
    return tuple(sorted({pattern.text for pattern in patterns}))
