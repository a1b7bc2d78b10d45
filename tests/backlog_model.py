"""A backlog as a list: what each overflow policy promises, written in the plainest way.

Knows: the promises of docs/contract.md. Must not know: how pyro_events keeps them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pyro_events.broker.matching.subjects import fold

# What an event counts for beside its subject and payload, in bytes: itself, and for each that holds it,
# waiting or in flight; and what a subject counts for in the index of `latest`.
EVENT = 256
HOLDER = 16
ROW = 160
INDEX = 256
OVERHEAD = EVENT + HOLDER


def length(text: str) -> int:
    """What the characters of a text count for."""
    return len(text) if text.isascii() else 8 * len(text)


@dataclass
class ModelEvent:
    """An accepted event with its number. origin: what all who hold it share."""

    seq: int
    subject: str
    time: float
    payload: bytes
    origin: object

    @property
    def size(self) -> int:
        return length(self.subject) + len(self.payload) + OVERHEAD


@dataclass
class ModelBatch:
    """Events in flight: their rows, and the events, which count until all of them are done."""

    rows: list[list[Any]]
    events: list[ModelEvent]

    @property
    def size(self) -> int:
        return sum(event.size for event in self.events)


@dataclass
class ModelBacklog:
    """One subscriber's events: waiting, in flight, delivered and lost."""

    policy: str
    most_events: int
    most_bytes: int
    max_age: float = math.inf
    waiting: list[ModelEvent] = field(default_factory=list)
    in_flight: list[ModelBatch] = field(default_factory=list)
    accepted: int = 0
    delivered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    last_taken: int = 0
    may_block: bool = True
    indexed: bool = False  # with the policy latest, from when two subjects wait until none does

    def __post_init__(self) -> None:
        self.wanted = self.policy

    @property
    def waiting_bytes(self) -> int:
        """Of the events that wait."""
        return sum(event.size for event in self.waiting)

    @property
    def holds(self) -> list[ModelEvent]:
        """The events that wait or are in flight."""
        return self.waiting + [event for batch in self.in_flight for event in batch.events]

    @property
    def own(self) -> int:
        """Bytes that it takes whatever others hold."""
        rows = sum(len(batch.events) for batch in self.in_flight)
        index = sum(INDEX + length(fold(event.subject)) for event in self.waiting if self.indexed)
        return HOLDER * len(self.holds) + ROW * rows + index

    @property
    def unacknowledged(self) -> int:
        return sum(len(batch.rows) for batch in self.in_flight)

    @property
    def oldest(self) -> float | None:
        stamps = [row[1] for batch in self.in_flight for row in batch.rows]
        stamps += [event.time for event in self.waiting]
        return stamps[0] if stamps else None

    def fits(self, event: ModelEvent) -> bool:
        """An empty backlog takes an event of any size."""
        within = len(self.waiting) < self.most_events and self.waiting_bytes + event.size <= self.most_bytes
        return within or not self.waiting

    def push(self, subject: str, time: float, payload: bytes, origin: object = None) -> str:
        """Returns queued, full, dropped or disconnect."""
        self.accepted += 1
        event = ModelEvent(self.accepted, subject, time, payload, origin or object())
        if self.policy == "latest":
            self._keep_latest(event)
            return "queued"
        if not self.fits(event):
            self.expire(time)
        if self.fits(event):
            self.waiting.append(event)
        elif self.policy == "block":
            self.waiting.append(event)
            return "full"
        elif self.policy == "drop-oldest":
            self._drop_until_it_fits(event)
            self.waiting.append(event)
        else:
            self.lost[self.policy] += 1
            return "dropped" if self.policy == "drop-newest" else "disconnect"
        return "queued"

    def offer(self, subject: str, time: float, payload: bytes, space: bool, origin: object = None) -> None:
        """An event that nobody waits for: without space it is dropped, whatever the policy is."""
        event = ModelEvent(self.accepted + 1, subject, time, payload, origin or object())
        if space and self.policy != "latest" and not self.fits(event):
            self.expire(time)
        if space and (self.policy == "latest" or self.fits(event)):
            self.push(subject, time, payload, origin)
        else:
            self.accepted += 1
            self.lost["drop-newest"] += 1

    def _keep_latest(self, event: ModelEvent) -> None:
        """Of what waits, the newest event of each subject and no other; beyond the bound the oldest goes."""
        others = {fold(each.subject) for each in self.waiting} - {fold(event.subject)}
        self.indexed = self.indexed or bool(others)
        same = [each for each in self.waiting if fold(each.subject) == fold(event.subject)]
        for each in same:
            self.waiting.remove(each)
            self.lost["latest"] += 1
        indexed = self.indexed
        self._drop_until_it_fits(event)
        self.indexed = indexed
        self.waiting.append(event)

    def _drop_until_it_fits(self, event: ModelEvent) -> None:
        while not self.fits(event):
            if not self.expire(event.time):
                del self.waiting[0]
                self.lost[self.policy] += 1

    def expire(self, now: float, ahead: int = 0) -> int:
        """What has waited too long goes: the oldest events up to the first that has not, and those before so
        many others. Returns how many went."""
        kept: list[ModelEvent] = []
        rest = list(self.waiting)
        while rest:
            if rest[0].time < now - self.max_age:
                self.lost["expired"] += 1
                del rest[0]
                continue
            kept.append(rest.pop(0))
            if len(kept) >= ahead:
                break
        gone = len(self.waiting) - len(kept) - len(rest)
        self.waiting = kept + rest
        self.indexed = self.indexed and bool(self.waiting)
        return gone

    def allow_blocking(self, allowed: bool) -> None:
        """A subscriber that may not block has drop-oldest instead."""
        self.may_block = allowed
        self.configure(self.wanted, self.most_events, self.most_bytes, self.max_age)

    def configure(self, policy: str, most_events: int, most_bytes: int, max_age: float = math.inf) -> None:
        """Waiting events stay, except for older events of a subject with latest."""
        self.wanted, self.most_events, self.most_bytes = policy, most_events, most_bytes
        self.max_age = max_age
        self.policy = "drop-oldest" if policy == "block" and not self.may_block else policy
        if policy != "latest":
            self.indexed = False
        elif len(self.waiting) > 1:
            self.indexed = True
            newest = {fold(each.subject): each.seq for each in self.waiting}
            kept = [each for each in self.waiting if each.seq in newest.values()]
            self.lost["latest"] += len(self.waiting) - len(kept)
            self.waiting = kept

    def take(self, events: int, size: int) -> ModelBatch:
        """At least one, at most `events`; the one that reaches `size` is the last."""
        taken: list[ModelEvent] = []
        rows = []
        while self.waiting and len(taken) < events and sum(event.size for event in taken) < size:
            event = self.waiting.pop(0)
            taken.append(event)
            missed = event.seq - self.last_taken - 1
            rows.append((event.subject, event.time, event.seq, missed, event.payload))
            self.last_taken = event.seq
        self.indexed = self.indexed and bool(self.waiting)
        batch = ModelBatch(rows, taken)
        self.in_flight.append(batch)
        return batch

    def acknowledge(self, failed: int = 0) -> None:
        """The oldest batch in flight."""
        count = len(self.in_flight.pop(0).rows)
        self.delivered += count - failed
        self.lost["handler-error"] += failed

    def acknowledge_part(self, handled: int, failed: int) -> None:
        """The first events of the oldest batch in flight."""
        del self.in_flight[0].rows[:handled]
        self.delivered += handled - failed
        self.lost["handler-error"] += failed

    def lose_batch(self) -> None:
        """The oldest batch in flight."""
        self.lost["unconfirmed"] += len(self.in_flight.pop(0).rows)

    def lose_those(self, subjects: set[str], reason: str) -> int:
        """Returns how many events of these subjects waited."""
        kept = [event for event in self.waiting if event.subject not in subjects]
        lost = len(self.waiting) - len(kept)
        self.lost[reason] += lost
        self.waiting, self.indexed = kept, self.indexed and bool(kept)
        return lost

    def lose_everything(self, reason: str) -> int:
        """Returns how many events are lost by that."""
        lost = self.unacknowledged + len(self.waiting)
        self.lost["unconfirmed"] += self.unacknowledged
        self.lost[reason] += len(self.waiting)
        self.in_flight, self.waiting, self.indexed = [], [], False
        return lost


def total_of(backlogs: Iterable[ModelBacklog]) -> int:
    """What backlogs hold together: each event once, and what each of them takes for it."""
    backlogs = list(backlogs)
    shared = {event.origin: event.size - HOLDER for backlog in backlogs for event in backlog.holds}
    return sum(shared.values()) + sum(backlog.own for backlog in backlogs)
