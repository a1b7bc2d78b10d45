"""LongResult: a result that takes long to make, made in pieces while others have their turns.

Knows: turns, and a generator that stops after each piece. Must not know: what is made, or for which call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any, Generic, TypeVar

from ..limits.scheduler import Scheduler
from ..limits.turns import TURN
from ..objects import DeferredResult

T = TypeVar("T")


class LongResult(DeferredResult, Generic[T]):
    """The return value of a generator, which starts in the next turn of the host that asks for it."""

    __slots__ = ("_ended", "_finished", "_participant", "_pieces", "_scheduler")

    def __init__(
        self,
        scheduler: Scheduler,
        address: str,
        pieces: Generator[None, None, T],
        finished: Callable[[T], Any],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """address: of the client that asks. finished: makes the result of the generator's return value.
        ended: called at the end, whether the result was wanted or not."""
        super().__init__()
        self._scheduler = scheduler
        self._pieces = pieces
        self._finished = finished
        self._ended = ended
        self._participant = scheduler.join(address, self._go_on)
        scheduler.wait(self._participant)

    def _go_on(self) -> None:
        """Make pieces until the turn is over, or the result is not wanted any more."""
        end = monotonic() + TURN
        try:
            while not self.abandoned:
                next(self._pieces)
                if monotonic() > end:
                    self._scheduler.wait(self._participant)
                    return
        except StopIteration as done:
            self._scheduler.leave(self._participant)
            try:
                self.settle(self._finished(done.value))
            finally:
                self._ended()
        else:
            self._pieces.close()
            self._scheduler.leave(self._participant)
            self._ended()
