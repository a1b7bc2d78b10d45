"""The accounts of a background publisher: what has become of every event that it accepted.

Knows: the states of an event. Must not know: which event is dropped, threads, the clock, or sockets.

An event is in one state at any time:

    inbox -> waiting -> sending -> in flight -> published, refused or unknown
             waiting <- sending: nothing of it was sent
             waiting -> dropped

Code of the program may run in the middle of ours (interruptions.py), where a function is called or a loop
goes round, and its exception may end what we do. So the steps by which an event changes its state stand
together, without a call or a loop between them, and the account is right wherever it is read.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from ...wire.requests import Entry

# Why an event was dropped, in addition to the names of the policies: the publisher was closed.
CLOSED: Final = "closed"
DROP_OLDEST: Final = "drop-oldest"
DROP_NEWEST: Final = "drop-newest"
LATEST: Final = "latest"

# What was published with one call: the entry, its number of events, and its size on the wire.
Offer = tuple[Entry, int, int]


class Batch:
    """Events that are sent with one call.

    entries: what is sent. items: the same, as the queue needs it to take it back. cost: their memory. number:
    that of the oldest of them.
    """

    __slots__ = ("cost", "entries", "events", "items", "number")

    def __init__(self, entries: list[Entry], items: list[Any], events: int, cost: int, number: int) -> None:
        self.entries = entries
        self.items = items
        self.events = events
        self.cost = cost
        self.number = number


class Parts:
    """What has become of the events of a batch that was refused as a whole, and then sent entry by entry.

    Those that are neither published nor unknown were refused.
    """

    __slots__ = ("published", "queued", "unknown")

    def __init__(self) -> None:
        self.published = self.queued = self.unknown = 0


class Accounts:
    """Counts events, one for each subject.

    accepted: all that have left the inbox; the number of the newest. published: acknowledged by the service.
    queued: the deliveries that they became. refused: not accepted by the service. unknown: sent, and never
    acknowledged. dropped: never sent, by reason. held, held_bytes: those that wait to be sent, and their
    memory. closed: whether everything is dropped. overflowed: events dropped because of a bound since
    `caught_up`.
    """

    def __init__(self) -> None:
        self.inbox: deque[Offer] = deque()
        self.accepted = self.published = self.queued = self.refused = self.unknown = 0
        self.dropped = {DROP_OLDEST: 0, DROP_NEWEST: 0, LATEST: 0, CLOSED: 0}
        self.held = self.held_bytes = 0
        self.closed = False
        self.overflowed = 0
        self._sending: Batch | None = None
        self._in_flight: deque[Batch] = deque()

    @property
    def unsettled(self) -> int:
        """How many accepted events wait, or have not been acknowledged yet."""
        return self.accepted - self.published - self.refused - self.unknown - sum(self.dropped.values())

    def caught_up(self) -> int:
        """Everything has been sent. Returns how many events had been dropped because of a bound."""
        dropped, self.overflowed = self.overflowed, 0
        return dropped

    def sent(self, batch: Batch) -> None:
        """The batch that was being sent has left."""
        self._in_flight.append(batch)
        self._sending = None

    def acknowledged(self, batch: Batch, queued: int) -> None:
        """The service has published a batch, which became so many deliveries."""
        self.queued += queued
        self.published += batch.events
        self._remove(batch)

    def not_accepted(self, batch: Batch) -> None:
        """The service does not accept a batch; nothing of it was published."""
        self.refused += batch.events
        self._remove(batch)

    def divided(self, batch: Batch, parts: Parts) -> None:
        """The service has not accepted all of a batch."""
        self.queued += parts.queued
        self.published += parts.published
        self.unknown += parts.unknown
        self.refused += batch.events - parts.published - parts.unknown
        self._remove(batch)

    def lost(self, batch: Batch) -> None:
        """Nobody knows whether a batch was published."""
        self.unknown += batch.events
        self._remove(batch)

    def _remove(self, batch: Batch) -> None:
        if batch is self._sending:
            self._sending = None
        else:
            self._in_flight.remove(batch)

    def _oldest_number(self) -> int | None:
        """The number of the oldest event that was taken and whose outcome is not known yet."""
        oldest = self._in_flight[0] if self._in_flight else self._sending
        return None if oldest is None else oldest.number
