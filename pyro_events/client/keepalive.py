"""Keepalive: how the kernel finds out that the other host has vanished.

Knows: TCP options. Must not know: what is sent.
"""

from __future__ import annotations

import socket
from typing import Final

from ..constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES

# After how many seconds the kernel gives up a connection that is idle and silent. Also one that does not take
# what is sent to it, where that is no publisher's: the service always reads what subscribers answer.
PATIENCE: Final = HEARTBEAT + HEARTBEAT_TRIES * HEARTBEAT_ANSWER


def keep_alive(sock: socket.socket) -> None:
    """Have an idle connection looked after, as far as the platform can.

    No TCP_USER_TIMEOUT: it would also end the connection of a publisher that is held up, because the
    service then does not read.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", HEARTBEAT),
        ("TCP_KEEPINTVL", HEARTBEAT_ANSWER),
        ("TCP_KEEPCNT", HEARTBEAT_TRIES),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(value))
