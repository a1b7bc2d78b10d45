"""Knocking at the doors of subscribers that were given up; each door is a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from pyro_events.server import knocking as module
from pyro_events.server.knocking import Knocking
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
    """What happens at a house: who has come back, and which attempts were made."""

    def __init__(self) -> None:
        self.back: set[str] = set()
        self.asked: list[str] = []

    def is_back(self, subscriber: str) -> bool:
        self.asked.append(subscriber)
        return subscriber in self.back


def in_a_loop(work: Callable[[Visits, Knocking], Awaitable[None]]) -> Visits:
    """Run a coroutine with a Knocking that is stopped afterwards, whose tasks must all have ended then."""
    visits = Visits()

    async def once() -> None:
        knocking = Knocking(visits.is_back)
        await work(visits, knocking)
        knocking.stop()
        await asyncio.gather(*knocking._tasks, return_exceptions=True)
        assert not knocking._absent

    asyncio.run(once())
    return visits


async def over(knocking: Knocking) -> None:
    """Wait until nobody is absent."""

    async def wait() -> None:
        while knocking._tasks:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 10)


def test_somebody_comes_to_the_door_and_leaves_without_a_word(door: socket.socket) -> None:
    async def work(visits: Visits, knocking: Knocking) -> None:
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
    async def work(visits: Visits, knocking: Knocking) -> None:
        knocking.begin("ticker", door.getsockname())
        visits.back.add("ticker")
        await over(knocking)

    assert in_a_loop(work).asked == ["ticker"]
    door.setblocking(False)
    with pytest.raises(BlockingIOError):
        door.accept()


def test_a_program_that_has_ended_is_let_be() -> None:
    async def work(visits: Visits, knocking: Knocking) -> None:
        knocking.begin("ticker", ("127.0.0.1", free_port()))
        await over(knocking)

    assert in_a_loop(work).asked == ["ticker"]


def test_all_of_a_host_are_told_as_soon_as_one_can_be_reached(door: socket.socket) -> None:
    """A door that does not open: a listener whose queue is full answers nothing, like a line that is cut."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        visitors = [socket.socket() for _ in range(3)]
        for visitor in visitors:
            visitor.setblocking(False)
            visitor.connect_ex(full.getsockname())

        async def work(visits: Visits, knocking: Knocking) -> None:
            knocking.begin("first", full.getsockname())
            knocking.begin("second", door.getsockname())
            while visits.asked.count("first") < 3:
                await asyncio.sleep(0.01)
            assert "second" not in visits.asked
            visits.back.add("first")
            await over(knocking)

        try:
            visits = in_a_loop(work)
        finally:
            for visitor in visitors:
                visitor.close()
    assert visits.asked[-2:] == ["first", "second"]
    door.accept()[0].close()


def test_after_a_while_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOCK_FOR", 0.0)

    async def work(visits: Visits, knocking: Knocking) -> None:
        knocking.begin("ticker", ("127.0.0.1", free_port()))
        await over(knocking)

    assert in_a_loop(work).asked == []


def test_a_few_hosts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_HOSTS", 2)

    async def work(visits: Visits, knocking: Knocking) -> None:
        for number in (1, 2, 3):
            for port in (1, 2):
                knocking.begin(f"{number}:{port}", (f"127.0.0.{number}", port))
        await over(knocking)

    assert sorted(in_a_loop(work).asked) == ["1:1", "1:2", "2:1", "2:2"]
