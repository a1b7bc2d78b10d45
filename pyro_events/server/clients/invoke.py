"""Invoke: makes one call, or one Pyro batch of them, and writes the result as bytes.

Knows: served objects, the ways in which a call may fail, and how much of that the caller is told. Must not
know: sockets, the order of calls, when an answer is sent, or what a method does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any, Final

import Pyro5.errors

from ... import constants as c
from ...log.background import get_logger
from ...wire.frames import BATCH, ONEWAY, Frame
from ...wire.own_connection import ATTACH
from ...wire.replies import wrapped_error, write_error, write_result, written_size
from ...wire.requests import Call
from ..limits.turns import TURN
from ..objects import LARGE, Caller, DeferredResult, RemoteObject

log = get_logger("pyro_events.connection")

# What a method raises for arguments that cannot be, and for what its caller may not do.
_EXPECTED: Final = (TypeError, ValueError, Pyro5.errors.PyroError)

# Has something done when it is the client's turn again.
Again = Callable[[Callable[[], None]], None]


def invoke(frame: Frame, objects: Mapping[str, RemoteObject], caller: Caller, call: Call) -> Any:
    """The result of one call, or a DeferredResult. An exception is returned, not raised."""
    served = objects.get(call.object_id)
    if served is None:
        return Pyro5.errors.DaemonError(f"there is no object {call.object_id!r} here")
    name = call.method
    method = served.methods.get(name)
    if method is None or (name == LARGE and len(frame.payload) <= c.MAX_STOCK_CALL):
        return AttributeError(f"there is no method {name!r}; there are {', '.join(sorted(served.methods))}")
    if name == ATTACH and frame.flags & (BATCH | ONEWAY):
        return ValueError(f"{name} has to be a call by itself, whose answer is waited for")
    caller.serializer_id = frame.serializer_id
    try:
        # Most calls have no named arguments, and to unpack a dictionary takes time.
        return method(caller, *call.args, **call.kwargs) if call.kwargs else method(caller, *call.args)
    except Exception as error:
        return error_to_tell(error, name, caller)


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


def error_to_tell(error: Exception, method: str, caller: Caller) -> Exception:
    """What a caller is told of an exception that the method has raised: the exception, or that the log has
    one that was not expected. It is being handled."""
    if not isinstance(error, _EXPECTED):
        log.exception("the call of %s by %s failed", method, caller.host, about=caller.host)
        error = Pyro5.errors.PyroError(f"the service failed in {method}; its log says why")
    return error


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


def is_larger(result: Any, most: int) -> bool:
    """Whether a result takes more than about so many bytes, without going through all of a large one."""
    rest: list[Any] = [result]
    while rest:
        each = rest.pop()
        if isinstance(each, (str, bytes)):
            most -= len(each)
        elif isinstance(each, dict):
            rest.extend(each.values())
            rest.extend(each)
        elif isinstance(each, (list, tuple)):
            rest.extend(each)
        most -= 4
        if most < 0:
            return True
    return False


def written(frame: Frame, result: Any, peer: str) -> bytes:
    """The answer to a call: its result or its exception."""
    if not isinstance(result, Exception):
        try:
            return write_result(frame.serializer_id, frame.seq, result, bool(frame.flags & BATCH))
        except Exception as error:  # serializers raise several kinds
            log.warning("a result for %s cannot be written: %s", peer, error, about=peer)
            result = Pyro5.errors.SerializeError(f"the result cannot be written: {error}")
    return write_error(frame.serializer_id, frame.seq, result)
