"""The Pyro5 daemon of a subscriber, protected against strangers.

Knows: Pyro5's daemon, and a connection from its handshake to its end. Must not know: which peers may connect,
how a batch of events is read, subscriptions, and how many threads run handlers.

For a program it is a Pyro5 daemon in every respect. Pyro5 chooses its transport by a global setting and
starts threads for it. So this one is first created with the transport for a connected socket, which starts
none, and then gets ours.
"""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any, Final

import Pyro5.core
import Pyro5.errors
from Pyro5 import config

from ...log.background import get_logger
from ...transport.addresses import format_address
from ...transport.tls import server_contexts
from ...transport.tls_socket import TlsSocket
from ...wire.frames import Frame
from ...wire.handshake.proofs import DENIED, CallbackCheck
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.workers import ConnectionWorkers
from ..interruptions import owned
from .accept_loop import AcceptLoop
from .batch_reader import BatchReader
from .connection_limits import ConnectionLimits
from .guarded_connection import DEFAULT_TIMEOUTS, ConnectionTimeouts, GuardedConnection, TlsFailedError
from .handshake import ConnectionListener, HandshakeCheck
from .polled_daemon import PolledDaemon

log = get_logger("pyro_events.daemon")

_FULL: Final = "this program has reached its limit of connections"


