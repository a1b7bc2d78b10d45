"""Where the service listens, and under which address it is known.

Knows: hosts, ports and Pyro5's settings HOST, NATHOST and NATPORT. Must not know: who connects.
"""

from __future__ import annotations

import errno
import socket

from Pyro5 import config, socketutil

from ..background_log import get_logger
from .sockets import format_address

log = get_logger("pyro_events.service")


def bind(host: str | None, port: int, others: bool = False) -> socket.socket:
    """A bound TCP socket; the event loop makes it listen.

    host: a name or an IP address; None is Pyro5's setting HOST. port: 0 is any free one. others:
    take any free port if that one is taken. Raises OSError whose text says what cannot be had.
    """
    wanted = host or config.HOST
    try:
        address = str(socketutil.get_ip_address(wanted))
    except OSError as error:
        raise OSError(f"the host {wanted!r} is not known here ({error})") from None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            sock.bind((address, port))
            sock.listen()
        except OSError as error:
            if not others or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            sock.close()
            return bind(host, 0)
    except OSError as error:
        sock.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise OSError(
            error.errno, f"port {port} of {wanted} {reason}; choose another, or 0 for any free one"
        ) from None
    sock.setblocking(False)
    return sock


def location(host: str | None, sock: socket.socket) -> str:
    """The `host:port` under which others reach a bound socket, as it stands in a Pyro URI."""
    address, port = sock.getsockname()[:2]
    if config.NATHOST:
        return format_address(config.NATHOST, config.NATPORT or port)
    name = host or config.HOST
    if address in ("0.0.0.0", "::"):
        # Nobody can connect to "all addresses": name the one that faces the network.
        name = str(socketutil.get_ip_address("", workaround127=address == "0.0.0.0"))
    return format_address(name, port)


def warn_if_open(sock: socket.socket, where: str, ident: bool) -> None:
    """Say in the log what others on the network can do at a bound socket, if they can do anything.

    ident: whether they must prove a passphrase.
    """
    if is_loopback(sock) or config.SSL:
        return
    if ident:
        log.warning(
            "listening on %s, guarded by ident but without TLS: who can read the network reads every "
            "message, and one who can change what is sent can take a connection over; see docs/security.md",
            where,
        )
    else:
        log.warning(
            "listening on %s without ident or TLS: everybody who can reach it may use it",
            where,
        )


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    address = str(sock.getsockname()[0])
    return address.startswith("127.") or address == "::1"
