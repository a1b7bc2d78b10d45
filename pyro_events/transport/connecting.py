"""Connecting: makes a blocking socket, with TLS if Pyro5's settings say so, or says why it cannot.

Knows: names, sockets, TLS, and how to tell whether the other side speaks TLS. Must not know: what is said on
a connection, or which program asks.

Every wait ends at a deadline on the monotonic clock, including the look-up of a host name.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from typing import Any, Final, NamedTuple

from Pyro5 import config

from ..foreign_exceptions import is_foreign
from ..wire.handshake.messages import write_connect
from .addresses import UNIX, is_ip_address
from .authentication import STOCK_HELLO
from .tls_socket import TlsSocket

# How long a peer that has just failed to answer is given to show whether it speaks TLS, in seconds.
_EXAMINATION: Final = 0.5

SWITCH_ON: Final = (
    "it speaks TLS, and this program does not: set Pyro5's SSL here (PYRO_SSL=1) and SSL_CACERTS, the "
    "authority of its certificate"
)
SWITCH_OFF: Final = (
    "it does not speak TLS, and this program does, because Pyro5's setting SSL is on here: switch it off "
    "(PYRO_SSL=0), or on there, where it needs SSL_SERVERCERT"
)


class Trouble(NamedTuple):
    """Why TLS is the cause. certain: whether that was observed, so that trying again will not help."""

    text: str
    certain: bool


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
        raise TimeoutError(f"looking up the host {host!r} takes too long")
    (answer,) = found
    if isinstance(answer, Exception):
        reason = getattr(answer, "strerror", None) or str(answer)
        raise OSError(f"the host {host!r} cannot be looked up ({reason})") from None
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
    except TimeoutError as error:
        sock.close()
        if is_foreign(error, TimeoutError):
            raise
        raise TimeoutError("no connection in time: its machine is off, or a firewall is in the way") from None
    except OSError as error:
        sock.close()
        if error.errno == errno.ECONNREFUSED and not is_foreign(error, OSError):
            raise ConnectionRefusedError(error.errno, "nothing listens there (connection refused)") from None
        raise
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


def reason(error: BaseException) -> str:
    """What an exception of a connection says, without numbers and class names."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def tls_trouble(error: BaseException, secured: bool, host: str, port: int, deadline: float) -> Trouble | None:
    """Whether TLS is the reason why a connected peer did not answer the handshake; None if not.

    secured: whether this side used TLS. Connects once more if that is needed to find out.
    """
    if host.startswith(UNIX) or isinstance(error, TimeoutError):
        return None
    until = min(deadline, time.monotonic() + _EXAMINATION)
    if not secured:
        return Trouble(SWITCH_ON, True) if speaks_tls(host, port, until) else None
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"its certificate is not accepted here: {error.verify_message}; Pyro5's SSL_CACERTS names the "
            "authority to trust, and the certificate must name the host that is connected to",
            True,
        )
    if "ALERT" not in (getattr(error, "reason", None) or "") and speaks_plainly(host, port, until):
        return Trouble(SWITCH_OFF, True)
    if isinstance(error, (ssl.SSLError, ConnectionError)):
        ours = (
            "it may not accept the certificate that Pyro5's SSL_CLIENTCERT names"
            if config.SSL_CLIENTCERT
            else "it may require a certificate of its clients, and Pyro5's SSL_CLIENTCERT names none here"
        )
        return Trouble(f"{reason(error)}; {ours}", False)
    return None


def speaks_tls(host: str, port: int, deadline: float) -> bool:
    """Whether the peer answers the first message of TLS with a message of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    # A record of a handshake or of an alert, then the first half of the version.
    return _first_bytes(host, port, outgoing.read(), deadline) in (b"\x16\x03", b"\x15\x03")


def speaks_plainly(host: str, port: int, deadline: float) -> bool:
    """Whether the peer answers Pyro's first message, sent without TLS, with a message of Pyro.

    The message is for an object that does not exist, and contains nothing of this program.
    """
    return _first_bytes(host, port, write_connect("?", STOCK_HELLO), deadline) == b"PY"


def _first_bytes(host: str, port: int, message: bytes, deadline: float) -> bytes:
    """The first two bytes of an answer; fewer if there is none."""
    received = b""
    try:
        with connect(host, port, deadline) as sock:
            sock.sendall(message)
            while len(received) < 2 and (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                data = sock.recv(2 - len(received))
                if not data:
                    break
                received += data
    except OSError as error:
        if is_foreign(error, OSError):
            raise
    return received
