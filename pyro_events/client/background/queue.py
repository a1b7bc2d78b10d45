"""The queue of a background publisher: what waits to be sent, bounded, with a policy for what does not fit.

Knows: which event is dropped, and which are sent together. Must not know: threads, the clock, sockets, or
what becomes of what was sent (accounts.py).

No two of the methods run at the same time, nor one in the middle of another; but the inbox may be appended to
at any time. The steps by which an event changes its state are arranged as accounts.py says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from typing import Final

from ...broker.matching.subjects import fold
from ...options import Overflow
from ...wire.requests import Entry
from ..publishing.frames import fitting
from .accounts import CLOSED, DROP_NEWEST, DROP_OLDEST, LATEST, Accounts, Batch
from .options import BackgroundOptions

# The memory of a waiting event in addition to its payload and its subject, in bytes; and with `latest`. Tests
# measure them.
OVERHEAD: Final = 320
NEWEST_OVERHEAD: Final = 640


def queue_for(options: BackgroundOptions) -> BackgroundQueue:
    """The queue for a policy."""
    return NewestQueue(options) if options.overflow is Overflow.LATEST else OrderedQueue(options)


class BackgroundQueue(Accounts, ABC):
    """Events that wait to be sent.

    They keep within the bounds, except that an event is always taken if no other waits (otherwise one larger
    than the bounds could never be sent), and that a batch that was taken back comes on top.
    """

    def __init__(self, options: BackgroundOptions) -> None:
        super().__init__()
        self._limit = options.limit
        self._limit_bytes = options.limit_bytes

    def admit_all(self) -> None:
        """Accept everything in the inbox."""
        inbox = self.inbox
        while inbox:
            if self.closed:
                self._turn_away()
            else:
                self._admit()

    def _turn_away(self) -> None:
        events = self.inbox[0][1]
        # These steps belong together.
        self.accepted += events
        self.dropped[CLOSED] += events
        del self.inbox[0]

    def settled(self, number: int) -> bool:
        """Whether all events up to that number have been sent and answered, or dropped."""
        taken, waiting = self._oldest_number(), self._oldest_waiting()
        return (taken is None or taken > number) and (waiting is None or waiting > number)

    def close(self) -> int:
        """Drop what waits, and from now on everything. Returns how many events that are."""
        self.closed = True
        before = self.dropped[CLOSED]
        self.admit_all()
        self._drop_all()
        return self.dropped[CLOSED] - before

    def _taken(self, batch: Batch) -> Batch:
        self.held -= batch.events
        self.held_bytes -= batch.cost
        self._sending = batch
        return batch

    def _taken_back(self, batch: Batch) -> None:
        self.held += batch.events
        self.held_bytes += batch.cost
        self._sending = None

    @abstractmethod
    def __len__(self) -> int:
        """How many calls of `publish` wait."""

    @abstractmethod
    def _admit(self) -> None:
        """Accept the oldest event of the inbox; drop what does not fit."""

    @abstractmethod
    def _drop_all(self) -> None:
        """Drop everything that waits, because the publisher is closed."""

    @abstractmethod
    def _oldest_waiting(self) -> int | None:
        """The number of the oldest waiting event."""

    @abstractmethod
    def take(self) -> Batch | None:
        """Take the oldest events, as many as fit into a call; they are being sent from now on."""

    @abstractmethod
    def take_back(self, batch: Batch) -> None:
        """Nothing of the batch that was being sent has left: its events wait again, before all others."""


class OrderedQueue(BackgroundQueue):
    """Drops the oldest or the newest event. A call's events are dropped together."""

    def __init__(self, options: BackgroundOptions) -> None:
        super().__init__(options)
        self._drops_newest = options.overflow is Overflow.DROP_NEWEST
        # Each an entry, its events, its size on the wire, and the number of the newest of its events.
        self._waiting: deque[tuple[Entry, int, int, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def _admit(self) -> None:
        inbox, waiting = self.inbox, self._waiting
        entry, events, size = inbox[0]
        cost = size + OVERHEAD * events
        if waiting and (self.held + events > self._limit or self.held_bytes + cost > self._limit_bytes):
            if self._drops_newest:
                # These steps belong together.
                self.overflowed += events
                self.accepted += events
                self.dropped[DROP_NEWEST] += events
                del inbox[0]
                return
            before = self.held
            self._drop_oldest(DROP_OLDEST, self._limit - events, self._limit_bytes - cost)
            self.overflowed += before - self.held
        number = self.accepted + events
        item = entry, events, size, number
        # These steps belong together.
        del inbox[0]
        self.accepted = number
        self.held += events
        self.held_bytes += cost
        waiting.append(item)

    def _drop_oldest(self, reason: str, most: int, most_bytes: int) -> None:
        """Drop the oldest calls until not more than so much is held. It may be thousands, so this is fast."""
        waiting, dropped = self._waiting, self.dropped
        while waiting and (self.held > most or self.held_bytes > most_bytes):
            _, events, size, _ = waiting[0]
            # These steps belong together.
            self.held -= events
            self.held_bytes -= size + OVERHEAD * events
            dropped[reason] += events
            del waiting[0]

    def _drop_all(self) -> None:
        self._drop_oldest(CLOSED, -1, -1)

    def _oldest_waiting(self) -> int | None:
        return self._waiting[0][3] if self._waiting else None

    def take(self) -> Batch | None:
        waiting = self._waiting
        if not waiting:
            return None
        count, size = fitting(item[2] for item in waiting)
        items = [waiting.popleft() for _ in range(count)]
        events = sum([item[1] for item in items])
        entries = [item[0] for item in items]
        return self._taken(Batch(entries, items, events, size + OVERHEAD * events, items[0][3]))

    def take_back(self, batch: Batch) -> None:
        self._waiting.extendleft(reversed(batch.items))
        self._taken_back(batch)


class NewestItem:
    """What was published with one call, without the subjects for which something newer waits.

    names: the others, as they were spelled, by their folded forms. number: of the newest of its events.
    """

    __slots__ = ("entry", "names", "number", "size")

    def __init__(self, names: dict[str, str], entry: Entry, size: int, number: int) -> None:
        self.names = names
        self.entry = entry
        self.size = size
        self.number = number

    def remaining(self) -> Entry:
        """The entry to be sent."""
        names = list(self.names.values())
        return (names[0] if len(names) == 1 else names, *self.entry[1:])


class NewestQueue(BackgroundQueue):
    """Keeps the newest event of each subject. Beyond the bounds it drops the oldest call."""

    def __init__(self, options: BackgroundOptions) -> None:
        super().__init__(options)
        self._waiting: OrderedDict[int, NewestItem] = OrderedDict()
        # By the folded subject.
        self._newest: dict[str, NewestItem] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def _admit(self) -> None:
        entry, events, size = self.inbox[0]
        names = {fold(name): name for name in ((entry[0],) if type(entry[0]) is str else entry[0])}
        for folded in names:
            self._drop_older(folded)
        kept = len(names)
        cost = size + NEWEST_OVERHEAD * kept
        if self.held + kept > self._limit or self.held_bytes + cost > self._limit_bytes:
            before = self.held
            self._drop_oldest(LATEST, self._limit - kept, self._limit_bytes - cost)
            self.overflowed += before - self.held
        number = self.accepted + events
        item = NewestItem(names, entry, size, number)
        # These steps belong together. A subject that was given twice is one event too many.
        del self.inbox[0]
        self.accepted = number
        self.dropped[LATEST] += events - kept
        self.held += kept
        self.held_bytes += cost
        self._waiting[number] = item
        for folded in names:
            self._newest[folded] = item

    def _drop_older(self, folded: str) -> None:
        """Drop the waiting event of a subject, if there is one."""
        older = self._newest.get(folded)
        if older is not None:
            self._drop_name(older, folded, LATEST)

    def _drop_name(self, item: NewestItem, folded: str, reason: str) -> None:
        if self._newest.get(folded) is item:
            del self._newest[folded]
        names, dropped = item.names, self.dropped
        if len(names) > 1:
            # These steps belong together.
            self.held -= 1
            self.held_bytes -= NEWEST_OVERHEAD
            dropped[reason] += 1
            del names[folded]
        else:
            # And these.
            self.held -= 1
            self.held_bytes -= NEWEST_OVERHEAD + item.size
            dropped[reason] += 1
            del self._waiting[item.number]

    def _drop_oldest(self, reason: str, most: int, most_bytes: int) -> None:
        """Drop the oldest calls until not more than so much is held."""
        waiting = self._waiting
        while waiting and (self.held > most or self.held_bytes > most_bytes):
            item = waiting[next(iter(waiting))]
            for folded in list(item.names):
                self._drop_name(item, folded, reason)

    def _drop_all(self) -> None:
        self._drop_oldest(CLOSED, -1, -1)

    def _oldest_waiting(self) -> int | None:
        return next(iter(self._waiting), None)

    def take(self) -> Batch | None:
        waiting, newest = self._waiting, self._newest
        if not waiting:
            return None
        count, size = fitting(item.size for item in waiting.values())
        items = [waiting.popitem(last=False)[1] for _ in range(count)]
        for item in items:
            for folded in item.names:
                if newest.get(folded) is item:
                    del newest[folded]
        events = sum([len(item.names) for item in items])
        entries = [item.remaining() for item in items]
        return self._taken(Batch(entries, items, events, size + NEWEST_OVERHEAD * events, items[0].number))

    def take_back(self, batch: Batch) -> None:
        for item in reversed(batch.items):
            self._waiting[item.number] = item
            self._waiting.move_to_end(item.number, last=False)
        self._taken_back(batch)
        for item in batch.items:
            for folded in list(item.names):
                if folded in self._newest:
                    self._drop_name(item, folded, LATEST)
                else:
                    self._newest[folded] = item
