"""The backlog against a list, under every policy, with every event accounted for at every step."""

from __future__ import annotations

import math
from typing import Any

import pytest
from backlog_model import OVERHEAD, ModelBacklog, length, total_of
from backlog_steps import ONE, POLICIES, backlog_of, numbers, options_of, push, pushed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.accounting import Batch, Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.dropping import Outcome
from pyro_events.options import BacklogOptions, Overflow

each_policy = pytest.mark.parametrize("policy", POLICIES)

# Few subjects, so that `latest` finds some again; one of them longer when folded.
subjects = st.sampled_from(["a", "A", "b", "straße", "STRASSE", "c.d"])
payloads = st.sampled_from([b"", b"p", b"p" * 100, b"p" * 450])
bounds = st.tuples(
    st.sampled_from(POLICIES),
    st.integers(1, 5),
    st.sampled_from([1, OVERHEAD + 50, 2 * (OVERHEAD + 1), 2 * OVERHEAD + 130, 1100, 5000]),
    st.sampled_from([math.inf, math.inf, 1.0, 4.0, 20.0]),
)
# How long a publisher was blocked before its event came.
delays = st.sampled_from([0.0, 0.0, 2.0, 7.0, 30.0])


class BacklogMachine(RuleBasedStateMachine):
    """One backlog beside its model, and a second one that shares only the total."""

    def __init__(self) -> None:
        super().__init__()
        self.total = TotalBytes()
        self.other = Backlog("PYRO:other@h:1", BacklogOptions(), self.total)
        pushed(self.other, self.total, "x", 0.0, b"other")
        self.clock = 1000.0
        self.batches: list[Batch] = []
        self.received: list[tuple[int, int]] = []

    @initialize(bounds=bounds)
    def begin(self, bounds: tuple[str, int, int, float]) -> None:
        self.backlog = Backlog("PYRO:s@h:1", options_of(*bounds), self.total)
        self.model = ModelBacklog(*bounds)
        self.batches.clear()
        self.received.clear()

    @rule(events=st.lists(st.tuples(subjects, delays, payloads), min_size=1, max_size=6))
    def push(self, events: list[tuple[str, float, bytes]]) -> None:
        for subject, delay, payload in events:
            self.clock += 1.5
            time = self.clock - delay
            outcome = pushed(self.backlog, self.total, subject, time, payload)
            assert outcome.name.lower() == self.model.push(subject, time, payload)
            if outcome is Outcome.QUEUED:
                assert len(self.backlog) <= self.model.most_events
                assert self.backlog.bytes <= self.model.most_bytes or len(self.backlog) == 1
            if outcome is Outcome.FULL:
                assert self.model.policy == "block"
                assert not self.backlog.has_space
            self.every_event_is_accounted_for()

    @rule(events=st.lists(st.tuples(subjects, payloads), min_size=1, max_size=6))
    def extend(self, events: list[tuple[str, bytes]]) -> None:
        """Several at once, where nobody can be held up by them."""
        self.clock += 1.5
        run = [queued_event(subject, self.clock, payload) for subject, payload in events]
        size = sum(event[3] for event in run)
        self.total.value += size
        if self.backlog.extend(run, size):
            for subject, payload in events:
                assert self.model.push(subject, self.clock, payload) == "queued"
        else:
            self.total.value -= size

    @rule(subject=subjects, payload=payloads, space=st.booleans())
    def offer(self, subject: str, payload: bytes, space: bool) -> None:
        self.clock += 1.5
        event = queued_event(subject, self.clock, payload)
        self.total.value += event[3]
        self.backlog.offer(event, space)
        self.model.offer(subject, self.clock, payload, space)

    @rule(allowed=st.booleans())
    def allow_blocking(self, allowed: bool) -> None:
        self.backlog.allow_blocking(allowed)
        self.model.allow_blocking(allowed)

    @rule(bounds=bounds)
    def configure(self, bounds: tuple[str, int, int, float]) -> None:
        self.backlog.configure(options_of(*bounds))
        self.model.configure(*bounds)

    @rule(passed=st.sampled_from([0.0, 1.5, 5.0, 20.0]), ahead=st.sampled_from([0, 1, 2, 10]))
    def expire(self, passed: float, ahead: int) -> None:
        """Time passes; what has waited too long is dropped before the rest is sent."""
        self.clock += passed
        before = len(self.backlog)
        dropped = self.backlog.expire(self.clock, 100, ahead)
        assert dropped == self.model.expire(self.clock, ahead) == before - len(self.backlog)
        if ahead and len(self.backlog) and self.backlog.max_age is not None:
            self.take(ahead, 10_000)
            assert all(self.clock - row[1] <= self.backlog.max_age for row in self.batches[-1].rows)

    @precondition(lambda self: len(self.backlog) > 0)
    @rule(events=st.integers(1, 4), size=st.sampled_from([1, 2 * (OVERHEAD + 1), OVERHEAD + 100, 10_000]))
    def take(self, events: int, size: int) -> None:
        batch = self.backlog.take(events, size)
        expected = self.model.take(events, size)
        assert batch.rows == expected.rows
        assert batch.size == expected.size
        assert 1 <= len(batch.rows) <= events
        self.batches.append(batch)
        self.received += numbers(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        batch = self.batches.pop(0)
        failed = data.draw(st.integers(0, len(batch.rows)))
        self.backlog.acknowledge(batch, failed)
        self.model.acknowledge(failed)

    @precondition(lambda self: self.batches and len(self.batches[0].rows) > 1)
    @rule(data=st.data())
    def acknowledge_part(self, data: st.DataObject) -> None:
        batch = self.batches[0]
        handled = data.draw(st.integers(1, len(batch.rows) - 1))
        failed = data.draw(st.integers(0, handled))
        self.backlog.acknowledge_part(batch, handled, failed)
        self.model.acknowledge_part(handled, failed)
        assert batch.rows == self.model.in_flight[0].rows

    @precondition(lambda self: self.batches)
    @rule()
    def lose_batch(self) -> None:
        self.backlog.lose_batch(self.batches.pop(0))
        self.model.lose_batch()

    @rule(names=st.sets(subjects, max_size=3))
    def lose_those(self, names: set[str]) -> None:
        waiting = {event.subject for event in self.model.waiting}
        assert self.backlog.waiting_subjects() == waiting
        assert self.backlog.lose_those(names, Loss.DENIED) == self.model.lose_those(names, "denied")

    @precondition(lambda self: self.model.accepted > 20)
    @rule(reason=st.sampled_from([Loss.GONE, Loss.REFUSED, Loss.DEADLINE, Loss.STOPPED, Loss.DISCONNECT]))
    def lose_everything(self, reason: Loss) -> None:
        assert self.backlog.lose_everything(reason) == self.model.lose_everything(reason.value)
        self.batches.clear()
        assert not self.backlog.waits
        assert self.backlog.accepted == self.backlog.delivered + sum(self.backlog.lost.values())

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        backlog, model = self.backlog, self.model
        waiting = len(backlog) + backlog.unacknowledged
        assert backlog.accepted == backlog.delivered + sum(backlog.lost.values()) + waiting
        assert (backlog.accepted, backlog.delivered) == (model.accepted, model.delivered)
        assert backlog.lost == model.lost
        assert (len(backlog), backlog.unacknowledged) == (len(model.waiting), model.unacknowledged)
        assert backlog.waits == (waiting > 0)

    @invariant()
    def every_byte_is_accounted_for(self) -> None:
        assert self.backlog.bytes == self.model.waiting_bytes
        assert self.backlog.held == sum(event.size for event in self.model.holds)
        assert self.total.value == total_of([self.model]) + self.other.bytes

    @invariant()
    def numbers_are_consecutive_but_for_what_is_missed(self) -> None:
        last = 0
        for seq, missed in self.received:
            assert seq == last + missed + 1
            assert missed >= 0
            last = seq

    @invariant()
    def an_empty_backlog_has_space_and_is_not_crowded(self) -> None:
        backlog, model = self.backlog, self.model
        assert backlog.oldest == model.oldest
        share = max(len(model.waiting) / model.most_events, model.waiting_bytes / model.most_bytes)
        assert backlog.crowded == (share >= 0.75)
        assert backlog.relaxed == (share <= 0.25)
        too_slow = ("drop-oldest", "drop-newest", "latest", "expired")
        assert backlog.overflowed == sum(model.lost[reason] for reason in too_slow)
        if not model.waiting:
            assert backlog.has_space
        if backlog.has_space:
            assert share < 1

    @invariant()
    def statistics_say_so(self) -> None:
        backlog, model = self.backlog, self.model
        statistics = backlog.statistics(iter(["a", "^b"]), self.clock + 2)
        assert (statistics.subscriber, statistics.subjects) == ("PYRO:s@h:1", ("a", "^b"))
        assert (statistics.overflow, statistics.accepted) == (model.policy, model.accepted)
        assert (statistics.backlog, statistics.backlog_bytes) == (len(model.waiting), model.waiting_bytes)
        assert (statistics.unacknowledged, statistics.delivered) == (model.unacknowledged, model.delivered)
        assert statistics.lost == dict(backlog.lost)
        assert statistics.oldest == (None if model.oldest is None else self.clock + 2 - model.oldest)


# Making a failure small takes longer than a test may else take.
TestBacklogMachine = pytest.mark.timeout(900)(BacklogMachine.TestCase)
TestBacklogMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)


