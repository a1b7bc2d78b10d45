"""What the subscribers of one program know together."""

from __future__ import annotations

import os
import threading

import pytest

from pyro_events.client import outage as module
from pyro_events.client.outage import MOST_DELAY, Outages, delay_after


def test_delays_grow_and_are_bounded() -> None:
    assert 0.05 <= delay_after(0) <= 0.1
    assert 0.1 <= delay_after(1) <= 0.2
    for failures in (3, 10, 5000):
        assert MOST_DELAY / 2 <= delay_after(failures) <= MOST_DELAY


def test_an_address_that_nothing_is_known_of_may_be_tried() -> None:
    outages = Outages()
    assert outages.wait("a", 0.0) == outages.wait("a", 0.0) == 0.0


def test_one_tries_and_the_others_wait() -> None:
    outages = Outages()
    outages.failed("a", 10.0)
    assert 0.05 <= outages.wait("a", 10.0) <= 0.2
    assert outages.wait("b", 10.0) == 0.0
    assert outages.wait("a", 11.0) == 0.0
    assert 0.1 <= outages.wait("a", 11.0) <= 0.2  # another tries
    outages.failed("a", 11.0)
    assert 0.1 <= outages.wait("a", 11.0) <= 0.3
    assert outages.wait("a", 12.0) == 0.0
    outages.over("a")
    outages.over("a")
    assert outages.wait("a", 12.0) == outages.wait("a", 12.0) == 0.0


def test_those_who_failed_at_the_same_time_count_once() -> None:
    outages = Outages()
    for _ in range(10):
        outages.failed("a", 10.0)
    assert outages.wait("a", 10.0) <= 0.2


def test_turns_are_given_but_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURN", 0.01)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    outages = Outages()
    done = []
    with outages.turn():
        with outages.turn():
            done.append("although it is taken")
        assert not outages._turns.acquire(blocking=False)
    with outages.turn():
        done.append("again")
    assert outages._turns.acquire(blocking=False)
    assert len(done) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_begins_anew() -> None:
    outages = module.outages
    with outages._lock:
        pid = os.fork()
        if pid == 0:  # pragma: no cover
            free = outages._lock.acquire(timeout=5)
            os._exit(0 if free else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert isinstance(outages._turns, threading.Semaphore)
