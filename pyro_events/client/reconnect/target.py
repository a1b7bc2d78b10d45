"""The methods of a subscriber that the reconnector calls.

Knows: the methods. Must not know: when they are called, or how they work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .events import Answered


class ReconnectTarget(Protocol):
    """A subscriber, as the reconnector sees it. Everything may be called from any thread."""

    def wanted(self) -> bool:
        """Whether it has subscriptions. Must not wait."""

    def falls_back(self) -> bool:
        """Whether it can connect itself, if the service cannot connect to it. Must not wait."""

    def activity(self) -> int:
        """A number that changes when events come. Must not wait."""

    def address(self) -> str:
        """The address of the service, or the last one. Must not wait."""

    def own_address(self) -> str:
        """The address that the service has to connect to. Must not wait."""

    def reach(self) -> None:
        """Connect to the service, if there is no connection to it. May raise."""

    def ask(self, timeout: float) -> Answered:
        """Ask the service what it knows about the subscriber. Raises an error if the service does not
        answer."""

    def subscribe_again(self, anew: bool) -> None:
        """Send every subscription to the service. anew: say that it has no connection to us. Makes the
        connection for the events first, if that is ours to make, and there is none. May raise."""

    def fall_back(self, why: str) -> None:
        """Connect itself from now on, when `subscribe_again` is called next. why: the service's reason."""

    def drop_connection(self, reason: str) -> None:
        """Close the connection on which questions are sent; the next one uses another."""

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections of the service to us that it does not use any more."""