# The promises one by one, as a reader would look for them


@each_policy
@pytest.mark.parametrize("most_bytes", [1, 100, ONE])
def test_an_empty_backlog_takes_an_event_of_any_size(policy: str, most_bytes: int) -> None:
    backlog = backlog_of(policy, most_bytes=most_bytes)
    assert push(backlog, "x", payload=bytes(100_000)) == [Outcome.QUEUED]
    assert numbers(backlog.take(10, 1)) == [(1, 0)]


def test_what_waits_survives_a_change_of_policy() -> None:
    backlog = backlog_of("block")
    push(backlog, "a", "b", "A")
    backlog.configure(options_of("latest", 3, 10_000))
    assert len(backlog) == 2  # but for the older one of a subject
    push(backlog, "b")
    backlog.configure(options_of("drop-newest", 2, 10_000))
    assert push(backlog, "d") == [Outcome.DROPPED]
    batch = backlog.take(10, 10_000)
    assert [(row[0], row[2], row[3]) for row in batch.rows] == [("A", 3, 2), ("b", 4, 0)]
    assert backlog.lost == {"latest": 2, "drop-newest": 1}


def test_a_change_of_bounds_that_keeps_latest_keeps_what_waits() -> None:
    backlog = backlog_of("latest")
    push(backlog, "a", "b", "a")
    backlog.configure(options_of("latest", 5, 10_000))
    assert numbers(backlog.take(10, 10_000)) == [(2, 1), (3, 0)]


