"""When a few events wait for each other, and that they never wait for long; times are the test's own."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from pyro_events.server.subscribers import coalescing
from pyro_events.server.subscribers.coalescing import Coalescer


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


def test_the_first_event_is_sent_at_once() -> None:
    async def work() -> None:
        assert not Coalescer(lambda: None).wait()

    run(work)


def test_what_follows_closely_waits_and_is_sent_once() -> None:
    async def work() -> None:
        sent: list[float] = []
        over = asyncio.Event()

        def send() -> None:
            sent.append(asyncio.get_running_loop().time())
            over.set()

        coalescer = Coalescer(send, close=60, moment=0.001, alone=0)
        coalescer.called()
        assert coalescer.wait() and coalescer.wait()
        assert sent == []
        await over.wait()
        assert len(sent) == 1
        assert coalescer.wait()  # still close to the last call
        coalescer.end()

    run(work)


def test_what_comes_later_does_not_wait() -> None:
    async def work() -> None:
        coalescer = Coalescer(lambda: None, close=-1, alone=0)
        coalescer.called()
        assert not coalescer.wait()

    run(work)


def test_only_after_several_close_ones_in_a_row_they_wait() -> None:
    async def work() -> None:
        coalescer = Coalescer(lambda: None, close=60, moment=60, alone=3)
        waited = []
        for _ in range(5):
            coalescer.called()
            waited.append(coalescer.wait())
        assert waited == [False, False, False, True, True]
        coalescer.end()

    run(work)


def test_after_a_pause_the_next_ones_are_sent_at_once_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(coalescing, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def work() -> None:
        coalescer = Coalescer(lambda: None, close=0.5, moment=60, alone=1)
        waited = []
        for pause in (1.0, 0.1, 1.0, 0.1, 0.1):
            now[0] += pause
            waited.append(coalescer.wait())
            coalescer.called()
        assert waited == [False, False, False, False, True]
        coalescer.end()

    run(work)


def test_nothing_is_sent_or_kept_after_the_end() -> None:
    class Subscriber:
        def __init__(self) -> None:
            self.sent = 0
            self.coalescer = Coalescer(self.send, close=60, moment=0.0, alone=0)

        def send(self) -> None:
            self.sent += 1

    async def work() -> None:
        subscriber = Subscriber()
        coalescer, gone = subscriber.coalescer, weakref.ref(subscriber)
        coalescer.called()
        assert coalescer.wait()
        coalescer.end()
        for _ in range(3):
            await asyncio.sleep(0)
        assert subscriber.sent == 0
        del subscriber.coalescer, subscriber
        assert gone() is None

    run(work)
