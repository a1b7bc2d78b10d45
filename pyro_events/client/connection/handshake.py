"""Opens one connection: a socket, TLS and the handshake, within one deadline.

Knows: an address, and in which order the steps are made. Must not know: what is said (greeting.py does),
which addresses there are, or what the connection is used for.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import Pyro5.core
import Pyro5.errors

from ...foreign_exceptions import is_foreign
from ...transport import connecting
from ...transport.addresses import UNIX
from ...transport.keepalive import TO_SERVICE, keep_alive
from ...transport.tls import client_context
from ...transport.tls_socket import TlsSocket
from ...transport.unix.unix_socket import (
    NO_UNIX_SOCKET,
    REFUSED,
    check_file,
    check_listener,
    note_failure,
    patience,
    worth_trying,
)
from ...wire.handshake.passphrase import Identity
from .connection import Connection
from .greeting import Greeting, host_of, no_answer, unreachable


@dataclass(frozen=True)
class Attempt:
    """How to connect to a service.

    uri: of the service. identity: proves the passphrase, which the service must prove too. name: our name for
    the service. patience: seconds for connecting alone. deadline: of everything, on the monotonic clock.
    begun: called with the socket when it is connected, before the handshake. wanted: whether anybody wants to
    know why the handshake has failed.
    """

    uri: Pyro5.core.URI
    identity: Identity | None
    name: str
    patience: float
    deadline: float
    begun: Callable[[socket.socket], None] = lambda sock: None
    wanted: Callable[[], bool] = lambda: True


def open_connection(attempt: Attempt) -> Connection:
    """Connect and do the handshake.

    Raises:
        ServiceUnreachableError: nothing answers there as an event service.
        AccessDeniedError: one side did not accept the other's proof.
        EventServiceError: TLS settings cannot be used.
    """
    tried = False
    while True:
        greeting = Greeting(attempt.identity, attempt.uri, attempt.name)
        connection = _connected(attempt, greeting, tried)
        tried = connection is None
        if connection is not None and worth_trying(connection.offer, connection.sock):
            connection = _over_unix(attempt, connection)
        if connection is not None:
            return connection


def _connected(attempt: Attempt, greeting: Greeting, tried: bool) -> Connection | None:
    """A connection after its handshake, or None if a second attempt is worthwhile."""
    uri, deadline = attempt.uri, attempt.deadline
    context = client_context() if not uri.sockname else None
    secured = context is not None
    try:
        sock = _connected_socket(uri, min(deadline, time.monotonic() + attempt.patience), context)
    except OSError as error:
        if is_foreign(error, OSError):
            raise
        raise unreachable(uri, secured, error) from None
    try:
        attempt.begun(sock)
        if isinstance(sock, TlsSocket):
            sock.handshake(deadline)
        connection = Connection(sock, uri)
        if connection.greet(deadline, greeting, tried):
            return connection
    except (OSError, Pyro5.errors.ProtocolError) as error:
        sock.close()
        if is_foreign(error, OSError, Pyro5.errors.ProtocolError):
            raise
        trouble = None
        if attempt.wanted():
            trouble = connecting.tls_trouble(error, secured, host_of(uri), uri.port, deadline)
        raise no_answer(uri, secured, error, trouble) from None
    except BaseException:
        sock.close()
        raise
    sock.close()
    return None


def _over_unix(attempt: Attempt, connection: Connection) -> Connection | None:
    """The same connection over the Unix socket of the service, which ends the one over TCP; or the one over
    TCP; or None if it has to be made once more, because the service may have ended it."""
    offer = connection.offer
    now = time.monotonic()
    deadline = now + patience(attempt.deadline - now)
    over_unix, chosen = None, None
    try:
        check_file(offer.path)
        sock = connecting.connect(UNIX + offer.path, 0, deadline)
        over_unix = Connection(sock, attempt.uri)
        check_listener(sock)
        attempt.begun(sock)
        greeting = Greeting(attempt.identity, attempt.uri, attempt.name, offer.ticket)
        if not over_unix.greet(deadline, greeting, tried=True) or over_unix.offer.receipt != offer.receipt:
            raise OSError("it is another service")
        over_unix.local_host, over_unix.remote_host = connection.local_host, connection.remote_host
        chosen = over_unix
    except NO_UNIX_SOCKET as error:
        if is_foreign(error, *NO_UNIX_SOCKET):
            raise
        note_failure(offer.path, error)
        # What was refused, or not even sent, has changed nothing.
        if (over_unix is None or isinstance(error, REFUSED)) and not connection.readable():
            chosen = connection
    finally:
        for each in (connection, over_unix):
            if each is not None and each is not chosen:
                each.close()
    return chosen


def _connected_socket(uri: Pyro5.core.URI, deadline: float, context: ssl.SSLContext | None) -> socket.socket:
    """A connected stream socket. This is the only place where a client's socket is made.

    context: makes it a TlsSocket, before the TLS handshake. Raises OSError.
    """
    sock = connecting.connect(host_of(uri), uri.port or 0, deadline)
    if uri.sockname:
        return sock
    try:
        keep_alive(sock, TO_SERVICE)
        return sock if context is None else TlsSocket(sock, context, server_hostname=uri.host)
    except BaseException:
        sock.close()
        raise
