"""Accounting: what is counted of events that wait, are under way, or are lost.

Knows: what an event counts for in bytes, what a batch holds, why an event may be lost, and the figures
of one subscriber. Must not know: order, bounds, overflow policies, or when anything is counted.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..constants import EVENT_OVERHEAD


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


# An encoded message; a large one may be a view of what was received.
Payload = bytes | memoryview
# An accepted event, shared by all backlogs that hold it: subject, time stamp, payload, and the size
# that it counts for in bytes. Plain tuples: one is made for each event, and a class costs four times
# as much.
QueuedEvent = tuple[str, float, Payload, int]


def queued_event(subject: str, time: float, payload: Payload) -> QueuedEvent:
    """An event as backlogs hold it."""
    return subject, time, payload, len(subject) + len(payload) + EVENT_OVERHEAD


# [subject, time, seq, missed, payload]
Row = list[Any]


class Batch:
    """Events taken from a backlog and not yet acknowledged. size: in bytes."""

    __slots__ = ("rows", "size")

    def __init__(self, rows: list[Row], size: int) -> None:
        self.rows = rows
        self.size = size


class TotalBytes:
    """What all backlogs of a service hold together, events in flight included."""

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
