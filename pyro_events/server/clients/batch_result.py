"""Batch results: makes the calls of a Pyro batch, one after the other.

Knows: when a batch has to wait, and how large its results may be together. Must not know: how one call is
made (`invoke` does that), sockets, or when an answer is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

import Pyro5.errors

from ... import constants as c
from ...wire.frames import Frame
from ...wire.replies import wrapped_error, written_size
from ...wire.requests import Call
from ..limits.turns import TURN
from ..objects import Caller, DeferredResult, RemoteObject
from .invoke import invoke

# Has something done when it is the client's turn again.
Again = Callable[[Callable[[], None]], None]


def invoke_batch(
    frame: Frame,
    objects: Mapping[str, RemoteObject],
    caller: Caller,
    call: Call,
    again: Again,
) -> Any:
    """The results of a batch's calls, or a DeferredResult; an exception if there is no such object.

    again: for the calls that cannot all be made in one turn.
    """
    if call.object_id not in objects:
        return Pyro5.errors.DaemonError(f"there is no object {call.object_id!r} here")
    pending = _BatchResult(_invoke_each(frame, objects, caller, call), again)
    return pending.answers() if pending.go_on() else pending


def _invoke_each(
    frame: Frame, objects: Mapping[str, RemoteObject], caller: Caller, batch: Call
) -> Iterator[Any]:
    """Make each call of a batch when its result is asked for."""
    for method, args, kwargs in batch.batch or ():
        yield invoke(frame, objects, caller, Call(batch.object_id, method, args, kwargs))


class _BatchResult(DeferredResult):
    """The result of a Pyro batch: its calls are made one after the other; the first exception ends it."""

    __slots__ = ("_again", "_awaited", "_made", "_results", "_size")

    def __init__(self, made: Iterator[Any], again: Again) -> None:
        """made: makes the next call when its result is asked for."""
        super().__init__()
        self._again = again
        self._made = made
        self._results: list[Any] = []
        self._awaited: DeferredResult | None = None
        self._size = 0

    def go_on(self) -> bool:
        """Make calls until one has to wait or the turn is over. Returns whether all the answers are there."""
        end = monotonic() + TURN
        for result in self._made:
            if isinstance(result, DeferredResult):
                self._awaited = result
                result.when_done(self._later)
                return False
            if not self._add(result):
                break
            if monotonic() > end:
                self._again(self._next_turn)
                return False
        return True

    def _add(self, result: Any) -> bool:
        """Add a result. Returns whether to make the next call."""
        if isinstance(result, (dict, list, tuple)):
            # A batch of 64 KiB may ask two thousand times for something that takes megabytes.
            self._size += written_size(result)
            if self._size > c.MAX_REPLY and self._results:
                result = ValueError(
                    f"the results of a batch can be at most {c.MAX_REPLY} bytes: make several batches"
                )
        self._results.append(result)
        return not isinstance(result, Exception)

    def _next_turn(self) -> None:
        if not self.abandoned and self.go_on():
            self.settle(self.answers())

    def _later(self, result: Any) -> None:
        self._awaited = None
        if self._add(result):
            self._again(self._next_turn)
        else:
            self.settle(self.answers())

    def answers(self) -> list[Any]:
        """The results, in the form that Pyro5's clients expect."""
        return [wrapped_error(each) if isinstance(each, Exception) else each for each in self._results]

    def abandon(self) -> None:
        """The client is gone: the result of the waiting call is not wanted, and no other call is made."""
        super().abandon()
        if self._awaited is not None:
            self._awaited.abandon()
