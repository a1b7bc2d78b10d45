"""The way by which a subscriber's events come: the service connects to its daemon, or it connects itself.

Knows: which of the two the program wants, whether the service offers both, and what is used now. Must not
know: when the other way is taken (the reconnector does), or what is subscribed.
"""

from __future__ import annotations

from typing import Any

from ....wire.handshake.capabilities import OWN_CONNECTION
from ...connection.current import CurrentConnection
from ...own_connection.attachment import Attachment


class EventWay:
    """own: whether events come over a connection of the subscriber's own, its attachment."""

    def __init__(self, callback: bool | None, current: CurrentConnection, attachment: Attachment) -> None:
        """callback: True: the service connects, False: the subscriber does, None: the subscriber does if the
        service cannot. current: the connection for control calls."""
        self._either = callback is None
        self._current = current
        self.own = callback is False
        self.attachment = attachment

    @property
    def falls_back(self) -> bool:
        """Whether the subscriber connects itself if the service cannot."""
        return self._either and not self.own and OWN_CONNECTION in self._current.peer.capabilities

    def change(self, proxy: dict[str, Any]) -> None:
        """Connect ourselves from now on. proxy: is subscribed until then."""
        self.attachment.instead_of = proxy
        self.own = True

    def attach(self, again: bool = False, quick: bool = False) -> dict[str, str]:
        """As `Attachment.attach`."""
        return self.attachment.attach(again, quick)


def checked_callback(callback: Any) -> bool | None:
    """The way that a program wants. Raises TypeError that says what is allowed."""
    if callback is not None and not isinstance(callback, bool):
        raise TypeError(f"callback must be True, False or None, not {type(callback).__name__}")
    return callback
