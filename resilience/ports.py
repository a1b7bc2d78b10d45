"""Ports that stay free until they are used, also while a server restarts.

Knows: which ports systems give to outgoing connections. Must not know: what will listen.
"""

from __future__ import annotations

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below the ports that Linux (32768), macOS and Windows (49152) give to outgoing connections: any connection
# could take such a port before the server has started, or started again.
_FIRST, _LAST = 15000, 32000

_ports = range(_FIRST, _LAST)


def use_part(number: int, parts: int) -> None:
    """Use only ports of one part from now on, so that processes that ask at the same time never get the
    same."""
    global _ports
    _ports = range(_FIRST, _LAST)[number::parts]


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    while True:
        port = random.SystemRandom().choice(_ports)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
