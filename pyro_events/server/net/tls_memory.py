"""TlsMemory: the memory that the TLS connections of a service hold, and the buffer into which they receive.

Knows: how much memory one connection takes, and how much all may take. Must not know: how bytes are secured,
or for which connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...constants import KIB

# The memory of one connection, OpenSSL's and ours, in bytes. Measured: 30 KiB at first, 50 KiB after a large
# message.
COST: Final = 52 * KIB
# Why there cannot be another connection.
TLS_FULL: Final = (
    "connections that use TLS hold three quarters of the service's total: see --total-backlog-bytes"
)
# How many bytes are received at a time, a little more than a record. A connection whose protocol does not
# read keeps them, and OpenSSL never frees the buffer that they were in.
_RECEIVE: Final = 17 * KIB


class TlsMemory:
    """What all TLS connections of a service share: the buffer into which they receive, and the count of the
    memory that they hold."""

    def __init__(self, space: memoryview, most: int, reserve: Callable[[int], None]) -> None:
        """most: bytes that they may hold together. reserve: called with the bytes that are held from now on,
        negative for less."""
        self.space = space
        self.received = space[:_RECEIVE]
        self._most = most
        self._held = 0
        self._reserve = reserve

    @property
    def full(self) -> bool:
        """Whether they hold more than they may."""
        return self._held > self._most

    def reserve(self, size: int) -> None:
        """size: bytes that are held from now on, negative for less."""
        self._held += size
        self._reserve(size)
