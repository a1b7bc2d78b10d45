"""Accounting: what is counted of events that wait, are in flight, or are lost.

Knows: how many bytes an event counts for, what a batch contains, why an event may be lost, and the figures of
one subscriber. Must not know: order, bounds, overflow policies, or when anything is counted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Protocol

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
# An accepted event, shared by all backlogs that hold it: subject, time stamp, payload, the size in bytes that
# it counts for when one subscriber holds it, and the shares. A plain tuple, because one is made for each
# event, and a class costs four times as much.
QueuedEvent = tuple[str, float, Payload, int, Shares]


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
    return subject, time, payload, base_size(subject) + len(payload), None


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


@dataclass(frozen=True)
class BacklogStatistics:
    """One subscriber at one moment: accepted = delivered + sum(lost) + backlog + unacknowledged.

    subscriber: its URI. subjects: its names and patterns, only the first of very many; subscriptions: how
    many it has. name: what it calls itself, "" if it did not say. backlog: events waiting to be sent.
    unacknowledged: events sent. oldest: the age of the oldest event not yet delivered, in seconds, or None.
    group: that it is in, "" for none; then accepted are the events that the group has given it. user: who has
    subscribed it, "" for nobody in particular.
    """

    subscriber: str
    subjects: tuple[str, ...]
    overflow: str
    backlog: int
    backlog_bytes: int
    unacknowledged: int
    oldest: float | None
    accepted: int
    delivered: int
    lost: Mapping[str, int]
    name: str = ""
    subscriptions: int = 0
    group: str = ""
    user: str = ""


@dataclass(frozen=True)
class GroupStatistics:
    """One group at one moment: accepted = given + sum(lost) + backlog.

    group: its name. subscribers: how many members it has. given: the events that members were given; what
    became of them is in the figures of the members. oldest: as above, of the events that wait.
    """

    group: str
    subscribers: int
    overflow: str
    backlog: int
    backlog_bytes: int
    oldest: float | None
    accepted: int
    given: int
    lost: Mapping[str, int]
