"""Socket settings of the service's connections, in and out.

Knows: TCP options and which platform has them, and what the event loop is told about TLS. Must not
know: what is sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

# A peer that vanished without a word is noticed by the kernel within about two minutes. The user
# timeout also ends a peer that is alive but does not read, so it is long on purpose.
_OPTIONS: Final = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 30),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 6),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 120_000),
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


def secured(context: ssl.SSLContext | None, timeout: float, host: str | None = None) -> dict[str, Any]:
    """The event loop's arguments for TLS: none without a context.

    timeout: seconds for the whole handshake. host: for a client, what the certificate must name.
    """
    if context is None:
        return {}
    arguments = {"ssl": context, "ssl_handshake_timeout": timeout}
    return arguments if host is None else {**arguments, "server_hostname": host}


def format_address(host: str, port: int) -> str:
    """`host:port` as a Pyro URI spells it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
