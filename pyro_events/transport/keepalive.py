"""Keepalive: how the kernel finds out that the other host has vanished.

Knows: TCP options. Must not know: what is sent.
"""

from __future__ import annotations

import socket
from typing import Final

from ..constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES
from .retransmission import retransmit_often

# Seconds of silence that end a connection to the service; it is easily made again.
_SHORT: Final = HEARTBEAT + HEARTBEAT_TRIES * HEARTBEAT_ANSWER
# Seconds of silence that end one of the service's to us. The service has as much patience, because what
# waits is lost with the connection, and need not be where only the network was away.
_LONG: Final = 120.0


def keep_alive(sock: socket.socket) -> None:
    """Have an idle connection to the service looked after, as far as the platform can.

    No TCP_USER_TIMEOUT: it would also end the connection of a publisher that is held up, because the
    service then does not read.
    """
    _probe(sock, _SHORT)


def keep_for_long(sock: socket.socket) -> None:
    """The same for a connection that was made to us. The service always reads what we answer."""
    _probe(sock, _LONG)
    retransmit_often(sock, _LONG)


def _probe(sock: socket.socket, patience: float) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", HEARTBEAT),
        ("TCP_KEEPINTVL", HEARTBEAT_ANSWER),
        ("TCP_KEEPCNT", (patience - HEARTBEAT) / HEARTBEAT_ANSWER),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(value))
