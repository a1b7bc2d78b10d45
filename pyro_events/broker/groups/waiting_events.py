"""Waiting events: those of a group, in the order in which they came, and sorted by who may get them.

Knows: order, which event replaces which, and how much memory the sorting takes. Must not know: bounds,
policies, what a taker is (anything hashable), or what happens to an event that is taken out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from ...constants import LATEST_OVERHEAD
from ..accounting import QueuedEvent, TotalBytes, text_size
from ..matching.subjects import fold

T = TypeVar("T", bound=Hashable)

# The memory of an event's entry in SortedEvents, without its key, and of its places in the sorting.
SORTED_OVERHEAD: Final = LATEST_OVERHEAD + 128
# The memory of a lane, without its takers.
LANE_OVERHEAD: Final = 1024
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

    def put(self, event: QueuedEvent, later: bool = False) -> None:
        """Add an event. later: as for SortedEvents, and makes no difference here."""
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


# Where an event is: its number, and what it is found by.
_Place = tuple[int, str | int]


class _Lane(Generic[T]):
    """The places of the events with the same takers, in order."""

    __slots__ = ("places", "takers")

    def __init__(self, takers: tuple[T, ...]) -> None:
        self.takers = takers
        self.places: deque[_Place] = deque()


class SortedEvents(Generic[T]):
    """Events that may be taken out of the middle, because not every taker may get each of them.

    An event is found by its number, or if only the newest of each subject is kept, by its subject.

    Those with the same takers are a lane. A lane's places may be out of date, where other events have
    replaced those that were there: they are only passed over when their turn comes, or when there are too
    many of them.

    To find the takers of an event takes some time, and there may be many thousands of events. So the newest
    of them may not be sorted yet: `sort` does that, some at a time.

    arrangement: another object whenever events may have moved from one lane to another.
    """

    __slots__ = (
        "_entries",
        "_lanes",
        "_latest",
        "_memory",
        "_number",
        "_places",
        "_takers",
        "_total",
        "_unsorted",
        "arrangement",
    )

    def __init__(self, total: TotalBytes, takers: Callable[[str], tuple[T, ...]], latest: bool) -> None:
        """total: the memory of the sorting is added to it. takers: who may get an event of a subject. latest:
        whether an event replaces an older one of its subject."""
        self._total = total
        self._takers = takers
        self._latest = latest
        self._number = 0
        self._memory = 0
        # Each with its number, and the lane that it is in, None if it is not sorted yet.
        self._entries: OrderedDict[str | int, tuple[int, QueuedEvent, _Lane[T] | None]] = OrderedDict()
        self._lanes: dict[tuple[T, ...], _Lane[T]] = {}
        self._places = 0
        self.arrangement = object()
        # The places of the newest events, whose lanes are not known yet; if there are any, the next event
        # comes behind them.
        self._unsorted: deque[_Place] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[QueuedEvent]:
        for _, event, _ in self._entries.values():
            yield event

    @property
    def memory(self) -> int:
        """What the sorting takes, in bytes."""
        return self._memory

    @property
    def unsorted(self) -> bool:
        """Whether `sort` has something to do."""
        return bool(self._unsorted)

    def put(self, event: QueuedEvent, later: bool = False) -> QueuedEvent | None:
        """Add an event, at the end. later: do not sort it yet. Returns the one that it replaces, or None."""
        self._number = number = self._number + 1
        key = fold(event[0]) if self._latest else number
        older = self._entries.pop(key, None)
        if older is None:
            self._count(self._size(key))
        if later or self._unsorted:
            self._entries[key] = number, event, None
            self._unsorted.append((number, key))
        else:
            self._sort(number, key, event, self._takers(event[0]))
        if older is not None and self._places + len(self._unsorted) > 2 * len(self._entries) + _SPARE:
            self._tidy()
        return None if older is None else older[1]

    def _sort(self, number: int, key: str | int, event: QueuedEvent, takers: tuple[T, ...]) -> None:
        lane = self._lanes.get(takers)
        if lane is None:
            lane = self._lanes[takers] = _Lane(takers)
            self._count(_lane_size(takers))
        lane.places.append((number, key))
        self._places += 1
        self._entries[key] = number, event, lane

    def _is_there(self, place: _Place) -> bool:
        entry = self._entries.get(place[1])
        return entry is not None and entry[0] == place[0]

    def _tidy(self) -> None:
        """Forget the places that are out of date."""
        self._unsorted = deque(filter(self._is_there, self._unsorted))
        for lane in list(self._lanes.values()):
            places = deque(filter(self._is_there, lane.places))
            self._places += len(places) - len(lane.places)
            lane.places = places
            if not places:
                self._end_lane(lane.takers)

    def _end_lane(self, takers: tuple[T, ...]) -> None:
        if self._lanes.pop(takers, None) is not None:
            self._count(-_lane_size(takers))

    def resort(self) -> None:
        """The takers of some may be others than before: all have to be sorted again. It costs no more than it
        cost to sort those that were sorted."""
        self.arrangement = object()
        places = sorted(
            filter(self._is_there, chain.from_iterable([lane.places for lane in self._lanes.values()])),
            reverse=True,
        )
        for number, key in places:
            self._entries[key] = number, self._entries[key][1], None
        self._unsorted.extendleft(places)
        self._end_lanes()

    def _end_lanes(self) -> None:
        for takers in list(self._lanes):
            self._end_lane(takers)
        self._places = 0

    def sort(self, most: int) -> list[QueuedEvent]:
        """Sort some of those that are not, the oldest first. most: how many at a time. Returns those that
        nobody may get, which are taken out."""
        unwanted = []
        while most > 0 and self._unsorted:
            place = self._unsorted.popleft()
            if self._is_there(place):
                most -= 1
                event = self._entries[place[1]][1]
                takers = self._takers(event[0])
                if takers:
                    self._sort(*place, event, takers)
                else:
                    unwanted.append(self._remove(place[1]))
        return unwanted

    def first(self) -> QueuedEvent:
        """The oldest event."""
        return next(iter(self._entries.values()))[1]

    def popleft(self) -> QueuedEvent:
        """Take the oldest event out."""
        key, (number, _, lane) = next(iter(self._entries.items()))
        places = self._unsorted if lane is None else lane.places
        # It is the oldest of its lane too, after places that are out of date.
        while places and places[0][0] <= number:
            places.popleft()
            self._places -= lane is not None
        if lane is not None and not places:
            self._end_lane(lane.takers)
        return self._remove(key)

    def _remove(self, key: str | int) -> QueuedEvent:
        _, event, _ = self._entries.pop(key)
        self._count(-self._size(key))
        if not self._entries:
            self._end_lanes()
            self._unsorted.clear()
        return event

    def clear(self) -> None:
        """Take everything out."""
        while self._entries:
            self.popleft()

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
        lane = self._lanes.get(takers)
        places = lane.places if lane is not None else None
        while places:
            if self._is_there(places[0]):
                return places[0][0]
            places.popleft()
            self._places -= 1
        self._end_lane(takers)
        return None

    def take_from(self, takers: tuple[T, ...]) -> QueuedEvent:
        """Take the oldest event out that a lane has, after `oldest_of` has found one."""
        _, key = self._lanes[takers].places.popleft()
        self._places -= 1
        return self._remove(key)

    def _size(self, key: str | int) -> int:
        return SORTED_OVERHEAD + (text_size(key) if isinstance(key, str) else 0)

    def _count(self, size: int) -> None:
        self._memory += size
        self._total.value += size


def _lane_size(takers: tuple[T, ...]) -> int:
    return LANE_OVERHEAD + 8 * len(takers)
