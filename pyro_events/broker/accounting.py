"""Accounting: what is counted of events that wait, are in flight, or are lost.

Knows: how many bytes an event counts for, what a batch contains, and why an event may be lost. Must not know:
order, bounds, overflow policies, or when anything is counted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, Protocol

from ..constants import (
    EVENT_OVERHEAD,
    HOLDER_OVERHEAD,
    LATEST_OVERHEAD,
    MAX_SUBJECT,
    TEXT_OVERHEAD,
    EventRow,
    Payload,
)


class Loss(enum.Enum):
    """Why an accepted event was not delivered."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"
    EXPIRED = "expired"  # it had waited longer than its subscriber's `max_age`
    DISCONNECT = "disconnect"  # the overflow policy of that name
    HANDLER = "handler-error"  # the subscriber's `event` raised
    UNCONFIRMED = "unconfirmed"  # sent, but the answer never came or could not be read
    GONE = "gone"  # the connection broke, or was never made
    REFUSED = "refused"  # the object has no `event`, or its program does not know Event
    DEADLINE = "deadline"  # it blocked a publisher for too long
    DENIED = "denied"  # the rights of its user do not allow it any more
    STOPPED = "stopped"  # the service stopped before it could be delivered


# The bytes that each holder of an event but the last one frees when it lets go of the event, one after the
# other. Calling `next(shares, size)` takes a quarter of the time of counting them. None where only one
# subscriber gets the event.
Shares = Iterator[int] | None


class QueuedEvent(NamedTuple):
    """The type of an accepted event, shared by all backlogs that hold it. size: in bytes, what it counts for
    when one subscriber holds it.

    It is made as a plain tuple, because one is made for each event, and this class costs four times as much.
    So its parts are read by their places, not by their names. The type is this class because mypyc copies a
    `tuple[...]` of known length wherever it goes, and all backlogs have to hold the same one.
    """

    subject: str
    time: Any  # a float, which mypyc would unpack, and pack again for each subscriber's row
    payload: Payload
    size: int
    shares: Shares


def text_size(text: str) -> int:
    """The memory that a text may take, in bytes, including the UTF-8 that Python keeps beside it."""
    return TEXT_OVERHEAD + (len(text) if text.isascii() else 8 * len(text))


# The most that the index of a backlog with `latest` takes for one event, in bytes.
INDEX_MOST: Final = LATEST_OVERHEAD + TEXT_OVERHEAD + 8 * MAX_SUBJECT


def base_size(subject: str) -> int:
    """What an event takes in addition to its payload when one subscriber holds it, in bytes."""
    return _BASE + (len(subject) if subject.isascii() else 8 * len(subject))


_BASE: Final = EVENT_OVERHEAD + HOLDER_OVERHEAD + TEXT_OVERHEAD


def shares_of(holders: int) -> Iterator[int]:
    """The shares of an event that several subscribers hold."""
    return repeat(HOLDER_OVERHEAD, holders - 1)


def queued_event(subject: str, time: float, payload: Payload) -> QueuedEvent:
    """An event for one subscriber, as its backlog holds it."""
    return subject, time, payload, base_size(subject) + len(payload), None  # type: ignore[return-value]


class Kept(Protocol):
    """A retained event that is held, as far as accounting for a batch needs it."""

    def release(self, total: TotalBytes) -> None:
        """It is held no more."""


class Batch:
    """Events taken from a backlog and not yet acknowledged.

    size: in bytes, as if they were not shared. alone: the same of those that are not in `shared`. shared:
    among others, every event that another subscriber holds too. kept: retained events instead, if it is made
    of those.
    """

    __slots__ = ("alone", "kept", "rows", "shared", "size")

    def __init__(
        self,
        rows: list[EventRow],
        size: int,
        alone: int,
        shared: Sequence[QueuedEvent],
        kept: Sequence[Kept] = (),
    ) -> None:
        self.rows = rows
        self.kept = kept
        self.size = size
        self.alone = alone
        self.shared = shared


class TotalBytes:
    """The bytes of all backlogs of a service together, events in flight included, each event once.

    A publish adds an event before backlogs are given it; each backlog subtracts its share.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class BoundedTotal:
    """The bytes of all backlogs, and how many they may be."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._total = TotalBytes()

    @property
    def overloaded(self) -> bool:
        """Whether all backlogs together are beyond their bound."""
        return self._total.value > self._most_bytes

    @property
    def backlog_bytes(self) -> int:
        """The bytes of all backlogs, events in flight included."""
        return self._total.value

    @property
    def most_bytes(self) -> int:
        """The bytes that all backlogs may hold now."""
        return self._most_bytes

    def reserve(self, size: int) -> None:
        """Reserve bytes of the total for something else. size: how many; negative to give some back."""
        self._most_bytes -= size

    @property
    def relieved(self) -> bool:
        """Whether publishers blocked by the total may go on: an eighth of it has been freed."""
        return self._total.value <= self._most_bytes - self._most_bytes // 8
