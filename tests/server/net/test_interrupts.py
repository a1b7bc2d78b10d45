"""Ctrl-C while an event loop runs: it is not raised in the middle of what runs, and is not lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from contract import in_background

from pyro_events.server.net.interrupts import Interrupts


@pytest.fixture(autouse=True)
def pythons_own_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_asks_for_the_end_and_is_raised_at_the_end() -> None:
    done: list[str] = []
    interrupts = Interrupts(lambda: done.append("told to stop"))
    with pytest.raises(KeyboardInterrupt), interrupts:
        signal.raise_signal(signal.SIGINT)
        done.append("went on")
    assert done == ["told to stop", "went on"]
    assert interrupts.count == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_is_raised_at_once() -> None:
    stopped: list[int] = []
    interrupts = Interrupts(lambda: stopped.append(1))
    with pytest.raises(KeyboardInterrupt), interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        stopped.append(2)
    assert (stopped, interrupts.count) == ([1], 2)


def test_an_error_of_the_block_comes_before_an_interrupt() -> None:
    with pytest.raises(ZeroDivisionError), Interrupts(lambda: None):
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_without_one_nothing_is_raised() -> None:
    with Interrupts(lambda: pytest.fail("nobody has interrupted it")):
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_programs_stays() -> None:
    called: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        called.append(number)

    signal.signal(signal.SIGINT, handler)
    with Interrupts(lambda: pytest.fail("it is the program's")):
        signal.raise_signal(signal.SIGINT)
    assert called == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_one_that_the_program_sets_meanwhile_stays_too() -> None:
    with Interrupts(lambda: None):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_it_changes_nothing() -> None:
    def work() -> object:
        with Interrupts(lambda: None):
            return signal.getsignal(signal.SIGINT)

    assert in_background(work).result() is signal.default_int_handler
