"""Departures: why subscribers were disconnected, to tell them when they ask or reconnect.

Knows: subscribers by their URIs, and how many are remembered. Must not know: deliveries, or the reasons
themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from ...wire.handshake.greeting_notes import shortened

# How many subscribers are remembered, the last ones: a few hundred bytes each.
MOST: Final = 2_000


class Standing(NamedTuple):
    """The state of a subscriber at the service.

    subscriptions: how many it has, NOT_KNOWN if there is no such subscriber. state: of its delivery. why: why
    it gets no events, or was disconnected; "" if there is nothing to say.
    """

    subscriptions: int
    state: str
    why: str


def remembered_as(subscriber: str, user: str) -> str:
    """What the departure of a user's subscriber is remembered by."""
    return f"{user}\n{subscriber}" if user else subscriber


class Departure(NamedTuple):
    """why: in words, "" if there is nothing to say. host: where the subscriber was. subscribed_from: the host
    of the call that subscribed it. user: the caller's."""

    why: str = ""
    host: str = ""
    subscribed_from: str = ""
    user: str = ""


class Departures:
    """The last subscribers that were disconnected."""

    def __init__(self, most: int = MOST) -> None:
        """most: how many are remembered."""
        self._most = most
        self._last: OrderedDict[str, Departure] = OrderedDict()

    def note(self, subscriber: str, departure: Departure) -> None:
        """A subscriber was disconnected."""
        self._last.pop(subscriber, None)
        if departure.why:  # which may quote what the subscriber sent
            self._last[subscriber] = departure._replace(why=shortened(departure.why))
            if len(self._last) > self._most:
                self._last.popitem(last=False)

    def of(self, subscriber: str) -> Departure:
        """The departure of a subscriber, if it is remembered."""
        return self._last.get(subscriber, _NOTHING)

    def forget(self, subscriber: str) -> None:
        """The subscriber has been told."""
        self._last.pop(subscriber, None)


_NOTHING: Final = Departure()
