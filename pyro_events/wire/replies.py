"""Replies: the service's answer to a call: a value, or an error to raise.

Knows: how values and errors look on the wire, which errors a stock client can rebuild, and which our client
can. Must not know: sockets, callers, what was called.

Only exceptions of Python itself and of Pyro5 are rebuilt from their names. Nothing that comes over the wire
makes a program look up, import or call anything else.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

import msgpack
import Pyro5.errors

from ..errors import AccessDeniedError, EventServiceError, MessageTooLargeError
from ..foreign_exceptions import is_foreign
from .frames import (
    BATCH,
    EXCEPTION,
    HEADER_SIZE,
    MSGPACK,
    PING,
    RESULT,
    SEQ_END,
    SEQ_START,
    Frame,
    FrameError,
    write_frame,
)
from .msgpack_pool import pack
from .plain_data import read_answer, writable, write_plain

_MODULES: Final = {"builtins": builtins, "Pyro5.errors": Pyro5.errors}


# ---- writing ------------------------------------------------------------------------------------

# The number of deliveries of a publish, as msgpack: nearly always small.
_SMALL: Final = tuple(pack(number) for number in range(256))


def write_result(serializer_id: int, seq: int, value: Any, batch: bool = False) -> bytes:
    """The frame that returns `value`; with batch=True it is the list of a batch's results.

    An exception among a batch's results must be wrapped by `wrapped_error`.
    """
    if serializer_id == MSGPACK and type(value) is int:
        data = _SMALL[value] if 0 <= value < len(_SMALL) else pack(value)
    else:
        data = write_plain(serializer_id, value)
    return write_frame(RESULT, BATCH if batch else 0, serializer_id, seq, data)


def write_error(serializer_id: int, seq: int, error: Exception) -> bytes:
    """The frame that raises `error` in the client, or the most similar error that the client has."""
    data = write_plain(serializer_id, _described(error))
    return write_frame(RESULT, EXCEPTION, serializer_id, seq, data)


def wrapped_error(error: Exception) -> dict[str, Any]:
    """`error` as an item of a batch's results (source: Pyro5's _ExceptionWrapper)."""
    return {"__class__": "Pyro5.core._ExceptionWrapper", "exception": _described(error)}


def _described(error: Exception) -> dict[str, Any]:
    """An exception in Pyro5's form; without the traceback, which stays in this program."""
    kind = _carried(type(error))
    arguments = error.args if kind is type(error) else (error,)
    return {
        "__class__": f"{kind.__module__}.{kind.__name__}",
        "__exception__": True,
        "args": [writable(str(argument)) for argument in arguments],
        "attributes": {},
    }


def _carried(kind: type[Exception]) -> type[Exception]:
    """The class of an exception in a client, which knows only Python's own and Pyro5's."""
    # The subclasses of UnicodeError cannot be built from text.
    if kind.__module__ in _MODULES and not issubclass(kind, UnicodeError):
        return kind
    nearest = (TypeError, ValueError, *kind.__mro__)
    return next(base for base in nearest if issubclass(kind, base) and base.__module__ in _MODULES)


def write_pong(serializer_id: int, seq: int) -> bytes:
    """The answer to a PING frame."""
    return write_frame(PING, 0, serializer_id, seq, b"pong")


def written_size(value: Any) -> int:
    """About how many bytes a result takes, with any serializer."""
    return len(msgpack.packb(value, default=str, unicode_errors="surrogatepass"))


# ---- reading ------------------------------------------------------------------------------------

# A whole reply that returns a number from 0 to 127, which is msgpack of one byte: what comes before and after
# the sequence number.
_BEFORE_SEQ: Final = write_result(MSGPACK, 0, 0)[:SEQ_START]
_AFTER_SEQ: Final = write_result(MSGPACK, 0, 0)[SEQ_END:-1]
SMALL_REPLY: Final = HEADER_SIZE + 1
_MOST: Final = 127

_KNOWN: Final[dict[str, type[Exception]]] = {
    f"{module}.{name}": kind
    for module, space in _MODULES.items()
    for name, kind in vars(space).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
# Ours is a ValueError as well, whichever side finds the message too large.
_KNOWN["Pyro5.errors.MessageTooLargeError"] = MessageTooLargeError
_KNOWN["Pyro5.errors.SecurityError"] = AccessDeniedError


def read_small_result(data: bytes, seq: int) -> int | None:
    """The number that a call returned, if the bytes that arrived are the reply to it and nothing else.

    seq: of the call. None for anything else, which a FrameReader has to read. Nearly every publish is
    answered so, and this takes a fifth of the time.
    """
    if (
        len(data) == SMALL_REPLY
        and data[:SEQ_START] == _BEFORE_SEQ
        and data[SEQ_END:HEADER_SIZE] == _AFTER_SEQ
        and data[SEQ_START] << 8 | data[SEQ_START + 1] == seq
        and data[HEADER_SIZE] <= _MOST
    ):
        return data[HEADER_SIZE]
    return None


def read_reply(frame: Frame) -> Any:
    """The value in a reply. Raises the error in it, or FrameError if it cannot be read."""
    value = read_answer(frame, FrameError)
    if frame.flags & EXCEPTION:
        raise rebuilt(value)
    return value


def rebuilt(described: Any) -> Exception:
    """The exception that a reply describes, or an EventServiceError with its name and text."""
    if not isinstance(described, dict):
        return EventServiceError(f"the event service answered with no readable error: {described!r}")
    name, arguments = described.get("__class__"), described.get("args")
    arguments = arguments if isinstance(arguments, list) else [arguments]
    kind = _KNOWN.get(name) if isinstance(name, str) else None
    error: Exception | None = None
    if kind is not None:
        try:
            error = kind(*arguments)
        except Exception as failure:  # some, such as UnicodeDecodeError, need arguments of certain types
            if is_foreign(failure, Exception):
                raise
            error = None
    if error is None:
        text = ", ".join(str(argument) for argument in arguments)
        error = EventServiceError(f"the event service answered {name}: {text}")
    if isinstance(error, AccessDeniedError):
        error.of_call = True
    attributes = described.get("attributes")
    traceback = attributes.get("_pyroTraceback") if isinstance(attributes, dict) else None
    if isinstance(traceback, list) and all(isinstance(line, str) for line in traceback):
        error.__dict__["_pyroTraceback"] = traceback  # for Pyro5's excepthook
    return error
