"""Retention: the events of one publish call that are kept as soon as the broker has accepted them.

Knows: which entries of the call are retained, and how many are not accepted yet. Must not know: backlogs, who
gets an event, or why a call is blocked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any

from .store import Entry, Reserved, RetainedEvents


class Retention:
    """The retained entries of one call, which are not accepted yet."""

    __slots__ = ("_entries", "_reserved", "_store", "_time")

    def __init__(
        self, store: RetainedEvents, entries: Sequence[Entry], retained: Sequence[int], time: float
    ) -> None:
        """entries: of the call. retained: the positions of those that are retained, ascending. time: the time
        stamp of all its events.

        Raises ValueError if they are more than may be kept.
        """
        store.check([entries[position] for position in retained])
        self._store = store
        last = len(entries) - 1
        # Each with the number of entries that follow it.
        self._entries = deque([(last - position, entries[position]) for position in retained])
        self._reserved: Reserved | None = None  # while the call is blocked
        self._time = time

    def accepted(self, rest: Iterator[Any]) -> None:
        """Keep the events that were accepted. rest: the call's entries that were not, from a list.

        To be called before anybody else can subscribe, so that a subscriber gets each event from the store or
        as a new one, and not both. What stays here is accepted later, in the space that is kept for it: it
        cannot be refused any more, because a part of the call is published.
        """
        left, entries, store = length_hint(rest), self._entries, self._store
        while entries and entries[0][0] >= left:
            _, (subjects, payload) = entries.popleft()
            for subject in subjects:
                store.put(subject, self._time, payload)
        if entries and self._reserved is None:
            self._reserved = store.reserve([entry for _, entry in entries])
        elif not entries:
            self._release()

    def abandon(self) -> None:
        """What was not accepted yet never will be."""
        self._entries.clear()
        self._release()

    def _release(self) -> None:
        if self._reserved is not None:
            self._store.release(self._reserved)
            self._reserved = None
