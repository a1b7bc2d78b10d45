"""Keepalive: how the kernel finds out that the other host has vanished, and how often it repeats.

Knows: TCP options, and which platform has them. Must not know: what is sent.

TCP doubles its pause with each repetition. When a network comes back after ten seconds, what waited for it,
even the end of a connection, comes up to six seconds later. A second at most between two repetitions
costs one packet a second for each connection whose network is away. It is not for a network with round
trips of a second: there everything would be sent several times.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Final, NamedTuple

from ..constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES

# Its name in Linux's <linux/tcp.h>, from 6.15 on; Python has none for it. In milliseconds, 1000 at least.
_TCP_RTO_MAX_MS: Final = 44
_LONGEST_PAUSE: Final = 1000


class KeepAlive(NamedTuple):
    """How one kind of connection is looked after. All times are seconds.

    idle: of silence before the kernel probes. interval: between two probes. probes: unanswered ones that
    end the connection. patience: for what was sent and is not acknowledged, which is also repeated every
    second then; None leaves that to the kernel.
    """

    idle: float
    interval: float
    probes: int
    patience: float | None = None


# A client's connection to the service; it is easily made again. No patience: it would also end the
# connection of a publisher that is held up, because the service then does not read.
TO_SERVICE: Final = KeepAlive(HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES)
# The service's connection to a subscriber, at the subscriber, whose answers the service always reads. What
# waits is lost with the connection, and need not be where only the network was away: two minutes.
FROM_SERVICE: Final = KeepAlive(
    HEARTBEAT, HEARTBEAT_ANSWER, int((120 - HEARTBEAT) / HEARTBEAT_ANSWER), patience=120
)
# The service's own, in and out. The patience also ends a peer that is alive but does not read, so it is long
# on purpose.
AT_SERVICE: Final = KeepAlive(idle=30, interval=10, probes=6, patience=120)


def keep_alive(sock: socket.socket | None, how: KeepAlive) -> None:
    """Have the kernel look after a connection, as far as the platform can; None is left alone."""
    if sock is None:
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
    """Have the kernel repeat every second what is not acknowledged, if it can.

    patience: seconds after which it ends the connection; by itself it would after fifteen repetitions.
    """
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        with contextlib.suppress(OSError):  # an older kernel
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, _LONGEST_PAUSE)
