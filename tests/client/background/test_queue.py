"""The queue of a background publisher, held against a slow and obvious model of it."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyro_events.client.background.accounts import Batch
from pyro_events.client.background.options import BackgroundOptions
from pyro_events.client.background.queue import NEWEST_OVERHEAD, OVERHEAD, BackgroundQueue, queue_for
from pyro_events.client.publishing.entry import checked_entry
from pyro_events.client.publishing.frames import fitting
from pyro_events.codec.message import encode
from pyro_events.options import Overflow

LIMIT, LIMIT_BYTES = 5, 200_000


@dataclass
class Call:
    """What was published with one call. names: those that still wait or are being sent."""

    number: int
    names: list[str]
    size: int
    payload: bytes

    def entry(self) -> tuple[Any, bytes]:
        return (self.names[0] if len(self.names) == 1 else self.names, self.payload)


@dataclass
class Model:
    """The same as BackgroundQueue, without speed."""

    policy: Overflow
    waiting: list[Call] = field(default_factory=list)
    accepted: int = 0
    dropped: dict[str, int] = field(
        default_factory=lambda: {"drop-oldest": 0, "drop-newest": 0, "latest": 0, "closed": 0}
    )
    overflowed: int = 0

    @property
    def overhead(self) -> int:
        return NEWEST_OVERHEAD if self.policy is Overflow.LATEST else OVERHEAD

    def held(self) -> int:
        return sum(len(call.names) for call in self.waiting)

    def held_bytes(self) -> int:
        return sum(call.size + self.overhead * len(call.names) for call in self.waiting)

    def replace(self, newer: list[str]) -> None:
        for call in self.waiting:
            kept = [name for name in call.names if name.lower() not in {each.lower() for each in newer}]
            self.dropped["latest"] += len(call.names) - len(kept)
            call.names = kept
        self.waiting = [call for call in self.waiting if call.names]

    def publish(self, names: list[str], size: int, payload: bytes) -> None:
        self.accepted += len(names)
        if self.policy is Overflow.LATEST:
            self.replace(names)
            kept = list({name.lower(): name for name in names}.values())
            self.dropped["latest"] += len(names) - len(kept)
            names = kept
        cost = size + self.overhead * len(names)
        while self.waiting and (self.held() + len(names) > LIMIT or self.held_bytes() + cost > LIMIT_BYTES):
            if self.policy is Overflow.DROP_NEWEST:
                self.dropped["drop-newest"] += len(names)
                self.overflowed += len(names)
                return
            oldest = self.waiting.pop(0)
            self.dropped[self.policy.value] += len(oldest.names)
            self.overflowed += len(oldest.names)
        self.waiting.append(Call(self.accepted, names, size, payload))

    def take(self) -> list[Call]:
        count, _ = fitting(call.size for call in self.waiting)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def take_back(self, calls: list[Call]) -> None:
        later, self.waiting = self.waiting, calls
        if self.policy is Overflow.LATEST:
            self.replace([name for call in later for name in call.names])
        self.waiting = self.waiting + later


names = st.lists(st.sampled_from(["A", "a", "B", "C", "D", "E", "F"]), min_size=1, max_size=6)


class Machine(RuleBasedStateMachine):
    """Everything that may happen to a queue, in any order in which it may."""

    policy = Overflow.DROP_OLDEST

    def __init__(self) -> None:
        super().__init__()
        self.queue: BackgroundQueue = queue_for(BackgroundOptions(LIMIT, LIMIT_BYTES, self.policy))
        self.model = Model(self.policy)
        self.published = 0
        self.sending: tuple[Batch, list[Call]] | None = None
        self.in_flight: list[tuple[Batch, list[Call]]] = []
        self.outcomes = {"published": 0, "refused": 0, "unknown": 0}
        self.closed = False

    @rule(names=names, size=st.sampled_from([100, 100, 25_000, 70_000, 250_000]))
    def publish(self, names: list[str], size: int) -> None:
        self.published += 1
        payload = str(self.published).encode()
        subjects = names[0] if len(names) == 1 else names
        self.queue.inbox.append(((subjects, payload), len(names), size))
        self.queue.admit_all()
        if self.closed:
            self.model.accepted += len(names)
            self.model.dropped["closed"] += len(names)
        else:
            self.model.publish(list(names), size, payload)

    @precondition(lambda self: self.sending is None)
    @rule()
    def take(self) -> None:
        batch, calls = self.queue.take(), self.model.take()
        if batch is None:
            assert calls == []
            return
        assert batch.entries == [call.entry() for call in calls]
        assert batch.events == sum(len(call.names) for call in calls)
        self.sending = batch, calls

    @precondition(lambda self: self.sending is not None)
    @rule()
    def sent(self) -> None:
        assert self.sending is not None
        self.queue.sent(self.sending[0])
        self.in_flight.append(self.sending)
        self.sending = None

    @precondition(lambda self: self.sending is not None and not self.closed)
    @rule()
    def take_back(self) -> None:
        assert self.sending is not None
        self.queue.take_back(self.sending[0])
        self.model.take_back(self.sending[1])
        self.sending = None

    @precondition(lambda self: self.sending is not None or self.in_flight)
    @rule(outcome=st.sampled_from(["published", "refused", "unknown"]), data=st.data())
    def settle(self, outcome: str, data: st.DataObject) -> None:
        sending = [] if self.sending is None or outcome == "published" else [self.sending]
        if not (known := [*self.in_flight[:1], *sending]):
            return
        chosen = data.draw(st.sampled_from(range(len(known))))
        batch, _ = pair = known[chosen]
        if outcome == "published":
            self.queue.acknowledged(batch, 2 * batch.events)
        elif outcome == "refused":
            self.queue.not_accepted(batch)
        else:
            self.queue.lost(batch)
        self.outcomes[outcome] += batch.events
        if pair is self.sending:
            self.sending = None
        else:
            self.in_flight.remove(pair)

    @rule()
    def catch_up(self) -> None:
        assert self.queue.caught_up() == self.model.overflowed
        self.model.overflowed = 0

    @precondition(lambda self: not self.closed and self.published > 10)
    @rule()
    def close(self) -> None:
        rest = self.model.held()
        assert self.queue.close() == rest
        self.model.dropped["closed"] += rest
        self.model.waiting.clear()
        self.closed = True

    @invariant()
    def agree(self) -> None:
        queue, model = self.queue, self.model
        assert queue.dropped == model.dropped and queue.accepted == model.accepted
        assert (queue.held, queue.held_bytes) == (model.held(), model.held_bytes())
        assert len(queue) == len(model.waiting) and queue.overflowed == model.overflowed
        outcomes = {"published": queue.published, "refused": queue.refused, "unknown": queue.unknown}
        assert outcomes == self.outcomes and queue.queued == 2 * queue.published

    @invariant()
    def every_event_is_counted_once(self) -> None:
        queue = self.queue
        taken = [*self.in_flight, *([] if self.sending is None else [self.sending])]
        waiting = self.model.held() + sum(batch.events for batch, _ in taken)
        lost = sum(queue.dropped.values()) + queue.refused + queue.unknown
        assert queue.unsettled == waiting
        assert queue.accepted == queue.published + lost + waiting

    @invariant()
    def what_is_settled_is_what_has_an_outcome(self) -> None:
        taken = [calls for _, calls in [*self.in_flight, *([] if self.sending is None else [self.sending])]]
        unsettled = [call.number for calls in [*taken, self.model.waiting] for call in calls]
        for number in {0, self.queue.accepted, *unsettled}:
            assert self.queue.settled(number) == all(number < each for each in unsettled)


class DropNewestMachine(Machine):
    policy = Overflow.DROP_NEWEST


class LatestMachine(Machine):
    policy = Overflow.LATEST


@pytest.mark.parametrize("machine", [Machine, DropNewestMachine, LatestMachine])
def test_c35a_the_queue_does_what_its_model_does(machine: type[Machine]) -> None:
    machine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
    case = machine.TestCase()
    case.runTest()


@pytest.mark.parametrize(("policy", "subjects"), [("drop-oldest", 1), ("drop-oldest", 10), ("latest", 1)])
def test_c35a_the_memory_is_what_it_counts_for(policy: str, subjects: int) -> None:
    queue = queue_for(BackgroundOptions(100_000, 1 << 30, Overflow(policy)))
    gc.collect()  # which forgets the tuples that Python keeps to use them again: those are not counted
    tracemalloc.start()
    try:
        for number in range(4_000):
            names = [f"SUBJECT.{number}.{each}" for each in range(subjects)]
            queue.inbox.append(checked_entry(names if subjects > 1 else names[0], encode(number)))
            queue.admit_all()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < queue.held_bytes
    assert subjects > 1 or queue.held_bytes < 1.5 * taken


def test_c35a_the_newest_of_each_subject_is_sent_in_the_order_of_publishing() -> None:
    queue = queue_for(BackgroundOptions(overflow=Overflow.LATEST))
    for subjects, message in [(["A", "B"], b"1"), ("C", b"2"), ("a", b"3"), (["D", "d"], b"4")]:
        queue.inbox.append(((subjects, message), 1 if isinstance(subjects, str) else 2, 10))
    queue.admit_all()
    batch = queue.take()
    assert batch is not None
    assert batch.entries == [("B", b"1"), ("C", b"2"), ("a", b"3"), ("d", b"4")]
    assert queue.dropped["latest"] == 2 and queue.overflowed == 0


def test_c35a_what_is_taken_back_gives_way_to_what_is_newer() -> None:
    queue = queue_for(BackgroundOptions(overflow=Overflow.LATEST))
    queue.inbox.append(((["A", "B"], b"1"), 2, 10))
    queue.admit_all()
    batch = queue.take()
    assert batch is not None
    queue.inbox.append((("B", b"2"), 1, 10))
    queue.admit_all()
    queue.take_back(batch)
    again = queue.take()
    assert again is not None and again.entries == [("A", b"1"), ("B", b"2")]
