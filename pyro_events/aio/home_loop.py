"""HomeLoop: the event loop on which a client was connected, and the only one on which it can be used.

Knows: which loop runs here. Must not know: what the client does.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop

from ..errors import EventServiceError


class HomeLoop:
    """loop: the loop, None before the client is connected and in a forked child. To compare it with the
    running one is the quick check."""

    def __init__(self, what: str) -> None:
        """what: the client, in errors."""
        self._what = what
        self._process = os.getpid()
        self.loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> asyncio.AbstractEventLoop:
        """The running loop, to which the client belongs from now on. Raises as `check`."""
        if self.loop is None and self._process == os.getpid():
            self.loop = _get_running_loop()
        return self.check()

    def check(self) -> asyncio.AbstractEventLoop:
        """The loop. Raises EventServiceError unless it is the one that runs here."""
        running = _get_running_loop()
        if running is not None and running is self.loop:  # as nearly always
            return running
        if running is None:
            raise EventServiceError(
                f"a {self._what} of pyro_events.aio needs a running event loop of asyncio: use it in a "
                "coroutine that asyncio.run() runs, or use pyro_events without aio"
            )
        if self._process != os.getpid():
            raise EventServiceError(
                f"this {self._what} belongs to the process from which this one was forked: make another one"
            )
        if self.loop is None:
            raise EventServiceError(
                f"this {self._what} is not connected: use it in `async with`, or `await connect()` first"
            )
        raise EventServiceError(
            f"this {self._what} belongs to the event loop on which it was connected, and another one "
            "runs here: make one for each loop, and let other threads hand over to its loop with "
            "asyncio.run_coroutine_threadsafe"
        )
