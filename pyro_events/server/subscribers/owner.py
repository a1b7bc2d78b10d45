"""What a delivery asks of the service that it belongs to, and tells it.

Knows: the names and types of these parts. Must not know: which classes have them.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from ...broker.accounting import Loss
from ...log.failures import Failures
from ...transport.tls import LatestContext
from ..limits.scheduler import Scheduler
from ..net.tls_memory import TlsMemory

D = TypeVar("D", contravariant=True)


class ContactOwner(Protocol):
    """What connecting takes.

    client_tls: how connections are secured, None for not. tls_memory: what that takes is counted there.
    """

    client_tls: LatestContext | None
    tls_memory: TlsMemory


class DeliveryOwner(ContactOwner, Protocol[D]):
    """What the life of a delivery (D) takes.

    tls_failures: those that the log knows. scheduler: gives the deliveries their turns.
    """

    tls_failures: Failures
    scheduler: Scheduler

    def acknowledged(self, delivery: D) -> None:
        """Events have been handled or taken, so the backlog has shrunk."""

    def greeted(self, delivery: D) -> None:
        """The subscriber has answered our greeting."""

    def ended(self, delivery: D, reason: Loss, why: str) -> None:
        """The delivery is closed and will not come back. why: what the subscriber is told, "" for nothing."""
