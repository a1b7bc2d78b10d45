"""The guarded Pyro5 daemon of a subscriber.

Knows: Pyro5's daemon, and the one call that has a short way: a batch of events. Must not know: the
service, subscriptions, or how many threads run handlers (the crew does).

It is a Pyro5 daemon in every respect that a program sees. Pyro5 chooses its transport by a global
setting and starts threads for it, so we let it begin with the transport for a connected socket,
which starts none, and then put ours in its place.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgpack
import Pyro5.core
import Pyro5.errors
import Pyro5.server
from Pyro5 import config

from ...constants import MAX_MESSAGE
from ...log.background import get_logger
from ...log.failures import Failures
from ...transport.addresses import format_address
from ...transport.tls import TlsSocket, server_contexts
from ...wire import calls
from ...wire.event_batch import read_rows
from ...wire.frames import CORRELATED, INVOKE, MSGPACK, Frame
from ...wire.passphrase import DENIED, CallbackCheck, DeniedError
from ..dispatch.connection_queue import ReceivedBatch
from ..dispatch.dispatcher import Dispatcher
from ..interruptions import owned
from .accept_loop import AcceptLoop
from .batch_reader import BatchReader
from .connection_limits import ConnectionLimits
from .guarded_connection import GuardedConnection, TlsFailedError

log = get_logger("pyro_events.daemon")

_FULL: Final = "this program has as many connections as it may"


class ConnectionListener(Protocol):
    """Who hears of the service's connections."""

    @property
    def max_message(self) -> int | None:
        """Bytes of the largest message of the service that was subscribed at; None if it has not said."""

    def connected(self, connection: object) -> bool:
        """One was made; returns whether events may have been missed before it."""

    def left(self, connection: object) -> None:
        """One has ended, perhaps, or for the second time."""

    def is_at(self, address: str) -> bool:
        """Whether the service is at an address, as far as we know."""

    def probed(self) -> None:
        """Somebody has connected and left without a word, as a service does that has given us up."""


