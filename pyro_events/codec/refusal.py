"""Finds what in a message cannot be sent, and where it is.

Knows: how to walk through a message, and how many levels a value takes. Must not know: how a value is
written: a function that it is given raises for what cannot be written.
"""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from msgpack import ExtType, Packer, Timestamp

from ..constants import MAX_DEPTH
from ..errors import PayloadError, UnsupportedTypeError
from ..foreign_exceptions import is_signal_handlers
from .depth import TOO_DEEP
from .hash_limits import refuse_hashes
from .stock_values import ClassTagged
from .values import COUNTER, DEFAULT_DICT, OBJECT, ORDERED_DICT

# Turns a value that msgpack does not know into something that it knows.
Write = Callable[[Any], Any]

_NATIVE: Final = (type(None), bool, float, str, bytes, bytearray, memoryview, ExtType, Timestamp)


def refuse(message: object, error: Exception, write: Write) -> NoReturn:
    """Raise the `refusal`, with its cause; in a module that is compiled, a raise forgets the cause."""
    raise refusal(message, error, write) from cause_of(error)


def unreadable(reason: str, cause: Exception) -> NoReturn:
    """Raise a PayloadError with its cause."""
    raise PayloadError(reason) from cause


def refusal(message: object, error: Exception, write: Write) -> UnsupportedTypeError:
    """The error that says what in `message` cannot be sent, and where it is.

    Raises an error that a signal handler raises meanwhile: that says nothing about the message.
    """
    if is_signal_handlers(error):
        raise error
    found = find(message, write)
    if found is None:  # another thread changed it meanwhile, or converters nest too deep
        return UnsupportedTypeError(f"cannot send this message: {str(error) or TOO_DEEP}")
    kind, reason, steps = found
    where = "message"
    for step in reversed(steps):
        where = where + step if step[0] in ".[" else f"{step} of {where}"
    return UnsupportedTypeError(f"cannot send {kind!r} at {where}; {reason}")


def cause_of(error: Exception) -> Exception | None:
    """The cause of a refusal: the exception of a converter of the program's own, whose traceback helps.
    Exceptions of msgpack and of this package are left out: the refusal says the same in words, and for nested
    values they are two thousand lines."""
    known = isinstance(error, (UnsupportedTypeError, RecursionError, ValueError, OverflowError, TypeError))
    return None if known else error


def find(value: Any, write: Write, depth: int = 1) -> tuple[type, str, list[str]] | None:
    """The first value in `value` that cannot be sent: its type, the reason, and the path to it, in
    reverse."""
    kind = type(value)
    try:
        levels, members = _members(value, write)
    except Exception as error:
        if is_signal_handlers(error):
            raise
        return kind, str(error) or type(error).__name__, []
    depth += levels
    if depth - 1 > MAX_DEPTH:
        return kind, TOO_DEEP, []
    for step, member in members:
        found = find(member, write, depth)
        if found is not None:
            found[2].append(step)
            return found
    return None


def _members(value: Any, write: Write) -> tuple[int, Iterator[tuple[str, Any]]]:
    """How many levels `value` takes, and its members. Raises what packing it alone raises."""
    kind = type(value)
    if kind in (list, tuple, deque):
        return 1, ((f"[{index}]", member) for index, member in enumerate(value))
    if kind in (set, frozenset):
        refuse_hashes(value)
        return 1, (("an element", member) for member in value)
    if kind is dict:
        refuse_hashes(value)
        return 1, _entries(value)
    if kind is ClassTagged:
        return 2, _entries(value.state)
    if kind in _NATIVE or (kind is int and -(2**63) <= value < 2**64):
        Packer(strict_types=True, unicode_errors="surrogatepass").pack(value)
        return 0, iter(())
    parts = write(value)
    if type(parts) is dict:
        return 1, _entries(parts)
    if parts[0] is OBJECT:
        return _state_members(parts[2])
    if parts[0] in (ORDERED_DICT, DEFAULT_DICT, COUNTER):
        refuse_hashes(value)
        return 2, _entries(parts[1])
    # Of the parts of all other types, only a time zone can be refused.
    return 1, ((".tzinfo", part) for part in parts[1:])


def _state_members(state: Any) -> tuple[int, Iterator[tuple[str, Any]]]:
    if type(state) is not dict:  # the result of a class's own __getstate__
        return 1, iter([(".__getstate__()", state)])
    if all(type(name) is str for name in state):
        return 2, ((f".{name}", member) for name, member in state.items())
    refuse_hashes(state)
    return 2, _entries(state)


def _entries(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, member in value.items():
        yield "a key", key
        yield f"[{reprlib.repr(key)}]", member
