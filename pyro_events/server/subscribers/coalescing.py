"""Coalescing: when a few events that wait for a subscriber are sent.

Knows: the time between two calls. Must not know: events, backlogs, or how a call is made.

Calling a subscriber for each event costs the service and the subscriber far more than the event itself. So of
many events in close succession the first ones are sent at once, and those that follow wait a moment for each
other. A few that come close together now and then do not: to wait would delay them more than anything else
does, and would save little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from ...constants import KIB

# How many events are few, and how many bytes as backlogs count them: a small event counts about 300.
FEW: Final = 32
FEW_BYTES: Final = 10 * KIB
# Few events that come within this many seconds of the last call wait for others,
CLOSE: Final = 0.0005
# but not before so many calls in a row were that close together.
ALONE: Final = 8
# How long they wait, in seconds; uvloop's timers have a resolution of a millisecond.
MOMENT: Final = 0.001


class Coalescer:
    """The time between the calls to one subscriber."""

    __slots__ = ("_alone", "_close", "_close_until", "_in_a_row", "_loop", "_moment", "_send", "_timer")

    def __init__(
        self,
        send: Callable[[], object],
        close: float = CLOSE,
        moment: float = MOMENT,
        alone: int = ALONE,
    ) -> None:
        """send: called when what waited is to be sent. close, moment: seconds, and alone: calls, as above."""
        self._send = send
        self._close = close
        self._moment = moment
        self._alone = alone
        self._in_a_row = 0
        self._loop = asyncio.get_running_loop()
        self._close_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def called(self) -> None:
        """The subscriber is being called now."""
        self._close_until = time.monotonic() + self._close  # a loop's clock may move by milliseconds

    def wait(self) -> bool:
        """Whether a few events have to wait; then `send` is called when the wait is over. Otherwise they are
        sent now."""
        if self._timer is None:
            if time.monotonic() >= self._close_until:
                self._in_a_row = 0
                return False
            if self._in_a_row < self._alone:
                self._in_a_row += 1
                return False
            self._timer = self._loop.call_later(self._moment, self._over)
        return True

    def _over(self) -> None:
        self._timer = None
        self._send()

    def end(self) -> None:
        """Nothing waits any more, nor will; the reference to `send` is dropped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._send
