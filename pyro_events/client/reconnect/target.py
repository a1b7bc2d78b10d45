"""What the reconnector asks of a subscriber that it keeps subscribed.

Knows: the questions. Must not know: who asks them, when, or how they are answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .events import Answered


class ReconnectTarget(Protocol):
    """A subscriber, as the reconnector sees it. Everything may be called from any thread."""

    def wanted(self) -> bool:
        """Whether it has subscriptions. Must not wait."""

    def activity(self) -> int:
        """A number that changes when events come. Must not wait."""

    def address(self) -> str:
        """Where the service is, or was last. Must not wait."""

    def own_address(self) -> str:
        """Where the service has to connect to. Must not wait."""

    def reach(self) -> None:
        """Connect to the service, if there is no connection to it. May raise."""

    def ask(self, timeout: float) -> Answered:
        """Ask the service what it knows about the subscriber. Raises what keeps it from answering."""

    def subscribe_again(self, anew: bool) -> None:
        """Tell the service of every subscription. anew: it has no connection to us. May raise."""

    def drop_link(self, reason: str) -> None:
        """Give up the connection that questions are sent on; the next one goes over another."""

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections of the service to us, which it does not use any more."""
