"""A ReconnectState that events are given to, in a time of its own.

Knows: the state and its transitions. Must not know: any single rule of them.
"""

from __future__ import annotations

from pyro_events.client.reconnect.events import (
    Answered,
    Due,
    Failed,
    ReconnectAction,
    ReconnectEvent,
    SubscriptionStatus,
    TurnGranted,
    WaitForTurn,
)
from pyro_events.client.reconnect.state import NEVER, ReconnectState
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.client.reconnect.transitions import step

TIMES = ReconnectTimes(spread=lambda: 1.0)
REFUSED = Failed(OSError("nobody is there"), "OSError")
KNOWN = Answered(SubscriptionStatus.KNOWN)
UNSURE = Answered(SubscriptionStatus.UNSURE)
UNKNOWN = Answered(SubscriptionStatus.UNKNOWN)
REACHED = Answered(SubscriptionStatus.REACHED)


class DrivenState:
    """A state that events are given to, with the time and the actions."""

    def __init__(self) -> None:
        self.state = ReconnectState()
        self.now = 1000.0
        self.activity = 0

    def gets(self, *events: ReconnectEvent) -> list[ReconnectAction]:
        actions: list[ReconnectAction] = []
        for event in events:
            self.state, more = step(self.state, event, self.now, TIMES)
            actions += more
        return actions

    def waits(self, seconds: float | None = None) -> list[ReconnectAction]:
        """So long, or until something is due; the turn is granted at once."""
        at = self.state.due if seconds is None else self.now + seconds
        assert at < NEVER, f"{self.state} waits for nothing"
        self.now = max(self.now, at)
        actions = self.gets(Due(self.activity))
        return self.gets(TurnGranted()) if WaitForTurn() in actions else actions
