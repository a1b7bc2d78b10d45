"""A large frame while it is received: its body in one piece of memory, which is used again afterwards.

Knows: how much memory a frame that has begun may take. Must not know: what a frame looks like on the
wire, sockets.

Setting a megabyte to zero takes as long as copying it, and getting it from the system several times
as long. So a few pieces are kept, and used again when nobody else has a view of them.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Final

from ..constants import LARGE, MIB

# Pieces that are kept, and the largest that is: a process keeps 8 MiB at most.
_KEEP: Final = 4
_KEEP_SIZE: Final = 2 * MIB
_kept: deque[bytearray] = deque(maxlen=_KEEP)


def _unused(kept: deque[bytearray], size: int, references: int) -> bytearray | None:
    """A kept piece of at least that size to which there are no more than so many references."""
    for piece in list(kept):
        if len(piece) >= size and sys.getrefcount(piece) <= references:
            return piece
    return None


# How many there are to a piece that nobody uses: that of the kept ones, and those of who looks. A view
# refers to its memory, and so does another thread that looks at the same moment.
_NOBODY: Final = next(count for count in range(16) if _unused(deque([bytearray(1)]), 1, count) is not None)


class LargeBody:
    """The body of a frame that is being received."""

    __slots__ = ("_memory", "_received", "_size", "_usable")

    def __init__(self, size: int, beginning: memoryview) -> None:
        """size: of all of it. beginning: what has come already."""
        self._size = size
        self._memory = _unused(_kept, size, _NOBODY) or bytearray()
        self._usable = min(len(self._memory), size)
        self._received = 0
        if not self._usable:
            self._grow(len(beginning))
        self.take(beginning)

    @property
    def held(self) -> int:
        """How many bytes it takes now."""
        return self._usable

    def space(self) -> memoryview:
        """Where the next bytes belong; nothing when it is complete."""
        if self._received == self._usable < self._size:
            self._grow(self._received)
        return memoryview(self._memory)[self._received : self._usable]

    def _grow(self, come: int) -> None:
        """Take more memory, in proportion to what has come: a header alone shall not cost much."""
        self._usable = min(self._size, 4 * max(come, LARGE))
        memory = bytearray(self._usable)
        memory[: self._received] = memoryview(self._memory)[: self._received]
        self._memory = memory
        if self._usable == self._size <= _KEEP_SIZE:
            _kept.append(memory)

    def filled(self, count: int) -> None:
        """So many bytes of the space hold what was received."""
        self._received += count

    def take(self, data: memoryview) -> memoryview:
        """Take what belongs to it; returns the rest."""
        while data and self._received < self._size:
            with self.space() as space:
                count = min(len(space), len(data))
                space[:count] = data[:count]
            self._received += count
            data = data[count:]
        return data

    def whole(self) -> memoryview | None:
        """All of it, when it has come."""
        return memoryview(self._memory)[: self._size] if self._received == self._size else None
