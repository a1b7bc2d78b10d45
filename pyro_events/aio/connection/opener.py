"""Opens connections to the service on an event loop: a socket, TLS and the handshake, address by address.

Knows: in which order the addresses and the steps are tried, and for how long. Must not know: who uses the
connection, what is said in the handshake or in an error (greeting.py does). client/connection/opener.py and
handshake.py do the same for programs that block.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import Final

import Pyro5.core
import Pyro5.errors

from ...client.connection.discovery import ServiceLocator
from ...client.connection.greeting import Greeting, host_of, no_answer, unreachable
from ...client.connection.times import ConnectTimes
from ...errors import AccessDeniedError, ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...transport.addresses import UNIX
from ...transport.keepalive import TO_SERVICE, keep_alive
from ...transport.tls import client_context
from ...transport.unix.unix_socket import (
    NO_UNIX_SOCKET,
    REFUSED,
    check_file,
    check_listener,
    note_failure,
    patience,
    worth_trying,
)
from . import sockets
from .connection import Connection
from .turns import Turns
from .waiting import in_thread, in_time

# How many connections are opened at the same time on one loop. With a thousand, each would take as long as
# all, which looks as if the service did not answer.
_AT_ONCE: Final = 50
_turns: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]] = weakref.WeakKeyDictionary()


async def open_connection(locator: ServiceLocator, times: ConnectTimes, seconds: float | None) -> Connection:
    """Try the addresses in turn, and return the first connection that is made.

    Args:
        locator: names the addresses.
        times: how long connecting may take.
        seconds: for all attempts together, from its turn on; None gives each address its own time. A look-up
            in the name server has its own bound.

    Raises:
        ServiceNotFoundError: there is no address to try.
        ServiceUnreachableError: no address answered; the error is the last address's.
        AccessDeniedError: the service, or this program, did not accept the other's proof.
        EventServiceError: TLS settings cannot be used.
    """
    loop = asyncio.get_running_loop()
    turns = _turns.setdefault(loop, Turns(_AT_ONCE))
    await turns.take()
    try:
        return await _open(locator, times, None if seconds is None else loop.time() + seconds)
    finally:
        turns.give()


async def _open(locator: ServiceLocator, times: ConnectTimes, deadline: float | None) -> Connection:
    known = locator.known
    if known is not None:
        try:
            return await _open_at(known, locator, times, deadline)
        except (ServiceUnreachableError, AccessDeniedError) as error:
            if not locator.asks or is_foreign(error, ServiceUnreachableError, AccessDeniedError):
                raise
            failure = error
    fresh = await in_thread(locator.look_up)
    if fresh == known:
        raise failure
    return await _open_at(fresh, locator, times, deadline)


async def _open_at(
    uri: Pyro5.core.URI, locator: ServiceLocator, times: ConnectTimes, deadline: float | None
) -> Connection:
    """A connection to one address, after its handshake."""
    until = asyncio.get_running_loop().time() + times.connect if deadline is None else deadline
    tried = False
    try:
        while True:
            greeting = Greeting(locator.identity, uri, locator.name)
            connection = await _connected(uri, greeting, tried, until)
            tried = connection is None
            if connection is not None and worth_trying(connection.offer, connection.sock):
                connection = await _over_unix(connection, uri, locator, until)
            if connection is not None:
                locator.was_good(uri)
                return connection
    except (ServiceUnreachableError, AccessDeniedError) as error:
        if not is_foreign(error, ServiceUnreachableError, AccessDeniedError):
            error.args = (f"{error}{locator.source(uri)}", *error.args[1:])
        raise


async def _connected(uri: Pyro5.core.URI, greeting: Greeting, tried: bool, until: float) -> Connection | None:
    """A connection after its handshake, or None if a second attempt is worthwhile."""
    context = client_context() if not uri.sockname else None
    secured = context is not None
    host, port = host_of(uri), uri.port or 0
    try:
        sock = await sockets.connect(host, port, until)
    except OSError as error:
        if is_foreign(error, OSError):
            raise
        raise unreachable(uri, secured, error) from None
    connection = Connection(asyncio.get_running_loop(), sock, uri)
    try:
        return await _greeted(connection, uri, greeting, tried, until, context)
    except (OSError, Pyro5.errors.ProtocolError) as error:
        if is_foreign(error, OSError, Pyro5.errors.ProtocolError):
            raise
        trouble = await sockets.tls_trouble(error, secured, host, port, until)
        raise no_answer(uri, secured, error, trouble) from None


async def _greeted(
    connection: Connection,
    uri: Pyro5.core.URI,
    greeting: Greeting,
    tried: bool,
    until: float,
    context: ssl.SSLContext | None = None,
) -> Connection | None:
    """The connection after its handshake; otherwise it is ended. None if a second attempt is worthwhile."""
    welcome = None
    try:
        await in_time(_attach(connection, uri, context), until)
        welcome = greeting.accepted(await connection.greet(greeting.hello, until), tried)
    finally:
        if welcome is None:
            connection.end("it was not accepted")
    if welcome is None:
        return None
    connection.begin(welcome)
    return connection


async def _over_unix(
    connection: Connection, uri: Pyro5.core.URI, locator: ServiceLocator, until: float
) -> Connection | None:
    """The same connection over the Unix socket of the service, which ends the one over TCP; or the one over
    TCP; or None if it has to be made once more, because the service may have ended it."""
    loop, offer = asyncio.get_running_loop(), connection.offer
    now = loop.time()
    until = now + patience(until - now)
    over_unix, chosen = None, None
    try:
        check_file(offer.path)
        sock = await sockets.connect(UNIX + offer.path, 0, until)
        over_unix = Connection(loop, sock, uri)
        check_listener(sock)
        greeting = Greeting(locator.identity, uri, locator.name, offer.ticket)
        greeted = await _greeted(over_unix, uri, greeting, True, until)
        if greeted is None or over_unix.offer.receipt != offer.receipt:
            raise OSError("it is another service")
        chosen = over_unix
    except NO_UNIX_SOCKET as error:
        if is_foreign(error, *NO_UNIX_SOCKET):
            raise
        note_failure(offer.path, error)
        # What was refused, or not even sent, has changed nothing.
        if (over_unix is None or isinstance(error, REFUSED)) and connection.ended is None:
            chosen = connection
    finally:
        for each in (connection, over_unix):
            if each is not None and each is not chosen:
                each.end("it is not used")
    return chosen


async def _attach(connection: Connection, uri: Pyro5.core.URI, context: ssl.SSLContext | None) -> None:
    """Have the loop serve a connected socket, after the TLS handshake if there is a context."""
    loop = asyncio.get_running_loop()
    connection.served = True  # from now on it is the loop that closes the socket
    if connection.transport == "unix":
        await loop.create_unix_connection(lambda: connection, sock=connection.sock)
        return
    keep_alive(connection.sock, TO_SERVICE)
    host = uri.host if context is not None else None
    await loop.create_connection(lambda: connection, sock=connection.sock, ssl=context, server_hostname=host)
