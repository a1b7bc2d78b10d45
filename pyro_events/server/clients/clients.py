"""Clients: which clients are connected, and which may connect.

Knows: the listening sockets, the connections, and the reasons to refuse one. Must not know: calls,
subscribers, or how long anything may take.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Container, Iterator
from itertools import islice
from typing import Final, Protocol

import Pyro5.errors

from ...constants import MAX_CLIENTS_SHOWN
from ...log.background import get_logger
from ...log.failures import Failures
from ...options import ServiceOptions
from ...transport.tls import server_contexts
from ...wire.handshake.capabilities import UNIX_SOCKET
from ...wire.handshake.messages import Hello
from ...wire.handshake.unix_offer import NO_OFFER, UnixOffer
from ...wire.large_body import Pieces
from ..limits.admission import Admission
from ..net.sockets import files_for_each
from ..net.tls_connections import AcceptedTls
from ..net.tls_memory import TLS_FULL, TlsMemory
from ..net.unix_listening import UnixListener, listen_on_unix
from ..objects import Caller
from ..permissions.permissions import USER_GONE
from .connection import Connection
from .owner import ConnectionOwner
from .tickets import Tickets

log = get_logger("pyro_events.engine")

# The length of the accept queue; and how many connections asyncio accepts at once, which is also how often it
# tries, and writes to the log, each time that there is no descriptor left.
_ACCEPT_QUEUE: Final = 1024
_ACCEPT_AT_ONCE: Final = 16
# How long clients have to read their last answers when the service ends.
_LAST_ANSWERS: Final = 0.5
# How many pieces of memory are remembered that large messages were received into: as many messages of 256 KiB
# as fit into a full backlog. Those in use are accounted for with the messages.
_PIECES: Final = 256
# Why a connection ends when the service does, for the log.
_STOPS: Final = "the service stops"


class ClientsOwner(ConnectionOwner[Connection], Protocol):
    """The parts of the engine that clients use. draining: whether the service accepts no more clients.
    tls_memory: counts the memory of TLS. failures: those that were logged."""

    draining: bool
    tls_memory: TlsMemory
    failures: Failures


class Clients:
    """All clients of one service; iterating gives their connections.

    unfinished: connections on which a frame has begun and is not complete, with the loop's time since when;
    for reading. pieces: the memory into which they receive what is large.
    """

    def __init__(self, owner: ClientsOwner, options: ServiceOptions) -> None:
        self._owner = owner
        self.pieces = Pieces(_PIECES)
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Server] = []
        self._unix: UnixListener | None = None
        self._tickets: Tickets[Connection] = Tickets()
        # At the Unix socket, before they have said their first message.
        self._unknown: set[Connection] = set()
        # By connections at the Unix socket, while their first message is judged.
        self._replaced: dict[Connection, Connection] = {}
        self._connections: set[Connection] = set()
        self._admission = Admission("connections", options, files_for_each)
        self.unfinished: dict[Connection, float] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._connections)

    def __len__(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def refused(self) -> int:
        """How many were refused because there were too many."""
        return self._admission.refused

    @property
    def busy(self) -> bool:
        """Whether a call of any client waits for its result."""
        return any(connection.busy for connection in self._connections)

    def named(self, seen_by: Caller | None = None) -> list[tuple[str, str]]:
        """The names and hosts of the clients that gave a name, at most MAX_CLIENTS_SHOWN. seen_by: only those
        that are its own."""
        shown = (each for each in self._connections if each.name)
        if seen_by is not None:
            shown = (each for each in shown if self._owner.access.owns(seen_by, each.user))
        return [(each.name, each.peer) for each in islice(shown, MAX_CLIENTS_SHOWN)]

    def of_users(self, users: Container[str]) -> list[Connection]:
        """The connections of clients that have proved to be one of these users."""
        return [each for each in self._connections if each.user in users]

    def permit(self, gone: Container[str]) -> None:
        """Users have other rights than before. gone: users whose clients are not accepted any more."""
        for connection in self.of_users(gone):
            connection.refuse(USER_GONE)
        for connection in self._connections:
            if connection.caller is not None:
                connection.caller.rights = self._owner.access.rights_of(connection.user)

    def descriptors(self) -> list[int]:
        """The file descriptors of the listening sockets and of all connections."""
        listening = [sock.fileno() for server in self._servers for sock in server.sockets]
        accepted = [*self._connections, *self._unknown]
        return listening + [connection.descriptor for connection in accepted]

    async def listen(self, sock: socket.socket) -> None:
        """Accept clients on a bound socket, which is closed by `drain`.

        Raises EventServiceError for TLS settings that cannot be used.
        """
        contexts = server_contexts()

        def accepted() -> asyncio.BaseProtocol:
            connection = Connection(self._owner)
            if contexts is None:
                return connection
            return AcceptedTls(connection, contexts.get(), self._owner.tls_memory, self.tls_failed)

        server = await self._loop.create_server(accepted, sock=sock, backlog=_ACCEPT_AT_ONCE)
        sock.listen(_ACCEPT_QUEUE)
        self._servers.append(server)

    async def listen_on_unix(self, wanted: str) -> None:
        """Accept clients on a Unix socket too, unless TLS is on, which it has not.

        wanted: as for `net.unix_listening.listen_on_unix`. Raises OSError.
        """
        if server_contexts() is not None:
            if os.path.isabs(wanted):
                log.warning("there is no Unix socket %s, because the service uses TLS", wanted)
            return
        self._unix = unix = listen_on_unix(wanted)
        if unix is not None:
            log.debug("programs of this user on this machine are sent to the Unix socket %s", unix.path)
            server = await self._loop.create_unix_server(
                lambda: Connection(self._owner, unix=True), sock=unix.sock, backlog=_ACCEPT_AT_ONCE
            )
            unix.sock.listen(_ACCEPT_QUEUE)
            self._servers.append(server)
            self._tickets.path = unix.path

    def drain(self) -> None:
        """Accept no more clients and read no more; calls that have been read are still answered."""
        if self._unix is not None:
            self._unix.remove()
            self._tickets.path = ""
        for server in self._servers:
            server.close()
        # Publishers that went on would keep slow subscribers busy until the time is over.
        for connection in self._connections:
            connection.drain()
        for connection in list(self._unknown):
            connection.refuse(_STOPS)

    async def dismiss(self) -> None:
        """End all connections. Answers that are not sent yet are sent first, if the client reads them."""
        for connection in list(self._connections):
            connection.refuse(_STOPS)
        deadline = self._loop.time() + _LAST_ANSWERS
        await asyncio.sleep(0)  # that is enough for most
        while self._connections and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    # What connections ask (owner.ConnectionTable)

    def accept(self, connection: Connection, crowded: bool) -> str | None:
        """Accept a client, or say why not. crowded: the process can open hardly any more files."""
        peer = connection.peer
        if self._owner.draining:
            return "the event service is stopping"
        if crowded:
            log.warning("a client from %s was refused: the process's limit of open files", peer, about=peer)
            return "the event service has as many connections as its process may open"
        if self._owner.tls_memory.full:
            log.warning("a client from %s was refused: %s", peer, TLS_FULL, about=peer)
            return TLS_FULL
        if connection.unix:  # it will take the place of one that is accepted
            self._unknown.add(connection)
            return None
        reason_to_refuse = self._admission.reason_to_refuse(peer)
        if reason_to_refuse is None:
            self._admission.add(peer)
            self._connections.add(connection)
        return reason_to_refuse

    def introduce(self, connection: Connection, hello: Hello) -> tuple[str, UnixOffer]:
        """A client has said its first message. Returns the host that it counts for, and what it is told of
        the Unix socket. Raises DaemonError."""
        if not connection.unix:
            capable = UNIX_SOCKET in hello.peer.capabilities
            offer = self._tickets.offer(connection, connection.seen) if capable else NO_OFFER
            return connection.peer, offer
        found = self._tickets.redeem(hello.ticket)
        if found is None:
            raise Pyro5.errors.DaemonError("this socket is for clients that were told of it over TCP")
        self._replaced[connection], receipt = found
        connection.counts_for(found[0].peer)
        return connection.peer, receipt

    def greeted(self, connection: Connection) -> None:
        """A client was accepted by what it has said; it may have been another connection before."""
        self._unknown.discard(connection)
        before = self._replaced.pop(connection, None)
        if before is not None:
            before.end_replaced()
            self._admission.add(connection.peer)
            self._connections.add(connection)

    def tls_failed(self, peer: str, reason: str) -> None:
        """A client was refused because of TLS, before it could send anything."""
        if self._owner.failures.is_new(peer, reason):
            log.warning("a client from %s was refused: %s", peer, reason, about=reason)

    def disconnected(self, connection: Connection) -> None:
        """A client is gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._admission.leave(connection.peer)
        self.unfinished.pop(connection, None)
        self._unknown.discard(connection)
        self._tickets.forget(connection)
        self._replaced.pop(connection, None)

    def watch(self, connection: Connection, unfinished: bool) -> None:
        """Remember since when a frame is incomplete, to give it a deadline."""
        if unfinished:
            self.unfinished[connection] = self._loop.time()
        else:
            self.unfinished.pop(connection, None)
