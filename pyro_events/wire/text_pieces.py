"""Text pieces: many names or patterns in pieces that fit into one call each.

Knows: how much a call may carry. Must not know: what the texts are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..constants import KIB, MAX_SUBJECTS_PER_CALL

# The bytes of names in one call: the service accepts 64 KiB in all, and an address and options are added.
_BYTES_AT_ONCE: Final = 48 * KIB
# The bytes that msgpack adds to a text of up to 64 KiB.
_ENVELOPE: Final = 3


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