def test_events_that_come_together_replace_older_ones_with_latest() -> None:
    backlog = backlog_of("latest")
    events = [queued_event(subject, 1.0, b"") for subject in ("a", "b", "a")]
    assert backlog.extend(events, sum(event[3] for event in events))
    assert numbers(backlog.take(1, 10_000)) == [(2, 1)]
    assert numbers(backlog.take(1, 10_000)) == [(3, 0)]


def test_the_end_of_a_backlog_with_latest_loses_what_waits() -> None:
    backlog = backlog_of("latest")
    push(backlog, "a", "b", "a")
    assert backlog.lose_everything(Loss.GONE) == 2
    assert backlog.lost == {"latest": 1, "gone": 2}
    assert len(backlog) == backlog.bytes == 0


def test_a_subscriber_that_may_not_block_loses_the_oldest() -> None:
    backlog = backlog_of("block")
    backlog.allow_blocking(False)
    assert (backlog.overflow, backlog.options.overflow) == (Overflow.DROP_OLDEST, Overflow.BLOCK)
    assert push(backlog, *"abcd") == [Outcome.QUEUED] * 4
    assert backlog.lost == {"drop-oldest": 1}
    backlog.configure(options_of("block", 3, 10_000))
    assert push(backlog, "e") == [Outcome.QUEUED]
    backlog.allow_blocking(True)
    assert push(backlog, "f") == [Outcome.FULL]


@pytest.mark.parametrize(("size", "taken"), [(1, 1), (ONE, 1), (ONE + 1, 2), (2 * ONE, 2), (2 * ONE + 1, 3)])
def test_a_batch_ends_with_the_event_that_reaches_its_size(size: int, taken: int) -> None:
    backlog = backlog_of(most_events=10)
    push(backlog, *"abcd")
    assert len(backlog.take(10, size).rows) == taken


def test_events_in_flight_take_no_space() -> None:
    backlog = backlog_of("drop-newest")
    push(backlog, *"abc")
    backlog.take(10, 10_000)
    assert push(backlog, *"def") == [Outcome.QUEUED] * 3


@each_policy
def test_a_bound_may_be_reached_exactly(policy: str) -> None:
    backlog = backlog_of(policy, most_events=2, most_bytes=2 * (OVERHEAD + 1))
    assert push(backlog, *"ab") == [Outcome.QUEUED] * 2
    assert not backlog.lost


