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
# `sys.getrefcount` sees our variable and its own argument. A view refers to its memory.
_OURS_ALONE: Final = 2

_kept: deque[bytearray] = deque(maxlen=_KEEP)


def _used_again(size: int) -> bytearray | None:
    """A kept piece of at least that size that nobody uses."""
    for _ in range(len(_kept)):
        try:
            piece = _kept.popleft()
        except IndexError:  # another thread has it
            return None
        if len(piece) >= size and sys.getrefcount(piece) == _OURS_ALONE:
            _kept.append(piece)
            return piece
        _kept.append(piece)
        del piece  # or the next thread to look would take it for used
    return None


class LargeBody:
    """The body of a frame that is being received."""

    __slots__ = ("_memory", "_received", "_size", "_usable")

    def __init__(self, size: int, beginning: memoryview) -> None:
        """size: of all of it. beginning: what has come already."""
        self._size = size
        self._memory = _used_again(size) or bytearray()
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
