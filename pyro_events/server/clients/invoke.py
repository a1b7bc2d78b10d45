"""Invoke: makes one call, and writes the result as bytes.

Knows: served objects, the ways in which a call may fail, and how much of that the caller is told. Must not
know: sockets, the order of calls, when an answer is sent, or what a method does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import Pyro5.errors

from ... import constants as c
from ...log.background import get_logger
from ...wire.frames import BATCH, ONEWAY, Frame
from ...wire.own_connection import ATTACH
from ...wire.replies import write_error, write_result
from ...wire.requests import Call
from ..objects import LARGE, Caller, RemoteObject

log = get_logger("pyro_events.connection")

# What a method raises for arguments that cannot be, and for what its caller may not do.
_EXPECTED: Final = (TypeError, ValueError, Pyro5.errors.PyroError)


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


def error_to_tell(error: Exception, method: str, caller: Caller) -> Exception:
    """What a caller is told of an exception that the method has raised: the exception, or that the log has
    one that was not expected. It is being handled."""
    if not isinstance(error, _EXPECTED):
        log.exception("the call of %s by %s failed", method, caller.host, about=caller.host)
        error = Pyro5.errors.PyroError(f"the service failed in {method}; its log says why")
    # Its frames refer to the call's arguments, and those of their callers to the error. Such a circle would
    # stay in memory until Python looks for unused ones, which in the service is seldom (es.py).
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


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
