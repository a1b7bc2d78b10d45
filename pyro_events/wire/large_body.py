"""The body of a large frame while it is received, in one piece of memory, which is used again afterwards.

Knows: how much memory a frame that has begun may take, and which pieces are kept for later. Must not know:
what a frame looks like on the wire, sockets.

Setting a megabyte to zero takes as long as copying it, and getting it from the system takes ten times as
long. So pieces are kept, each for all connections that receive into the same `Pieces`. A piece is used again
when no view of it is left: neither of a frame that is being received, nor of a received payload.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ..constants import LARGE, LARGEST_MESSAGE, MAX_MESSAGE, MIB

# How many bytes of pieces that are not in use are kept.
_IDLE: Final = 8 * MIB


class Pieces:
    """Pieces of memory that were used to receive into. Any thread may use it.

    Those in use are remembered too, the longest used first, because they come back in about that order. After
    `trim`, at most 8 MiB are not in use. New pieces call it, and what owns them when little is received.
    """

    # All threads share the pieces: take one out before looking at it.

    def __init__(self, most: int, largest: int = LARGEST_MESSAGE) -> None:
        """most: how many pieces are remembered. largest: how large they may be, roughly."""
        self._largest = largest + LARGE
        self._pieces: deque[bytearray] = deque(maxlen=most)
        self._new = 0  # bytes of new pieces since the last `trim`

    def take(self, size: int) -> memoryview | None:
        """So many bytes of a piece that is not in use, and hardly larger; None if none is found soon."""
        pieces, others = self._pieces, list[bytearray]()
        # To look at a piece in use takes 0.5 µs; to do without one, 0.5 µs for each KiB at worst.
        for _ in range(min(len(pieces), 4 + size // LARGE)):
            try:
                piece = pieces.popleft()
            except IndexError:  # other threads have them
                break
            # Only its own bytes are accounted for, and a view keeps all of the piece.
            if size <= len(piece) <= size + size // 8 and not _is_viewed(piece):
                view = memoryview(piece)[:size]
                pieces.extend(others)
                pieces.append(piece)
                return view
            others.append(piece)
        pieces.extendleft(reversed(others))
        return None

    def remember(self, piece: bytearray) -> None:
        """A new piece, which is to be used again."""
        if len(piece) > self._largest:
            return
        self._new += len(piece)
        if self._new >= _IDLE:
            self.trim()
        self._pieces.append(piece)

    def trim(self) -> None:
        """Let go of pieces that are not in use, if they are many. The others will be found first."""
        pieces, unused, idle = self._pieces, list[bytearray](), 0
        self._new = 0
        for _ in range(len(pieces)):
            try:
                piece = pieces.popleft()
            except IndexError:  # other threads have them
                break
            if _is_viewed(piece):
                pieces.append(piece)
            elif idle + len(piece) <= _IDLE:
                idle += len(piece)
                unused.append(piece)
        pieces.extendleft(unused)


def _is_viewed(piece: bytearray) -> bool:
    """Whether there is a view of it; then Python does not let it change its size."""
    try:
        piece.append(piece.pop())
    except BufferError:
        return True
    return False


# Those of a program's clients: what is received while the last message is handled, and a few more.
CLIENTS: Final = Pieces(4, MAX_MESSAGE)


class LargeBody:
    """The body of a frame that is being received. It always has a view of its memory."""

    __slots__ = ("_pieces", "_received", "_size", "_view")

    def __init__(self, size: int, beginning: memoryview, pieces: Pieces = CLIENTS) -> None:
        """size: of the whole body. beginning: the bytes that have come already. pieces: where it gets memory,
        and leaves it for others."""
        self._size = size
        self._received = 0
        self._pieces = pieces
        view = pieces.take(size)
        self._view = memoryview(b"") if view is None else view
        if view is None:
            self._grow(len(beginning))
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
        if len(piece) == self._size:
            self._pieces.remember(piece)

    def filled(self, count: int) -> bool:
        """So many bytes were put into the space. Returns whether all of it has come."""
        self._received += count
        return self._received == self._size

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
