"""Turns: of all tasks that use one object, one at a time, in the order in which they came.

Knows: futures. Must not know: what is done in a turn.

`asyncio.Lock` is much the same, but has no deadline, and a task that comes just when the lock was released
overtakes those that wait. Here a turn is handed over.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .connection.waiting import result_by, set_once


class Turns:
    """taken: whether it is somebody's turn now. All that wait are told if it is closed."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self.taken = False

    async def take(self, deadline: float | None = None) -> bool:
        """Wait for the turn, and take it. False if it has not come by the deadline (loop's clock).

        Call `give` afterwards, in any case if this has returned True.
        """
        if not self.taken:
            self.taken = True
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
        self.taken = False
