"""The subscribers of one program that look for a lost service, in line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from pyro_events.client.reconnect import reconnect_queue as module
from pyro_events.client.reconnect.reconnect_queue import (
    AT_ONCE,
    CROWDED,
    LASTING,
    MOST_DELAY,
    ReconnectQueue,
    backoff,
)

HERE, THERE = "here", "there"


class One:
    """Stands in line. turns: the times from which it was its turn."""

    def __init__(self, willing: bool = True) -> None:
        self.willing = willing
        self.turns: list[float] = []

    def grant_turn(self, at: float) -> bool:
        self.turns.append(at)
        return self.willing


@pytest.fixture
def outages() -> Iterator[ReconnectQueue]:
    outages = ReconnectQueue()
    yield outages
    outages.reset()


def in_line(outages: ReconnectQueue, count: int, at: float = 0.0) -> list[One]:
    """So many, who have lined up for the same address one after the other."""
    many = [One() for _ in range(count)]
    for one in many:
        outages.line_up(one, HERE, at)
    return many


def summoned(many: list[One]) -> list[int]:
    return [number for number, one in enumerate(many) if one.turns]


def test_delays_grow_and_are_bounded() -> None:
    assert 0.05 <= backoff(0) <= 0.1
    assert 0.1 <= backoff(1) <= 0.2
    for failures in (3, 10, 5000):
        assert MOST_DELAY / 2 <= backoff(failures) <= MOST_DELAY


def test_a_few_return_side_by_side_and_the_next_when_one_is_back(outages: ReconnectQueue) -> None:
    many = in_line(outages, AT_ONCE + 3, 7.0)
    assert summoned(many) == list(range(AT_ONCE))
    outages.succeeded(many[3])
    assert summoned(many) == list(range(AT_ONCE))
    outages.leave(many[3])
    outages.leave(many[3])
    assert summoned(many) == list(range(AT_ONCE + 1))
    assert all(one.turns == [7.0] for one in many[: AT_ONCE + 1])


class Torn(One):
    """Has come back when it is summoned, and is lost again before its answer is heard."""

    def __init__(self, outages: ReconnectQueue) -> None:
        super().__init__()
        self.outages = outages

    def grant_turn(self, at: float) -> bool:
        self.turns.append(at)
        if len(self.turns) > 1:
            return True
        self.outages.line_up(self, HERE, 5.0)
        return False


def test_one_that_lines_up_anew_meanwhile_keeps_its_new_place(outages: ReconnectQueue) -> None:
    torn = Torn(outages)
    outages.line_up(torn, HERE, 1.0)
    assert torn.turns == [1.0, 5.0]
    many = in_line(outages, AT_ONCE)
    assert summoned(many) == list(range(AT_ONCE - 1))  # the turn is still its own
    outages.leave(torn)
    assert summoned(many) == list(range(AT_ONCE))


def test_after_a_failure_one_at_a_time_tries_with_growing_pauses(outages: ReconnectQueue) -> None:
    many = in_line(outages, AT_ONCE + 2)
    for one in many[:AT_ONCE]:
        assert summoned(many) == list(range(AT_ONCE))
        assert outages.failed(one, 10.0)
    # Those who tried side by side count once; the next is the first who has not tried.
    assert summoned(many) == list(range(AT_ONCE + 1))
    (first,) = many[AT_ONCE].turns
    assert 10.0125 <= first <= 10.025  # a quarter of what it is for one
    assert outages.failed(many[AT_ONCE], 20.0)
    (second,) = many[AT_ONCE + 1].turns
    assert 20.025 <= second <= 20.05
    # When it is back, so many join it that a few are at it.
    before = sum(len(one.turns) for one in many)
    outages.succeeded(many[AT_ONCE + 1])
    assert sum(len(one.turns) for one in many) == before + AT_ONCE - 1
    assert many[0].turns == [0.0, 0.0]


def test_after_a_failure_that_lasts_the_pauses_are_much_longer(outages: ReconnectQueue) -> None:
    (one,) = in_line(outages, 1)
    for failures in range(6):
        outages.failed(one, 100.0, lasting=True)
        pause = min(MOST_DELAY, 0.1 * 2**failures) * LASTING
        assert pause / 2 <= one.turns[-1] - 100.0 <= pause


def test_who_leaves_hands_over_to_the_next_at_the_time_that_was_due(outages: ReconnectQueue) -> None:
    first, second = in_line(outages, 2)
    outages.failed(second, 10.0)
    outages.failed(first, 10.0)
    due = second.turns[1]
    assert due > 10.0
    outages.leave(second)
    assert first.turns == [0.0, due]
    outages.leave(first)
    assert not outages._lines and not outages._places


def test_who_does_not_want_its_turn_is_passed_over(outages: ReconnectQueue) -> None:
    many = in_line(outages, AT_ONCE)
    gone, last = One(willing=False), One()
    outages.line_up(gone, HERE, 0.0)
    outages.line_up(last, HERE, 0.0)
    outages.leave(many[0])
    assert gone.turns == last.turns == [0.0]
    assert not outages.failed(gone, 1.0)


def test_addresses_do_not_wait_for_each_other(outages: ReconnectQueue) -> None:
    many = in_line(outages, AT_ONCE + 1)
    for one in many[:AT_ONCE]:
        outages.failed(one, 10.0)
    other = One()
    outages.line_up(other, THERE, 3.0)
    assert other.turns == [3.0]
    # One who looks elsewhere gives its place up.
    waiting = many[AT_ONCE]
    outages.line_up(waiting, THERE, 4.0)
    assert waiting.turns[-1] == 4.0
    assert many[0].turns[-1] > 10.0


def test_lining_up_again_is_going_to_the_end(outages: ReconnectQueue) -> None:
    many = in_line(outages, AT_ONCE + 1)
    outages.line_up(many[0], HERE, 5.0)
    assert many[AT_ONCE].turns == [0.0] and many[0].turns == [0.0]
    outages.leave(many[1])
    assert many[0].turns == [0.0, 5.0]


def test_who_is_not_in_line_is_no_concern(outages: ReconnectQueue) -> None:
    stranger = One()
    outages.succeeded(stranger)
    outages.leave(stranger)
    assert not outages.failed(stranger, 1.0)
    assert stranger.turns == []


def test_threads_ask_for_the_interpreter_more_rarely_while_there_is_a_crowd(outages: ReconnectQueue) -> None:
    usual = sys.getswitchinterval()
    many = in_line(outages, AT_ONCE)
    assert sys.getswitchinterval() == usual
    many += in_line(outages, 1)
    assert sys.getswitchinterval() == pytest.approx(CROWDED)
    outages.leave(many[0])
    assert sys.getswitchinterval() == usual


def test_a_crowd_that_sleeps_is_none(outages: ReconnectQueue) -> None:
    usual = sys.getswitchinterval()
    many = in_line(outages, AT_ONCE + 5)
    for one in many[: AT_ONCE + 1]:
        outages.failed(one, 10.0)
        assert sys.getswitchinterval() == pytest.approx(CROWDED)
    outages.failed(many[AT_ONCE + 1], 10.0)
    assert sys.getswitchinterval() == usual
    outages.succeeded(many[AT_ONCE + 2])
    assert sys.getswitchinterval() == pytest.approx(CROWDED)
    for one in many:
        outages.leave(one)
    assert sys.getswitchinterval() == usual


def test_an_interval_that_the_program_sets_meanwhile_stays(outages: ReconnectQueue) -> None:
    usual = sys.getswitchinterval()
    many = in_line(outages, AT_ONCE + 1)
    try:
        sys.setswitchinterval(0.02)
        outages.leave(many[0])
        assert sys.getswitchinterval() == pytest.approx(0.02)
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_begins_anew() -> None:
    outages, one = module.outages, One()
    outages.line_up(one, HERE, 0.0)
    try:
        pid = os.fork()
        if pid == 0:  # pragma: no cover
            os._exit(1 if outages._places or outages._lines else 0)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        outages.leave(one)
