"""Subscriptions: what one subscriber has subscribed to, so that it can be sent again.

Knows: that names are compared folded and patterns by their text, and how many fit into one call.
Must not know: who is told, or how.

Nothing here takes a lock. Any thread may call any method at any time, because a dict is read, copied or
changed in one step of the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ...broker.matching.subjects import fold
from ...constants import KIB, MAX_SUBJECTS_PER_CALL

# The service's methods, one for names and one for patterns.
NAME, PATTERN = "subscribe", "subscribeMatch"

# The bytes of names in one call: the service accepts 64 KiB in all, and the subscriber's address and the
# options are added.
_BYTES_AT_ONCE: Final = 48 * KIB
# The bytes that msgpack adds to a text of up to 64 KiB.
_ENVELOPE: Final = 3


class Subscriptions:
    """The names and the patterns of one subscriber, each in order."""

    def __init__(self) -> None:
        # Folded name -> the name as it was last subscribed.
        self._names: dict[str, str] = {}
        # A dict, because it keeps the order.
        self._patterns: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._names or self._patterns)

    def __len__(self) -> int:
        return len(self._names) + len(self._patterns)

    def add(self, how: str, texts: Iterable[str]) -> None:
        """Remember names or patterns."""
        if how == NAME:
            self._names.update((fold(text), text) for text in texts)
        else:
            self._patterns.update(dict.fromkeys(texts))

    def discard(self, texts: Iterable[str], names: bool = True, patterns: bool = True) -> None:
        """Forget the name and the pattern with that text, as `unsubscribe` does.

        names, patterns: whether names, and whether patterns, are meant.
        """
        for text in texts:
            if names:
                self._names.pop(fold(text), None)
            if patterns:
                self._patterns.pop(text, None)

    def clear(self) -> None:
        """Forget everything."""
        self._names.clear()
        self._patterns.clear()

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Those of the texts for which unsubscribing removes nothing that is remembered."""
        return [text for text in texts if fold(text) not in self._names and text not in self._patterns]

    def known(self, how: str, texts: Iterable[str]) -> list[str]:
        """Those of the texts that are remembered, as names or as patterns."""
        if how == NAME:
            return [text for text in texts if fold(text) in self._names]
        return [text for text in texts if text in self._patterns]

    def texts(self) -> tuple[str, ...]:
        """All names, then all patterns."""
        return (*self._names.values(), *self._patterns)

    def calls(self) -> list[tuple[str, list[str]]]:
        """The methods to call, and their texts, to subscribe to everything."""
        names, patterns = list(self._names.values()), list(self._patterns)
        calls = [(NAME, piece) for piece in pieces(names)]
        return calls + [(PATTERN, piece) for piece in pieces(patterns)]


def pieces(texts: list[str]) -> Iterator[list[str]]:
    """Names or patterns in pieces that fit into one call each."""
    piece: list[str] = []
    size = 0
    for text in texts:
        width = _ENVELOPE + (len(text) if text.isascii() else 4 * len(text))
        if piece and (size + width > _BYTES_AT_ONCE or len(piece) == MAX_SUBJECTS_PER_CALL):
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += width
    if piece:
        yield piece
