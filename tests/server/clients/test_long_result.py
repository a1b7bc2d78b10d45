"""A result that is made piece by piece: in turns, and only as long as somebody wants it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pyro_events.server.clients import long_result
from pyro_events.server.clients.long_result import LongResult


class FakeScheduler:
    """Turns that come when the test says so."""

    def __init__(self) -> None:
        self.parties = 0
        self.waiting = 0
        self._run: Callable[[], None]

    def join(self, address: str, run: Callable[[], None]) -> str:
        self.parties += 1
        self._run = run
        return address

    def leave(self, party: str) -> None:
        self.parties -= 1

    def wait(self, party: str) -> None:
        self.waiting += 1

    def turn(self) -> None:
        self.waiting -= 1
        self._run()


class Pieces:
    """Three pieces of a result. made: how many. closed: whether no more is wanted."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = False

    def __call__(self) -> Generator[None, None, int]:
        try:
            for _ in range(3):
                self.made += 1
                yield
        finally:
            self.closed = True
        return self.made


@pytest.fixture
def short_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_result, "TURN", -1.0)


def begun(pieces: Pieces) -> tuple[Any, FakeScheduler, list[str]]:
    scheduler: Any = FakeScheduler()
    results: list[str] = []
    result = LongResult(scheduler, "192.0.2.1", pieces(), lambda value: f"made of {value}")
    result.when_done(results.append)
    return result, scheduler, results


def test_nothing_is_made_before_the_turn_has_come() -> None:
    pieces = Pieces()
    _, scheduler, results = begun(pieces)
    assert (pieces.made, scheduler.waiting, scheduler.parties) == (0, 1, 1)
    scheduler.turn()
    assert results == ["made of 3"]
    assert (scheduler.waiting, scheduler.parties) == (0, 0)


def test_another_turn_is_waited_for_when_one_is_over(short_turn: None) -> None:
    pieces = Pieces()
    _, scheduler, results = begun(pieces)
    for made in (1, 2, 3):
        scheduler.turn()
        assert (pieces.made, results, scheduler.waiting) == (made, [], 1)
    scheduler.turn()
    assert (results, scheduler.waiting, scheduler.parties) == (["made of 3"], 0, 0)


def test_what_nobody_wants_any_more_is_not_made(short_turn: None) -> None:
    pieces = Pieces()
    result, scheduler, results = begun(pieces)
    scheduler.turn()
    result.abandon()
    scheduler.turn()
    assert (pieces.made, pieces.closed, results) == (1, True, [])
    assert (scheduler.waiting, scheduler.parties) == (0, 0)
