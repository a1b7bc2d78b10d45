"""Work in slices, on a loop whose time goes by as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from pyro_events.server.limits.slices import Slices


class Pieces:
    """Work on pieces that take some seconds in all, and what was done in which order."""

    def __init__(self, **seconds: float) -> None:
        self.left = seconds
        self.done: list[str] = []
        self.afterwards: list[str] = []
        self.slices: Slices[str] = Slices(self._work, self.afterwards.append, most=0.001)

    def _work(self, what: str, pause: Callable[[], bool]) -> bool:
        while self.left.get(what, 0) > 0:
            began = monotonic()
            while monotonic() < began + 0.0002:
                pass
            self.left[what] -= 0.0002
            if pause():
                return False
        self.done.append(what)
        return True


def test_little_is_done_at_once() -> None:
    async def main() -> None:
        pieces = Pieces(a=0.0)
        pieces.slices.do("a")
        assert pieces.done == pieces.afterwards == ["a"]

    asyncio.run(main())


def test_much_is_done_in_slices_while_the_loop_goes_on_and_others_have_their_turn() -> None:
    async def main() -> int:
        pieces = Pieces(a=0.02, b=0.0)
        pieces.slices.do("a")
        pieces.slices.do("b")
        assert pieces.done == []
        turns = 0
        while len(pieces.done) < 2:
            await asyncio.sleep(0)
            turns += 1
        assert pieces.done == ["b", "a"]
        assert len(pieces.afterwards) > 5
        return turns

    assert asyncio.run(main()) > 5


def test_what_is_asked_for_again_is_done_once_more_when_it_is_finished() -> None:
    async def main() -> None:
        pieces = Pieces(a=0.005)
        for _ in range(3):
            pieces.slices.do("a")
        while len(pieces.done) < 2:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert pieces.done == ["a", "a"]

    asyncio.run(main())
