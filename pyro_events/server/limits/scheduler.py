"""Scheduler: shares the loop's time, and the pool's, among clients and subscribers.

Knows: the loop, the clock, and the turns. Must not know: what is done in a turn, or who does it.

While there is little to do everybody is served as soon as something comes. After a millisecond of work
`loaded` is true, and until all who wait have been served whoever has something to do waits for its turn.
Those who have had 10 ms wait for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from time import monotonic
from typing import Any, Final

from ..objects import DeferredResult
from .turns import TURN, Participant, Turns

# After so many seconds of work the others are looked at: far more than a few calls take, and far less
# than anybody notices.
_LITTLE: Final = 0.001

# Less than this need not be told to `used`: a call or two. If every client of a full service did as much in
# one go, the others would wait for a second; with 200 it is 20 ms.
NEGLIGIBLE: Final = 0.0001

# What is run when a turn comes.
LoopParty = Participant[Callable[[], None]]


class Scheduler:
    """Turns on the loop. loaded: whether whoever has something to do must `wait`; for reading."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns: Turns[Callable[[], None]] = Turns()
        self._used = 0.0
        self.loaded = False

    def join(self, address: str, run: Callable[[], None]) -> LoopParty:
        """Take part. run: called when the turn has come that was waited for."""
        return self._turns.join(address, run, monotonic())

    def leave(self, party: LoopParty) -> None:
        """Take no part any more; `run` may still be called once."""
        self._turns.leave(party, monotonic())

    def used(self, party: LoopParty, seconds: float) -> None:
        """A party has worked for so long without a turn; turns are measured as a whole."""
        if self.loaded:
            return
        party.uncounted += seconds
        self._used += seconds
        if self._used > _LITTLE:
            self._used = 0.0
            self._turns.settle(party, monotonic())
            self._load()

    def wait(self, party: LoopParty) -> None:
        """Have `run` called when its turn comes."""
        self._turns.wait(party, monotonic())
        self._load()

    def _load(self) -> None:
        if not self.loaded:
            self.loaded = True
            self._loop.call_soon(self._take_turns)

    def _take_turns(self) -> None:
        """Let those go on who have used least, until a turn is over; then look who has come meanwhile."""
        turns = self._turns
        now = monotonic()
        end = now + TURN
        try:
            while now < end and (party := turns.next()) is not None:
                began = now
                try:
                    party.what()
                finally:
                    now = monotonic()
                    turns.done(party, now - began, now)
        finally:  # the others go on though one has failed
            if turns:
                self._loop.call_soon(self._take_turns)
            else:
                self.loaded = False


class Work(DeferredResult):
    """A piece of work for another thread: its result, or its exception. If nobody wants that any more before
    the work has begun, it is not done."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self.call: Callable[[], Any] | None = call

    def abandon(self) -> None:
        super().abandon()
        self.call = None  # nor is what it would be done with kept


class SharedPool:
    """Work for other threads, by turns: a host has one of them at a time.

    All need the interpreter's lock, so more at once would only keep the loop from it.
    """

    def __init__(self, executor: Executor, at_once: int) -> None:
        """at_once: pieces of work at a time, of different hosts."""
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._free = at_once
        self._stopped = False
        self._turns: Turns[Work] = Turns()

    def submit(self, address: str, call: Callable[[], Any]) -> Work:
        """Have work done for somebody at an address; it calls back on the loop's thread."""
        work = Work(call)
        now = monotonic()
        party = self._turns.join(address, work, now)
        self._turns.wait(party, now)
        self._begin()
        return work

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped = True

    def _begin(self) -> None:
        while self._free and not self._stopped and (party := self._turns.next()) is not None:
            call = party.what.call
            if call is None:
                self._leave(party, 0.0)
            else:
                self._free -= 1
                self._start(party, call)

    def _start(self, party: Participant[Work], call: Callable[[], Any]) -> None:
        began = monotonic()

        def finished(future: asyncio.Future[Any]) -> None:
            self._free += 1
            self._leave(party, monotonic() - began)
            # The loop goes on first: the next piece of work may keep it from the interpreter's lock.
            self._loop.call_soon(self._begin)
            error = future.exception()
            party.what.settle(error if error is not None else future.result())

        self._loop.run_in_executor(self._executor, call).add_done_callback(finished)

    def _leave(self, party: Participant[Work], seconds: float) -> None:
        now = monotonic()
        self._turns.done(party, seconds, now)
        self._turns.leave(party, now)
