"""Turns: of all tasks that use something, one or a few at a time, in the order in which they came.

Knows: futures. Must not know: what is done in a turn.

`asyncio.Lock` is much the same, but has no deadline, and a task that comes just when the lock was released
overtakes those that wait. Here a turn is handed over.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .waiting import result_by, set_once


class Turns:
    """taken: whether a task that comes now has to wait."""

    def __init__(self, places: int = 1) -> None:
        """places: how many tasks may have their turn at the same time."""
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._free = places
        self.taken = False

    async def take(self, deadline: float | None = None) -> bool:
        """Wait for the turn, and take it. False if it has not come by the deadline (loop's clock).

        Call `give` afterwards, in any case if this has returned True.
        """
        if self._free:
            self._free -= 1
            self.taken = not self._free
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await result_by(turn, deadline, late=False)
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give()  # it had just been handed over
            raise

    def give(self) -> None:
        """The turn is over: it is the next one's."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                set_once(turn, True)
                return
        self._free += 1
        self.taken = False
