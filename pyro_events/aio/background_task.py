"""The task that sends what a background publisher on an event loop has queued.

Knows: when to send, when to try again, and when the task ends. Must not know: which events are dropped, what
is logged, how an event is written, or how a connection is made.

It does the same as the thread of a background publisher without asyncio: up to four calls are unacknowledged,
each with as many events as there are; and what becomes of a call that is refused is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from ..client.background.accounts import Batch, Parts
from ..client.background.options import BackgroundTimes
from ..client.background.outcomes import Outcomes
from ..client.background.shared_queue import SharedQueue
from ..client.connection.outcome import broken, too_large
from ..client.publishing.frames import WINDOW, count_events
from ..wire.requests import packed_publish, packed_publish_one
from .connection.calls import AwaitedCall, Loss, value_of
from .connection.waiting import result_by, set_once
from .sender import Sender

# Tasks that run: the loop itself would not keep them, nor does anybody else who has dropped the publisher.
_running: Final[set[asyncio.Task[None]]] = set()


class BackgroundTask:
    """Sends until it is told to end, or is cancelled.

    resting: whether it sleeps until it is woken. ended: whether it has ended, or is about to.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sender: Sender, queue: SharedQueue, times: BackgroundTimes
    ) -> None:
        """sender: used by this object only."""
        self._loop = loop
        self._sender = sender
        self._queue = queue
        self._times = times
        self.outcomes = Outcomes(queue, sender, sender.connection.name)
        self._outstanding: deque[tuple[Batch, AwaitedCall, str]] = deque()
        self._pause = times.first_pause
        # How many calls may be unacknowledged.
        self._window = 1
        # Whether a call of several entries was ever refused; and those of which no later one was accepted.
        self._careful = False
        self._refused: deque[tuple[Batch, Exception]] = deque()
        self._end_by: float | None = None
        self._look = False
        self._woken: asyncio.Future[bool] | None = None
        self.resting = False
        self.ended = False
        self._task = loop.create_task(self._run())
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    # ---- for everybody, from any thread ---------------------------------------------------------

    def wake(self, look: bool = False) -> None:
        """Something was queued. look: connect to the service if there is no connection."""
        if look:
            self._look = True
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nothing is sent any more
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._woken is not None:
            set_once(self._woken, True)

    def finish(self, seconds: float) -> None:
        """Send what is queued, for so many seconds at most, and end. A call that was sent is waited for until
        it is answered, the connection breaks, or the publisher is closed."""
        self._end_by = self._loop.time() + seconds
        self.wake()

    # ---- for the loop ---------------------------------------------------------------------------

    def end(self) -> None:
        """End now. What waits is dropped; of what was sent and not acknowledged, the outcome is unknown."""
        self.ended = True
        self._sender.connection.close()
        if self._loop.is_closed():  # the task does not run any more
            self.outcomes.ended()
        else:
            self._task.cancel()

    async def ending(self) -> None:
        """Wait until it has ended, which was asked for."""
        if self._loop.is_closed():
            return
        await asyncio.wait({self._task})
        await self._sender.connection.released()

    async def _run(self) -> None:
        try:
            await self._reach()
            await self._send_all()
        finally:
            self.ended = True
            self._sender.connection.close()  # which gives every call without a reply its outcome
            while self._outstanding:
                self._settle()
            self._give_up()
            self.outcomes.ended()

    async def _send_all(self) -> None:
        while self._end_by is None or self._loop.time() < self._end_by:
            if self.outcomes.away is not None and not await self._reach():
                await self._sleep(self._pause)
                self._pause = min(2 * self._pause, self._times.last_pause)
            elif len(self._outstanding) >= self._window:
                await self._collect()
            elif (batch := self._queue.use(lambda queue: queue.take())) is not None:
                await self._send(batch)
            elif self._outstanding:
                await self._collect()
            elif self._end_by is not None:
                return
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Sleep until something is queued."""
        self.outcomes.caught_up()
        self.resting = True
        # Looked at again, because somebody who has published since did not wake this task.
        if self._queue.empty and self._end_by is None and not self._look:
            await self._sleep(None)
        self.resting = False
        if self._look:
            self._look = False
            await self._reach()

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep until it is woken, or for so many seconds."""
        self._woken = self._loop.create_future()
        try:
            await result_by(self._woken, None if seconds is None else self._loop.time() + seconds, False)
        finally:
            self._woken = None

    async def _reach(self) -> bool:
        """Connect if there is no connection. Returns whether there is one."""
        try:
            if self._sender.connection.usable() is None:
                await self._sender.connection.open()
        except Exception as error:
            await self._lose(error)
            return False
        self.outcomes.reached()
        self._pause = self._times.first_pause
        return True

    async def _lose(self, error: Exception) -> None:
        """The service cannot be reached."""
        while self._outstanding:  # over a connection that has ended
            await self._collect()
        if not self._sender.connection.closed:
            self.outcomes.lost(error)

    async def _send(self, batch: Batch) -> None:
        try:
            connection = await self._sender.ready(None)
            call = packed_publish(batch.entries)
        except BaseException as error:  # then nothing was sent
            self._queue.use(lambda queue: queue.take_back(batch))
            if not isinstance(error, Exception):
                raise
            await self._lose(error)
            return
        most = self._sender.connection.max_message
        if len(call) > 1 and len(call[1]) > most:
            self.outcomes.refused(batch, too_large(len(call[1]), most, connection.address))
            return
        pending = AwaitedCall(self._loop)
        connection.send_at_once(call, pending)
        self._queue.use(lambda queue: queue.sent(batch))
        self._outstanding.append((batch, pending, connection.address))

    async def _collect(self) -> None:
        """Wait for the answer to the oldest call."""
        _, pending, _ = self._outstanding[0]
        await asyncio.wait({pending.outcome})
        self._settle()
        while self._refused and not self._outstanding:
            await self._send_one_by_one(*self._refused[0])

    def _settle(self) -> None:
        """The oldest call has been answered, or never will be."""
        batch, pending, address = self._outstanding.popleft()
        # It is not done where the loop was closed without ending its tasks.
        outcome = pending.outcome.result() if pending.outcome.done() else Loss("its event loop was closed")
        if isinstance(outcome, Loss):
            self._give_up()
            self.outcomes.unknown(batch, broken(address, outcome.reason))
            return
        try:
            queued = int(value_of(outcome))
        except Exception as error:
            if len(batch.entries) == 1:
                self.outcomes.refused(batch, error)
            else:
                self._window, self._careful = 1, True
                self._refused.append((batch, error))
        else:
            self._give_up()
            self.outcomes.acknowledged(batch, queued)
            if not self._careful:
                self._window = WINDOW

    def _give_up(self) -> None:
        """Something was published, or may have been, that is later than what was refused; or it ends."""
        while self._refused:
            self.outcomes.refused(*self._refused.popleft())

    async def _send_one_by_one(self, batch: Batch, refusal: Exception) -> None:
        """Send each entry of the oldest call that was refused again, and wait for each answer."""
        parts = Parts()
        try:
            for entry in batch.entries:
                connection = await self._sender.ready(None)
                pending, events = AwaitedCall(self._loop), count_events([entry])
                connection.send_at_once(packed_publish_one(entry), pending)
                parts.unknown += events  # until its answer comes, which a cancellation may prevent
                await asyncio.wait({pending.outcome})
                outcome = pending.outcome.result()
                if isinstance(outcome, Loss):
                    refusal = broken(connection.address, outcome.reason)
                    continue
                parts.unknown -= events
                try:
                    parts.queued += int(value_of(outcome))
                except Exception as error:
                    refusal = error
                else:
                    parts.published += events
        except Exception as error:  # the service is away, and what is left stays refused
            if not self._sender.connection.closed:
                self.outcomes.lost(error)
        finally:
            self.outcomes.divided(batch, parts, refusal)
            self._refused.popleft()
