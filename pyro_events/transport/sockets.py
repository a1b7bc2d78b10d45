"""What is done with connected sockets, whether they block or not.

Knows: sockets. Must not know: what is sent on them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from ..foreign_exceptions import is_foreign

# Nearly the longest time limit that `poll` takes, in seconds: 23 days.
_NO_LIMIT: Final = 2e6


def is_unix(sock: socket.socket) -> bool:
    """Whether a socket is a Unix socket.

    Asked without `sock.family`, which swallows a ValueError that a signal handler raises meanwhile.
    """
    return not isinstance(sock.getsockname(), tuple)


def time_limit(sock: socket.socket) -> float | None:
    """The timeout of a socket that waits for as long as it takes.

    Linux wakes a thread that waits in `recv` on a Unix socket also when the other side reads what was sent to
    it, for nothing. With a timeout, Python waits in `poll`, which wakes it only when there is something to
    read. On one core that is worth 13 % of the rate of acknowledged events.
    """
    return _NO_LIMIT if is_unix(sock) else None


def polled(sock: socket.socket, writable: bool, timeout: float) -> bool:
    """Whether a socket is writable, or else readable, within `timeout` seconds; at its end it is both."""
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLOUT if writable else select.POLLIN)
        return bool(poller.poll(timeout * 1000))
    ours = [sock]
    return any(select.select([] if writable else ours, ours if writable else [], [], timeout))


def send_pieces(sock: socket.socket, pieces: Sequence[bytes | memoryview]) -> None:
    """Send pieces of bytes, one after the other and together: one by one, each wakes the other side for
    nothing. Raises OSError."""
    sent = sock.sendmsg(pieces) if hasattr(sock, "sendmsg") else 0
    for piece in pieces:
        if sent < len(piece):
            sock.sendall(memoryview(piece)[sent:])
        sent = max(0, sent - len(piece))


def shut_down(sock: socket.socket) -> None:
    """End a connection, and wake a thread that waits for it; it may have ended already."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if is_foreign(error, OSError):
            raise


def let_go(descriptors: Iterable[int]) -> None:
    """Replace descriptors by those of /dev/null, in a forked child that shares their sockets with its parent.

    Then only the parent has the sockets, nothing is sent on them, and objects in the child that still have a
    descriptor's number close nothing that the child opens later.
    """
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for number in set(descriptors) - {null}:
            with contextlib.suppress(OSError):  # it is not open, so there is nothing to let go of
                os.fstat(number)
                os.dup2(null, number, inheritable=False)
    finally:
        os.close(null)
