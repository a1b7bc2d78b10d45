"""Conflation: of the waiting events, only the newest of each subject is kept.

Knows: when two subjects are the same, and how much memory the index of them takes. Must not know: bounds,
policies, or what happens to an event that is replaced.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from ..constants import LATEST_OVERHEAD, TEXT_OVERHEAD
from .accounting import QueuedEvent, TotalBytes, text_size
from .event_queue import Numbered
from .matching.subjects import fold


class ConflatingQueue:
    """One event of each subject, in the order in which they came. A newer event replaces the older one.

    The new event goes to the end: events are delivered in the order in which they were published.
    """

    __slots__ = ("_entries", "_total")

    def __init__(self, total: TotalBytes) -> None:
        """total: the memory of the index is added to it."""
        self._entries: OrderedDict[str, Numbered] = OrderedDict()
        self._total = total

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Numbered]:
        return iter(self._entries.values())

    def put(self, entry: Numbered) -> Numbered | None:
        """Add an event. Returns the one that it replaces, or None."""
        key = fold(entry[1][0])
        entries = self._entries
        older = entries.pop(key, None)
        entries[key] = entry
        if older is None:
            self._total.value += LATEST_OVERHEAD + text_size(key)
        return older

    def renumber(self, more: int) -> None:
        """So many numbers are given to others, before those of everything that waits."""
        for key, (number, event) in self._entries.items():
            self._entries[key] = number + more, event

    def popleft(self) -> Numbered:
        """Take the oldest event out."""
        key, entry = self._entries.popitem(last=False)
        self._total.value -= LATEST_OVERHEAD + text_size(key)
        return entry

    def take(self, events: int, size: int) -> tuple[list[int], list[QueuedEvent], int]:
        """Take the oldest events out: at most `events` of them, and `size` bytes or little more.

        Returns their numbers, the events, and their bytes.
        """
        numbers: list[int] = []
        taken: list[QueuedEvent] = []
        cost = 0
        while self._entries and len(taken) < events and cost < size:
            number, event = self.popleft()
            numbers.append(number)
            taken.append(event)
            cost += event[3]
        return numbers, taken, cost

    def take_expired(self, earliest: float, most: int, ahead: int) -> list[QueuedEvent]:
        """Take out events that were stamped before `earliest`, as EventQueue does."""
        entries = self._entries
        expired: list[QueuedEvent] = []
        texts = 0
        while entries and len(expired) < most:  # to iterate over an OrderedDict takes longer
            key, entry = entries.popitem(last=False)
            if entry[1][1] >= earliest:
                entries[key] = entry
                entries.move_to_end(key, last=False)
                break
            expired.append(entry[1])
            texts += len(key) if key.isascii() else 8 * len(key)
        self._total.value -= (LATEST_OVERHEAD + TEXT_OVERHEAD) * len(expired) + texts
        return expired + self._take_stragglers(earliest, most - len(expired), ahead)

    def _take_stragglers(self, earliest: float, most: int, ahead: int) -> list[QueuedEvent]:
        """The same for events that do not follow each other, until `ahead` others stay before the rest."""
        keys: list[str] = []
        others = 0
        for key, (_, event) in self._entries.items():
            if others >= ahead or len(keys) >= most:
                break
            if event[1] < earliest:
                keys.append(key)
            else:
                others += 1
        self._total.value -= sum([LATEST_OVERHEAD + text_size(key) for key in keys])
        return [self._entries.pop(key)[1] for key in keys]

    def clear(self) -> None:
        """Take everything out."""
        while self._entries:
            self.popleft()
