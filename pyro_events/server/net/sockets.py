"""Socket settings of the service's connections, in and out.

Knows: TCP options and which platform has them. Must not know: what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import sys
from typing import Final

from ...transport.retransmission import retransmit_often

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Files that are left for links to subscribers, the name server and logs, when clients take all others.
_RESERVE: Final = 32
# A peer that vanished without a word is noticed by the kernel within about two minutes. The user
# timeout also ends a peer that is alive but does not read, so it is long on purpose.
_PATIENCE: Final = 120
_OPTIONS: Final = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 30),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 6),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, _PATIENCE * 1000),
)


def tune(transport: asyncio.BaseTransport) -> None:
    """Have the kernel look after an idle connection, as far as the platform can."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    for name, level, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(level, option, value)
    retransmit_often(sock, _PATIENCE)


def descriptor(transport: asyncio.BaseTransport) -> int:
    """The file descriptor of a connection; -1 if it has none any more."""
    sock = transport.get_extra_info("socket")
    return sock.fileno() if sock is not None else -1


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the other side has closed its connection, though we are not reading from it."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poller.poll(0))


def make_room(connections: int) -> None:
    """Let this process open files for so many clients and as many subscribers, as far as it may."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _RESERVE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def files_for_each() -> int:
    """How many clients, and as many links to subscribers, this process may open files for."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else -1
    if resource is None or limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (limit - _RESERVE) // 2)


def is_last_room(transport: asyncio.BaseTransport) -> bool:
    """Whether so many files are open that the process should take in nobody else.

    The system gives each file the lowest number that is free.
    """
    sock = transport.get_extra_info("socket")
    if resource is None or sock is None:
        return False
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return bool(limit != resource.RLIM_INFINITY and sock.fileno() >= limit - _RESERVE)
