"""The queue of a connection: which events start next, and the one rule for taking over."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyro_events.client.dispatch.batch import ReceivedBatch, Slice
from pyro_events.client.dispatch.connection_queue import ConnectionQueue

STALL_AFTER = 10.0
MAX_BATCHES = 3


def rows(first: int, count: int) -> list[tuple[Any, ...]]:
    return [("S", 1.0, number, 0, b"") for number in range(first, first + count)]


def a_queue(*sizes: int) -> ConnectionQueue:
    """With batches of these sizes; events are numbered through."""
    queue, first = ConnectionQueue(STALL_AFTER, MAX_BATCHES), 0
    for seq, size in enumerate(sizes):
        queue.add(ReceivedBatch(seq, rows(first, size)))
        first += size
    return queue


def begun(queue: ConnectionQueue, now: float = 0.0) -> Slice:
    """A slice whose first event has started."""
    part = queue.start_next(now)
    next(part.rows)
    return part


def finished(queue: ConnectionQueue, part: Slice) -> list[ReceivedBatch]:
    """The batches that are done when a thread has handled a slice."""
    queue.finish(part)
    return list(iter(queue.pop_done, None))


def nothing() -> bool:
    return False


def numbers(part: Slice) -> list[int]:
    return [row[2] for row in part.rows]


def test_a_batch_is_one_slice_and_is_done_when_that_is() -> None:
    queue = a_queue(3, 2)
    part = queue.start_next(0.0)
    assert not queue.has_next  # a thread is at the front
    assert numbers(part) == [0, 1, 2]
    (done,) = finished(queue, part)
    assert done.seq == 0 and queue.has_next
    assert numbers(queue.start_next(0.0)) == [3, 4]


def test_it_is_read_while_nothing_waits_and_few_batches_are_unacknowledged() -> None:
    queue = a_queue()
    for seq in range(MAX_BATCHES):
        assert queue.may_read
        queue.add(ReceivedBatch(seq, rows(seq, 1)))
        assert not queue.may_read
        begun(queue)
        queue.split_off_rest(0.0)
    assert not queue.may_read


def test_batches_are_done_in_order() -> None:
    queue = a_queue(1, 1)
    first = begun(queue)
    queue.relieve(queue.find_stalled(10.0), 10.0)
    second = begun(queue, 10.0)
    assert finished(queue, second) == []
    assert [batch.seq for batch in finished(queue, first)] == [0, 1]


def test_an_empty_batch_is_done_at_once() -> None:
    queue = a_queue(0)
    assert [batch.seq for batch in finished(queue, queue.start_next(0.0))] == [0]


def test_an_event_that_has_run_for_long_is_relieved_once() -> None:
    queue = a_queue(3)
    begun(queue)
    assert queue.find_stalled(9.9) == [] and not queue.is_held_up([], nothing)
    stalled = queue.find_stalled(10.0)
    assert len(stalled) == 1 and queue.is_held_up(stalled, nothing)
    queue.relieve(stalled, 10.0)
    begun(queue, 10.0)
    assert not queue.is_held_up(queue.find_stalled(19.9), nothing)
    stalled = queue.find_stalled(20.0)
    assert len(stalled) == 2 and queue.is_held_up(stalled, nothing)
    queue.relieve(stalled, 20.0)
    assert numbers(queue.start_next(20.0)) == [2]


def test_an_event_holds_up_nothing_while_nothing_waits() -> None:
    queue = a_queue(1)
    begun(queue)
    stalled = queue.find_stalled(100.0)
    assert stalled and not queue.is_held_up(stalled, nothing)
    assert queue.is_held_up(stalled, lambda: True)  # something waits on the connection
    queue.add(ReceivedBatch(1, rows(1, 1)))
    assert queue.is_held_up(stalled, nothing)


def test_a_thread_that_does_not_come_is_wanted_again() -> None:
    queue = a_queue(2)
    begun(queue)
    for _ in range(2):
        assert queue.is_held_up(queue.find_stalled(10.0), nothing)


def test_events_that_no_thread_starts_are_held_up_at_once() -> None:
    queue = a_queue(3)
    begun(queue)
    queue.split_off_rest(1.0)  # because of a pause
    assert queue.has_next and queue.is_held_up([], nothing)
    queue.relieve([], 1.0)
    assert numbers(queue.start_next(1.0)) == [1, 2]


def test_a_thread_that_comes_back_from_a_long_event_takes_over() -> None:
    queue = a_queue(4)
    long = begun(queue)
    queue.relieve(queue.find_stalled(10.0), 10.0)
    begun(queue, 10.0)
    queue.finish(long)
    queue.take_over(long, 11.0)
    assert queue.has_next and numbers(queue.start_next(11.0)) == [2, 3]


def test_a_thread_that_comes_back_from_a_short_event_does_not() -> None:
    queue = a_queue(4)
    begun(queue)
    queue.relieve(queue.find_stalled(10.0), 10.0)
    short = begun(queue, 10.0)
    queue.relieve(queue.find_stalled(11.0), 11.0)
    begun(queue, 11.0)
    queue.finish(short)
    queue.take_over(short, 12.0)
    assert not queue.has_next


def test_a_thread_that_comes_back_from_reading_takes_over_from_a_long_event_alone() -> None:
    queue = a_queue(1)
    begun(queue)
    queue.add(ReceivedBatch(1, rows(1, 1)))
    queue.take_over(None, 9.0)
    assert not queue.has_next
    queue.take_over(None, 10.0)
    assert queue.has_next and numbers(queue.start_next(10.0)) == [1]


def test_nothing_starts_after_the_end_and_nothing_is_done() -> None:
    queue = a_queue(3, 2)
    part = begun(queue)
    queue.end(1.0)
    assert not (queue.has_next or queue.may_read) and numbers(part) == []
    queue.add(ReceivedBatch(2, rows(5, 1)))
    assert not queue.has_next
    assert finished(queue, part) == []


class Threads(RuleBasedStateMachine):
    """Any number of threads, which do what they may whenever the machine says."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = ConnectionQueue(STALL_AFTER, MAX_BATCHES)
        self.now = 0.0
        self.received = 0
        self.sent: list[ReceivedBatch] = []
        self.started: list[int] = []
        self.done: list[ReceivedBatch] = []
        # Since when their events have been running; the first one since its thread had it.
        self.at_work: dict[Slice, float] = {}
        self.fresh: set[Slice] = set()  # those that no event has started of
        self.idle = 1

    @rule(seconds=st.floats(0.0, 15.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.idle and self.queue.may_read)
    @rule(size=st.integers(0, 4))
    def a_batch_is_read(self, size: int) -> None:
        batch = ReceivedBatch(len(self.sent), rows(self.received, size))
        self.received += size
        self.sent.append(batch)
        self.queue.add(batch)
        self.queue.take_over(None, self.now)
        self.check_that_nobody_was_taken_over_early()

    @precondition(lambda self: self.idle and self.queue.has_next)
    @rule()
    def a_thread_starts(self) -> None:
        self.idle -= 1
        part = self.queue.start_next(self.now)
        self.at_work[part] = self.now
        self.fresh.add(part)

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def an_event_returns_and_the_next_starts(self, data: st.DataObject) -> None:
        part = data.draw(st.sampled_from(list(self.at_work)))
        row = next(part.rows, None)
        if row is not None:
            self.started.append(row[2])
            if part not in self.fresh:
                self.at_work[part] = self.now
            self.fresh.discard(part)
            return
        since = self.at_work.pop(part)
        self.done += finished(self.queue, part)
        front = self.queue.has_next
        self.queue.take_over(part, self.now)
        if self.queue.has_next and not front:
            assert self.now - since >= STALL_AFTER
        self.idle += 1

    @rule()
    def the_monitor_checks(self) -> None:
        stalled = self.queue.find_stalled(self.now)
        assert all(self.now - self.at_work[part] >= STALL_AFTER for part in stalled)
        held_back = self.queue.has_next
        if self.queue.is_held_up(stalled, nothing):
            assert held_back or not all(part.relieved for part in stalled)
            self.queue.relieve(stalled, self.now)
            assert self.queue.has_next
            self.idle += 1

    @rule()
    def a_pause(self) -> None:
        self.queue.split_off_rest(self.now)

    def check_that_nobody_was_taken_over_early(self) -> None:
        if self.queue.has_next and self.at_work:
            longest = max(self.now - since for since in self.at_work.values())
            assert longest >= STALL_AFTER or all(not part.left for part in self.at_work)

    @invariant()
    def events_start_once_and_in_order(self) -> None:
        assert self.started == list(range(len(self.started)))

    @invariant()
    def one_thread_has_what_comes_next(self) -> None:
        assert sum(1 for part in self.at_work if part.left) <= 1

    @invariant()
    def batches_are_done_in_order_and_not_before_their_events(self) -> None:
        assert self.done == self.sent[: len(self.done)]
        assert sum(len(batch.rows) for batch in self.done) <= len(self.started)
        assert not any(part.batch in self.done for part in self.at_work)

    def teardown(self) -> None:
        """Nothing is left over, whatever has happened before."""
        while self.at_work or self.queue.has_next:
            for part in list(self.at_work):
                self.started += numbers(part)
                del self.at_work[part]
                self.done += finished(self.queue, part)
            if self.queue.has_next:
                self.at_work[self.queue.start_next(self.now)] = self.now
        assert self.started == list(range(self.received))
        assert self.done == self.sent


TestThreads = Threads.TestCase
