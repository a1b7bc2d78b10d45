"""Replay: the retained events that wait for one subscriber, beside its backlog.

Knows: their order, and what they count for while they wait. Must not know: the store, backlogs, or numbers.

It holds references to what the store keeps, so it is not bounded: what a subscriber asked for comes. Each
reference counts for the total of all backlogs, and so does an event that only replays hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from ...constants import HOLDER_OVERHEAD
from ..accounting import TotalBytes
from .kept_event import KeptEvent


class Replay:
    """Retained events in the order in which they were published, one of each subject.

    bytes: what they count for, as if nobody else held them.
    """

    __slots__ = ("_events", "_total", "bytes")

    def __init__(self, total: TotalBytes) -> None:
        self._events: deque[KeptEvent] = deque()
        self._total = total
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Sequence[KeptEvent]) -> int:
        """Let events wait too, ascending. In place of one of the same subject that still waits, the newer one
        comes. Returns how many more wait now."""
        before = len(self._events)
        if before:
            waiting = {event.key: event for event in self._events}
            events = [event for event in events if waiting.get(event.key) is not event]
            for event in events:
                older = waiting.pop(event.key, None)
                if older is not None:
                    self._forget(older)
            for event in events:
                waiting[event.key] = event
            self._events = deque(sorted(waiting.values(), key=_number))
        else:
            self._events.extend(events)
        for event in events:
            event.hold()
            self.bytes += event.cost
        self._total.value += HOLDER_OVERHEAD * len(events)
        return len(self._events) - before

    def take(self, events: int, size: int) -> tuple[list[KeptEvent], int]:
        """Take the oldest out: at most `events` of them, and `size` bytes or little more. They are held until
        the caller releases them. Returns them, and their bytes."""
        taken: list[KeptEvent] = []
        cost = 0
        while self._events and len(taken) < events and cost < size:
            event = self._events.popleft()
            taken.append(event)
            cost += event.cost
        self.bytes -= cost
        self._total.value -= HOLDER_OVERHEAD * len(taken)
        return taken, cost

    def subjects(self) -> set[str]:
        """The subjects of the events, as spelled."""
        return {event.subject for event in self._events}

    def drop(self, subjects: Collection[str]) -> int:
        """Let go of the events of these subjects, as spelled. Returns how many there were."""
        dropped = [event for event in self._events if event.subject in subjects]
        self._events = deque([event for event in self._events if event.subject not in subjects])
        for event in dropped:
            self._forget(event)
        return len(dropped)

    def clear(self) -> None:
        """Let go of everything."""
        for event in self._events:
            self._forget(event)
        self._events.clear()

    def _forget(self, event: KeptEvent) -> None:
        self.bytes -= event.cost
        self._total.value -= HOLDER_OVERHEAD
        event.release(self._total)


def _number(event: KeptEvent) -> int:
    return event.number
