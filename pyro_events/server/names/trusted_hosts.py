"""Trusted hosts: to which hosts the service connects because a name server has their addresses.

Knows: where the name server is, and which addresses its machine has. Must not know: what the service connects
to there, or why.

Anybody can write to a name server without a passphrase. An entry there must not make the service connect to a
host of a stranger's choice, or look up names.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Final

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class TrustedHosts:
    """The name server's own host, in every spelling, and the hosts that were allowed."""

    def __init__(self, name_server: str, address: str, local: str, allowed: frozenset[str]) -> None:
        """name_server: its host, as it was found. address: the one at which it was reached. local: this
        machine's address towards it. allowed: other IP addresses."""
        self._names = {name_server.lower(), address} - {""}
        self._allowed = allowed
        # The connection has the same address at both ends: then the name server is on this machine.
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
    """Whether this machine has an address: then a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return not ipaddress.ip_address(address).is_unspecified
    return False
