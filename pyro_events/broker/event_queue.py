"""Event queue: the events that wait for one subscriber, in the order in which they came, and their numbers.

Knows: order, and which numbers were given to events that no longer wait. Must not know: bounds, policies, or
what happens to an event that is taken out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from ..constants import EventRow
from .accounting import QueuedEvent

# An event with the number that it has for one subscriber.
Numbered = tuple[int, QueuedEvent]


class EventQueue:
    """Events with consecutive numbers, except for gaps, where an event was dropped while others waited.

    events: the waiting events; append to it. passed: the number before that of the oldest event, or before
    the gap in front of it. gaps: [the first number, how many] of each. No number is stored with an event:
    that makes the delivery to many subscribers a fifth faster and takes a tenth of the memory.
    """

    __slots__ = ("events", "gaps", "passed")

    def __init__(self, entries: Iterable[Numbered] = (), passed: int = 0, accepted: int = 0) -> None:
        """entries: the waiting events, ascending. passed: the number that was taken last. accepted: the last
        one given."""
        self.events: deque[QueuedEvent] = deque()
        self.passed = passed
        self.gaps: list[list[int]] = []
        following = passed + 1
        for number, event in entries:
            self._skip(following, number)
            following = number + 1
            self.events.append(event)
        self._skip(following, accepted + 1)

    def _skip(self, first: int, end: int) -> None:
        if first < end:
            self.gaps.append([first, end - first])

    def skip(self, number: int, events: int = 1) -> None:
        """Record that a number, or several from it on, were given to events that are dropped, while others
        wait before them."""
        if self.gaps and sum(self.gaps[-1]) == number:
            self.gaps[-1][1] += events
        else:
            self.gaps.append([number, events])

    def take(self, events: int, size: int, held: int) -> tuple[Sequence[int], list[QueuedEvent], int]:
        """Take the oldest events out: at most `events` of them, and `size` bytes or little more.

        held: the bytes of all waiting events. Returns their numbers, the events, and their bytes.
        """
        waiting = self.events
        if len(waiting) <= events and held <= size:
            taken = list(waiting)
            waiting.clear()
            return self.numbers(len(taken)), taken, held
        taken = []
        cost = 0
        for _ in range(min(events, len(waiting))):
            event = waiting.popleft()
            taken.append(event)
            cost += event[3]
            if cost >= size:
                break
        return self.numbers(len(taken)), taken, cost

    def take_expired(self, earliest: float, most: int, ahead: int) -> list[QueuedEvent]:
        """Take out events that were stamped before `earliest`, at most `most` of them: the oldest ones, up to
        the first that was not, and those among the `ahead` events that follow.

        An event may have an earlier time stamp than those before it: its publisher was blocked meanwhile.
        """
        waiting = self.events
        count = 0
        for event in islice(waiting, most):
            if event[1] >= earliest:
                break
            count += 1
        if count == len(waiting):
            expired = list(waiting)
            waiting.clear()
        else:
            expired = [waiting.popleft() for _ in range(count)]
        self._pass_over(count)
        if any([event[1] < earliest for event in islice(waiting, ahead)]):
            expired += self._take_stragglers(earliest, most - count, ahead)
        return expired

    def _take_stragglers(self, earliest: float, most: int, ahead: int) -> list[QueuedEvent]:
        """The same for events that do not follow each other, until `ahead` others stay before the rest."""
        passed = self.passed
        expired: list[QueuedEvent] = []
        others: list[Numbered] = []
        while self.events and len(expired) < most and len(others) < ahead:
            number = self.numbers(1)[0]
            event = self.events.popleft()
            if event[1] < earliest:
                expired.append(event)
            else:
                others.append((number, event))
        front = EventQueue(others, passed, self.passed)
        self.events.extendleft(reversed(front.events))
        self.gaps[:0] = front.gaps
        self.passed = passed
        return expired

    def _pass_over(self, events: int) -> None:
        """So many of the oldest events no longer count as waiting; as `numbers`, which also lists them."""
        used = 0
        for first, missing in self.gaps:
            between = first - 1 - self.passed
            if between >= events:
                break
            events -= between
            self.passed = first + missing - 1
            used += 1
        del self.gaps[:used]
        self.passed += events

    def popleft(self) -> QueuedEvent:
        """Take the oldest event out, and its number."""
        self.numbers(1)
        return self.events.popleft()

    def restart(self, number: int) -> None:
        """The oldest waiting event, or the next one that comes, has that number, and no gap follows."""
        self.passed = number - 1
        self.gaps.clear()

    def renumber(self, more: int) -> None:
        """So many numbers are given to others, before those of everything that waits."""
        self.passed += more
        for gap in self.gaps:
            gap[0] += more

    def numbers(self, events: int) -> Sequence[int]:
        """The numbers of so many of the oldest events; these events no longer count as waiting."""
        first = self.passed + 1
        if not self.gaps:
            self.passed += events
            return range(first, first + events)
        numbers = []
        gaps = iter(self.gaps)
        gap = next(gaps, None)
        used = 0
        for _ in range(events):
            while gap is not None and gap[0] == first:
                first += gap[1]
                used += 1
                gap = next(gaps, None)
            numbers.append(first)
            first += 1
        del self.gaps[:used]
        self.passed = first - 1
        return numbers


def rows_of(numbers: Sequence[int], events: Sequence[QueuedEvent], last: int) -> list[EventRow]:
    """The rows of events. last: the number of the event that was taken before them."""
    rows: list[EventRow] = []
    if numbers[-1] - last == len(events):  # nothing was dropped
        number = last
        for event in events:
            number += 1
            rows.append((event[0], event[1], number, 0, event[2]))
        return rows
    for number, event in zip(numbers, events, strict=True):
        rows.append((event[0], event[1], number, number - last - 1, event[2]))
        last = number
    return rows