class SubscriberDaemon(PolledDaemon):
    """A Pyro5 daemon for one Subscriber; other objects may be registered too.

    `Subscriber.getDaemon` returns it.

    Example:
        >>> import select
        >>> with Subscriber() as ticker:
        ...     daemon = ticker.getDaemon()
        ...     ready, _, _ = select.select(daemon.sockets, [], [], 0)
        ...     daemon.events(ready)
    """

    def __init__(
        self,
        host: str,
        port: int = 0,
        gate: CallbackCheck | None = None,
        limits: ConnectionLimits[GuardedConnection] | None = None,
        timeouts: ConnectionTimeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        """host: the address to listen on. gate: checks the proofs of services; without one, all connections
        are accepted. limits: on its connections, the usual ones if None. timeouts: of each connection.

        Raises OSError, and EventServiceError for TLS settings that cannot be used.
        """
        self._tls = server_contexts()
        ours, theirs = socket.socketpair()
        if config.SSL:  # Pyro5 wants such a socket, though nothing is ever sent on it
            ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
                ours, server_side=True, do_handshake_on_connect=False
            )
        with ours, theirs:
            super().__init__(connected_socket=ours)
        self._lock = threading.RLock()
        self._connections: ConnectionLimits[GuardedConnection] = (
            ConnectionLimits() if limits is None else limits
        )
        self._timeouts = timeouts
        self.transportServer = AcceptLoop(self, host, port, self._serve)
        self.locationStr = self.transportServer.locationStr
        self._check = HandshakeCheck(gate, self.locationStr)
        if config.NATHOST:
            natport = config.NATPORT or int(self.locationStr.rpartition(":")[2])
            self.natLocationStr = format_address(config.NATHOST.strip("[]"), natport)

    def __repr__(self) -> str:
        if "_lock" not in vars(self):  # Pyro5 makes one without `__init__` of one that was sent
            return "<SubscriberDaemon of another program>"
        state = "closed" if self.transportServer is None else f"{self.connections} connections"
        return f"<SubscriberDaemon at {self.locationStr}, {state}>"

    def deliver_to(
        self, object_id: str, dispatcher: Dispatcher, listener: ConnectionListener | None = None
    ) -> None:
        """Give the batches for `events` of an object to a dispatcher. listener: is told of connections to
        that object."""
        self._check.listener, self._check.object_id = listener, object_id
        self._dispatcher = dispatcher

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def close(self) -> None:
        """Stop listening and end every connection, without waiting for running handlers.

        It may be closed already.
        """
        server = self.transportServer
        super().close()
        if server is not None:
            self.disconnect()

    def disconnect(self) -> None:
        """End every connection. The other sides may connect again."""
        with self._lock:
            for connection in list(self._connections):
                connection.shutdown()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._lock)

    def disown(self) -> None:
        """In a forked child: release the parent's sockets. Shutting one down would end it for both."""
        self._lock = threading.RLock()
        server, self.transportServer = self.transportServer, None
        if server is not None:
            server.disown()
        for connection in self._connections:
            connection.sock.close()
        self._connections = ConnectionLimits()

    def _serve(self, sock: socket.socket) -> None:
        """Everything that happens on one connection; the body of its thread."""
        host = _peer(sock)  # before TLS takes over the socket
        secured = sock if self._tls is None else TlsSocket(sock, self._tls.get())
        connection = GuardedConnection(secured, self._timeouts)
        if not self._add(connection, host):
            connection.close()
            return
        reader = BatchReader(self, connection, self._check.object_id)
        workers = None
        try:
            hello = self._greet(connection, host)
            if hello is not None:
                workers = self._begin(connection, reader, hello)
        finally:
            if workers is None:
                reader.close()
        if workers is not None:
            workers.run()

    def _add(self, connection: GuardedConnection, host: str) -> bool:
        """Add a new connection, for which another one may have to be closed. Returns whether it may stay."""
        with self._lock:
            if self._shutting_down:
                return False
            refused = self._connections.add(connection, host)
        if refused is not None:
            log.warning(
                "too many connections to this subscriber have not finished their handshake",
                about=self.locationStr,
            )
            refused.shutdown()  # its own thread closes it
        return refused is not connection

    def _begin(
        self, connection: GuardedConnection, reader: BatchReader, hello: Frame
    ) -> ConnectionWorkers | None:
        """Prepare for what follows the handshake; None if the subscriber has closed."""
        if self._dispatcher is None:  # no subscriber uses this daemon, so there will be no events
            self._dispatcher = Dispatcher(lambda: lambda event: None)
        workers = self._dispatcher.add(reader)
        said, listener = self._check.service_hello(hello), self._check.listener
        if workers is not None and said is not None:
            connection.expect_batches(said.max_message)
            try:
                reader.gap = listener is not None and listener.connected(reader, said.notes)
            except BaseException:  # nobody knows what the subscriber knows now: it has to connect again
                log.exception("a connection to this subscriber is closed", about=self.locationStr)
                reader.shutdown()  # its workers find that, and close it
        return workers

    def _greet(self, connection: GuardedConnection, host: str) -> Frame | None:
        """Pyro5's handshake, on a first frame that has been judged; None if it failed."""
        listener = self._check.listener
        try:
            hello = connection.read_hello()
            if not self._check.accept(connection, hello):
                connection.refuse(hello.seq, DENIED)
                return None
            with self._lock:
                stays = self._connections.greet(connection, self._check.trusts(host))
            if not stays:
                log.warning("a connection to this subscriber was refused: %s", _FULL, about=self.locationStr)
                connection.refuse(hello.seq, _FULL)
                return None
            return hello if self._handshake(connection) else None
        except TlsFailedError as error:
            if connection in self._connections:  # otherwise we have ended it ourselves
                self._check.tls_failed(host, str(error))
        except Pyro5.errors.CommunicationError as error:
            log.debug("a connection was refused: %s", error)
            left = isinstance(error, Pyro5.errors.ConnectionClosedError) and connection in self._connections
            if left and listener is not None:
                listener.probed()
        except Exception:
            log.exception("a handshake failed", about=self.locationStr)
        return None

    def validateHandshake(self, connection: GuardedConnection, data: Any) -> Any:
        """For Pyro5: the answer to a handshake that has been judged already."""
        return connection.greeting

    def _resumed(self) -> None:
        if self._check.listener is not None:
            self._check.listener.resumed()

    # Used by the connections' readers (batch_reader.ConnectionOwner).

    def make_call(self, connection: GuardedConnection, frame: Frame) -> None:
        """Make any call except of `events`, as Pyro5 does."""
        connection.serve(frame)
        try:
            self.handleRequest(connection)
        finally:
            connection.served()

    def disconnected(self, reader: BatchReader) -> None:
        """A connection cannot be used any more, though a handler may still be busy with its last event."""
        if self._check.listener is not None:
            self._check.listener.disconnected(reader)

    def remove(self, connection: GuardedConnection) -> None:
        """No thread uses a connection any more; it will be closed."""
        with self._lock:
            self._connections.remove(connection)
        try:
            self._clientDisconnect(connection)
        except Exception:
            log.exception("clientDisconnect failed", about=self.locationStr)


def _peer(sock: socket.socket) -> str:
    """The address that a connection comes from, "" if it has ended already."""
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return ""
