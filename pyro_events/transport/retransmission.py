"""Retransmission: how often the kernel repeats what the other host has not acknowledged.

Knows: two TCP options of Linux, one of them only of 6.15 and later. Must not know: what is sent.

TCP doubles its pause with each repetition. When a line comes back after ten seconds, what waited for it,
and be it the end of a connection, comes up to six seconds later. A second at most between two repetitions
costs a dead line one packet a second for each connection. A line that is slower than that is no place for
this: everything would be sent several times.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Final

# Its name in Linux's <linux/tcp.h>; Python has none for it. In milliseconds, 1000 at least.
_TCP_RTO_MAX_MS: Final = 44
_LONGEST_PAUSE: Final = 1000


def retransmit_often(sock: socket.socket, patience: float) -> None:
    """Have the kernel repeat every second what is not acknowledged, if it can.

    patience: seconds after which it ends the connection; by itself it would after fifteen repetitions.
    """
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        with contextlib.suppress(OSError):  # an older kernel
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, _LONGEST_PAUSE)
