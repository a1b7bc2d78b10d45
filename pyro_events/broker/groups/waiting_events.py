"""Waiting events: those of a group, in the order in which they came, and sorted by who may get them.

Knows: order, which event replaces which, and how much memory the sorting takes. Must not know: bounds,
policies, what a taker is (anything hashable), or what happens to an event that is taken out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, Generic, TypeVar

from ...constants import LATEST_OVERHEAD
from ..accounting import QueuedEvent, TotalBytes, text_size
from ..matching.subjects import fold

T = TypeVar("T", bound=Hashable)

# The memory of an event's entry in SortedEvents, without its key, and of its places in the sorting.
SORTED_OVERHEAD: Final = LATEST_OVERHEAD + 128
# So many places may be out of date in addition to as many as there are events.
_SPARE: Final = 64


class PlainEvents:
    """Events that every taker may get."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: deque[QueuedEvent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[QueuedEvent]:
        return iter(self._events)

    def put(self, event: QueuedEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def extend(self, events: Iterable[QueuedEvent]) -> None:
        """Add events."""
        self._events.extend(events)

    def first(self) -> QueuedEvent:
        """The oldest event."""
        return self._events[0]

    def popleft(self) -> QueuedEvent:
        """Take the oldest event out."""
        return self._events.popleft()

    def clear(self) -> None:
        """Take everything out."""
        self._events.clear()


class SortedEvents(Generic[T]):
    """Events that may be taken out of the middle, because not every taker may get each of them.

    An event is found by its number, or if only the newest of each subject is kept, by its subject.

    Those with the same takers are a lane. A lane's places may be out of date: they are only passed over when
    their turn comes, or when there are too many of them.
    """

    __slots__ = ("_entries", "_lanes", "_latest", "_number", "_places", "_takers", "_total")

    def __init__(self, total: TotalBytes, takers: Callable[[str], tuple[T, ...]], latest: bool) -> None:
        """total: the memory of the entries is added to it. takers: who may get an event of a subject.
        latest: whether an event replaces an older one of its subject."""
        self._total = total
        self._takers = takers
        self._latest = latest
        self._number = 0
        self._entries: OrderedDict[str | int, tuple[int, QueuedEvent]] = OrderedDict()
        self._lanes: dict[tuple[T, ...], deque[tuple[int, str | int]]] = {}
        self._places = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[QueuedEvent]:
        return (event for _, event in self._entries.values())

    def put(self, event: QueuedEvent) -> QueuedEvent | None:
        """Add an event, at the end. Returns the one that it replaces, or None."""
        self._number = number = self._number + 1
        key = fold(event[0]) if self._latest else number
        older = self._entries.pop(key, None)
        self._entries[key] = number, event
        if older is None:
            self._total.value += self._size(key)
        if self._places > 2 * len(self._entries) + _SPARE:
            self._sort_again()
        else:
            self._sort(number, key, event)
        return None if older is None else older[1]

    def _sort(self, number: int, key: str | int, event: QueuedEvent) -> None:
        self._lanes.setdefault(self._takers(event[0]), deque()).append((number, key))
        self._places += 1

    def _sort_again(self) -> None:
        self._lanes.clear()
        self._places = 0
        for key, (number, event) in self._entries.items():
            self._sort(number, key, event)

    def first(self) -> QueuedEvent:
        """The oldest event."""
        return next(iter(self._entries.values()))[1]

    def popleft(self) -> QueuedEvent:
        """Take the oldest event out."""
        key, (_, event) = self._entries.popitem(last=False)
        self._total.value -= self._size(key)
        return event

    def clear(self) -> None:
        """Take everything out."""
        while self._entries:
            self.popleft()
        self._lanes.clear()
        self._places = 0

    def lanes(self) -> list[tuple[int, tuple[T, ...]]]:
        """The takers of each lane that has an event, and the number of its oldest one."""
        found = []
        for takers in list(self._lanes):
            number = self.oldest_of(takers)
            if number is not None:
                found.append((number, takers))
        return found

    def oldest_of(self, takers: tuple[T, ...]) -> int | None:
        """The number of the oldest event of a lane, None if it has none."""
        places = self._lanes.get(takers)
        while places:
            number, key = places[0]
            entry = self._entries.get(key)
            if entry is not None and entry[0] == number:
                return number
            places.popleft()
            self._places -= 1
        self._lanes.pop(takers, None)
        return None

    def take_from(self, takers: tuple[T, ...]) -> QueuedEvent:
        """Take the oldest event out that a lane has, after `oldest_of` has found one."""
        _, key = self._lanes[takers].popleft()
        self._places -= 1
        self._total.value -= self._size(key)
        return self._entries.pop(key)[1]

    def _size(self, key: str | int) -> int:
        return SORTED_OVERHEAD + (text_size(key) if isinstance(key, str) else 0)
