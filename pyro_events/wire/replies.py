"""What the service replied: a value, or an error to raise.

Knows: how errors look on the wire, and which may be rebuilt. Must not know: sockets or callers.

Only the exceptions of Python itself and of Pyro5 are rebuilt from their names; nothing that comes
over the wire makes this program look up, import or call anything else.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

import msgpack
import Pyro5.errors

from ..errors import EventServiceError, MessageTooLargeError
from ..foreign_exceptions import is_foreign
from .frames import EXCEPTION, Frame, FrameError

_KNOWN: Final[dict[str, type[Exception]]] = {
    f"{module}.{name}": kind
    for module, space in (("builtins", builtins), ("Pyro5.errors", Pyro5.errors))
    for name, kind in vars(space).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
# Ours is a ValueError as well, whichever side found the message too large.
_KNOWN["Pyro5.errors.MessageTooLargeError"] = MessageTooLargeError


def unpacked(frame: Frame) -> Any:
    """The plain data in a reply. Raises FrameError."""
    try:
        return msgpack.unpackb(frame.payload, raw=False, strict_map_key=False)
    except Exception as error:  # the parser raises a dozen kinds
        if is_foreign(error, Exception):
            raise
        raise FrameError(f"a reply that cannot be read: {error}"[:200]) from None


def read_reply(frame: Frame) -> Any:
    """The value in a reply. Raises the error that it carries, or FrameError if it cannot be read."""
    value = unpacked(frame)
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
        except Exception as failure:  # some, such as UnicodeDecodeError, want arguments of certain types
            if is_foreign(failure, Exception):
                raise
            error = None
    if error is None:
        text = ", ".join(str(argument) for argument in arguments)
        error = EventServiceError(f"the event service answered {name}: {text}")
    attributes = described.get("attributes")
    traceback = attributes.get("_pyroTraceback") if isinstance(attributes, dict) else None
    if isinstance(traceback, list) and all(isinstance(line, str) for line in traceback):
        error.__dict__["_pyroTraceback"] = traceback  # for Pyro5's excepthook
    return error
