"""Where the events of a stream on an event loop come from: the connection in use, and who waits for it.

Knows: which connection is in use, and which tasks wait. Must not know: how a connection is made, what is
subscribed, or what the events are.

An event is never on its way to a task that might be cancelled: a task that waits is only woken, and then
takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ...constants import ReceivedRow
from ..connection.waiting import result_by, set_once
from ..home_loop import HomeLoop
from .event_connection import EventConnection


class EventSource:
    """The connection in use, which another one may replace.

    events: it may have ended; None before the first one. closed: for good. abandoned: whether nobody will
    make another connection. taken: how many events the program has taken.
    """

    def __init__(self, home: HomeLoop) -> None:
        self._home = home
        self.events: EventConnection | None = None
        self.closed = self.abandoned = False
        self.taken = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._lost: asyncio.Future[bool] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection for events now."""
        return self.events is not None and self.events.ended is None

    @property
    def over(self) -> bool:
        """Whether no event will come any more."""
        return self.closed or (self.abandoned and not self.connected)

    @property
    def waiting(self) -> int:
        """How many events have come and can be taken."""
        return self.events.inbox.waiting if self.events is not None else 0

    def replace(self, events: EventConnection) -> None:
        """Use another connection. What had come over the last one and was not taken is lost, and the service
        has counted it."""
        before, self.events = self.events, events
        if before is not None:
            before.end("it was replaced")
        if self.closed:
            events.end("this program closed it")
        self.changed()

    # ---- taking ---------------------------------------------------------------------------------

    def take(self) -> ReceivedRow | None:
        """The next event, if one has come. Between two batches there is none until the loop had a turn."""
        events = self.events
        if events is None or self.closed:
            return None
        rows = events.inbox.rows
        if not rows and not events.begin():
            return None
        row = rows.popleft()
        self.taken += 1
        if not rows:
            events.acknowledge_soon()
        return row

    async def next(self, deadline: float | None) -> ReceivedRow | None:
        """The next event, when there is one; None when it is over, or at the deadline (loop's clock).

        The caller has checked that the running loop is that of the stream.
        """
        loop = self._home.loop
        assert loop is not None
        if deadline is None or deadline > loop.time():
            row = self.take()
            while row is None and not self.over and (deadline is None or deadline > loop.time()):
                await self._something(loop, deadline)
                row = self.take()
            return row
        await asyncio.sleep(0)
        row = self.take()
        if row is None:
            await asyncio.sleep(0)  # the loop looks at its sockets between two turns
            row = self.take()
        return row

    async def _something(self, loop: asyncio.AbstractEventLoop, deadline: float | None) -> None:
        """Wait until something has come, or it is closed, or until the deadline."""
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(waiter)
        woken = False
        try:
            woken = await (waiter if deadline is None else result_by(waiter, deadline, late=False))
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was woken: another one takes the event
                woken = True
                self._wake(1)
            raise
        finally:
            if not woken and waiter in self._waiting:  # it is taken out when it is woken
                self._waiting.remove(waiter)

    def _wake(self, most: int) -> None:
        """Wake so many of those that wait."""
        waiting = self._waiting
        while waiting and most > 0:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                most -= 1

    def changed(self) -> None:
        """Events have come, or the connection has ended."""
        events = self.events
        if events is not None and self._waiting:
            self._wake(len(self._waiting) if self.over else 0 if events.inbox.finished else self.waiting)
        if events is not None and events.ended is not None and self._lost is not None:
            set_once(self._lost, True)

    # ---- the end --------------------------------------------------------------------------------

    async def lost(self, deadline: float) -> bool:
        """Wait until the connection has ended. False if the deadline (loop's clock) is earlier. One caller at
        a time."""
        if not self.connected:
            return True
        self._lost = asyncio.get_running_loop().create_future()
        return await result_by(self._lost, deadline, late=False)

    def end(self, reason: str) -> None:
        """End the connection; another one may follow."""
        if self.events is not None:
            self.events.end(reason)

    def abandon(self) -> None:
        """Nobody makes another connection any more: tell those that wait, once this one has ended."""
        self.abandoned = True
        loop = self._home.loop
        if self.over and loop is not None and not loop.is_closed():
            self._wake(len(self._waiting))

    def close(self) -> bool:
        """Wake all tasks that wait, for good. Returns whether it was not closed before."""
        first, self.closed = not self.closed, True
        self._wake(len(self._waiting))
        return first