class SubscriberDaemon(Pyro5.server.Daemon):
    """A Pyro5 daemon for one Subscriber; other objects may be registered too."""

    transportServer: AcceptLoop | None

    def __init__(
        self,
        host: str,
        port: int = 0,
        gate: CallbackCheck | None = None,
        limits: ConnectionLimits[GuardedConnection] | None = None,
    ) -> None:
        """host: the address to listen on. gate: admits services; without one everybody is. limits: of its
        connections, the usual ones if None.

        Raises OSError, and EventServiceError for TLS settings that cannot be used.
        """
        self._tls = server_contexts()
        self._tls_failures = Failures()
        ours, theirs = socket.socketpair()
        if config.SSL:  # Pyro5 wants to see such a socket, though nothing is ever sent on it
            ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
                ours, server_side=True, do_handshake_on_connect=False
            )
        with ours, theirs:
            super().__init__(connected_socket=ours)
        self._lock = threading.RLock()
        self._connections: ConnectionLimits[GuardedConnection] = (
            ConnectionLimits() if limits is None else limits
        )
        self._dispatcher: Dispatcher | None = None
        self._listener: ConnectionListener | None = None
        self._home_id = ""
        self._gate = gate
        self._prefix = b""
        self.transportServer = AcceptLoop(self, host, port, self._serve)
        self.locationStr = self.transportServer.locationStr
        if config.NATHOST:
            natport = config.NATPORT or int(self.locationStr.rpartition(":")[2])
            self.natLocationStr = format_address(config.NATHOST.strip("[]"), natport)

    def deliver_to(
        self, object_id: str, dispatcher: Dispatcher, listener: ConnectionListener | None = None
    ) -> None:
        """Give the batches that come for `events` of an object to a dispatcher. listener: is told of
        connections that are made to that object."""
        self._listener, self._home_id = listener, object_id
        self._prefix = b"\x94" + msgpack.packb(object_id) + msgpack.packb("events") + b"\x91"
        self._dispatcher = dispatcher

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def requestLoop(self, loopCondition: Callable[[], bool] | None = None) -> None:
        """Accept connections and let events start, until `shutdown`, `close` or a false condition."""
        server = self.transportServer
        if server is None:
            raise Pyro5.errors.PyroError("this daemon is closed")
        server.begin()
        if self._dispatcher is not None:
            self._dispatcher.resume()
        server.loop(loopCondition)

    def events(self, eventsockets: Any) -> None:
        """For an external event loop: accept what waits on our socket.

        Events start again after `abort` when our socket is among them.
        """
        server = self.transportServer
        if server is None or not any(sock in eventsockets for sock in server.sockets):
            return
        if self._dispatcher is not None and self._dispatcher.paused:
            self._dispatcher.resume()
        server.events(eventsockets)

    def handleRequests(self, timeout: float | None = None) -> None:
        """For a loop of the program's own, as in Pyro3: let events come, and accept who connects.

        timeout: how long to wait for a connection, in seconds; None: until there is one, or `abort`. Events
        have threads of their own, so they go on while the program does something else.
        """
        server = self.transportServer
        if server is None:
            raise Pyro5.errors.PyroError("this daemon is closed")
        server.begin()
        if self._dispatcher is not None and self._dispatcher.paused:
            self._dispatcher.resume()
        server.wait(timeout)

    def getServerSockets(self) -> list[socket.socket]:
        """What `sockets` holds; Pyro3's name."""
        return self.sockets

    @property
    def sockets(self) -> list[socket.socket]:
        """For an external event loop: the socket to wait for; none when closed."""
        server = self.transportServer
        return server.sockets if server is not None else []

    def shutdown(self) -> None:
        """End the request loop and close."""
        self.close()

    def close(self) -> None:
        """Stop listening and end every connection. Handlers that run are not waited for."""
        server = self.transportServer
        super().close()
        if server is not None:
            self.disconnect()

    def disconnect(self) -> None:
        """End every connection; those who want may connect again."""
        with self._lock:
            for connection in list(self._connections):
                connection.wake()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._lock)

    def disown(self) -> None:
        """In a forked child: let go of the parent's sockets. To shut one down would end it for both."""
        self._lock = threading.RLock()
        server, self.transportServer = self.transportServer, None
        if server is not None:
            server.disown()
        for connection in self._connections:
            connection.sock.close()
        self._connections = ConnectionLimits()

    def combine(self, daemon: Any) -> None:
        """Refused, as by Pyro5's thread server."""
        raise TypeError("you can't use the loop combiner on a subscriber's daemon")

    def _serve(self, sock: socket.socket) -> None:
        """All that happens on one connection; the body of its thread."""
        host = _peer(sock)  # before TLS takes the socket over
        connection = GuardedConnection(sock if self._tls is None else TlsSocket(sock, self._tls.get()))
        with self._lock:
            refused = connection if self._shutting_down else self._connections.enter(connection, host)
        if refused is not None and not self._shutting_down:
            log.warning("too many connections to this subscriber say nothing", about=self.locationStr)
            refused.wake()  # its own thread closes it
        if refused is connection:
            connection.close()
            return
        source = BatchReader(self, connection)
        queue = None
        try:
            hello = self._greet(connection, host)
            if hello is not None:
                queue = (self._dispatcher or self._own_crew()).admit(source)
        finally:
            if queue is None:
                source.close()
        if queue is not None and hello is not None:
            said = self._service_hello(hello)
            if said is not None:
                connection.expect_batches(self._max_message(said))
                if self._listener is not None:
                    source.gap = self._listener.connected(source)
            queue.run()

    def _service_hello(self, frame: Frame) -> calls.Hello | None:
        """What a connection's first frame says, if it is, by all that one can tell, the service's to our
        subscriber; else None."""
        try:
            hello = calls.read_hello(frame) if frame.serializer_id == MSGPACK else None
        except Pyro5.errors.SerializeError:
            return None
        return hello if hello is not None and hello.object_id == self._home_id else None

    def _max_message(self, hello: calls.Hello) -> int:
        """Bytes of the largest message that may come over a connection that says to be the service's.

        Without a passphrase anybody can say so: then no more than the service said when we subscribed.
        """
        bound = MAX_MESSAGE if hello.max_message is None else hello.max_message
        known = self._listener.max_message if self._listener is not None else None
        return bound if self._gate is not None or known is None else min(bound, known)

    def _own_crew(self) -> Dispatcher:
        """For a daemon that no subscriber uses: nobody will give it events."""
        self._dispatcher = Dispatcher(lambda: lambda event: None)
        return self._dispatcher

    def _greet(self, connection: GuardedConnection, host: str) -> Frame | None:
        """Pyro5's handshake, on a first frame that has been judged; None if it came to nothing."""
        try:
            hello = connection.read_hello()
            if self._gate is not None and not self._admits(self._gate, connection, hello):
                return None
            trusted = self._gate is not None or (self._listener is not None and self._listener.is_at(host))
            with self._lock:
                stays = self._connections.greet(connection, trusted)
            if not stays:
                log.warning("a connection to this subscriber was refused: %s", _FULL, about=self.locationStr)
                connection.refuse(hello.seq, _FULL)
                return None
            return hello if self._handshake(connection) else None
        except TlsFailedError as error:
            if connection in self._connections:  # or else we have ended it ourselves
                self._tls_failed(host, str(error))
        except Pyro5.errors.CommunicationError as error:
            log.debug("a connection was refused: %s", error)
            left = isinstance(error, Pyro5.errors.ConnectionClosedError) and connection in self._connections
            if left and self._listener is not None:
                self._listener.probed()
        except Exception:
            log.exception("a handshake failed", about=self.locationStr)
        return None

    def _tls_failed(self, host: str, reason: str) -> None:
        """Log that somebody could not connect because of TLS: perhaps the event service, which would have
        to deliver by it."""
        with self._lock:
            new = self._tls_failures.is_new(host, reason)
        if new:
            text = "a connection from %s to this subscriber's daemon at %s came to nothing: %s"
            log.warning(text, host, self.locationStr, reason, about=reason)

    @staticmethod
    def _admits(gate: CallbackCheck, connection: GuardedConnection, frame: Frame) -> bool:
        """Judge who connects, and refuse who is no service that we have called."""
        try:
            if frame.serializer_id != MSGPACK:
                raise DeniedError
            hello = calls.read_hello(frame)
            connection.greeting = gate.verify(hello.handshake, hello.object_id)
        except (DeniedError, Pyro5.errors.SerializeError):
            log.info("a connection to this subscriber was denied", about="denied")
            connection.refuse(frame.seq, DENIED)
            return False
        return True

    def validateHandshake(self, connection: GuardedConnection, data: Any) -> Any:
        """For Pyro5: what to answer to a handshake that has been judged already."""
        return connection.greeting

    def take(self, connection: GuardedConnection, frame: Frame) -> ReceivedBatch | None:
        """The batch of events in a frame; None for any other call, which is made the stock way."""
        payload = frame.payload
        if (
            frame.type == INVOKE
            and frame.serializer_id == MSGPACK
            and not frame.flags & ~CORRELATED
            and self._prefix
            and payload[: len(self._prefix)] == self._prefix
            and payload[-1] == 0x80
        ):
            rows = read_rows(payload[len(self._prefix) : -1])
            if rows is not None:
                return ReceivedBatch(frame.seq, rows)
        connection.serve(frame)
        try:
            self.handleRequest(connection)
        finally:
            connection.served()
        return None

    def ended(self, source: BatchReader) -> None:
        """A connection is of no more use, though a handler may still be busy with its last event."""
        if self._listener is not None:
            self._listener.left(source)

    def forget(self, connection: GuardedConnection) -> None:
        """A connection has ended."""
        with self._lock:
            self._connections.leave(connection)
        try:
            self._clientDisconnect(connection)
        except Exception:
            log.exception("clientDisconnect failed", about=self.locationStr)


def _peer(sock: socket.socket) -> str:
    """The address that a connection comes from, "" if it is gone already."""
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return ""
