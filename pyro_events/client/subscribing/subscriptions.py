"""Subscriptions: what one subscriber has subscribed to, so that it can be sent again.

Knows: that names are compared folded and patterns by their text, and for which of them last values come too.
Must not know: who is told, or how.

Nothing here takes a lock. Any thread may call any method at any time, because a dict is read, copied or
changed in one step of the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...broker.matching.subjects import fold
from ...constants import MATCH_KEY
from ...wire.requests import pieces

# The service's methods, one for names and one for patterns.
NAME, PATTERN = "subscribe", "subscribeMatch"


class Call(NamedTuple):
    """A method to call with texts. last: whether their last values come too. match: patterns that are told
    together with names, so that what is kept of a subject that matches both ways comes once."""

    how: str
    texts: list[str]
    last: bool = False
    match: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options by which the patterns are told."""
        return {MATCH_KEY: self.match} if self.match else {}


def calls_for(wanted: Iterable[tuple[str, list[str]]], last: bool) -> list[Call]:
    """The calls for names, and then patterns: one if that is possible and matters."""
    calls = [Call(how, piece, last) for how, texts in wanted for piece in pieces(texts)]
    if last and [call.how for call in calls] == [NAME, PATTERN]:
        names, patterns = calls[0].texts, calls[1].texts
        if len(list(pieces(names + patterns))) == 1:
            return [Call(NAME, names, True, tuple(patterns))]
    return calls


class Subscriptions:
    """The names and the patterns of one subscriber, each in order."""

    def __init__(self) -> None:
        # Folded name -> the name as it was last subscribed.
        self._names: dict[str, str] = {}
        # A dict, because it keeps the order.
        self._patterns: dict[str, None] = {}
        # Those of them, in the same form, whose last values come too.
        self._last: dict[str, set[str]] = {NAME: set(), PATTERN: set()}

    def __bool__(self) -> bool:
        return bool(self._names or self._patterns)

    def __len__(self) -> int:
        return len(self._names) + len(self._patterns)

    def add(self, how: str, texts: Iterable[str], last: bool = False) -> None:
        """Remember names or patterns. last: whether their last values come too; the last call decides."""
        if how == NAME:
            added = {fold(text): text for text in texts}
            self._names.update(added)
            keys = set(added)
        else:
            keys = set(texts)
            self._patterns.update(dict.fromkeys(texts))
        if last:
            self._last[how].update(keys)
        else:
            self._last[how].difference_update(keys)

    def remember_last(self, names: frozenset[str], patterns: frozenset[str]) -> None:
        """Whose last values come too: of these names, folded, and of these patterns; of no others."""
        self._last = {NAME: set(names), PATTERN: set(patterns)}

    def discard(self, texts: Iterable[str], names: bool = True, patterns: bool = True) -> None:
        """Forget the name and the pattern with that text, as `unsubscribe` does.

        names, patterns: whether names, and whether patterns, are meant.
        """
        for text in texts:
            if names:
                self._names.pop(fold(text), None)
                self._last[NAME].discard(fold(text))
            if patterns:
                self._patterns.pop(text, None)
                self._last[PATTERN].discard(text)

    def clear(self) -> None:
        """Forget everything."""
        self._names.clear()
        self._patterns.clear()
        for kept in self._last.values():
            kept.clear()

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Those of the texts for which unsubscribing removes nothing that is remembered."""
        return [text for text in texts if fold(text) not in self._names and text not in self._patterns]

    def known(self, call: Call) -> Call:
        """The same call with those of its texts that are remembered as the call says."""
        texts = [text for text in call.texts if self._knows(call.how, text, call.last)]
        match = tuple([text for text in call.match if self._knows(PATTERN, text, call.last)])
        return call._replace(texts=texts, match=match)

    def _knows(self, how: str, text: str, last: bool) -> bool:
        known = fold(text) in self._names if how == NAME else text in self._patterns
        return known and self._with_last(how, text) is last

    def _with_last(self, how: str, text: str) -> bool:
        return (fold(text) if how == NAME else text) in self._last[how]

    def texts(self) -> tuple[str, ...]:
        """All names, then all patterns."""
        return (*self._names.values(), *self._patterns)

    def recorded(self, how: str, last: bool) -> list[str]:
        """The names or the patterns whose last values come too, or the others."""
        texts = list(self._names.values() if how == NAME else self._patterns)
        return [text for text in texts if self._with_last(how, text) is last]

    def calls(self) -> list[Call]:
        """The methods to call, and their texts, to subscribe to everything."""
        calls = []
        for last in (False, True):
            calls += calls_for([(how, self.recorded(how, last)) for how in (NAME, PATTERN)], last)
        return calls
