"""A backlog with retained events against a list: what comes first, its numbers, and every byte."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from backlog_model import HOLDER, ROW, ModelBacklog, ModelBatch, total_of
from backlog_steps import POLICIES, backlog_of, numbers, options_of, push, pushed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.accounting import Batch, Loss, TotalBytes
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.matching.subjects import fold
from pyro_events.broker.retained.kept_event import KeptEvent
from pyro_events.broker.retained.store import RetainedEvents

subjects = st.sampled_from(["a", "A", "b", "straße", "c.d"])
some_subjects = st.sets(subjects, max_size=3)
payloads = st.sampled_from([b"", b"p" * 100])
# `latest` has a queue of its own, in which events are numbered otherwise.
policies = st.sampled_from([*POLICIES, "latest", "latest", "latest"])


@dataclass
class RetainedBatch(ModelBatch):
    """Retained events in flight."""

    kept: list[KeptEvent] = field(default_factory=list)


@dataclass
class ModelReplaying(ModelBacklog):
    """The retained events that wait come before all others, and no bound holds for them."""

    replayed: list[KeptEvent] = field(default_factory=list)

    def replay(self, events: list[KeptEvent]) -> None:
        """In place of an event of the same subject that still waits, the newer one comes."""
        before = len(self.replayed)
        newest = {event.key: event for event in [*self.replayed, *events]}
        self.replayed = sorted(newest.values(), key=lambda event: event.number)
        self.accepted += len(self.replayed) - before
        for event in self.waiting:
            event.seq += len(self.replayed) - before

    def take(self, events: int, size: int) -> ModelBatch:
        if not self.replayed:
            return super().take(events, size)
        batch = RetainedBatch([], [])
        while self.replayed and len(batch.rows) < events and sum(e.cost for e in batch.kept) < size:
            event = self.replayed.pop(0)
            self.last_taken += 1
            batch.rows.append(event.row(self.last_taken))
            batch.kept.append(event)
        self.in_flight.append(batch)
        return batch

    @property
    def oldest(self) -> float | None:
        stamps = [batch.rows[0][1] for batch in self.in_flight if batch.events]
        stamps += [event.time for event in self.waiting]
        return stamps[0] if stamps else None

    def lose_everything(self, reason: str) -> int:
        waiting, self.replayed = len(self.replayed), []
        self.lost[reason] += waiting
        return waiting + super().lose_everything(reason)

    def lose_those(self, subjects: set[str], reason: str) -> int:
        dropped = [event for event in self.replayed if event.subject in subjects]
        self.replayed = [event for event in self.replayed if event.subject not in subjects]
        self.lost[reason] += len(dropped)
        return len(dropped) + super().lose_those(subjects, reason)

    @property
    def holds_kept(self) -> list[KeptEvent]:
        """The retained events that wait or are in flight."""
        batches = [batch for batch in self.in_flight if isinstance(batch, RetainedBatch)]
        return self.replayed + [event for batch in batches for event in batch.kept]


class ReplayingMachine(RuleBasedStateMachine):
    """A backlog and the store beside a model of both."""

    def __init__(self) -> None:
        super().__init__()
        self.total = TotalBytes()
        self.store = RetainedEvents(100, 1_000_000, self.total)
        self.kept: dict[str, KeptEvent] = {}
        self.clock = 1000.0
        self.batches: list[Batch] = []
        self.last = 0

    @initialize(policy=policies, most=st.integers(1, 5), age=st.sampled_from([math.inf, 4.0]))
    def begin(self, policy: str, most: int, age: float) -> None:
        self.backlog = Backlog("PYRO:s@h:1", options_of(policy, most, 2000, age), self.total)
        self.model = ModelReplaying(policy, most, 2000, age)
        for name in ("a", "b", "straße", "c.d"):
            self.put(name, b"")

    @rule(names=st.lists(subjects, min_size=1, max_size=4), payload=payloads)
    def push(self, names: list[str], payload: bytes) -> None:
        for name in names:
            self.clock += 1.5
            outcome = pushed(self.backlog, self.total, name, self.clock, payload)
            assert outcome.name.lower() == self.model.push(name, self.clock, payload)

    @rule(name=subjects, payload=payloads)
    def put(self, name: str, payload: bytes) -> None:
        self.clock += 1.5
        self.store.put(name, self.clock, payload)
        self.kept.pop(fold(name), None)
        (self.kept[fold(name)],) = self.store.snapshot([name])

    @rule(names=st.sets(subjects, max_size=1))
    def clear(self, names: set[str]) -> None:
        assert self.store.clear(names) == len(set(map(fold, names)) & set(self.kept))
        for name in names:
            self.kept.pop(fold(name), None)

    @rule(names=st.sets(subjects, min_size=1, max_size=4))
    def replay(self, names: set[str]) -> None:
        expected = [event for key, event in self.kept.items() if key in map(fold, names)]
        found = self.store.snapshot(names)
        assert found == expected
        self.backlog.replay(found)
        self.model.replay(found)

    @rule(policy=policies, most=st.integers(1, 5), age=st.sampled_from([math.inf, 4.0]))
    def configure(self, policy: str, most: int, age: float) -> None:
        self.backlog.configure(options_of(policy, most, 2000, age))
        self.model.configure(policy, most, 2000, age)

    @precondition(lambda self: len(self.backlog) > 0)
    @rule(events=st.integers(1, 3), size=st.sampled_from([1, 1500, 100_000]))
    def take(self, events: int, size: int) -> None:
        batch, expected = self.backlog.take(events, size), self.model.take(events, size)
        assert batch.rows == expected.rows
        self.batches.append(batch)
        for row in batch.rows:
            assert row[2] == self.last + (row[3] or 0) + 1
            self.last = row[2]

    @rule()
    def expire(self) -> None:
        assert self.backlog.expire(self.clock, 100) == self.model.expire(self.clock)

    @precondition(lambda self: self.batches)
    @rule(lose=st.booleans())
    def end_batch(self, lose: bool) -> None:
        batch = self.batches.pop(0)
        if lose:
            self.backlog.lose_batch(batch)
            self.model.lose_batch()
        else:
            self.backlog.acknowledge(batch, 1)
            self.model.acknowledge(1)

    @rule(names=some_subjects)
    def lose_those(self, names: set[str]) -> None:
        waiting = {event.subject for event in [*self.model.waiting, *self.model.replayed]}
        assert self.backlog.waiting_subjects() == waiting
        assert self.backlog.lose_those(names, Loss.DENIED) == self.model.lose_those(names, "denied")

    @precondition(lambda self: self.model.accepted > 15)
    @rule()
    def lose_everything(self) -> None:
        assert self.backlog.lose_everything(Loss.GONE) == self.model.lose_everything("gone")
        self.batches.clear()

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        backlog, model = self.backlog, self.model
        waiting = len(backlog) + backlog.unacknowledged
        assert backlog.accepted == backlog.delivered + sum(backlog.lost.values()) + waiting
        assert (backlog.accepted, backlog.delivered) == (model.accepted, model.delivered)
        assert +backlog.lost == +model.lost
        assert len(backlog) == len(model.waiting) + len(model.replayed)
        assert backlog.unacknowledged == model.unacknowledged
        assert (backlog.waits, backlog.oldest) == (waiting > 0, model.oldest)

    @invariant()
    def every_byte_is_accounted_for(self) -> None:
        backlog, model, held = self.backlog, self.model, self.model.holds_kept
        assert backlog.held == sum(event.size for event in model.holds) + sum(event.cost for event in held)
        # What the store keeps counts there.
        replaced = {id(event): event for event in held if event not in self.kept.values()}
        rows = ROW * (len(held) - len(model.replayed))
        own = HOLDER * len(model.replayed) + rows + sum(event.cost for event in replaced.values())
        assert self.total.value == total_of([model]) + own
        assert self.store.bytes == sum(event.cost for event in self.kept.values())

    @invariant()
    def no_bound_holds_for_what_is_retained(self) -> None:
        backlog, model = self.backlog, self.model
        share = max(len(model.waiting) / model.most_events, model.waiting_bytes / model.most_bytes)
        assert (backlog.crowded, backlog.relaxed) == (share >= 0.75, share <= 0.25)
        if not model.waiting:
            assert backlog.has_space


# Making a failure small takes longer than a test may else take.
TestReplayingMachine = pytest.mark.timeout(900)(ReplayingMachine.TestCase)
TestReplayingMachine.settings = settings(deadline=None, max_examples=80, stateful_step_count=40)


def kept(*names: str) -> list[KeptEvent]:
    return [KeptEvent(name, name, 1.0, b"", number) for number, name in enumerate(names)]


def rows(batch: Batch) -> list[tuple[Any, ...]]:
    return [(row[0], row[2], row[3], len(row) == 6) for row in batch.rows]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_retained_comes_first_and_is_counted(policy: str) -> None:
    backlog = backlog_of(policy, most_events=1)
    push(backlog, "x")
    backlog.replay(kept("a", "b"))
    assert (len(backlog), backlog.accepted) == (3, 3)
    assert rows(backlog.take(10, 10_000)) == [("a", 1, 0, True), ("b", 2, 0, True)]
    assert rows(backlog.take(10, 10_000)) == [("x", 3, 0, False)]


def test_latest_does_not_replace_what_is_retained() -> None:
    backlog = backlog_of("latest")
    backlog.replay(kept("a"))
    push(backlog, "a", "a", "b", "c")
    assert numbers(backlog.take(1, 10_000)) == [(1, 0)]
    assert rows(backlog.take(10, 10_000)) == [("a", 3, 1, False), ("b", 4, 0, False), ("c", 5, 0, False)]


def test_what_waits_with_latest_is_numbered_after_it() -> None:
    backlog = backlog_of("latest")
    push(backlog, "a", "b", "a", "c")
    backlog.replay(kept("x", "y"))
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (2, 0)]
    assert rows(backlog.take(10, 10_000)) == [("b", 4, 1, False), ("a", 5, 0, False), ("c", 6, 0, False)]
    push(backlog, "a", "b")
    backlog.replay(kept("x"))
    backlog.configure(options_of("block", 10, 10_000))
    assert numbers(backlog.take(10, 10_000)) == [(7, 0)]
    assert numbers(backlog.take(10, 10_000)) == [(8, 0), (9, 0)]


def test_some_of_what_is_retained_is_lost() -> None:
    backlog = backlog_of()
    backlog.replay(kept("a", "b", "c"))
    push(backlog, "x")
    assert backlog.lose_those({"b", "y"}, Loss.DENIED) == 1
    assert numbers(backlog.take(10, 10_000)) == [(1, 0), (2, 0)]
    assert numbers(backlog.take(10, 10_000)) == [(4, 1)]
    backlog.replay(kept("a"))
    assert backlog.lose_those({"a"}, Loss.DENIED) == 1 and len(backlog) == 0
    assert backlog.lose_those({"a"}, Loss.DENIED) == 0


def test_what_was_dropped_before_is_missed_after_what_is_retained() -> None:
    backlog = backlog_of("drop-oldest", most_events=1)
    push(backlog, "x", "y")
    backlog.replay(kept("a"))
    assert rows(backlog.take(10, 10_000)) == [("a", 1, 0, True)]
    assert rows(backlog.take(10, 10_000)) == [("y", 3, 1, False)]


def test_what_was_dropped_between_others_stays_there() -> None:
    backlog = backlog_of("drop-newest", most_events=2)
    push(backlog, "a", "b", "dropped")
    assert numbers(backlog.take(1, 10_000)) == [(1, 0)]
    push(backlog, "d")
    backlog.replay(kept("x"))
    assert numbers(backlog.take(10, 10_000)) == [(2, 0)]
    assert rows(backlog.take(10, 10_000)) == [("b", 3, 0, False), ("d", 5, 1, False)]


def test_nothing_to_replay_changes_nothing() -> None:
    backlog = backlog_of()
    backlog.replay([])
    assert (len(backlog), backlog.accepted, backlog.waits) == (0, 0, False)
