"""Knocking at the doors of subscribers that were given up; each door is a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from pyro_events.server.subscribers import reconnect_hint as module
from pyro_events.server.subscribers.reconnect_hint import ReconnectHint
from resilience.ports import free_port


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOCK_EVERY", 0.05)


@pytest.fixture
def door() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


class Visits:
    """What happens: who has come back, and which attempts were made."""

    def __init__(self) -> None:
        self.back: set[str] = set()
        self.asked: list[str] = []

    def is_back(self, subscriber: str) -> bool:
        self.asked.append(subscriber)
        return subscriber in self.back


def in_a_loop(work: Callable[[Visits, ReconnectHint], Awaitable[None]]) -> Visits:
    """Run a coroutine with a Knocking that is stopped afterwards, whose tasks must all have ended then."""
    visits = Visits()

    async def once() -> None:
        knocking = ReconnectHint(visits.is_back)
        await work(visits, knocking)
        assert not knocking._absent and not knocking._count
        await knocking.stop()

    asyncio.run(once())
    return visits


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens on the loop."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 10)


async def over(knocking: ReconnectHint) -> None:
    """Wait until nobody is absent."""
    await until(lambda: not knocking._tasks)


def test_somebody_comes_to_the_door_and_leaves_without_a_word(door: socket.socket) -> None:
    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        knocking.begin("ticker", door.getsockname())
        await over(knocking)

    in_a_loop(work)
    sock, _ = door.accept()
    with sock:
        assert sock.recv(1) == b""
    door.setblocking(False)
    with pytest.raises(BlockingIOError):  # once is enough
        door.accept()


def test_nobody_knocks_where_the_subscriber_has_come_back(door: socket.socket) -> None:
    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        knocking.begin("ticker", door.getsockname())
        visits.back.add("ticker")
        await over(knocking)

    assert in_a_loop(work).asked == ["ticker"]
    door.setblocking(False)
    with pytest.raises(BlockingIOError):
        door.accept()


def test_a_program_that_has_ended_is_let_be() -> None:
    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        knocking.begin("ticker", ("127.0.0.1", free_port()))
        await over(knocking)

    assert in_a_loop(work).asked == ["ticker"]


@pytest.fixture
def shut() -> Iterator[Any]:
    """The address of a door that nobody opens: who waits there already fills its queue."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        visitors = [socket.socket() for _ in range(3)]
        for visitor in visitors:
            visitor.setblocking(False)
            visitor.connect_ex(full.getsockname())
        yield full.getsockname()
        for visitor in visitors:
            visitor.close()


def test_doors_that_stay_shut_keep_nobody_from_the_others(
    door: socket.socket, shut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)

    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        for number in range(2 * module._AT_ONE_HOST):
            knocking.begin(f"shut {number}", shut)
        knocking.begin("ticker", door.getsockname())
        await until(lambda: "ticker" not in knocking._absent["127.0.0.1"])
        assert len(knocking._absent["127.0.0.1"]) == 2 * module._AT_ONE_HOST
        visits.back.update(knocking._absent["127.0.0.1"])
        await over(knocking)

    in_a_loop(work)
    door.accept()[0].close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_can_be_stopped_in_the_middle_of_an_attempt(shut: Any, loop: str) -> None:
    factory = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    visits = Visits()

    async def once() -> None:
        knocking = ReconnectHint(visits.is_back)
        knocking.begin("ticker", shut)
        await until(lambda: visits.asked)
        await knocking.stop()

    running = factory()
    try:
        running.run_until_complete(once())
        assert not asyncio.all_tasks(running)
    finally:
        running.close()


def test_after_a_while_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOCK_FOR", 0.0)

    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        knocking.begin("ticker", ("127.0.0.1", free_port()))
        await over(knocking)

    assert in_a_loop(work).asked == []


def test_so_many_are_looked_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "_MOST_ABSENT", 3)

    async def work(visits: Visits, knocking: ReconnectHint) -> None:
        for number in (1, 2, 2, 3, 4):
            knocking.begin(str(number), ("127.0.0.1", number))
        await over(knocking)

    with caplog.at_level("INFO", "pyro_events"):
        assert sorted(in_a_loop(work).asked) == ["1", "2", "3"]
    assert "4 is not looked for: 3 others are" in caplog.text
