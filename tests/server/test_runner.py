"""What runs on a loop of its own: its start, its end, and the errors of both; nothing real runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from contract import in_background

from pyro_events.errors import EventServiceError
from pyro_events.server.runner import Runner


class Sleeper(Runner):
    """Runs until it is stopped. ran: what it did."""

    def __init__(self, fails: BaseException | None = None, ends_badly: Exception | None = None) -> None:
        super().__init__()
        self._fails = fails
        self._ends_badly = ends_badly
        self.ran: list[str] = []

    async def _run(self, announce: Callable[[], None]) -> None:
        assert self._stopping is not None
        if self._fails is not None:
            raise self._fails
        self._uri = "PYRO:sleeper@127.0.0.1:1"
        self._is_ready(announce)
        self.ran.append("began")
        await self._stopping.wait()
        self.ran.append("ended")
        if self._ends_badly is not None:
            raise self._ends_badly


def test_it_runs_between_the_start_and_the_end_of_the_block() -> None:
    sleeper = Sleeper()
    with sleeper as same:
        assert same is sleeper and sleeper.uri == "PYRO:sleeper@127.0.0.1:1"
        assert repr(sleeper) == f"<Sleeper, running at {sleeper.uri}>"
    assert sleeper.ran == ["began", "ended"]
    with pytest.raises(EventServiceError, match="not running"):
        sleeper.uri  # noqa: B018
    assert repr(sleeper) == "<Sleeper, ended>"


def test_the_error_of_its_start_reaches_all_who_wait() -> None:
    sleeper = Sleeper(fails=OSError("the port is taken"))
    with pytest.raises(OSError, match="port is taken"), sleeper:
        raise AssertionError("it has started")
    with pytest.raises(OSError, match="port is taken"):
        sleeper.waitUntilStarted(0)


def test_an_error_at_the_end_ends_the_thread_without_a_traceback() -> None:
    with Sleeper(ends_badly=ValueError("late")) as sleeper:
        pass
    assert sleeper.ran == ["began", "ended"]


def test_it_starts_once() -> None:
    with Sleeper() as sleeper:
        with pytest.raises(EventServiceError, match="started before"):
            sleeper.start()
        with pytest.raises(EventServiceError, match="started before"), sleeper:
            raise AssertionError("it has started twice")
    assert sleeper.ran == ["began", "ended"]


def test_one_that_is_shut_down_before_it_starts_ends_at_once() -> None:
    sleeper = Sleeper()
    sleeper.shutdown()
    sleeper.start()
    assert sleeper.ran == ["began", "ended"]


def test_it_can_be_shut_down_when_it_is_ready_and_more_than_once() -> None:
    sleeper = Sleeper()

    def announce() -> None:
        sleeper.shutdown()
        sleeper.shutdown()

    sleeper.start(announce=announce)
    assert sleeper.ran == ["began", "ended"]


def test_who_waits_for_its_start_is_told_when_it_takes_too_long() -> None:
    sleeper = Sleeper()
    assert not sleeper.waitUntilStarted(0)
    running = in_background(sleeper.start)
    assert sleeper.waitUntilStarted(10)
    sleeper.shutdown()
    running.result()


@pytest.mark.parametrize("result", ["found", OSError("nobody there")], ids=("result", "error"))
def test_what_blocks_is_done_in_another_thread(result: str | OSError) -> None:
    threads: list[int] = []

    def work() -> str:
        threads.append(threading.get_ident())
        if isinstance(result, OSError):
            raise result
        return result

    async def wait() -> str:
        return await Runner._blocking(work)

    if isinstance(result, OSError):
        with pytest.raises(OSError, match="nobody there"):
            asyncio.run(wait())
    else:
        assert asyncio.run(wait()) == result
    assert threads != [threading.get_ident()]


def test_work_that_hangs_in_another_thread_does_not_keep_the_runner_from_ending() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait(20)
        ended.set()

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Runner._blocking(work), 0.01)

    asyncio.run(impatient())
    may_end.set()
    assert ended.wait(10)
