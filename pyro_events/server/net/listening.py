"""Listening: where the service listens, and under which address it is known.

Knows: hosts, ports, this machine's addresses and Pyro5's settings HOST, NATHOST and NATPORT. Must not know:
which clients connect.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from typing import Final

from Pyro5 import config, socketutil

from ...log.background import get_logger
from ...transport.addresses import checked_host, checked_port, format_address, split_address

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = get_logger("pyro_events.service")

_WILDCARDS: Final = ("0.0.0.0", "::")
# Addresses that are reserved for documentation, so the route to them is the route to most others.
_ELSEWHERE: Final[dict[int, str]] = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8::1"}
_SIOCGIFADDR: Final = 0x8915


def bind(host: str | None, port: int, others: bool = False) -> socket.socket:
    """A bound TCP socket; the event loop makes it listen.

    host: a name or an IP address; None is Pyro5's setting HOST. port: 0 is any free one. others: take any
    free port if that one is taken. Raises OSError whose text says what is not available.
    """
    try:
        wanted = host or checked_host("Pyro5's setting HOST", config.HOST) or "localhost"
    except ValueError as error:
        raise OSError(str(error)) from None
    try:
        address = str(socketutil.get_ip_address(wanted))
    except OSError as error:
        raise OSError(f"the host {wanted!r} cannot be looked up ({error})") from None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == "::":  # IPv4 too, whatever the system's default is
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
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
        if error.errno == errno.EADDRNOTAVAIL:
            text = f"{wanted} is not an address of this machine; listen on one that is, or on 0.0.0.0 for all"
            raise OSError(error.errno, text) from None
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise OSError(
            error.errno, f"port {port} of {wanted} {reason}; choose another, or 0 for any free one"
        ) from None
    sock.setblocking(False)
    return sock


def location(
    host: str | None,
    sock: socket.socket,
    nathost: str | None = None,
    natport: int | None = None,
    towards: str = "",
) -> str:
    """The `host:port` at which others reach a bound socket, as in a Pyro URI.

    host: as it was given to `bind`. nathost, natport: the address to give to others instead; None is Pyro5's
    NATHOST, and the port that is bound. towards: this machine's address on the route to the name server.
    """
    address, port = sock.getsockname()[:2]
    if nathost is not None:
        return format_address(nathost, natport or port)
    name = host or checked_host("Pyro5's setting HOST", config.HOST) or str(address)
    if address in _WILDCARDS:
        # Clients cannot connect to "all addresses": use the address on the route to them.
        local = not towards or _is_loopback(towards) or (address == "0.0.0.0" and ":" in towards)
        name = outward_address(sock.family) if local else towards
    return format_address(name, port)


def nat_address(nathost: object, natport: object) -> tuple[str | None, int | None]:
    """The host and port to give to others: arguments, or Pyro5's settings NATHOST and NATPORT.

    Raises TypeError or ValueError for an argument that is not allowed.
    """
    host = checked_host("nathost", nathost) or checked_host("Pyro5's setting NATHOST", config.NATHOST)
    port = checked_port("natport", natport or None)
    if port is not None and host is None:
        raise ValueError(f"natport={port} needs a nathost, the host at which others reach that port")
    if port is None and config.NATPORT:
        port = checked_port("Pyro5's setting NATPORT", config.NATPORT)
    return host, port


def outward_address(family: int) -> str:
    """An address of this machine that others can reach; the loopback address if it has no other.

    family: of the socket. One for IPv6 accepts IPv4 too.
    """
    versions = (socket.AF_INET6, socket.AF_INET) if family == socket.AF_INET6 else (socket.AF_INET,)
    for version in versions:
        for found in _own_addresses(version):
            if not _is_loopback(found) and not found.startswith(("fe80:", "0.", "169.254.")):
                return found
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"


def _own_addresses(family: int) -> Iterator[str]:
    """This machine's addresses; first the one on the route to most others."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((_ELSEWHERE[family], 9))  # which sends nothing
        yield str(sock.getsockname()[0])
    with contextlib.suppress(OSError, UnicodeError):
        for info in socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM):
            yield str(info[4][0])
    # A network without a route to others has no such address, but each interface has its own.
    if family == socket.AF_INET and fcntl is not None:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            for _, interface in socket.if_nameindex():
                with contextlib.suppress(OSError):  # it has none
                    request = struct.pack("256s", interface.encode()[:15])
                    yield socket.inet_ntoa(fcntl.ioctl(sock, _SIOCGIFADDR, request)[20:24])


def warn_if_open(sock: socket.socket, ident: bool) -> None:
    """Log what others on the network can do at a bound socket, if they can do anything.

    ident: whether they must prove a passphrase.
    """
    if is_loopback(sock) or config.SSL:
        return
    address, port = sock.getsockname()[:2]
    where = format_address(address, port)
    if address in _WILDCARDS:
        where = f"port {port} of all addresses of this machine ({where})"
    if ident:
        log.warning(
            "listening on %s with ident but without TLS: somebody who can read the network can read every "
            "message, and somebody who can change what is sent can take over a connection; see "
            "docs/security.md",
            where,
        )
    else:
        log.warning(
            "listening on %s without ident or TLS: everybody who can reach it may use it",
            where,
        )


def warn_if_unreachable(where: str, name_server: str, towards: str) -> None:
    """Log that clients cannot reach the address that is registered in a name server of another machine.

    where: `host:port` that is registered. name_server: the name server's address, and towards: our address
    towards it.
    """
    host = split_address(where)[0]
    if towards and not _is_loopback(towards) and (_is_loopback(host) or host == "localhost"):
        log.warning(
            "the service registers in the name server at %s with the address %s, which other machines cannot "
            "reach: listen on one that they can (--host, 0.0.0.0 or :: for all), or give one with --nathost",
            name_server,
            where,
        )


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return _is_loopback(str(sock.getsockname()[0]))


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
