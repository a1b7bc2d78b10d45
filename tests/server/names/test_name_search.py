"""Searches of the embedded name server: they take turns, and end."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.server.names import name_search
from pyro_events.server.names.name_search import NameSearch
from pyro_events.server.names.name_table import Record

ENTRIES = [(str(number), Record("PYRO:x@h:1", (), 1)) for number in range(5)]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes 11 ms: one name is a turn."""
    ticks = itertools.count()
    monkeypatch.setattr(name_search, "monotonic", lambda: next(ticks) * 0.011)


def searched(entries: Any, apply_answer: list[Any]) -> NameSearch:
    search = NameSearch(entries, lambda name, record: name != "3", lambda found: [name for name, _ in found])
    assert search.begin() is search
    search.when_done(apply_answer.append)
    return search


def test_others_have_turns_between(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> tuple[list[Any], int]:
        apply_answer: list[Any] = []
        searched(ENTRIES, apply_answer)
        turns = 0
        while not apply_answer:
            turns += 1
            await asyncio.sleep(0)
        return apply_answer, turns

    apply_answer, turns = asyncio.run(run())
    assert apply_answer == [["0", "1", "2", "4"]]
    assert turns >= 4


def test_one_that_takes_too_long_ends_with_advice() -> None:
    async def run() -> list[Any]:
        apply_answer: list[Any] = []
        searched(itertools.repeat(ENTRIES[0]), apply_answer)
        while not apply_answer:
            await asyncio.sleep(0)
        return apply_answer

    (error,) = asyncio.run(run())
    assert isinstance(error, Pyro5.errors.NamingError)
    assert "use a simpler regular expression" in str(error)


def test_a_search_whose_result_is_not_wanted_ends() -> None:
    async def run() -> int:
        looked = 0

        def entries() -> Any:
            nonlocal looked
            while True:
                looked += 1
                yield ENTRIES[0]

        search = searched(entries(), [])
        search.abandon()
        for _ in range(5):
            await asyncio.sleep(0)
        return looked

    assert asyncio.run(run()) == 1
