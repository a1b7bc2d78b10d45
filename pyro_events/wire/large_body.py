"""The body of a large frame while it is received, in one piece of memory, which is used again afterwards.

Knows: how much memory a frame that has begun may take, and which pieces the process keeps. Must not know:
what a frame looks like on the wire, sockets.

Setting a megabyte to zero takes as long as copying it, and getting it from the system takes several times as
long. So a few pieces are kept, for all connections and threads of the process. A piece is used again when no
view of it is left: neither of a frame that is being received, nor of a received payload.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ..constants import LARGE, MIB

# How many pieces are kept, and the largest that is kept: a process keeps at most 8 MiB.
_KEEP: Final = 4
_KEEP_SIZE: Final = 2 * MIB
# Pieces that were used. All connections and threads share them; take a piece out before looking at it.
_kept: deque[bytearray] = deque(maxlen=_KEEP)


def _unused_piece(size: int) -> bytearray | None:
    """A kept piece of that size, or a little larger, of which there is no view any more."""
    for _ in range(len(_kept)):
        try:
            piece = _kept.popleft()
        except IndexError:  # other threads have them
            return None
        if size <= len(piece) <= size + size // 8 and not _is_viewed(piece):
            return piece
        _kept.append(piece)
    return None


def _is_viewed(piece: bytearray) -> bool:
    """Whether there is a view of it; then Python does not let it change its size."""
    try:
        piece.append(piece.pop())
    except BufferError:
        return True
    return False


class LargeBody:
    """The body of a frame that is being received. It always has a view of its memory."""

    __slots__ = ("_received", "_size", "_view")

    def __init__(self, size: int, beginning: memoryview) -> None:
        """size: of the whole body. beginning: the bytes that have come already."""
        self._size = size
        self._received = 0
        self._view = memoryview(b"")
        piece = _unused_piece(size)
        if piece is None:
            self._grow(len(beginning))
        else:
            self._view = memoryview(piece)[:size]
            _kept.append(piece)
        self.fill(beginning)

    @property
    def held(self) -> int:
        """How many bytes of memory it takes now."""
        return len(self._view)

    def space(self) -> memoryview:
        """Where to put the next bytes; empty if it is complete. Call it again after `filled`."""
        if self._received == len(self._view) < self._size:
            self._grow(self._received)
        return self._view[self._received :]

    def _grow(self, come: int) -> None:
        """Take more memory, in proportion to what has come: a header alone must not cost much."""
        piece = bytearray(min(self._size, 4 * max(come, LARGE)))
        view = memoryview(piece)
        view[: self._received] = self._view[: self._received]
        self._view = view
        if len(piece) == self._size <= _KEEP_SIZE:
            _kept.append(piece)

    def filled(self, count: int) -> None:
        """So many bytes were put into the space."""
        self._received += count

    def fill(self, data: memoryview) -> memoryview:
        """Take the bytes that belong to it. Returns the rest."""
        while data and self._received < self._size:
            space = self.space()
            count = min(len(space), len(data))
            space[:count] = data[:count]
            self._received += count
            data = data[count:]
        return data

    def whole(self) -> memoryview | None:
        """The whole body, if it is complete."""
        return self._view if self._received == self._size else None
