"""The parts of the service that a delivery uses.

Knows: the names and types of these parts. Must not know: which classes have them.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from ...broker.accounting import Loss
from ...log.failures import Failures
from ...transport.tls import LatestContext
from ..limits.expiry import Expiry
from ..limits.scheduler import Scheduler
from ..net.tls_memory import TlsMemory

D = TypeVar("D", contravariant=True)


class ContactOwner(Protocol):
    """The parts that connecting needs.

    client_tls: the TLS contexts, None for no TLS. tls_memory: counts the memory of TLS.
    """

    client_tls: LatestContext | None
    tls_memory: TlsMemory


class DeliveryOwner(ContactOwner, Protocol[D]):
    """The parts that a delivery (D) needs.

    expiry: drops events that have waited too long. failures: those that were logged. scheduler: gives the
    deliveries their turns.
    """

    expiry: Expiry
    failures: Failures
    scheduler: Scheduler

    def acknowledged(self, delivery: D) -> None:
        """Events have been handled or sent, so the backlog has shrunk."""

    def greeted(self, delivery: D) -> None:
        """The subscriber has answered the handshake."""

    def ended(self, delivery: D, reason: Loss, explanation: str, why: str) -> None:
        """The delivery has ended and will not come back. explanation: why, "" if there is nothing to say.
        why: what to tell the subscriber, "" for nothing."""
