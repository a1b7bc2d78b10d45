"""The loop that a client belongs to: it is used there, and nowhere else."""

from __future__ import annotations

import pytest
from event_loops import each_loop, event_loop, run

from pyro_events.aio import home_loop
from pyro_events.aio.home_loop import HomeLoop
from pyro_events.errors import EventServiceError


@each_loop
def test_it_is_the_loop_on_which_it_was_entered(loop: str) -> None:
    home = HomeLoop("publisher")

    async def main() -> None:
        assert home.enter() is home.enter() is home.check() is home.loop

    run(main(), loop)

    async def elsewhere() -> None:
        for use in (home.check, home.enter):
            with pytest.raises(EventServiceError, match="this publisher belongs to the event loop"):
                use()

    run(elsewhere(), loop)


def test_without_a_loop() -> None:
    home = HomeLoop("publisher")
    for use in (home.check, home.enter):
        with pytest.raises(EventServiceError, match="needs a running event loop of asyncio"):
            use()


def test_before_it_is_connected() -> None:
    async def main() -> None:
        with pytest.raises(
            EventServiceError, match="this publisher is not connected: use it in `async with`"
        ):
            HomeLoop("publisher").check()

    run(main())


def test_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        home = HomeLoop("publisher")
        home.enter()
        home.loop = None  # as the forked child is told
        monkeypatch.setattr(home_loop.os, "getpid", lambda: 1)
        for use in (home.check, home.enter):
            with pytest.raises(EventServiceError, match="the process from which this one was forked"):
                use()

    with event_loop() as loop:
        loop.run_until_complete(main())
