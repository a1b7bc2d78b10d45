"""Opens one connection: a socket, TLS and the handshake, within one deadline.

Knows: an address, what to prove to the service there, and the texts of failures. Must not know: which
addresses there are, or what the connection is used for.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import Pyro5.core
import Pyro5.errors

from ...errors import ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...transport import connecting
from ...transport.addresses import UNIX
from ...transport.authentication import ClientHandshake
from ...transport.keepalive import TO_SERVICE, keep_alive
from ...transport.tls import client_context
from ...transport.tls_socket import TlsSocket
from ...wire.frames import TlsSpokenError
from ...wire.handshake.passphrase import Identity
from .connection import Connection


@dataclass(frozen=True)
class Attempt:
    """How to connect to a service.

    uri: of the service. identity: proves the passphrase, which the service must prove too. name: our name for
    the service. patience: seconds for connecting alone. deadline: of everything, on the monotonic clock.
    begun: called with the socket when it is connected, before the handshake.
    """

    uri: Pyro5.core.URI
    identity: Identity | None
    name: str
    patience: float
    deadline: float
    begun: Callable[[socket.socket], None] = lambda sock: None


def open_connection(attempt: Attempt) -> Connection:
    """Connect and do the handshake.

    Raises:
        ServiceUnreachableError: nothing answers there as an event service.
        AccessDeniedError: one side did not accept the other's proof.
        EventServiceError: TLS settings cannot be used.
    """
    uri = attempt.uri
    tried = False
    while True:
        introduction = ClientHandshake(attempt.identity, uri.object, uri.location)
        connection = _connected(attempt, introduction, tried)
        if connection is not None:
            return connection
        tried = True


def _connected(attempt: Attempt, introduction: ClientHandshake, tried: bool) -> Connection | None:
    """A connection after its handshake, or None if a second attempt is worthwhile."""
    uri, deadline = attempt.uri, attempt.deadline
    context = client_context() if not uri.sockname else None
    where = uri.location if context is None else f"{uri.location} (over TLS)"
    try:
        sock = _connected_socket(uri, min(deadline, time.monotonic() + attempt.patience), context)
    except OSError as error:
        if is_foreign(error, OSError):
            raise
        raise ServiceUnreachableError(
            f"the event service at {where} cannot be reached: {connecting.reason(error)}"
        ) from None
    try:
        attempt.begun(sock)
        if isinstance(sock, TlsSocket):
            sock.handshake(deadline)
        connection = Connection(sock, uri, attempt.name)
        if connection.greet(deadline, introduction, tried):
            return connection
    except (OSError, Pyro5.errors.ProtocolError) as error:
        sock.close()
        if is_foreign(error, OSError, Pyro5.errors.ProtocolError):
            raise
        raise _no_answer(error, uri, where, context is not None, deadline) from None
    except BaseException:
        sock.close()
        raise
    sock.close()
    return None


def _connected_socket(uri: Pyro5.core.URI, deadline: float, context: ssl.SSLContext | None) -> socket.socket:
    """A connected stream socket. This is the only place where a client's socket is made.

    context: makes it a TlsSocket, before the TLS handshake. Raises OSError.
    """
    if uri.sockname:
        return connecting.connect(UNIX + uri.sockname, 0, deadline)
    sock = connecting.connect(uri.host, uri.port, deadline)
    try:
        keep_alive(sock, TO_SERVICE)
        return sock if context is None else TlsSocket(sock, context, server_hostname=uri.host)
    except BaseException:
        sock.close()
        raise


def _no_answer(
    error: Exception, uri: Pyro5.core.URI, where: str, secured: bool, deadline: float
) -> ServiceUnreachableError:
    """Why the peer has not answered as an event service, in words."""
    host = UNIX + uri.sockname if uri.sockname else uri.host
    trouble = connecting.tls_trouble(error, secured, host, uri.port, deadline)
    if trouble is not None:
        text = trouble.text
    elif isinstance(error, TimeoutError):
        text = "no answer in time, although it accepts connections; it may hang, or be another program"
    else:
        text = connecting.reason(error)
    failure = ServiceUnreachableError(f"what listens at {where} does not answer as an event service: {text}")
    failure.temporary = trouble is None or not trouble.certain
    failure.tls = not failure.temporary or isinstance(error, (ssl.SSLError, TlsSpokenError))
    return failure
