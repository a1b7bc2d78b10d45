"""Socket settings of the service's connections, in and out.

Knows: TCP options and which platform has them. Must not know: what is sent.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Final

# A peer that vanished without a word is noticed by the kernel within about two minutes. The user
# timeout also ends a peer that is alive but does not read, so it is long on purpose.
_OPTIONS: Final = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 30),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 6),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 120_000),
)

# Descriptors for the loop, the listening sockets, the log, and a name server to be asked.
_RESERVE: Final = 20


def tune(transport: asyncio.BaseTransport) -> None:
    """Have the kernel look after an idle connection, as far as the platform can."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    for name, level, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(level, option, value)


def most_sockets() -> int:
    """How many sockets this process may have open, with some descriptors left for other things."""
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return 1 << 30
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (1 << 30) if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVE)


def allow_more_sockets() -> None:
    """Raise this process's limit of open files as far as it may without asking anybody."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the other side has closed its connection, though we are not reading from it."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poller.poll(0))


def format_address(host: str, port: int) -> str:
    """`host:port` as a Pyro URI spells it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
