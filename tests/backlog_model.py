"""A backlog as a list: what each overflow policy promises, written in the plainest way.

Knows: the promises of the design. Must not know: how pyro_events keeps them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pyro_events.broker.subjects import fold

OVERHEAD = 100  # what an event counts for beside its subject and payload, in bytes


@dataclass
class ModelEvent:
    """An accepted event with its number."""

    seq: int
    subject: str
    time: float
    payload: bytes

    @property
    def size(self) -> int:
        return len(self.subject) + len(self.payload) + OVERHEAD


@dataclass
class ModelBatch:
    """Events in flight: their rows, and what they count for until all of them are done."""

    rows: list[list[Any]]
    size: int


@dataclass
class ModelBacklog:
    """One subscriber's events: waiting, in flight, delivered and lost."""

    policy: str
    most_events: int
    most_bytes: int
    waiting: list[ModelEvent] = field(default_factory=list)
    in_flight: list[ModelBatch] = field(default_factory=list)
    accepted: int = 0
    delivered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    last_taken: int = 0
    conflating: bool = False  # with the policy latest, from an overflow until it has caught up

    @property
    def waiting_bytes(self) -> int:
        """Of the events that wait."""
        return sum(event.size for event in self.waiting)

    @property
    def held(self) -> int:
        """Bytes of all that waits or is in flight."""
        return self.waiting_bytes + sum(batch.size for batch in self.in_flight)

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

    def push(self, subject: str, time: float, payload: bytes) -> str:
        """Returns queued, full, dropped or disconnect."""
        self.accepted += 1
        event = ModelEvent(self.accepted, subject, time, payload)
        if self.conflating:
            self._keep_latest(event)
        elif self.fits(event):
            self.waiting.append(event)
        elif self.policy == "latest":
            self.conflating = True
            newest = {fold(each.subject): each for each in self.waiting}
            self.lost["latest"] += len(self.waiting) - len(newest)
            self.waiting = [each for each in self.waiting if each in newest.values()]
            self._keep_latest(event)
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

    def _keep_latest(self, event: ModelEvent) -> None:
        same = [each for each in self.waiting if fold(each.subject) == fold(event.subject)]
        for each in same:
            self.waiting.remove(each)
            self.lost["latest"] += 1
        self._drop_until_it_fits(event)
        self.waiting.append(event)

    def _drop_until_it_fits(self, event: ModelEvent) -> None:
        while not self.fits(event):
            del self.waiting[0]
            self.lost[self.policy] += 1

    def configure(self, policy: str, most_events: int, most_bytes: int) -> None:
        """What waits stays."""
        self.policy, self.most_events, self.most_bytes = policy, most_events, most_bytes
        self.conflating = self.conflating and policy == "latest"

    def take(self, events: int, size: int) -> ModelBatch:
        """At least one, at most `events`; the one that reaches `size` is the last."""
        taken: list[ModelEvent] = []
        rows = []
        while self.waiting and len(taken) < events and sum(event.size for event in taken) < size:
            event = self.waiting.pop(0)
            taken.append(event)
            missed = event.seq - self.last_taken - 1
            rows.append([event.subject, event.time, event.seq, missed, event.payload])
            self.last_taken = event.seq
        self.conflating = self.conflating and bool(self.waiting)
        batch = ModelBatch(rows, sum(event.size for event in taken))
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

    def lose_everything(self, reason: str) -> int:
        """Returns how many events are lost by that."""
        lost = self.unacknowledged + len(self.waiting)
        self.lost["unconfirmed"] += self.unacknowledged
        self.lost[reason] += len(self.waiting)
        self.in_flight, self.waiting, self.conflating = [], [], False
        return lost
