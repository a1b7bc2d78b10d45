"""KeptEvent: a retained event, as the store and the replays of subscribers hold it.

Knows: who holds it, and what it counts for then. Must not know: when it is stored, replaced or delivered.
"""

from __future__ import annotations

from ...constants import RETAINED_OVERHEAD, EventRow, Payload
from ..accounting import TotalBytes, base_size, text_size


def kept_size(subject: str, key: str, payload: Payload) -> int:
    """What a retained event counts for, in bytes. key: its folded subject."""
    spelled = 0 if key == subject else text_size(key)
    return RETAINED_OVERHEAD + base_size(subject) + spelled + len(payload)


class KeptEvent:
    """An event that the store keeps, or that a replay still needs after another one has replaced it.

    key: its folded subject. number: it grows with each event that is kept. cost: what it counts for, in
    bytes.

    While the store keeps it, it counts for the store's own bound. What replays still hold after that counts
    for the total of all backlogs, once, until the last of them has let go of it.
    """

    __slots__ = ("_holders", "_payload", "_stored", "cost", "key", "number", "subject", "time")

    def __init__(self, subject: str, key: str, time: float, payload: Payload, number: int) -> None:
        self.subject = subject
        self.key = key
        self.time = time
        self.number = number
        self.cost = kept_size(subject, key, payload)
        self._payload = payload
        self._holders = 0
        self._stored = True

    def row(self, number: int) -> EventRow:
        """The row for a subscriber, for which it has that number."""
        return self.subject, self.time, number, 0, self._payload, True

    def hold(self) -> None:
        """One more replay needs it."""
        self._holders += 1

    def release(self, total: TotalBytes) -> None:
        """A replay needs it no more."""
        self._holders -= 1
        if not self._holders and not self._stored:
            total.value -= self.cost

    def discard(self, total: TotalBytes) -> None:
        """The store keeps it no more."""
        self._stored = False
        if self._holders:
            total.value += self.cost
