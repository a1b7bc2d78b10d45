"""Keepalive: how the kernel finds out that the other host has vanished, and how often it retransmits.

Knows: TCP options, and which platform has them. Must not know: what is sent.

TCP doubles its pause after each retransmission. If a network comes back after ten seconds, data that waited
for it, even the end of a connection, arrives up to six seconds later. A pause of at most a second costs one
packet a second for each connection whose network is down. It is unsuitable for a network with round trips of
a second: there everything would be sent several times.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Final, NamedTuple

from ..constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES
from .sockets import is_unix

# Its number in Linux's <linux/tcp.h>, from 6.15 on; Python has no name for it. In milliseconds, at least
# 1000.
_TCP_RTO_MAX_MS: Final = 44
_LONGEST_PAUSE: Final = 1000


class KeepAlive(NamedTuple):
    """How the kernel watches one kind of connection. All times are seconds.

    idle: silence before the kernel probes. interval: between two probes. probes: after so many unanswered
    ones the connection ends. patience: after so long without an acknowledgement of sent data the connection
    ends; data is then also retransmitted every second. None leaves both to the kernel.
    """

    idle: float
    interval: float
    probes: int
    patience: float | None = None


# A client's connection to the service; it is easy to make again. No patience: that would also end the
# connection of a publisher that is blocked, because the service then does not read.
TO_SERVICE: Final = KeepAlive(HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES)
# The service's connection to a subscriber, at the subscriber. The service always reads its answers. When the
# connection ends, waiting events are lost; two minutes avoid that if only the network was interrupted.
FROM_SERVICE: Final = KeepAlive(
    HEARTBEAT, HEARTBEAT_ANSWER, int((120 - HEARTBEAT) / HEARTBEAT_ANSWER), patience=120
)
# The service's own connections, both ways. The patience also ends a peer that is alive but does not read, so
# it is long on purpose.
AT_SERVICE: Final = KeepAlive(idle=30, interval=10, probes=6, patience=120)


def keep_alive(sock: socket.socket | None, how: KeepAlive) -> None:
    """Have the kernel watch a connection, as far as the platform can; None, and a Unix socket, whose other
    end is in the same kernel, are ignored."""
    if sock is None or is_unix(sock):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", how.idle),
        ("TCP_KEEPINTVL", how.interval),
        ("TCP_KEEPCNT", how.probes),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(value))
    if how.patience is not None:
        retransmit_often(sock, how.patience)


def retransmit_often(sock: socket.socket, patience: float) -> None:
    """Have the kernel retransmit every second, if it can.

    patience: seconds after which it ends the connection; by default it does so after fifteen retransmissions.
    """
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        with contextlib.suppress(OSError):  # an older kernel
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, _LONGEST_PAUSE)
