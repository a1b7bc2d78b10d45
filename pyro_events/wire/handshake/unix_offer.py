"""The Unix socket of a service, in the handshake: what is said to a client of the same machine, and by it.

Knows: where a handshake says it, and how much of it is believed. Must not know: files, sockets, or which
clients are of the same machine.

    client                                service
    CONNECT   capability UNIX_SOCKET ---> over TCP
              <--- path, ticket, receipt, seen        CONNECT_OK
    CONNECT   ticket ----------------->   over the Unix socket at that path
              <--- receipt                            CONNECT_OK

The ticket says which TCP connection the new one replaces, so the service takes the client's address from
there and believes nothing. The receipt says that it is the same service: nobody else knows it. Neither of
them replaces the proof of a passphrase, which both handshakes have. They are additional keys, which stock
peers ignore.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

OFFER_KEY: Final = "unix"
TICKET_KEY: Final = "ticket"
# How many bytes a ticket, and a receipt, is made of; it is written in digits and letters from a to f.
TICKET_BYTES: Final = 16
# The most bytes of a path; some systems take no more than 104, with the NUL at its end.
MAX_PATH: Final = 100

_TICKET: Final = re.compile(f"[0-9a-f]{{{2 * TICKET_BYTES}}}")
_MAX_HOST: Final = 50


class UnixOffer(NamedTuple):
    """path: where else the service listens, "" for nowhere. ticket: what the client says there. receipt: what
    the service answers there. seen: the client's address and port, as the service sees them; if the client
    sees others, something is between the two."""

    path: str = ""
    ticket: str = ""
    receipt: str = ""
    seen: tuple[str, int] = ("", 0)

    def write(self, said: dict[str, Any]) -> None:
        """Add it, if there is anything, to the answer to a handshake."""
        if self.path:
            said[OFFER_KEY] = {
                "path": self.path,
                TICKET_KEY: self.ticket,
                "receipt": self.receipt,
                "seen": [*self.seen],
            }
        elif self.receipt:
            said[OFFER_KEY] = {"receipt": self.receipt}


NO_OFFER: Final = UnixOffer()


def read_unix_offer(said: Any) -> UnixOffer:
    """What an answer offers, or only its receipt; NO_OFFER for what is not acceptable."""
    offer = said.get(OFFER_KEY) if isinstance(said, dict) else None
    if not isinstance(offer, dict):
        return NO_OFFER
    receipt, ticket = read_ticket(offer, "receipt"), read_ticket(offer)
    path, seen = _path(offer.get("path")), _address(offer.get("seen"))
    if not path or not ticket or seen is None:
        return UnixOffer(receipt=receipt)
    return UnixOffer(path, ticket, receipt, seen)


def read_ticket(said: dict[str, Any], key: str = TICKET_KEY) -> str:
    """The ticket, or what has the same form, in a message; "" if there is none."""
    value = said.get(key)
    return value if isinstance(value, str) and _TICKET.fullmatch(value) else ""


def _path(value: Any) -> str:
    """An absolute path that a socket can have, "" for anything else."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        return ""
    return value if len(value.encode()) <= MAX_PATH else ""


def _address(value: Any) -> tuple[str, int] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    host, port = value
    if type(host) is not str or type(port) is not int or len(host) > _MAX_HOST:
        return None
    return host, port
