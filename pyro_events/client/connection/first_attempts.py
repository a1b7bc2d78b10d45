"""First attempts: how a client that was just made waits for its service.

Knows: how long an attempt may take, the pauses between two, and which failure waiting cannot help. Must not
know: how a connection is made, or how a client waits: the times come in as arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ...errors import EventServiceError, ServiceNotFoundError, ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from .times import ConnectTimes


class FirstAttempts:
    """The attempts of one client to connect for the first time; its caller gets an answer within two
    seconds."""

    def __init__(self, wait: float, delay: float, times: ConnectTimes, now: float) -> None:
        """wait: seconds for which a service, or a name server, that is not there yet is tried again. delay:
        seconds that each attempt may take longer, because Pyro5's settings give the look-up more time. now:
        the time, on the clock of all of this."""
        self._wait, self._times = wait, times
        self._patience = times.first + delay
        self._until = now + wait
        self._pause = times.first_pause
        self._waited = ""

    def deadline(self, now: float) -> float:
        """When an attempt that begins now must have ended."""
        return now + self._patience

    def pause_after(self, error: EventServiceError, now: float) -> float:
        """How many seconds to wait after a failed attempt. Raises the error if waiting cannot help."""
        left = 0.0
        if isinstance(error, (ServiceNotFoundError, ServiceUnreachableError)):
            left = self._until - now if error.temporary else 0.0
            if left <= 0:
                error.args = (f"{error}{self._waited}",)
        if left <= 0:
            raise error.with_traceback(None) from None  # only the caller's own frames help
        pause = min(self._pause, left)
        self._waited = f" (after waiting {self._wait:g} s)"
        self._pause = min(2 * self._pause, self._times.last_pause)
        return pause


def connect_first(attempt: Callable[[float], object], wait: float, delay: float, times: ConnectTimes) -> None:
    """Connect for a constructor.

    Args:
        attempt: makes one attempt, which ends at the given time on the monotonic clock.
        wait, delay, times: as for FirstAttempts.

    Raises:
        EventServiceError: as the last attempt did; at once if waiting cannot help.
    """
    attempts = FirstAttempts(wait, delay, times, time.monotonic())
    while True:
        try:
            attempt(attempts.deadline(time.monotonic()))
            return
        except EventServiceError as error:
            if is_foreign(error, EventServiceError):
                raise
            pause = attempts.pause_after(error, time.monotonic())
        time.sleep(pause)
