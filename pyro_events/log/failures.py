"""Failures: remembers which of them have been logged, so that each is logged once.

Knows: the peer and the reason of a failure, as text. Must not know: what a failure is, or how it is logged.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# How many failures are told apart; the one that was seen longest ago is forgotten first.
MOST: Final = 4_096


class Failures:
    """The failures that have been logged, by peer and reason. For one thread at a time."""

    def __init__(self, most: int = MOST) -> None:
        """most: how many are remembered."""
        self._most = most
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_new(self, peer: str, reason: str) -> bool:
        """Whether this peer has not failed for that reason before; from now on it has."""
        key = peer, reason
        if key in self._known:
            self._known.move_to_end(key)
            return False
        self._known[key] = None
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return True
