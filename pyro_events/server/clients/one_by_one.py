"""OneByOne: long results that the clients of one host ask for, made one after the other.

Knows: which of them is being made, and which wait. Must not know: what is made, or for which call.

What is half made takes memory, and a host may have thousands of connections that all ask at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from ..limits.scheduler import Scheduler
from ..limits.turns import host_of
from ..objects import DeferredResult
from .long_result import LongResult

Pieces = Generator[None, None, Any]


class _Waiting(DeferredResult):
    """A result whose turn may not have come. work: once it has."""

    __slots__ = ("finished", "pieces", "work")

    def __init__(self, pieces: Pieces, finished: Callable[[Any], Any]) -> None:
        super().__init__()
        self.pieces = pieces
        self.finished = finished
        self.work: DeferredResult | None = None

    def abandon(self) -> None:
        """The result is not wanted any more."""
        super().abandon()
        if self.work is not None:
            self.work.abandon()


class OneByOne:
    """The results that are asked for, by host."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        # The first of each is being made.
        self._waiting: dict[str, deque[_Waiting]] = {}

    def begin(self, address: str, pieces: Pieces, finished: Callable[[Any], Any]) -> DeferredResult:
        """A result as LongResult makes it; arguments as there."""
        result, host = _Waiting(pieces, finished), host_of(address)
        waiting = self._waiting.setdefault(host, deque())
        waiting.append(result)
        if len(waiting) == 1:
            self._make(host, address)
        return result

    def _make(self, host: str, address: str) -> None:
        result = self._waiting[host][0]

        def ended() -> None:
            self._ended(host, address)

        result.work = LongResult(self._scheduler, address, result.pieces, result.finished, ended)
        result.work.when_done(result.settle)

    def _ended(self, host: str, address: str) -> None:
        waiting = self._waiting[host]
        waiting.popleft()
        while waiting and waiting[0].abandoned:
            waiting.popleft()
        if waiting:
            self._make(host, address)
        else:
            del self._waiting[host]
