"""What runs in the middle of our code: how it is told, and that a lock and a wake-up bear it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from waiting import eventually

from pyro_events.client.interruptions import WakeUp, at_once, owned, within


def test_who_owns_a_lock() -> None:
    lock = threading.RLock()
    assert not owned(lock)
    with lock:
        assert owned(lock)
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(owned(lock)))
        thread.start()
        thread.join()
        assert found == [False]


def test_work_is_done_under_the_lock_and_again_inside_it() -> None:
    lock = threading.RLock()
    seen: list[bool] = []
    assert within(lock, 0.0, lambda: seen.append(owned(lock)))
    with lock:
        assert within(lock, 0.0, lambda: seen.append(owned(lock)))
        assert owned(lock)  # which is not released
    assert seen == [True, True] and not owned(lock)


def test_a_lock_that_cannot_be_had_in_time() -> None:
    lock = threading.RLock()
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            let_go.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    for seconds in (-1.0, 0.0, 0.01):
        assert not within(lock, seconds, lambda: pytest.fail("it was done without the lock"))
    let_go.set()
    assert within(lock, float("inf"), lambda: None)
    thread.join()


def test_a_lock_that_another_thread_holds_is_not_waited_for() -> None:
    lock = threading.RLock()
    seen: list[bool] = []
    assert at_once(lock, lambda: seen.append(owned(lock)))
    assert seen == [True] and not owned(lock)
    with lock:
        thread = threading.Thread(target=lambda: seen.append(at_once(lock, lambda: seen.append(True))))
        thread.start()
        thread.join()
    assert seen == [True, False]


class Interrupted:
    """An RLock; an exception of the program's own arrives when it has just been taken."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.release = self.lock.release

    def acquire(self, *arguments: object, **named: object) -> bool:
        self.lock.acquire()
        raise KeyboardInterrupt

    def _is_owned(self) -> bool:
        return owned(self.lock)


@pytest.mark.parametrize("take", [lambda lock, work: within(lock, 1.0, work), at_once])
def test_an_exception_leaves_no_lock_behind(take: Callable[[Any, Callable[[], object]], bool]) -> None:
    lock = threading.RLock()

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(lock, fail)
    assert not owned(lock)
    interrupted = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        take(interrupted, lambda: pytest.fail("it was not known that the lock was taken"))
    assert not owned(interrupted)


def test_a_wake_up_is_kept_until_it_is_waited_for_and_is_one() -> None:
    wake = WakeUp()
    assert not wake.wait(0.0)
    wake.set()
    wake.set()
    assert wake.wait(0.0)
    assert not wake.wait(0.0)


def test_a_waiting_thread_is_woken() -> None:
    wake = WakeUp()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(wake.wait(20)))
    thread.start()
    eventually(lambda: wake.set() or woken)  # type: ignore[func-returns-value]
    thread.join()
    assert woken == [True]
