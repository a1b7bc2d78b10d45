"""PolledRunner: a runner for programs with their own loop, as programs for Pyro3 have.

Knows: what such a loop calls. Must not know: what runs.

Pyro3's service handled its requests inside the program's loop, in `handleRequests`, and only while that was
called. This one runs in its own thread, so that the program's loop cannot delay it; the methods exist so that
such programs can call them.
"""

from __future__ import annotations

import socket
import threading
from typing import Final

from ..errors import EventServiceError
from .runner import Runner

# How long `handleRequests` waits if it is given no time, in seconds: a program that calls it in a loop must
# not spin, and one that calls it because a socket is ready must not be delayed.
_PAUSE: Final = 0.1


class PolledRunner(Runner):
    """A runner with Pyro3's methods for the program's own loop."""

    def __init__(self) -> None:
        super().__init__()
        self._listens_on: socket.socket | None = None
        self._initialized = False

    def _initialize(self) -> None:
        """Start in a separate thread; `shutdown` then waits until it has ended."""
        self._start_in_thread()
        self._initialized = True

    def getServerSockets(self) -> list[socket.socket]:
        """The socket that is listened on, for `select`; Pyro3's name.

        Returns:
            A list with the socket; an empty one after the end.

        Raises:
            EventServiceError: it has not been started.
        """
        self._check_started("getServerSockets()")
        sock = self._listens_on
        return [sock] if sock is not None and sock.fileno() >= 0 and not self._ended.is_set() else []

    def handleRequests(self, timeout: float | None = None) -> None:
        """Wait; requests are handled without it. Pyro3's name.

        Args:
            timeout: seconds to wait; after the end it does not wait. Default None: a tenth of one.

        Raises:
            EventServiceError: it has not been started.
        """
        self._check_started("handleRequests()")
        self._ended.wait(_PAUSE if timeout is None else timeout)

    def _check_started(self, method: str) -> None:
        if not self._started.is_set():
            raise EventServiceError(f"{method} works only after the start: call initialize() first")

    def shutdown(self, es: object = None) -> None:
        """Have it deliver what waits, and end; from any thread and more than once.

        Returns at once, except after `initialize`: then when it has ended.

        Args:
            es: ignored; Pyro3's programs give it. None by default.
        """
        super().shutdown()
        thread = self._thread
        if self._initialized and thread is not None and thread is not threading.current_thread():
            thread.join()
