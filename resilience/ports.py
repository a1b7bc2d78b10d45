"""Ports that stay free until they are used, also between two lives of a server.

Knows: which ports systems give to outgoing connections. Must not know: what will listen.
"""

from __future__ import annotations

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below those that Linux (32768), macOS and Windows (49152) take for connections that name none: such a one
# may be taken by anybody's connection before the server has started, or has started again.
_FIRST, _LAST = 15000, 32000


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = random.SystemRandom().randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
