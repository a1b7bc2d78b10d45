"""Reconnection: the interface between one subscriber and the reconnector.

Knows: what the subscriber reports, and what it asks. Must not know: who carries that out, or what
follows from an event.
"""

from __future__ import annotations

import time

from ..interruptions import WakeUp
from .events import Closed, Connected, Disconnected, Listened, Paused, Report
from .reconnector import Reconnector, shared
from .state import ReconnectState, State
from .target import ReconnectTarget
from .times import ReconnectTimes


class Reconnection:
    """The interface between one subscriber and the reconnector."""

    def __init__(
        self,
        target: ReconnectTarget,
        reconnector: Reconnector | None = None,
        times: ReconnectTimes | None = None,
    ) -> None:
        """reconnector: the program's, if None. times: the usual ones, if None; may be changed later."""
        self.target = target
        self.times = ReconnectTimes() if times is None else times
        self.state = ReconnectState()
        # Not a Condition: see stream/event_source.py, where threads wait for a connection too.
        self.waiting: list[WakeUp] = []
        self._reconnector = shared if reconnector is None else reconnector

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return self._reconnector.entered

    def subscriptions_changed(self) -> None:
        """Subscriptions were added or removed."""
        self._reconnector.feed(self, None)

    def listened(self) -> None:
        """`listen` has begun."""
        self._reconnector.feed(self, Listened())

    def paused(self) -> None:
        """`listen` has ended. Does not wait for a running request."""
        self._reconnector.feed(self, Paused())

    def closed(self) -> None:
        """Make no further request, for good. Does not wait for a running one: see `join`."""
        self._reconnector.feed(self, Closed())

    def join(self) -> None:
        """Wait for the end of a running request, after `closed`."""
        self._reconnector.join(self)

    def connected_by(
        self, connection: object, why: str = "", note: str = "", own: bool = False
    ) -> str | None:
        """The service is connected. Returns why events may have been missed, None if none were.

        why, note, own: as for the event Connected.
        """
        actions = self._reconnector.feed(self, Connected(connection, why, note, own))
        return next((action.reason for action in actions if isinstance(action, Report)), None)

    def disconnected(self, connection: object) -> None:
        """A connection has ended; it may not be the service's, or may have been reported already."""
        self._reconnector.feed(self, Disconnected(connection))

    def hinted(self) -> None:
        """The service may have disconnected us, and we may not have learned of it."""
        self._reconnector.hinted(self)

    def wait_until_connected(self, timeout: float | None) -> bool:
        """Wait until the service is connected to us, or this is closed. Returns whether it is connected.

        In the middle of an event it does not wait, because the next one is handled after that.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        woken = WakeUp()
        self.waiting.append(woken)
        try:
            # Looked at after it is among those that are woken.
            while not (self.state.connections or self.state.state is State.CLOSED or self.entered):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                woken.wait(left)
        finally:
            self.waiting.remove(woken)
        return bool(self.state.connections)

    def disown(self) -> None:
        """In a forked child: the subscriptions are the parent's."""
        self.state = ReconnectState(State.CLOSED)
        self.waiting = []
