"""A client's socket from its first moment to its last, with a transport of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from compiled_form import derives_from_compiled, replaces_a_part

from pyro_events.server.clients import closable
from pyro_events.server.clients.closable import ClosableProtocol
from pyro_events.server.objects import RoleSwap


class FakeTransport:
    """A transport that notes how it is ended."""

    def __init__(self, peer: Any = ("192.0.2.1", 5000), waiting: int = 0) -> None:
        self.ended: list[str] = []
        self._peer = peer
        self._waiting = waiting

    def get_extra_info(self, name: str) -> Any:
        return self._peer if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return self._waiting

    def pause_reading(self) -> None:
        self.ended.append("pause")

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")


def connected(transport: FakeTransport) -> Any:
    protocol: Any = ClosableProtocol()
    protocol._connected(transport)
    return protocol


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        (("192.0.2.1", 5000), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5000, 0, 0), "192.0.2.1"),
        (("2001:db8::1", 5000, 0, 0), "2001:db8::1"),
        (None, ""),  # it has gone meanwhile
    ],
    ids=("IPv4", "mapped", "IPv6", "gone"),
)
def test_who_is_at_the_other_end(peer: Any, host: str) -> None:
    async def work() -> None:
        protocol = connected(FakeTransport(peer))
        assert (protocol.peer, protocol.descriptor, protocol.closing) == (host, -1, False)

    run(work)


def test_what_is_not_taken_counts_only_while_the_client_does_not_read() -> None:
    async def work() -> None:
        protocol = connected(FakeTransport(waiting=500))
        assert protocol.unsent == 0
        protocol._blocked = True
        assert protocol.unsent == 500

    run(work)


def test_a_late_client_is_told_and_one_in_time_is_not() -> None:
    async def work() -> None:
        late = asyncio.Event()
        heard: list[str] = []

        def too_late(why: str) -> None:
            heard.append(why)
            late.set()

        prompt, slow = connected(FakeTransport()), connected(FakeTransport())
        prompt._give_time(0.01, heard.append, "prompt")
        slow._give_time(0.01, too_late, "slow")
        prompt._in_time()
        await late.wait()
        assert heard == ["slow"]

    run(work)


@replaces_a_part
def test_a_client_that_does_not_take_its_last_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closable, "_LAST_ANSWERS", 0.0)

    async def work() -> None:
        transport = FakeTransport()
        protocol = connected(transport)
        protocol._give_time(60, lambda: None)
        protocol._end()
        assert protocol.closing and transport.ended == ["close"]
        for _ in range(1000):
            if len(transport.ended) > 1:
                break
            await asyncio.sleep(0)
        assert transport.ended == ["close", "abort"]

    run(work)


def test_nothing_comes_after_the_connection_is_lost() -> None:
    async def work() -> None:
        transport = FakeTransport()
        protocol = connected(transport)
        protocol._end()
        timer = protocol._timer
        protocol.connection_lost(None)
        assert timer.cancelled() and protocol.closing and transport.ended == ["close"]

    run(work)


class Given(ClosableProtocol):
    """A connection that can be given away. done: in which order that happens."""

    def __init__(self, done: list[Any]) -> None:
        super().__init__()
        self.done = done

    def send(self) -> None:
        self.done.append("send")

    def _leave(self) -> bool:
        self.done.append("leave")
        return True


@derives_from_compiled
@pytest.mark.parametrize("lost", [False, True], ids=("alive", "lost"))
def test_a_connection_is_given_away_after_its_last_answer(lost: bool) -> None:
    async def work() -> None:
        done: list[Any] = []
        protocol, transport = Given(done), FakeTransport()
        protocol._connected(transport)  # type: ignore[arg-type]
        protocol.swap_roles(
            RoleSwap("answer", lambda *taken: done.append(taken), lambda: done.append("abandon"))
        )
        assert done == ["send"] and transport.ended == ["pause"] and not protocol.closing
        if lost:
            protocol.connection_lost(None)
        await asyncio.sleep(0)
        assert done == (["send", "abandon"] if lost else ["send", "leave", (transport, True)])
        assert protocol.closing and transport.ended == ["pause"]

    run(work)


def test_what_differs_between_connections_is_said_by_each() -> None:
    async def work() -> None:
        protocol = connected(FakeTransport())
        for ask in (protocol.send, protocol._leave):
            with pytest.raises(NotImplementedError):
                ask()

    run(work)
