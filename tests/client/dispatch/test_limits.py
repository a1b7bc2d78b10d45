"""The limits of a subscriber's handlers: what may start, and what is counted."""

from __future__ import annotations

import threading

import pytest

from pyro_events.client.dispatch.batch import ReceivedBatch
from pyro_events.client.dispatch.limits import DispatchLimits


@pytest.fixture
def limits() -> DispatchLimits:
    return DispatchLimits(max_threads=2)


def test_events_may_start_beside_others_up_to_a_bound(limits: DispatchLimits) -> None:
    assert limits.may_start() and limits.may_grow()
    limits.started()
    assert limits.may_start() and limits.may_grow()
    limits.started()
    assert not limits.may_grow()
    assert limits.may_start()  # another connection's first thread waits for nobody
    limits.finished()
    assert limits.may_grow()


def test_without_threading_one_starts_when_none_is_running(limits: DispatchLimits) -> None:
    limits.threading = False
    assert limits.may_start() and not limits.may_grow()
    limits.started()
    assert not limits.may_start()
    with limits.lock:
        limits.finished()
    assert limits.may_start()


def test_nothing_starts_in_a_pause(limits: DispatchLimits) -> None:
    limits.paused = True
    assert not limits.may_start() and not limits.may_grow()


def test_nobody_helps_after_the_end(limits: DispatchLimits) -> None:
    limits.closed = True
    assert not limits.may_grow()


def test_who_waits_without_threading_is_told_of_the_last_that_finishes(limits: DispatchLimits) -> None:
    limits.threading = False
    limits.started()
    limits.started()  # they began while threading was on
    waiting, told = threading.Event(), threading.Event()

    def wait() -> None:
        with limits.lock:
            waiting.set()
            while not limits.may_start():
                limits.changed.wait()
            told.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(10)
    with limits.lock:
        limits.finished()
        assert not told.is_set()
        limits.finished()
    assert told.wait(10)
    thread.join(10)


def test_counts(limits: DispatchLimits) -> None:
    limits.started()
    limits.finished()
    limits.started()
    assert (limits.running, limits.begun) == (1, 2)
    batch = ReceivedBatch(1, [("S",)] * 5)
    batch.failed = [1, 4]
    limits.count(batch)
    limits.count(batch)
    assert (limits.handled, limits.failed) == (6, 4)


def test_the_thread_that_holds_the_lock_is_told_apart(limits: DispatchLimits) -> None:
    assert not limits.entered
    with limits.lock:
        assert limits.entered
        answers: list[bool] = []
        thread = threading.Thread(target=lambda: answers.append(limits.entered))
        thread.start()
        thread.join(10)
        assert answers == [False]
