"""Searches for the name server: at the address in the arguments or in Pyro5's settings, then by a broadcast.

Knows: where Pyro5 looks for a name server, and how to broadcast. Must not know: what a name server is asked.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Final

import Pyro5.core
import Pyro5.errors
from Pyro5 import config

from ..errors import ServiceNotFoundError
from ..foreign_exceptions import is_foreign
from ..wire.handshake.passphrase import Identity
from .addresses import checked_host, checked_port
from .name_server import NameServer
from .name_server_connection import NobodyThereError

# How long finding a name server and asking it may take, in seconds: a client's constructor answers within two
# seconds, and connecting to the service needs some of that.
LOOKUP: Final = 1.6
# If there is none at the usual address, wait for answers to a broadcast for so many seconds.
_BROADCAST: Final = 0.7
_SHOUT_EVERY: Final = 0.25
# Debian gives the machine's own name this address. The system answers at once, or has no such interface.
_OTHER_LOOPBACK: Final = "127.0.1.1"
_OTHER_LOOPBACK_TIME: Final = 0.2

CLIENT_REMEDY: Final = (
    "start one with the event service (`python -m pyro_events.es --embed-ns`), or give its address: by "
    "ns_host= and ns_port=, or by Pyro5's settings NS_HOST and NS_PORT (in the environment PYRO_NS_HOST and "
    "PYRO_NS_PORT); or pass the address of a running event service as es_uri"
)


def find_name_server(
    host: str | None,
    port: int | None,
    identity: Identity | None,
    timeout: float = LOOKUP,
    remedy: str = CLIENT_REMEDY,
) -> NameServer:
    """Connect to the name server. As Pyro5 does it, but the address in NS_HOST is tried before the broadcast.

    host, port: None stands for Pyro5's settings NS_HOST and NS_PORT; then, without identity, a broadcast
    follows if there is none at that address. timeout: seconds in all. remedy: the advice in the error. Raises
    ServiceNotFoundError, AccessDeniedError, or EventServiceError for unusable TLS settings.
    """
    deadline = time.monotonic() + timeout
    usual, number = _usual_place(host, port)
    explicit = host is not None or port is not None
    # Anybody may answer a broadcast, so there is none if a passphrase must be proved; IPv6 has none.
    shouts = not explicit and identity is None and config.PREFER_IP_VERSION != 6
    try:
        connect_by = deadline - _BROADCAST if shouts else deadline
        return NameServer(usual, number, identity, deadline, connect_by=connect_by)
    except NobodyThereError as error:
        text = str(error)
    if not explicit and (usual == "localhost" or usual.startswith("127.")):
        with contextlib.suppress(NobodyThereError):
            soon = min(deadline, time.monotonic() + _OTHER_LOOPBACK_TIME)
            return NameServer(_OTHER_LOOPBACK, number, identity, deadline, connect_by=soon)
    if shouts:
        answer = f"none has answered the broadcast on port {config.NS_BCPORT}"
        for uri in _broadcast(min(deadline, time.monotonic() + _BROADCAST)):
            try:
                return NameServer(uri.host, uri.port, identity, deadline)
            except NobodyThereError as error:
                answer = f"one has answered the broadcast, but {error}"
        text += f"; and {answer}"
    raise ServiceNotFoundError(f"{text}; {remedy}")


def _usual_place(host: str | None, port: int | None) -> tuple[str, int]:
    """The host and port of the arguments, or of Pyro5's settings. Raises ServiceNotFoundError."""
    try:
        usual = host or checked_host("Pyro5's setting NS_HOST", config.NS_HOST, unix=True) or "localhost"
        return usual, port or checked_port("Pyro5's setting NS_PORT", config.NS_PORT) or 9090
    except (TypeError, ValueError) as error:
        if is_foreign(error, TypeError, ValueError):
            raise
        failure = ServiceNotFoundError(f"no name server can be looked for: {error}")
        failure.temporary = False
        raise failure from None


def _broadcast(deadline: float) -> Iterator[Pyro5.core.URI]:
    """The addresses of the name servers that answer a broadcast."""
    heard: set[bytes] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        again = 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                again = now + _SHOUT_EVERY
                for address in config.BROADCAST_ADDRS:
                    _send(sock, address)
            sock.settimeout(max(0.001, min(again, deadline) - now))
            data = _received(sock)
            if data is not None and data not in heard:
                heard.add(data)
                uri = _uri(data)
                if uri is not None:
                    yield uri


def _send(sock: socket.socket, address: str) -> None:
    try:
        sock.sendto(b"GET_NSURI", 0, (address, config.NS_BCPORT))
    except OSError as error:  # not every system can send to all of these addresses
        if is_foreign(error, OSError):
            raise


def _received(sock: socket.socket) -> bytes | None:
    """The next answer, None if none comes in time."""
    try:
        return sock.recvfrom(200)[0]
    except OSError as error:
        if is_foreign(error, OSError):
            raise
        return None


def _uri(data: bytes) -> Pyro5.core.URI | None:
    """The URI in an answer; None if it has no usable one."""
    try:
        uri = Pyro5.core.URI(data.decode("ascii", "replace"))
    except Pyro5.errors.PyroError as error:
        if is_foreign(error, Pyro5.errors.PyroError):
            raise
        return None
    return uri if uri.protocol == "PYRO" and uri.host else None
