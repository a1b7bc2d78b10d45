"""What is done with connected sockets, whether they block or not.

Knows: sockets. Must not know: what is sent on them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterable

from ..foreign_exceptions import is_foreign


def polled(sock: socket.socket, writable: bool, timeout: float) -> bool:
    """Whether a socket is writable, or else readable, within `timeout` seconds; at its end it is both."""
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLOUT if writable else select.POLLIN)
        return bool(poller.poll(timeout * 1000))
    ours = [sock]
    return any(select.select([] if writable else ours, ours if writable else [], [], timeout))


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
