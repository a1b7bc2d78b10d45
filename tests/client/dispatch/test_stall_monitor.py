"""The stall monitor: when it checks, and when it sleeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from waiting import eventually

from pyro_events.client.dispatch.stall_monitor import StallMonitor


class Busy:
    """Counts how often it is checked on; busy as long as the test says."""

    def __init__(self) -> None:
        self.checks = 0
        self.busy = True

    def check(self) -> bool:
        self.checks += 1
        return self.busy


@pytest.fixture
def monitor() -> StallMonitor:
    return StallMonitor(interval=0.001, quiet_checks=3)


@pytest.fixture
def busy(monitor: StallMonitor) -> Iterator[Busy]:
    busy = Busy()
    monitor.add(busy)
    yield busy
    monitor.remove(busy)
    assert monitor._thread is None


def test_what_was_added_is_checked_again_and_again(monitor: StallMonitor, busy: Busy) -> None:
    other = Busy()
    monitor.add(other)
    eventually(lambda: busy.checks > 10 and other.checks > 10)
    monitor.remove(other)
    before = busy.checks
    eventually(lambda: busy.checks > before + 1)
    after = other.checks
    before = busy.checks
    eventually(lambda: busy.checks > before + 10)
    assert other.checks == after


def test_it_sleeps_when_there_is_no_work_until_it_is_woken(monitor: StallMonitor, busy: Busy) -> None:
    eventually(lambda: busy.checks > 1)
    assert not monitor.asleep
    busy.busy = False
    eventually(lambda: monitor.asleep)
    for _ in range(3):
        checks = busy.checks
        monitor.wake()
        eventually(lambda checks=checks: busy.checks > checks)  # type: ignore[misc]
        eventually(lambda: monitor.asleep)
        assert busy.checks <= checks + 2 * 3 + 1  # what was left of its last round, and a whole one


def test_one_that_is_busy_keeps_it_awake_for_all(monitor: StallMonitor, busy: Busy) -> None:
    quiet = Busy()
    quiet.busy = False
    monitor.add(quiet)
    eventually(lambda: quiet.checks > 20)
    assert not monitor.asleep
    monitor.remove(quiet)


def test_one_thread_for_all_and_none_without(monitor: StallMonitor) -> None:
    before = set(threading.enumerate())
    several = [Busy() for _ in range(5)]
    for each in several:
        monitor.add(each)
    (thread,) = set(threading.enumerate()) - before
    for each in several:
        monitor.remove(each)
    assert not thread.is_alive()
    monitor.remove(several[0])  # it is not there any more
    monitor.add(several[0])
    eventually(lambda: several[0].checks > 0)
    monitor.remove(several[0])
    assert set(threading.enumerate()) == before


def test_what_it_checks_may_remove_itself(monitor: StallMonitor) -> None:
    removed = threading.Event()

    class Once(Busy):
        def check(self) -> bool:
            monitor.remove(self)
            removed.set()
            return True

    before = set(threading.enumerate())
    monitor.add(Once())
    assert removed.wait(10)
    eventually(lambda: set(threading.enumerate()) == before)


def test_where_the_system_allows_no_thread_it_is_tried_again(
    monitor: StallMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    busy = Busy()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        monitor.add(busy)
    assert monitor.asleep  # so that it is woken by the next that has work
    monitor.wake()
    eventually(lambda: busy.checks > 2)
    monitor.remove(busy)
