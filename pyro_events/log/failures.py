"""Failures: remembers which of them have been logged, so that each is logged once.

Knows: the peer and the reason of a failure, as text. Must not know: what a failure is, or how it is logged.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# How many peers are remembered; the one that failed longest ago is forgotten first.
MOST: Final = 4_096
# How many reasons of one peer are told apart.
_REASONS: Final = 16


class Failures:
    """The failures that have been logged, by peer and reason. For one thread at a time."""

    def __init__(self, most: int = MOST) -> None:
        """most: how many peers are remembered."""
        self._most = most
        self._known: OrderedDict[str, set[str]] = OrderedDict()

    def is_new(self, peer: str, reason: str) -> bool:
        """Whether this peer has not failed for that reason before; from now on it has."""
        reasons = self._known.setdefault(peer, set())
        self._known.move_to_end(peer)
        if reason in reasons:
            return False
        if len(reasons) >= _REASONS:
            reasons.clear()
        reasons.add(reason)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return True

    def remove(self, peer: str) -> None:
        """This peer does not fail any more: its next failure is new."""
        self._known.pop(peer, None)
