"""Subscriptions: what one subscriber has subscribed to, so that it can be sent again.

Knows: that names are compared folded and patterns by their text, and for which of them last values come too.
Must not know: who is told, or how.

Nothing here takes a lock. Any thread may call any method at any time, because a dict is read, copied or
changed in one step of the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...broker.matching.subjects import fold
from ...wire.text_pieces import pieces

# The service's methods, one for names and one for patterns.
NAME, PATTERN = "subscribe", "subscribeMatch"


class Call(NamedTuple):
    """A method to call with texts. last: whether their last values come too."""

    how: str
    texts: list[str]
    last: bool


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

    def known(self, call: Call) -> list[str]:
        """Those of a call's texts that are remembered as the call says."""
        if call.how == NAME:
            texts = [text for text in call.texts if fold(text) in self._names]
        else:
            texts = [text for text in call.texts if text in self._patterns]
        return [text for text in texts if self._with_last(call.how, text) is call.last]

    def _with_last(self, how: str, text: str) -> bool:
        return (fold(text) if how == NAME else text) in self._last[how]

    def texts(self) -> tuple[str, ...]:
        """All names, then all patterns."""
        return (*self._names.values(), *self._patterns)

    def calls(self) -> list[Call]:
        """The methods to call, and their texts, to subscribe to everything."""
        names, patterns = list(self._names.values()), list(self._patterns)
        found = []
        for how, texts in ((NAME, names), (PATTERN, patterns)):
            for last in (False, True):
                some = [text for text in texts if self._with_last(how, text) is last]
                found += [Call(how, piece, last) for piece in pieces(some)]
        return found
