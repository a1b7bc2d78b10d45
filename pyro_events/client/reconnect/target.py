"""What a keeper asks of the subscriber that it keeps subscribed.

Knows: the questions. Must not know: who asks them, when, or how they are answered.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol


class SubscriptionStatus(enum.Enum):
    """How a subscriber stands with the service."""

    KNOWN = "it has subscriptions of ours"
    UNSURE = "the same, but it was asked on another connection than we subscribed on"
    UNKNOWN = "it does not know us: it was started anew, or has given us up"


class ReconnectTarget(Protocol):
    """A subscriber as its keeper sees it. Everything may be called from the keeper's thread."""

    def wanted(self) -> bool:
        """Whether it has subscriptions. Must not wait."""

    def activity(self) -> int:
        """A number that changes when events come."""

    def address(self) -> str:
        """Where the service is, or was last."""

    def reach(self) -> bool:
        """Connect to the service, if there is no connection to it. May raise.

        Returns whether it is another connection than the one that it was last subscribed on.
        """

    def subscribe_again(self, anew: bool) -> None:
        """Tell the service of every subscription. anew: we have no connection of it. May raise."""

    def ask(self, timeout: float) -> SubscriptionStatus:
        """Ask the service how we stand. Raises what keeps it from answering."""

    def drop_link(self, reason: str) -> None:
        """Give up the connection that is asked on; what is asked next goes over another."""

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections of the service to us, which it does not use any more."""
