"""Neighbours: which hosts the service connects to because a name server says so.

Knows: where the name server is, and which addresses are its machine's. Must not know: what is connected
to there, or why.

Anybody can write to a name server without a passphrase. What is entered there must not have the service
connect to hosts of a stranger's choice, nor have it look names up.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Final

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Neighbours:
    """The name server's own host, however it is spelled, and the hosts that were allowed."""

    def __init__(self, name_server: str, address: str, local: str, allowed: frozenset[str]) -> None:
        """name_server: its host, as it was found. address: the one that it was reached at. local: this
        machine's towards it. allowed: other IP addresses."""
        self._names = {name_server.lower(), address} - {""}
        self._allowed = allowed
        # It is reached from the same address that it has: then this machine is its host.
        self._here = bool(address) and address == local

    def include(self, host: str) -> bool:
        """Whether a host, as a URI spells it, is one of them."""
        host = host.strip("[]").lower()
        if host in self._names or host in self._allowed:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return self._here and host in {"localhost", socket.gethostname().lower()}
        if str(address) in self._names or str(address) in self._allowed:
            return True
        return self._here and (host in _LOOPBACK or (not address.is_loopback and _is_ours(str(address))))


def _is_ours(address: str) -> bool:
    """Whether an address is one of this machine's: a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return not ipaddress.ip_address(address).is_unspecified
    return False
