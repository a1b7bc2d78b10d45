"""Scheduler: shares the loop's time, and the pool's, among clients and subscribers.

Knows: the loop, the clock, and the turns. Must not know: what is done in a turn, or for whom.

While there is little to do, everything is done as soon as it comes. After a millisecond of work `loaded` is
true. Then everybody that has something to do waits for its turn, until nobody waits any more. A turn ends
after 10 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from time import monotonic
from typing import Any, Final

from ..objects import DeferredResult
from .turns import TURN, Participant, Turns

# After so many seconds of work, others get a turn: far more than a few calls take, and far less than anybody
# notices.
_LITTLE: Final = 0.001

# Less than this need not be reported to `used`: a call or two. If every client of a full service did as much
# at once, the others would wait for a second; with 200 clients it is 20 ms.
NEGLIGIBLE: Final = 0.0001

# The function that is called when a turn comes.
LoopParticipant = Participant[Callable[[], None]]


class Scheduler:
    """Turns on the loop. loaded: whether work must `wait` for its turn; for reading."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns: Turns[Callable[[], None]] = Turns()
        self._used = 0.0
        self.loaded = False

    def join(self, address: str, run: Callable[[], None]) -> LoopParticipant:
        """Take part. run: called when the turn comes that `wait` asked for."""
        return self._turns.join(address, run, monotonic())

    def leave(self, participant: LoopParticipant) -> None:
        """No longer take part; `run` may still be called once."""
        self._turns.leave(participant, monotonic())

    def used(self, participant: LoopParticipant, seconds: float) -> None:
        """Count time that a participant has worked outside a turn. Turns themselves are measured."""
        if self.loaded:
            return
        participant.uncounted += seconds
        self._used += seconds
        if self._used > _LITTLE:
            self._used = 0.0
            self._turns.settle(participant, monotonic())
            self._load()

    def wait(self, participant: LoopParticipant) -> None:
        """Have `run` called when the turn comes."""
        self._turns.wait(participant, monotonic())
        self._load()

    def _load(self) -> None:
        if not self.loaded:
            self.loaded = True
            self._loop.call_soon(self._take_turns)

    def _take_turns(self) -> None:
        """Give turns to those that have used the least, until 10 ms are over; then let the loop read what has
        come."""
        turns = self._turns
        now = monotonic()
        end = now + TURN
        try:
            while now < end and (participant := turns.next()) is not None:
                began = now
                try:
                    participant.what()
                finally:
                    now = monotonic()
                    turns.done(participant, now - began, now)
        finally:  # the others go on if one fails
            if turns:
                self._loop.call_soon(self._take_turns)
            else:
                self.loaded = False


class Work(DeferredResult):
    """A piece of work for another thread: its result, or its exception. It is not done if nobody wants the
    result any more before it has begun."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self.call: Callable[[], Any] | None = call

    def abandon(self) -> None:
        super().abandon()
        self.call = None  # and releases the arguments


class SharedPool:
    """Work for other threads, by turns: each host has at most one piece of work at a time.

    All work needs the interpreter's lock, so more at once would only take it away from the loop.
    """

    def __init__(self, executor: Executor, at_once: int) -> None:
        """at_once: how many pieces of work there are at a time, of different hosts."""
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._free = at_once
        self._stopped = False
        self._turns: Turns[Work] = Turns()

    def submit(self, address: str, call: Callable[[], Any]) -> Work:
        """Have work done for an address; it calls back on the loop's thread."""
        work = Work(call)
        now = monotonic()
        participant = self._turns.join(address, work, now)
        self._turns.wait(participant, now)
        self._begin()
        return work

    def stop(self) -> None:
        """Start no more work."""
        self._stopped = True

    def _begin(self) -> None:
        while self._free and not self._stopped and (participant := self._turns.next()) is not None:
            call = participant.what.call
            if call is None:
                self._leave(participant, 0.0)
            else:
                self._free -= 1
                self._start(participant, call)

    def _start(self, participant: Participant[Work], call: Callable[[], Any]) -> None:
        began = monotonic()

        def finished(future: asyncio.Future[Any]) -> None:
            self._free += 1
            self._leave(participant, monotonic() - began)
            # The loop goes on first: the next piece of work may hold the interpreter's lock.
            self._loop.call_soon(self._begin)
            error = future.exception()
            participant.what.settle(error if error is not None else future.result())

        self._loop.run_in_executor(self._executor, call).add_done_callback(finished)

    def _leave(self, participant: Participant[Work], seconds: float) -> None:
        now = monotonic()
        self._turns.done(participant, seconds, now)
        self._turns.leave(participant, now)
