"""Departures: why subscribers were disconnected, so that they learn it when they ask or come back.

Knows: subscribers by their URIs, and for how many it is remembered. Must not know: links, or why anybody is
disconnected.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

# Subscribers of which it is remembered, the last ones: a few hundred bytes each.
MOST: Final = 2_000


class Departure(NamedTuple):
    """why: in words, "" if there is nothing to say. host: where the subscriber was. subscribed_from: where
    the call came from that made it one."""

    why: str = ""
    host: str = ""
    subscribed_from: str = ""


class Departures:
    """The last subscribers that were disconnected."""

    def __init__(self, most: int = MOST) -> None:
        """most: how many are remembered."""
        self._most = most
        self._last: OrderedDict[str, Departure] = OrderedDict()

    def note(self, subscriber: str, departure: Departure) -> None:
        """A subscriber was disconnected."""
        self._last.pop(subscriber, None)
        if departure.why:
            self._last[subscriber] = departure
            if len(self._last) > self._most:
                self._last.popitem(last=False)

    def of(self, subscriber: str) -> Departure:
        """What is remembered of a subscriber."""
        return self._last.get(subscriber, _NOTHING)

    def forget(self, subscriber: str) -> None:
        """It knows by now."""
        self._last.pop(subscriber, None)


_NOTHING: Final = Departure()
