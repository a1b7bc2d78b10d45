"""Sockets and files: the state of a connection's socket, and how many files the process may open.

Knows: descriptors and the limit of open files. Must not know: what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import sys
from typing import Final

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Files that are reserved for deliveries to subscribers, the name server and logs when clients use all others.
_RESERVE: Final = 32


def descriptor(transport: asyncio.BaseTransport) -> int:
    """The file descriptor of a connection; -1 if it is closed."""
    sock = transport.get_extra_info("socket")
    return sock.fileno() if sock is not None else -1


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the other side has closed its connection, found out without reading from it."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poller.poll(0))


def raise_file_limit(connections: int) -> None:
    """Let this process open enough files for so many clients and as many subscribers, as far as it may."""
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
    """For how many clients, and as many deliveries to subscribers, this process may open files."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else -1
    if resource is None or limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (limit - _RESERVE) // 2)


def is_out_of_files(transport: asyncio.BaseTransport) -> bool:
    """Whether so many files are open that the process should accept no more clients.

    The system gives each file the lowest free number.
    """
    sock = transport.get_extra_info("socket")
    if resource is None or sock is None:
        return False
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return bool(limit != resource.RLIM_INFINITY and sock.fileno() >= limit - _RESERVE)
