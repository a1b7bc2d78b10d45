"""Connecting: makes a blocking socket, with TLS if Pyro5's settings say so, or says why it cannot.

Knows: names, sockets and TLS. Must not know: what is said on a connection, which program asks, or what a
failure means (failures.py does).

Every wait ends at a deadline on the monotonic clock, including the look-up of a host name.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

from ..foreign_exceptions import is_foreign
from . import failures
from .addresses import UNIX, is_ip_address
from .failures import ANSWER_SIZE, Trouble
from .tls_socket import TlsSocket


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connected blocking socket, with the remaining time as its timeout. host: may be `./u:path`.

    Raises OSError whose text says what is wrong.
    """
    if host.startswith(UNIX):
        return _connected(socket.AF_UNIX, host[len(UNIX) :], deadline)
    failure: OSError = TimeoutError("no connection in time")
    addresses = _addresses(host, port, deadline)
    for number, (family, _, _, _, address) in enumerate(addresses):
        # The remaining addresses share the remaining time, so that a dead first one does not hide the second.
        left = (deadline - time.monotonic()) / (len(addresses) - number)
        try:
            return _connected(family, address, time.monotonic() + left)
        except OSError as error:
            if is_foreign(error, OSError):
                raise
            failure = error
    raise failure


def _addresses(host: str, port: int, deadline: float) -> list[tuple[Any, ...]]:
    """The addresses of a host. Raises OSError, TimeoutError if it takes too long."""
    found: list[Any] = []

    if is_ip_address(host) and ":" not in host:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))]
    # Bytes where possible: Python's codec for names would change an exception that a signal handler raises.
    name = host.encode() if host.isascii() else host

    def resolve() -> None:
        try:
            found.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            if is_foreign(error, OSError, UnicodeError):
                raise
            found.append(error)

    if is_ip_address(host) or host == "localhost":
        resolve()
    else:  # the look-up of a name may take long, and cannot be interrupted
        thread = threading.Thread(target=resolve, name="pyro_events-resolver", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
    if not found:
        raise failures.looked_up_too_long(host)
    (answer,) = found
    if isinstance(answer, Exception):
        raise failures.not_looked_up(host, answer) from None
    addresses: list[tuple[Any, ...]] = answer
    return addresses


def _connected(family: int, address: Any, deadline: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        sock.connect(address)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        sock.close()
        if is_foreign(error, OSError):
            raise
        raise failures.not_connected(error) from None
    except BaseException:
        sock.close()
        raise


def secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> TlsSocket:
    """Do the TLS handshake on a connected socket. Raises OSError; the socket is closed then."""
    try:
        secured = TlsSocket(sock, context, server_hostname=host)
    except BaseException:
        sock.close()
        raise
    try:
        secured.handshake(deadline)
    except BaseException:
        secured.close()
        raise
    return secured


def tls_trouble(error: BaseException, secured: bool, host: str, port: int, deadline: float) -> Trouble | None:
    """Whether TLS is the reason why a connected peer did not answer the handshake; None if not.

    secured: whether this side used TLS. Connects once more if that is needed to find out.
    """
    asked = failures.question(error, secured, host)
    until = min(deadline, time.monotonic() + failures.EXAMINATION)
    answer = _first_bytes(host, port, asked, until) if asked else b""
    return failures.trouble(error, secured, host, answer)


def _first_bytes(host: str, port: int, message: bytes, deadline: float) -> bytes:
    """The beginning of a peer's answer to a question; fewer bytes if there is none."""
    received = b""
    try:
        with connect(host, port, deadline) as sock:
            sock.sendall(message)
            while len(received) < ANSWER_SIZE and (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                data = sock.recv(ANSWER_SIZE - len(received))
                if not data:
                    break
                received += data
    except OSError as error:
        if is_foreign(error, OSError):
            raise
    return received
