"""MatchCache: remembers the targets of subjects, bounded, and forgets them name by name.

Knows: which spellings of a name it holds. Must not know: how targets were found.

It has two generations. A subject that is asked for moves to the recent one. When that is full it becomes the
older one, and subjects of the previous older one are forgotten. So a flood of new subjects does not push out
the ones in use, and looking up a recent one is one `dict.get`.

Remembering a result takes as long as finding a cheap one three times. So when there is no room, only one in
nine of those is remembered: where more subjects are in use than fit, most are found without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from ...constants import MATCH_CACHE_TARGETS

__all__ = ["MatchCache"]

T = TypeVar("T")

# How many cheap results pass by a full generation, for each subject that fits into it, until it makes room.
_PASSING: Final = 8


class _Generation(Generic[T]):
    """Results by subject as spelled, and the spellings of each name where they differ from its fold."""

    __slots__ = ("results", "spellings", "targets")

    def __init__(self) -> None:
        self.results: dict[str, tuple[T, ...]] = {}
        self.spellings: dict[str, list[str]] = {}
        self.targets = 0

    def put(self, subject: str, folded: str, result: tuple[T, ...]) -> None:
        self.results[subject] = result
        self.targets += len(result)
        if subject != folded:
            self.spellings.setdefault(folded, []).append(subject)

    def invalidate(self, folded: str) -> None:
        for subject in (folded, *self.spellings.pop(folded, ())):
            self.targets -= len(self.results.pop(subject, ()))


class MatchCache(Generic[T]):
    """Remembers tuples of targets, which are replaced and never changed.

    `recent` maps subjects to results: read it, do not write to it, and do not keep it. `changed`: is called
    when results have to be found anew, with the fold of a name, or None for all of them.
    """

    __slots__ = ("_older", "_passed", "_recent", "_subjects", "_targets", "changed", "recent")

    def __init__(self, subjects: int, targets: int = MATCH_CACHE_TARGETS) -> None:
        """Approximate bounds: subjects (below 2: remember none), and the targets of all of them together."""
        self._subjects = subjects // 2
        self._targets = targets // 2
        self.changed: Callable[[str | None], object] | None = None
        self.clear()

    def __len__(self) -> int:
        return len(self._recent.results.keys() | self._older.results.keys())

    def clear(self) -> None:
        """Forget everything."""
        self._older: _Generation[T] = _Generation()
        self._recent: _Generation[T] = _Generation()
        self._passed = 0
        self.recent = self._recent.results
        if self.changed is not None:
            self.changed(None)

    def recall(self, subject: str, folded: str) -> tuple[T, ...] | None:
        """The result for `subject` if it is remembered outside `recent`, or None. folded: its fold."""
        result = self._older.results.get(subject)
        if result is not None:
            self.remember(subject, folded, result)
        return result

    def remember(self, subject: str, folded: str, result: tuple[T, ...], cheap: bool = False) -> None:
        """Add the result for a subject that is not in `recent`.

        folded: its fold. cheap: whether finding it takes hardly longer than looking it up here. Of such
        results only some are remembered when there is no room.
        """
        if not self._subjects:
            return
        if len(self.recent) >= self._subjects or self._recent.targets + len(result) > self._targets:
            if cheap and self._passed < _PASSING * self._subjects:
                self._passed += 1
                return
            self._passed = 0
            self._older, self._recent = self._recent, _Generation()
            self.recent = self._recent.results
        self._recent.put(subject, folded, result)

    def invalidate(self, folded: str) -> None:
        """Forget every spelling of the name with that fold."""
        self._recent.invalidate(folded)
        self._older.invalidate(folded)
        if self.changed is not None:
            self.changed(folded)
