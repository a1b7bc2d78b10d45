"""Memory: what subscriptions take, to whom that is counted, and how much it may be.

Knows: the size of a name's, of a pattern's and of a subscriber's records, and the bounds. Must not know: who
an owner is (any text), subjects' meaning, or how anything is matched.

The figures are measured (tests/broker/test_memory.py compares them with what is really taken). A pattern
counts with what RE2 may take for it, which lies outside Python's heap.
"""

from __future__ import annotations

from collections.abc import Hashable
from sys import getsizeof
from typing import Final, Generic, TypeVar

from ..constants import SET_MEMORY, SET_PROGRAM

T = TypeVar("T", bound=Hashable)

# Entries in three dictionaries, one of which a name by itself does not share.
_NAME: Final = 400
# The same, the Pattern, and its places in a set.
_PATTERN: Final = 1000
# What a full set may take, for each step of its programs.
_STEP: Final = SET_MEMORY // SET_PROGRAM
# Its backlog, its link, and the kernel's and the loop's part of its connection.
_SUBSCRIBER: Final = 4096


def name_bytes(name: str, folded: str) -> int:
    """What a subscription to a name takes. folded: the name in the form in which it is compared."""
    return _NAME + getsizeof(name) + (0 if folded is name else getsizeof(folded))


def pattern_bytes(text: str, program_size: int) -> int:
    """What a subscription to a pattern takes, if nobody else is subscribed to it."""
    return _PATTERN + getsizeof(text) + _STEP * program_size


def subscriber_bytes(uri: str) -> int:
    """What a subscriber takes beside its subscriptions."""
    return _SUBSCRIBER + getsizeof(uri)


class SubscriptionMemory(Generic[T]):
    """What all subscribers take, and the owners of each."""

    def __init__(self, most: int, most_of_one: int) -> None:
        """Bounds in bytes: of all together, and of one owner."""
        self._most = most
        self._most_of_one = most_of_one
        self._sizes: dict[T, tuple[str, int]] = {}
        self._owners: dict[str, int] = {}
        self.total = 0

    def check(self, subscriber: T, owner: str, size: int) -> None:
        """Raise ValueError if a subscriber may not take so much. owner: of one that is not known yet."""
        owner, now = self._sizes.get(subscriber, (owner, 0))
        more = size - now
        if more > 0 and self._owners.get(owner, 0) + more > self._most_of_one:
            raise ValueError(
                f"the subscriptions of {owner or 'one host'} would take over {self._most_of_one} bytes of "
                "the event service's memory: use fewer or simpler ones, or start it with more "
                "--host-subscription-bytes"
            )
        if more > 0 and self.total + more > self._most:
            raise ValueError(
                f"all subscriptions would take over {self._most} bytes of the event service's memory: "
                "start it with more --total-subscription-bytes"
            )

    def note(self, subscriber: T, owner: str, size: int) -> None:
        """A subscriber takes so much now; one that takes nothing any more is forgotten."""
        owner, before = self._sizes.pop(subscriber, (owner, 0))
        if size:
            self._sizes[subscriber] = owner, size
        self.total += size - before
        held = self._owners.get(owner, 0) + size - before
        if held:
            self._owners[owner] = held
        else:
            self._owners.pop(owner, None)
