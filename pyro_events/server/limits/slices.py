"""Slices: work of the service's own that may take long, done in slices while the loop goes on.

Knows: the loop, how much of its time this work may take, and what is left to be done. Must not know: what is
done, or for whom.

Most of it is done as soon as it is asked for. Whoever asks for a lot gets it later, and delays nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final, Generic, TypeVar

W = TypeVar("W", bound=Hashable)

# Seconds without a pause at most, the pause after it, and the part of the loop's time for all of this work.
SLICE: Final = 0.002
_PAUSE: Final = 0.004
_PART: Final = 0.4


class Slices(Generic[W]):
    """The pieces of such work; each may be anything hashable."""

    def __init__(
        self,
        work: Callable[[W, Callable[[], bool]], bool],
        afterwards: Callable[[W], object],
        most: float = SLICE,
    ) -> None:
        """work: is given a piece, and what tells when it is time for a pause. It returns whether the piece is
        finished; if not, it is called again later. afterwards: is called after each slice; its time does not
        count. most: seconds without a pause."""
        self._work = work
        self._afterwards = afterwards
        self._most = self._left = most
        self._loop = asyncio.get_running_loop()
        self._at = monotonic()
        # What is not finished, each with whether it has been asked for again meanwhile.
        self._rest: dict[W, bool] = {}
        self._scheduled = False

    def do(self, what: W) -> None:
        """Do a piece of work: now, or later if there is much to do. A piece that is being done is done once
        more when it is finished."""
        if what in self._rest:
            self._rest[what] = True
        elif self._rest or not self._may_go_on():
            self._rest[what] = False
            self._schedule()
        else:
            self._do(what)

    def _may_go_on(self) -> bool:
        now = monotonic()
        self._left = min(self._most, self._left + (now - self._at) * _PART)
        self._at = now
        return self._left > 0

    def _do(self, what: W) -> None:
        began = monotonic()
        end = began + self._left
        finished = self._work(what, lambda: monotonic() > end)
        self._left -= monotonic() - began
        if not finished:
            self._rest.setdefault(what, False)
            self._schedule()
        self._afterwards(what)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        """Do more, of one piece after the other."""
        self._scheduled = False
        while self._rest and self._may_go_on():
            what = next(iter(self._rest))
            again = self._rest.pop(what)
            self._do(what)
            if again:
                self._rest[what] = what in self._rest
        if self._rest:
            self._schedule()
