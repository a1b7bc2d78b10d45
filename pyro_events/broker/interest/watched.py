"""InterestTable: which watched subjects have got their first listener, or have lost the last one.

Knows: who watches which subjects, what each watcher was told last, and which subjects have to be counted
again. Must not know: what a listener or a watcher is (anything hashable), how listeners are found, the clock,
or how a watcher is told.

Nothing is counted when a subscription changes: that is only noted, and `look` counts later, a few subjects at
a time. What it finds is compared with what each watcher was told last. So however much changes in between,
and in whatever order, what a watcher was told last is how it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from ..matching.case_folding import fold

__all__ = ["Change", "InterestTable"]

W = TypeVar("W", bound=Hashable)
# What a watcher has to be told: a subject, as the watcher spells it, and how many listeners it has.
Change = tuple[W, str, int]


class _Watched(Generic[W]):
    """A subject, spelled in one way. told: what each watcher was told, whether there are listeners; None for
    nothing yet. version: of all patterns, when it was counted."""

    __slots__ = ("subject", "told", "version")

    def __init__(self, subject: str, version: int) -> None:
        self.subject = subject
        self.told: dict[W, bool | None] = {}
        self.version = version


class InterestTable(Generic[W]):
    """The watched subjects of one service. may: whether a watcher may know of a subject now; to one that may
    not it has no listeners. After it has changed, call `changed(None)`."""

    def __init__(self, count: Callable[[str], int]) -> None:
        """count: the number of listeners that a subject has now."""
        self._count = count
        self.may: Callable[[W, str], bool] = _always
        # What each watcher watches, by its folded name: two spellings of one name are the same to it.
        self._watchers: dict[W, dict[str, _Watched[W]]] = {}
        # Each watched subject as spelled, which matters for patterns in which case counts. In the order in
        # which they were counted, so that the versions ascend.
        self._counted: OrderedDict[str, _Watched[W]] = OrderedDict()
        self._spellings: dict[str, set[str]] = {}
        self._version = 0
        # Those that have to be counted again because of a name, or because they are watched from now on.
        self._due: OrderedDict[str, None] = OrderedDict()
        self._due_next = False

    def __bool__(self) -> bool:
        """Whether anything is watched."""
        return bool(self._counted)

    def watched_by(self, watcher: W) -> int:
        """How many subjects a watcher watches."""
        return len(self._watchers.get(watcher, ()))

    def is_watched(self, watcher: W, folded: str) -> bool:
        """Whether a watcher watches a subject. folded: its fold."""
        return folded in self._watchers.get(watcher, ())

    def watch(self, watcher: W, subject: str) -> None:
        """A watcher is to be told of a subject: soon how it is, even if it has been told, and then of each
        change."""
        folded = fold(subject)
        mine = self._watchers.setdefault(watcher, {})
        if folded in mine and mine[folded].subject != subject:
            self._leave(watcher, folded, mine.pop(folded))
        watched = self._counted.get(subject)
        if watched is None:
            watched = self._counted[subject] = _Watched(subject, self._version)
            self._spellings.setdefault(folded, set()).add(subject)
        watched.told[watcher] = None
        mine[folded] = watched
        self._due[subject] = None

    def unwatch(self, watcher: W, subject: str) -> None:
        """A watcher is not told of a subject any more, however it is spelled; harmless if it was not."""
        folded = fold(subject)
        mine = self._watchers.get(watcher)
        if mine is None or folded not in mine:
            return
        self._leave(watcher, folded, mine.pop(folded))
        if not mine:
            del self._watchers[watcher]

    def remove(self, watcher: W) -> None:
        """A watcher is gone; harmless if it was not here."""
        for folded, watched in self._watchers.pop(watcher, {}).items():
            self._leave(watcher, folded, watched)

    def _leave(self, watcher: W, folded: str, watched: _Watched[W]) -> None:
        del watched.told[watcher]
        if watched.told:
            return
        subject = watched.subject
        del self._counted[subject]
        self._due.pop(subject, None)
        spellings = self._spellings[folded]
        spellings.remove(subject)
        if not spellings:
            del self._spellings[folded]

    # ---- what has changed -----------------------------------------------------------------------

    def changed(self, folded: str | None) -> bool:
        """Listeners have come or gone. Returns whether there is something to count.

        folded: the name to which they were subscribed; None for a pattern, which may match any subject.
        """
        if folded is None:
            self._version += 1
        else:
            for subject in self._spellings.get(folded, ()):
                self._due[subject] = None
        return self.pending

    @property
    def pending(self) -> bool:
        """Whether a subject has to be counted."""
        return bool(self._due) or self._outdated() is not None

    def _outdated(self) -> str | None:
        """The subject that was counted longest ago, if the patterns have changed since."""
        oldest = next(iter(self._counted.values()), None)
        return oldest.subject if oldest is not None and oldest.version != self._version else None

    def look(self, most: int) -> list[Change[W]]:
        """Count the listeners of at most so many subjects. Returns what has to be told, and takes it as told.

        Call it until nothing is `pending`.
        """
        changes: list[Change[W]] = []
        for _ in range(most):
            subject = self._next()
            if subject is None:
                break
            watched = self._counted[subject]
            watched.version = self._version
            self._counted.move_to_end(subject)
            count = self._count(subject)
            may = self.may
            for watcher, told in watched.told.items():
                wanted = count > 0 and may(watcher, subject)
                if told is not wanted:
                    watched.told[watcher] = wanted
                    changes.append((watcher, subject, count if wanted else 0))
        return changes

    def _next(self) -> str | None:
        """The subject to count next. Those of changed names and the outdated ones take turns, so that neither
        have to wait for ever while the others change all the time."""
        outdated = self._outdated()
        self._due_next = not self._due_next
        if self._due and (self._due_next or outdated is None):
            return self._due.popitem(last=False)[0]
        if outdated is not None:
            self._due.pop(outdated, None)
        return outdated


def _always(watcher: object, subject: str) -> bool:
    """Everybody may know of every subject."""
    return True
