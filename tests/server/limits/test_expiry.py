"""Expired events go a few at a time, of one backlog after the other, and the loop goes on in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pyro_events.broker.accounting import TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions
from pyro_events.server.limits.expiry import Expiry


def backlog_with(old: int, young: int = 0, max_age: float | None = 10.0) -> Backlog:
    """So many events that have expired at 100.0, and so many that have not."""
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(max_age=max_age), TotalBytes())
    for number in range(old + young):
        backlog.push(queued_event("a", 1.0 if number < old else 99.0, b""))
    return backlog


class Scene:
    """An Expiry at 100.0 that drops a hundred at a time. told: what it calls, in order."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[str, Backlog]] = []
        self.expiry = Expiry(
            lambda: self.now,
            lambda backlog: self.told.append(("shrunk", backlog)),
            lambda backlog: self.told.append(("resume", backlog)),
            most=100,
        )

    def names(self, backlog: Backlog) -> list[str]:
        return [name for name, about in self.told if about is backlog]


def run(work: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(Scene()), 20)

    asyncio.run(bounded())


async def turns(count: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_where_nothing_has_expired_nothing_happens() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(0, young=3)
        assert scene.expiry.expire(backlog, 5)
        await turns(3)
        assert (len(backlog), scene.told) == (3, [])

    run(work)


def test_a_few_are_dropped_at_once() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(90, young=3)
        assert scene.expiry.expire(backlog, 5)
        assert (len(backlog), scene.names(backlog)) == (3, ["shrunk"])
        await turns(3)
        assert scene.names(backlog) == ["shrunk"]

    run(work)


def test_many_are_dropped_in_slices_and_the_sender_is_called_when_it_can_go_on() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(350, young=3)
        left = []
        assert not scene.expiry.expire(backlog, 5)
        while "resume" not in scene.names(backlog):
            left.append(len(backlog))
            assert not scene.expiry.expire(backlog, 5)  # nor can it be hurried
            await turns(1)
        assert left == [253, 153, 53]
        assert (len(backlog), scene.names(backlog)) == (3, ["shrunk"] * 4 + ["resume"])
        assert scene.expiry.expire(backlog, 5)

    run(work)


def test_a_slice_that_is_just_enough_is_followed_by_the_sender() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(100, young=1)
        assert not scene.expiry.expire(backlog, 5)
        await turns(1)
        assert (len(backlog), scene.names(backlog)) == (1, ["shrunk", "resume"])

    run(work)


def test_several_backlogs_share_what_may_be_dropped_before_the_loop_goes_on() -> None:
    async def work(scene: Scene) -> None:
        one, two, three = backlog_with(250), backlog_with(60), backlog_with(80)
        before = 250 + 60 + 80
        assert not scene.expiry.expire(one, 1)
        assert not scene.expiry.expire(two, 1)
        assert not scene.expiry.expire(three, 1)
        while any(map(len, (one, two, three))):
            waiting = sum(map(len, (one, two, three)))
            assert before - waiting <= 100
            before = waiting
            await turns(1)
        await turns(1)
        resumed = [about for name, about in scene.told if name == "resume"]
        assert resumed[0] is two  # that had little to drop did not wait for the one that had much
        assert {id(each) for each in resumed} == {id(one), id(two), id(three)} and len(resumed) == 3

    run(work)


def test_after_a_slice_the_next_backlog_has_a_whole_one_again() -> None:
    async def work(scene: Scene) -> None:
        assert scene.expiry.expire(backlog_with(90), 1)
        await turns(1)
        assert scene.expiry.expire(backlog_with(90), 1)

    run(work)


def test_a_check_also_finds_what_nobody_is_about_to_send() -> None:
    async def work(scene: Scene) -> None:
        frozen, fresh, ageless = backlog_with(250), backlog_with(0, young=2), backlog_with(5, max_age=None)
        scene.expiry.check([frozen, fresh, ageless])
        await turns(6)
        assert (len(frozen), len(fresh), len(ageless)) == (0, 2, 5)
        assert scene.names(frozen) == ["shrunk"] * 3
        assert scene.names(fresh) == scene.names(ageless) == []

    run(work)


def test_a_check_does_not_forget_who_waits() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(150)
        assert not scene.expiry.expire(backlog, 1)
        scene.expiry.check([backlog])
        await turns(3)
        assert scene.names(backlog)[-1] == "resume"

    run(work)


def test_a_check_of_many_does_not_hold_up_the_loop() -> None:
    """Each look counts, whether something has expired or not."""

    async def work(scene: Scene) -> None:
        backlogs = [backlog_with(1) for _ in range(20)]
        scene.expiry.check(backlogs)
        await turns(1)
        assert 0 < sum(map(len, backlogs)) < 20
        await turns(3)
        assert sum(map(len, backlogs)) == 0

    run(work)


def test_a_backlog_whose_age_was_taken_away_meanwhile_keeps_the_rest() -> None:
    async def work(scene: Scene) -> None:
        backlog = backlog_with(250)
        assert not scene.expiry.expire(backlog, 1)
        backlog.configure(BacklogOptions())
        await turns(3)
        assert (len(backlog), scene.names(backlog)) == (150, ["shrunk", "resume"])

    run(work)
