"""Connection limits: which connections a subscriber's daemon may have, and which is closed for another.

Knows: which connections there are, from which hosts, and which have completed their handshake. Must not know:
sockets, threads, or what is said on a connection. One caller at a time uses it.

A silent connection costs a thread, and must not keep the service out. So only a few connections may be
without a handshake. Beyond that, a new one replaces the oldest one of the host that has most of them. Some
places are reserved for the service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

# The most connections at once. The service needs one; the others are for other objects of the program.
MAX_PEERS: Final = 200
# How many of them may be without a handshake.
MAX_UNGREETED: Final = 32
# How many are reserved for the service: for a connection that proves the passphrase, or comes from its
# address.
KEPT_FOR_SERVICE: Final = 8


class ConnectionLimits(Generic[T]):
    """The connections of one daemon."""

    def __init__(
        self, most: int = MAX_PEERS, ungreeted: int = MAX_UNGREETED, kept: int = KEPT_FOR_SERVICE
    ) -> None:
        self._most = most
        self._most_ungreeted = ungreeted
        self._kept = kept
        self._ungreeted: dict[T, str] = {}  # with their hosts, the oldest first
        self._greeted: dict[T, bool] = {}  # whether it is the service's

    def __len__(self) -> int:
        return len(self._ungreeted) + len(self._greeted)

    def __iter__(self) -> Iterator[T]:
        yield from list(self._ungreeted)
        yield from list(self._greeted)

    def __contains__(self, connection: object) -> bool:
        """Whether a connection is there, and was not replaced."""
        return connection in self._ungreeted or connection in self._greeted

    def add(self, connection: T, host: str) -> T | None:
        """Add a new connection. Returns which one must be closed for it, perhaps itself; None for none."""
        self._ungreeted[connection] = host
        if len(self._ungreeted) <= self._most_ungreeted and len(self) <= self._most:
            return None
        hosts = Counter(self._ungreeted.values())
        most = max(hosts.values())
        oldest = next(each for each, host in self._ungreeted.items() if hosts[host] == most)
        del self._ungreeted[oldest]
        return oldest

    def greet(self, connection: T, trusted: bool) -> bool:
        """A connection has completed its handshake. Returns whether it may stay. trusted: it is the
        service's."""
        if connection not in self._ungreeted:
            return False
        if not trusted and len(self._greeted) - sum(self._greeted.values()) >= self._most - self._kept:
            return False
        del self._ungreeted[connection]
        self._greeted[connection] = trusted
        return True

    def remove(self, connection: T) -> None:
        """A connection has ended."""
        self._ungreeted.pop(connection, None)
        self._greeted.pop(connection, None)
