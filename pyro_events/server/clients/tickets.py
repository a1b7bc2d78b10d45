"""Tickets: which clients were told of the Unix socket, and which TCP connection a new one replaces.

Knows: tickets and receipts. Must not know: sockets, files, or how a connection is replaced.

A client at the Unix socket is accepted only with a ticket. Each is good once, and only as long as the TCP
connection is there to which it was given. So nobody can do there what they could not do over TCP, and a
client counts for the same host.
"""

from __future__ import annotations

import secrets
from typing import Generic, TypeVar

from ...wire.handshake.unix_offer import NO_OFFER, TICKET_BYTES, UnixOffer

C = TypeVar("C")


class Tickets(Generic[C]):
    """The tickets of the connections (C) that were told. path: of the Unix socket, "" if there is none."""

    def __init__(self) -> None:
        self.path = ""
        self._by_ticket: dict[str, tuple[C, UnixOffer]] = {}
        self._tickets: dict[C, str] = {}

    def __len__(self) -> int:
        """How many tickets are good."""
        return len(self._by_ticket)

    def offer(self, connection: C, seen: tuple[str, int] | None) -> UnixOffer:
        """What to tell the client of a TCP connection. seen: its address and port, None if it is of another
        machine."""
        if not self.path or seen is None:
            return NO_OFFER
        self.forget(connection)
        ticket, receipt = secrets.token_hex(TICKET_BYTES), secrets.token_hex(TICKET_BYTES)
        offer = UnixOffer(self.path, ticket, receipt, seen)
        self._by_ticket[ticket] = connection, offer
        self._tickets[connection] = ticket
        return offer

    def redeem(self, ticket: str) -> tuple[C, UnixOffer] | None:
        """The TCP connection to which a ticket was given, and the receipt for it; None if it is not good."""
        found = self._by_ticket.get(ticket)
        if found is None:
            return None
        connection, offer = found
        self.forget(connection)
        return connection, UnixOffer(receipt=offer.receipt)

    def forget(self, connection: C) -> None:
        """A connection has ended: its ticket, if it has one, is not good any more."""
        ticket = self._tickets.pop(connection, None)
        if ticket is not None:
            del self._by_ticket[ticket]
