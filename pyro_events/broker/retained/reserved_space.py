"""ReservedSpace: what publish calls that are blocked may still add to what is kept.

Knows: how many calls will keep an event of a subject, and what the largest of these counts for. Must not
know: which calls these are, what is kept, or the bounds.

Such a call was accepted, so it cannot be refused later. What it replaces may be cleared meanwhile, or be
replaced by something smaller: its space stays.
"""

from __future__ import annotations


class ReservedSpace:
    """The reserved subjects, by their folded names.

    subjects: how many of them have no event that is kept. bytes: how much more they may take than what is
    kept of them.
    """

    __slots__ = ("_reserved", "bytes", "subjects")

    def __init__(self) -> None:
        # Of each subject, how many calls there are, and the largest cost of all since the first of them.
        self._reserved: dict[str, tuple[int, int]] = {}
        self.subjects = self.bytes = 0

    def of(self, key: str) -> int:
        """What is reserved for a subject, 0 for nothing."""
        return self._reserved.get(key, (0, 0))[1]

    def add(self, key: str, cost: int, kept: int) -> None:
        """A call will keep events of a subject that cost so much at most. kept: what is kept of it now counts
        for so much, 0 for nothing."""
        calls, most = self._reserved.get(key, (0, 0))
        self._count(most, kept, -1)
        most = max(most, cost)
        self._reserved[key] = calls + 1, most
        self._count(most, kept, 1)

    def remove(self, key: str, kept: int) -> None:
        """One of these calls will keep no more."""
        calls, most = self._reserved.pop(key)
        if calls > 1:
            self._reserved[key] = calls - 1, most
        else:
            self._count(most, kept, -1)

    def kept(self, key: str, before: int, now: int) -> None:
        """What is kept of a subject counts for so much now, 0 for nothing. before: the same until now."""
        most = self.of(key)
        self._count(most, before, -1)
        self._count(most, now, 1)

    def _count(self, most: int, kept: int, sign: int) -> None:
        if most:
            self.subjects += sign * (not kept)
            self.bytes += sign * max(0, most - kept)