def test_publishers_go_on_when_an_eighth_is_free() -> None:
    backlog = backlog_of("block", most_events=16)
    push(backlog, *"abcdefghijklmnopqr")
    space = []
    while len(backlog):
        space.append((len(backlog), backlog.has_space))
        backlog.take(1, 1)
    assert [count for count, has_space in space if has_space] == list(range(14, 0, -1))


def test_publishers_go_on_when_an_eighth_of_the_bytes_is_free() -> None:
    backlog = backlog_of("block", most_events=100, most_bytes=8 * (OVERHEAD + 1))
    push(backlog, *"abcdefgh")
    assert not backlog.has_space
    backlog.take(1, 1)
    assert backlog.has_space


@pytest.mark.parametrize("act", [Backlog.acknowledge, Backlog.lose_batch])
def test_batches_land_in_the_order_in_which_they_were_taken(act: Any) -> None:
    backlog = backlog_of()
    push(backlog, *"abc")
    first, second = backlog.take(1, 1), backlog.take(1, 1)
    with pytest.raises(AssertionError, match="in the order"):
        act(backlog, second)
    assert first.rows[0][2] == 1


def test_three_quarters_of_a_bound_are_crowded() -> None:
    backlog = backlog_of(most_events=4)
    push(backlog, *"ab")
    assert not backlog.crowded
    push(backlog, "c")
    assert backlog.crowded
    backlog.configure(options_of("block", 100, 4 * ONE))
    assert backlog.crowded


def test_the_oldest_event_may_be_in_flight() -> None:
    backlog = backlog_of()
    assert backlog.oldest is None
    for time in (5.0, 6.0):
        pushed(backlog, TotalBytes(), "a", time, b"")
    assert backlog.oldest == 5.0
    backlog.acknowledge(backlog.take(1, 1))
    assert backlog.oldest == 6.0
    batch = backlog.take(1, 1)
    assert backlog.oldest == 6.0
    backlog.acknowledge(batch, failed=1)
    assert backlog.oldest is None
    assert (backlog.delivered, backlog.lost) == (1, {"handler-error": 1})


def test_a_batch_may_be_done_piece_by_piece() -> None:
    backlog = backlog_of(most_events=10)
    push(backlog, *"abcdef")
    batch = backlog.take(10, 10_000)
    backlog.acknowledge_part(batch, 2, 1)
    assert numbers(batch) == [(3, 0), (4, 0), (5, 0), (6, 0)]
    assert (backlog.delivered, backlog.unacknowledged, backlog.lost) == (1, 4, {"handler-error": 1})
    backlog.acknowledge_part(batch, 1, 0)
    backlog.lose_batch(batch)
    assert (backlog.delivered, backlog.lost) == (2, {"handler-error": 1, "unconfirmed": 3})
    assert not backlog.waits


def test_what_is_sent_and_what_waits_are_lost_for_different_reasons() -> None:
    backlog = backlog_of()
    push(backlog, *"abc")
    backlog.take(2, 10_000)
    assert backlog.lose_everything(Loss.DEADLINE) == 3
    assert backlog.lost == {"unconfirmed": 2, "deadline": 1}
    assert backlog.lose_everything(Loss.GONE) == 0


def test_an_event_counts_for_what_it_takes() -> None:
    assert queued_event("subject", 1.0, b"payload")[3] == 7 + 7 + OVERHEAD
    assert queued_event("Grüße", 1.0, b"")[3] == length("Grüße") + OVERHEAD  # and its UTF-8


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    backlog = backlog_of()
    push(backlog, "a")
    assert backlog.statistics([], 0.5).oldest == 0.0


@each_policy
def test_what_is_offered_pushes_nothing_out_and_blocks_nobody(policy: str) -> None:
    backlog = backlog_of(policy, 2)
    push(backlog, "a", "b")
    backlog.offer(queued_event("c", 1.0, b""), True)
    expected = [("b", 2), ("c", 3)] if policy == "latest" else [("a", 1), ("b", 2)]
    assert [(row[0], row[2]) for row in backlog.take(9, 10_000).rows] == expected
    assert backlog.lost == {("latest" if policy == "latest" else "drop-newest"): 1}
    backlog.offer(queued_event("c", 1.0, b""), False)
    assert len(backlog) == 0 and backlog.lost["drop-newest"] == (1 if policy == "latest" else 2)
