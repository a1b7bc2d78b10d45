"""Exceptions of the program's own that arrive in the middle of our code.

Knows: how to tell them from ours. Must not know: what was interrupted, or what is done about it.

A signal handler can run between any two steps of the main thread, and a `__del__` in any thread. The class of
their exceptions tells nothing: a handler may raise TimeoutError, as a socket does. The path of the exception
does: the modules that it has passed through.
"""

from __future__ import annotations

import functools
import signal
from types import CodeType, FrameType
from typing import Any, Final

# The modules that our own calls pass through. An exception from anywhere else is the program's.
_LIBRARIES: Final = (
    "pyro_events",
    "Pyro5",
    "asyncio",
    "encodings",
    "ipaddress",
    "msgpack",
    "select",
    "selectors",
    "socket",
    "ssl",
    "threading",
    "uvloop",
)


def is_foreign(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether the program's code raised an exception in the middle of ours.

    Call it where the exception was caught, at a place where our code calls no code of the program. kinds:
    what our own code may raise there; any other class is foreign. For these kinds, the modules decide that
    the exception has passed through since then.
    """
    if not isinstance(error, kinds):
        return True
    traceback = error.__traceback__
    while traceback is not None:
        if not _is_ours(traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def is_signal_handlers(error: BaseException) -> bool:
    """Whether an exception has passed through a signal handler since it was caught.

    For places where our code does call code of the program, such as converters of its classes.
    """
    passed = set()
    traceback = error.__traceback__
    while traceback is not None:
        if not _is_ours(traceback.tb_frame):
            passed.add(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    # Checking every handler takes 100 µs, as long as reading a hundred messages.
    return bool(passed) and not passed.isdisjoint(
        _code(signal.getsignal(number)) for number in signal.valid_signals()
    )


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame belongs to a module that our own calls pass through."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _LIBRARIES


def _code(handler: Any) -> CodeType | None:
    """The code that runs first in a handler; None if the handler is not Python code."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    if code is None and callable(handler):
        code = getattr(type(handler).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
