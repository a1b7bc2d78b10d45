"""A queue that many threads publish to: none waits for another, and nothing is lost between them."""

from __future__ import annotations

import threading
import time

import pytest
from contract import in_background
from raising_handler import needs_signals, raising
from waiting import eventually

from pyro_events.client.background.options import BackgroundOptions
from pyro_events.client.background.queue import BackgroundQueue
from pyro_events.client.background.shared_queue import SharedQueue


@pytest.fixture
def shared() -> SharedQueue:
    return SharedQueue(BackgroundOptions())


def publish(shared: SharedQueue, message: bytes = b"\x01") -> None:
    shared.publish(("A", message), 1, 10)


def accepted(queue: BackgroundQueue) -> int:
    return queue.accepted


def test_c35a_a_thread_that_publishes_does_not_wait_for_the_one_that_uses_the_queue(
    shared: SharedQueue,
) -> None:
    using, go_on = threading.Event(), threading.Event()

    def use(queue: BackgroundQueue) -> int:
        using.set()
        assert go_on.wait(20)
        return queue.accepted

    user = in_background(lambda: shared.use(use))
    assert using.wait(20)
    publish(shared)
    publish(shared)
    assert not user.done and not shared.empty
    go_on.set()
    assert user.result() == 0  # and it has accepted both before it returned
    assert shared._queue.accepted == 2


def test_c35a_what_is_published_in_the_middle_of_a_use_is_accepted_after_it(shared: SharedQueue) -> None:
    def use(queue: BackgroundQueue) -> int:
        assert shared.entered
        publish(shared)
        assert shared.use(accepted) == 0  # reading is allowed, and changes nothing
        return queue.accepted

    assert shared.use(use) == 0 and not shared.entered
    assert shared._queue.accepted == 1 and shared.use(accepted) == 1


def test_events_of_many_threads_are_all_there(shared: SharedQueue) -> None:
    threads = [in_background(lambda: [publish(shared) for _ in range(500)]) for _ in range(8)]
    taken = 0
    while taken < 4_000:
        batch = shared.use(lambda queue: queue.take())
        if batch is not None:
            shared.use(lambda queue, batch=batch: queue.lost(batch))  # type: ignore[misc]
            taken += batch.events
    for thread in threads:
        thread.result()
    assert shared.empty and shared.use(accepted) == 4_000


def test_waiting_ends_when_the_events_so_far_have_an_outcome(shared: SharedQueue) -> None:
    assert shared.wait(None, lambda: False)  # there are none
    publish(shared)
    waiting = in_background(lambda: shared.wait(None, lambda: True))
    eventually(lambda: shared._waiters)
    publish(shared)
    batch = shared.use(lambda queue: queue.take())
    assert batch is not None and not waiting.done
    shared.use(lambda queue: queue.acknowledged(batch, 0))
    assert waiting.result() is True and shared._waiters == []


def test_waiting_ends_when_another_thread_has_dropped_the_events() -> None:
    shared = SharedQueue(BackgroundOptions(limit=1))
    publish(shared)
    waiting = in_background(lambda: shared.wait(None, lambda: True))
    eventually(lambda: shared._waiters)
    publish(shared)
    assert waiting.result() is True and shared.overflowed


def test_waiting_ends_in_time_and_where_nobody_sends(shared: SharedQueue) -> None:
    publish(shared)
    assert not shared.wait(time.monotonic() + 0.01, lambda: True)
    assert not shared.wait(None, lambda: False)
    assert shared._waiters == []


def test_a_thread_that_was_not_woken_looks_by_itself(shared: SharedQueue) -> None:
    publish(shared)
    waiting = in_background(lambda: shared.wait(None, lambda: True))
    eventually(lambda: shared._waiters)
    shared._queue.close()  # by a thread that an exception has ended before it would have woken others
    assert waiting.result() is True


@needs_signals
def test_an_exception_in_the_middle_leaves_a_queue_that_can_be_used(
    shared: SharedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raising(KeyboardInterrupt("mine")) as interrupt:
        monkeypatch.setattr(shared._queue, "admit_all", interrupt)
        with pytest.raises(KeyboardInterrupt, match="mine"):
            publish(shared)
        monkeypatch.undo()
    assert not shared.entered
    publish(shared)
    assert in_background(lambda: shared.use(accepted)).result() == 2


def test_a_forked_child_has_a_queue_of_its_own(shared: SharedQueue) -> None:
    publish(shared)
    held = threading.Event()
    leave = threading.Event()
    user = in_background(lambda: shared.use(lambda queue: held.set() or leave.wait(20)))
    assert held.wait(20)
    shared.forked()  # the thread that has the lock does not exist in the child
    publish(shared)
    assert shared.use(accepted) == 1 and shared.wait(None, lambda: False) is False
    leave.set()
    user.result()
