"""Accounting: what is counted of events that wait, are under way, or are lost.

Knows: what an event counts for in bytes, what a batch holds, why an event may be lost, and the figures
of one subscriber. Must not know: order, bounds, overflow policies, or when anything is counted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

from ..constants import EVENT_OVERHEAD, HOLDER_OVERHEAD, TEXT_OVERHEAD, EventRow, Payload


class Loss(enum.Enum):
    """Why an accepted event was not delivered."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"
    DISCONNECT = "disconnect"  # the overflow policy of that name
    HANDLER = "handler-error"  # the subscriber's `event` raised
    UNCONFIRMED = "unconfirmed"  # sent, but the answer never came or could not be read
    GONE = "gone"  # the connection broke, or never came about
    REFUSED = "refused"  # the object has no `event`, or its program does not know Event
    DEADLINE = "deadline"  # it held up a publisher for too long
    STOPPED = "stopped"  # the service stopped before it could be delivered


# What all holders of an event but the last one free when they let go of it, one after the other. To call
# `next(shares, size)` is a quarter of the work of counting them. None where only one subscriber gets it.
Shares = Iterator[int] | None
# An accepted event, shared by all backlogs that hold it: subject, time stamp, payload, the size in bytes
# that it counts for when one subscriber holds it, and the shares. Plain tuples: one is made for each event,
# and a class costs four times as much.
QueuedEvent = tuple[str, float, Payload, int, Shares]


def text_size(text: str) -> int:
    """What a text may take in memory, in bytes, with the UTF-8 that Python keeps beside it."""
    return TEXT_OVERHEAD + (len(text) if text.isascii() else 8 * len(text))


def base_size(subject: str) -> int:
    """What an event takes beside its payload when one subscriber holds it, in bytes."""
    return _BASE + (len(subject) if subject.isascii() else 8 * len(subject))


_BASE: Final = EVENT_OVERHEAD + HOLDER_OVERHEAD + TEXT_OVERHEAD


def shares_of(holders: int) -> Iterator[int]:
    """The shares of an event that several subscribers hold."""
    return repeat(HOLDER_OVERHEAD, holders - 1)


def queued_event(subject: str, time: float, payload: Payload) -> QueuedEvent:
    """An event for one subscriber, as its backlog holds it."""
    return subject, time, payload, base_size(subject) + len(payload), None


class Batch:
    """Events taken from a backlog and not yet acknowledged.

    size: in bytes, as if nobody shared them. alone: of those that are not in `shared`, among which is every
    event that somebody else holds too.
    """

    __slots__ = ("alone", "rows", "shared", "size")

    def __init__(self, rows: list[EventRow], size: int, alone: int, shared: Sequence[QueuedEvent]) -> None:
        self.rows = rows
        self.size = size
        self.alone = alone
        self.shared = shared


class TotalBytes:
    """What all backlogs of a service hold together, events in flight included, each event once.

    Whoever publishes adds an event, before backlogs are given it; each backlog takes off its share.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


@dataclass(frozen=True)
class BacklogStatistics:
    """One subscriber at one moment: accepted = delivered + sum(lost) + backlog + unacknowledged.

    subscriber: its URI. subjects: its names and patterns, the first of very many; subscriptions: how many it
    has. name: what it calls itself, "" if it did not say. backlog: events waiting to be sent. unacknowledged:
    events sent. oldest: the age of the oldest event not yet delivered, in seconds, or None.
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
