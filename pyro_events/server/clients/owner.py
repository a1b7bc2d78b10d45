"""The parts of the service that a client's connection uses.

Knows: the names and types of these parts. Must not know: which classes have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from ...options import ServiceOptions
from ...wire.handshake.messages import Hello
from ...wire.handshake.unix_offer import UnixOffer
from ...wire.large_body import Pieces
from ..access import AccessControl
from ..limits.scheduler import Scheduler, SharedPool
from ..objects import RemoteObject

C = TypeVar("C", contravariant=True)


class CallQueueOwner(Protocol):
    """The parts that making calls needs. pool: does work in other threads; its result or exception comes
    later."""

    pool: SharedPool


class ConnectionTable(Protocol[C]):
    """All clients, one of which is a connection (C). pieces: the memory into which they receive what is
    large."""

    pieces: Pieces

    def accept(self, connection: C, crowded: bool) -> str | None:
        """A client has connected. Returns None, or why it is refused.

        crowded: the process can open hardly any more files.
        """

    def introduce(self, connection: C, hello: Hello) -> tuple[str, UnixOffer]:
        """A client has said its first message. Returns the host that it counts for, and what it is told of
        the Unix socket. Raises DaemonError."""

    def greeted(self, connection: C) -> None:
        """The client was accepted by what it has said."""

    def tls_failed(self, peer: str, reason: str) -> None:
        """A client from there was refused because of TLS."""

    def disconnected(self, connection: C) -> None:
        """The client is gone."""

    def watch(self, connection: C, unfinished: bool) -> None:
        """Whether a frame has begun and is not complete."""


class ConnectionOwner(CallQueueOwner, Protocol[C]):
    """The parts that reading and answering need.

    received: the buffer into which connections receive, one after the other; each takes its bytes out at
    once. objects: what can be called, by object id.
    """

    received: memoryview
    options: ServiceOptions
    access: AccessControl
    scheduler: Scheduler

    @property
    def objects(self) -> Mapping[str, RemoteObject]: ...

    @property
    def clients(self) -> ConnectionTable[C]: ...

    def deliver(self) -> None:
        """Calls have been made: send what they published."""
