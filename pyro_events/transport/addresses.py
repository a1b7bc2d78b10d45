"""Addresses: how hosts and ports are spelled, in arguments, in options and in URIs.

Knows: names, IP addresses, brackets and ports. Must not know: sockets, or which programs listen.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from ..foreign_exceptions import is_foreign

UNIX: Final = "./u:"
# The longest URI, in characters: far more than a host and an object id need.
MAX_URI: Final = 1000
# An IPv4 address. `ipaddress` is not used: it would mistake a ValueError of a signal handler for its own.
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)
# The longest name of a host, in characters.
_MAX_HOST: Final = 255
# Characters that no host name contains, in any alphabet.
_NOT_IN_A_NAME: Final = re.compile(r"[\s@/\\\[\](){}<>\"',;:?#]|[\x00-\x1f\x7f]")


def format_address(host: str, port: int) -> str:
    """`host:port` as in a Pyro URI, with an IPv6 address in brackets; a Unix domain socket as it is."""
    if host.startswith(UNIX):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ip_address(host: str) -> bool:
    """Whether `host` is an IPv4 or IPv6 address, and not a name."""
    if ":" not in host:
        return bool(_IPV4.fullmatch(host))
    try:
        ipaddress.IPv6Address(host)
    except ValueError as error:
        if is_foreign(error, ValueError):
            raise
        return False
    return True


def unmapped(host: str) -> str:
    """The IPv4 address of one that a socket for both versions calls ::ffff:192.0.2.7; any other address as it
    is."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def is_same_machine(ours: str, peer: str) -> bool:
    """Whether the two addresses of a connection belong to one machine, as far as they show it."""
    ours, peer = unmapped(ours), unmapped(peer)
    return peer == ours or peer.startswith("127.") or peer == "::1"


def checked_host(name: str, value: object, unix: bool = False) -> str | None:
    """A host as sockets take it: an IPv6 address without its brackets; None for None and "".

    name: of the argument, for the error. unix: whether `./u:path`, a Unix domain socket, is allowed. Raises
    TypeError or ValueError that says what to write.
    """
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        value = str(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a host's name or IP address, a str, not {type(value).__name__}")
    if value == "":
        return None
    if value.startswith(UNIX):
        if unix and len(value) > len(UNIX):
            return value
        raise ValueError(f"{name}={value!r} cannot be a Unix domain socket: give a host's name or IP address")
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in inner and is_ip_address(inner):
        return inner
    host, _, port = value.rpartition(":")
    if port.isdecimal() and host and not _NOT_IN_A_NAME.search(host.strip("[]").replace(":", "")):
        raise ValueError(f"{name}={value!r} contains a port: give {name}={host!r} and the port by itself")
    if not _is_name(value):
        shown = repr(value) if len(value) <= _MAX_HOST else f"{value[:60]!r}..."
        raise ValueError(
            f"{name}={shown} is not a host: give a name or an IP address, such as lab-server, 192.0.2.7 or "
            "::1"
        )
    return value


def _is_name(text: str) -> bool:
    """Whether a text may be the name of a host, or an IPv4 address."""
    return len(text) <= _MAX_HOST and text.isprintable() and not _NOT_IN_A_NAME.search(text)


def checked_port(name: str, value: object, least: int = 1) -> int | None:
    """A port; None for None. least: 0 if that stands for any free port.

    Raises TypeError or ValueError that names the argument.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a port, an int, not {type(value).__name__}")
    if not least <= value < 65536:
        raise ValueError(f"{name}={value} is not a port: ports go from {least} to 65535")
    return value


def check_uri(uri: str) -> None:
    """Refuse a text that is too long or too strange for a URI, before Pyro5 parses it. Raises ValueError.

    Pyro5's regular expression takes quadratic time for some texts, and others garble logs and statistics.
    """
    if len(uri) > MAX_URI or not uri.isprintable():
        raise ValueError(f"{uri[:60]!r}... is not a Pyro URI: it has at most {MAX_URI} printable characters")


def split_address(text: str) -> tuple[str, int]:
    """The host and the port of `host:port` or `[IPv6 address]:port`.

    Raises ValueError whose text says what is wrong.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ValueError("the port is missing")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare and (bare == host or not is_ip_address(bare)):
        raise ValueError("an IPv6 address must be in brackets, followed by the port")
    if not bare or (bare != host and ":" not in bare) or (":" not in bare and not _is_name(bare)):
        raise ValueError(f"{host!r} is not a host")
    if not (port.isascii() and port.isdecimal()):
        raise ValueError(f"{port!r} is not a port")
    if len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError(f"{port} is not a port: ports go from 1 to 65535")
    return bare, int(port)
