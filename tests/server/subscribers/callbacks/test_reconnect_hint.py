"""The hint to subscribers that were disconnected. Each daemon is a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from pyro_events.server.subscribers.callbacks import reconnect_hint as module
from pyro_events.server.subscribers.callbacks.reconnect_hint import ReconnectHint
from resilience.ports import free_port


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HINT_INTERVAL", 0.05)


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


class Attempts:
    """Which subscribers have come back, and for which a hint was due."""

    def __init__(self) -> None:
        self.back: set[str] = set()
        self.asked: list[str] = []

    def is_back(self, subscriber: str) -> bool:
        self.asked.append(subscriber)
        return subscriber in self.back


def in_a_loop(work: Callable[[Attempts, ReconnectHint], Awaitable[None]]) -> Attempts:
    """Run a coroutine with a ReconnectHint, which is stopped afterwards; its tasks must have ended."""
    attempts = Attempts()

    async def once() -> None:
        hint = ReconnectHint(attempts.is_back)
        await work(attempts, hint)
        assert not hint._absent and not hint._count
        await hint.stop()

    asyncio.run(once())
    return attempts


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens on the loop."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 10)


async def over(hint: ReconnectHint) -> None:
    """Wait until every subscriber has had its hint."""
    await until(lambda: not hint._tasks)


def test_a_connection_is_made_and_closed_at_once(daemon: socket.socket) -> None:
    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        hint.begin("ticker", daemon.getsockname())
        await over(hint)

    in_a_loop(work)
    sock, _ = daemon.accept()
    with sock:
        assert sock.recv(1) == b""
    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):  # once is enough
        daemon.accept()


def test_a_subscriber_that_has_come_back_gets_no_hint(daemon: socket.socket) -> None:
    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        hint.begin("ticker", daemon.getsockname())
        attempts.back.add("ticker")
        await over(hint)

    assert in_a_loop(work).asked == ["ticker"]
    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        daemon.accept()


def test_a_program_that_has_ended_is_left_alone() -> None:
    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        hint.begin("ticker", ("127.0.0.1", free_port()))
        await over(hint)

    assert in_a_loop(work).asked == ["ticker"]


@pytest.fixture
def unanswering() -> Iterator[Any]:
    """The address of a daemon that nobody opens: who waits there already fills its queue."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        yield full.getsockname()
        for client in waiting:
            client.close()


def test_daemons_that_do_not_answer_delay_no_others(
    daemon: socket.socket, unanswering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ATTEMPT", 0.05)

    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        for number in range(2 * module._AT_ONE_HOST):
            hint.begin(f"silent {number}", unanswering)
        hint.begin("ticker", daemon.getsockname())
        await until(lambda: "ticker" not in hint._absent["127.0.0.1"])
        assert len(hint._absent["127.0.0.1"]) == 2 * module._AT_ONE_HOST
        attempts.back.update(hint._absent["127.0.0.1"])
        await over(hint)

    in_a_loop(work)
    daemon.accept()[0].close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_can_be_stopped_in_the_middle_of_an_attempt(unanswering: Any, loop: str) -> None:
    factory = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    attempts = Attempts()

    async def once() -> None:
        hint = ReconnectHint(attempts.is_back)
        hint.begin("ticker", unanswering)
        await until(lambda: attempts.asked)
        await hint.stop()

    running = factory()
    try:
        running.run_until_complete(once())
        assert not asyncio.all_tasks(running)
    finally:
        running.close()


def test_after_a_while_there_are_no_more_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HINT_DURATION", 0.0)

    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        hint.begin("ticker", ("127.0.0.1", free_port()))
        await over(hint)

    assert in_a_loop(work).asked == []


def test_so_many_get_a_hint(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "_MOST_ABSENT", 3)

    async def work(attempts: Attempts, hint: ReconnectHint) -> None:
        for number in (1, 2, 2, 3, 4):
            hint.begin(str(number), ("127.0.0.1", number))
        await over(hint)

    with caplog.at_level("INFO", "pyro_events"):
        assert sorted(in_a_loop(work).asked) == ["1", "2", "3"]
    assert "4 gets no reconnect hint: 3 others wait for theirs" in caplog.text
