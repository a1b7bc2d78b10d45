"""The event loop: uvloop if the platform has it, else asyncio's own.

Knows: which one is installed, and what each says when the process is out of descriptors. Must not know: what
runs on it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any, Final

from ...log.background import get_logger
from .standard_streams import open_missing_descriptors

log = get_logger("pyro_events.engine")

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Seconds between two lines in the log about that.
_SILENCE: Final = 10.0


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new loop, not set as the current one."""
    loop: asyncio.AbstractEventLoop
    open_missing_descriptors()
    try:
        import uvloop
    except ImportError:  # Windows has none
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.set_exception_handler(_LoopErrors())
    return loop


class _LoopErrors:
    """What a loop does with unhandled errors.

    asyncio logs each connection that it cannot accept, again and again, with a traceback.
    """

    def __init__(self) -> None:
        self._silent_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
            text = context.get("message", "an unhandled error")
            log.log(logging.ERROR, "the event loop reports: %s", text, about="loop", error=error)
        elif loop.time() >= self._silent_until:
            self._silent_until = loop.time() + _SILENCE
            log.warning("no connections can be accepted for the moment: %s", error)
