"""Memory: what subscriptions take, which owner it counts for, and how much it may be.

Knows: the sizes of the records of a name, a pattern and a subscriber, and the bounds. Must not know: what an
owner is (any text), what subjects mean, or how anything is matched.

The figures are measured: tests/broker/test_memory.py compares them with the memory that is really taken. A
pattern counts with what RE2 may take for it, which is outside Python's heap.
"""

from __future__ import annotations

from collections.abc import Hashable
from sys import getsizeof
from typing import Final, Generic, TypeVar

from ...constants import SET_MEMORY, SET_PROGRAM

T = TypeVar("T", bound=Hashable)

# Entries in three dictionaries, one of which is not shared with other names.
_NAME: Final = 400
# The same, the Pattern, and its places in a set.
_PATTERN: Final = 1000
# The most that a full set takes for each step of its programs.
_STEP: Final = SET_MEMORY // SET_PROGRAM
# Its backlog, its delivery, and the memory of the kernel and the loop for its connection.
_SUBSCRIBER: Final = 4096


def name_bytes(name: str, folded: str) -> int:
    """The memory of a subscription to a name. folded: the name in the form in which it is compared."""
    return _NAME + getsizeof(name) + (0 if folded is name else getsizeof(folded))


def pattern_bytes(text: str, program_size: int) -> int:
    """The memory of a subscription to a pattern that no other subscriber has."""
    return _PATTERN + getsizeof(text) + _STEP * program_size


def subscriber_bytes(uri: str) -> int:
    """The memory of a subscriber without its subscriptions."""
    return _SUBSCRIBER + getsizeof(uri)


class SubscriptionMemory(Generic[T]):
    """The memory of all subscribers, and the owner of each."""

    def __init__(self, most: int, most_of_one: int) -> None:
        """Bounds in bytes: for all together, and for one owner."""
        self._most = most
        self._most_of_one = most_of_one
        self._sizes: dict[T, tuple[str, int]] = {}
        self._owners: dict[str, int] = {}
        self.total = 0

    def check(self, subscriber: T, owner: str, size: int) -> None:
        """Raise ValueError if a subscriber may not take so much. owner: for a subscriber that is not known
        yet."""
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

    def size(self, subscriber: T) -> int:
        """What a subscriber takes now; 0 if it is not known."""
        return self._sizes.get(subscriber, ("", 0))[1]

    def note(self, subscriber: T, owner: str, size: int) -> None:
        """A subscriber takes so much now; 0 forgets it."""
        owner, before = self._sizes.pop(subscriber, (owner, 0))
        if size:
            self._sizes[subscriber] = owner, size
        self.total += size - before
        held = self._owners.get(owner, 0) + size - before
        if held:
            self._owners[owner] = held
        else:
            self._owners.pop(owner, None)
