"""What is done with one backlog, in the words of its tests.

Knows: how an event is counted before a backlog is given it. Must not know: what a backlog does with it.
"""

from __future__ import annotations

import math

from backlog_model import OVERHEAD

from pyro_events.broker.accounting import Batch, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.dropping import Outcome
from pyro_events.options import BacklogOptions, Overflow

ONE = OVERHEAD + 1  # what an event without a payload counts for, when its subject is one letter

POLICIES = [policy.value for policy in Overflow]


def options_of(policy: str, most_events: int, most_bytes: int, max_age: float = math.inf) -> BacklogOptions:
    return BacklogOptions(most_events, most_bytes, Overflow(policy), max_age)


def backlog_of(
    policy: str = "block", most_events: int = 3, most_bytes: int = 10_000, max_age: float = math.inf
) -> Backlog:
    return Backlog("PYRO:s@h:1", options_of(policy, most_events, most_bytes, max_age), TotalBytes())


def pushed(backlog: Backlog, total: TotalBytes, subject: str, time: float, payload: bytes) -> Outcome:
    """Push an event, as the broker does."""
    event = queued_event(subject, time, payload)
    total.value += event[3]
    return backlog.push(event)


def push(backlog: Backlog, *names: str, payload: bytes = b"") -> list[Outcome]:
    """Push one event for each name, stamped 1.0."""
    return [pushed(backlog, TotalBytes(), name, 1.0, payload) for name in names]


def numbers(batch: Batch) -> list[tuple[int, int]]:
    """(seq, missed) of each event."""
    return [(row[2], row[3]) for row in batch.rows]


def stamped(backlog: Backlog, *times: float, size: int = 0, total: TotalBytes | None = None) -> list[Outcome]:
    """Push one event for each time stamp, each of another subject."""
    total = total or TotalBytes()
    return [pushed(backlog, total, f"at {number}", time, bytes(size)) for number, time in enumerate(times)]
