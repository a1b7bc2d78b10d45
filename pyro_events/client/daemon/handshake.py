"""The handshake: which peers may connect to a subscriber's daemon, judged by the first frame.

Knows: the passphrase's check, how to tell our service from others, and what a subscriber is told about its
service's connections. Must not know: threads, calls, how many connections there are, and what happens to an
event.
"""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

import Pyro5.errors

from ...constants import MAX_MESSAGE
from ...log.background import get_logger
from ...log.failures import Failures
from ...wire.frames import MSGPACK, Frame
from ...wire.handshake.greeting_notes import GreetingNotes
from ...wire.handshake.messages import read_connect
from ...wire.handshake.proofs import CallbackCheck, DeniedError
from .guarded_connection import GuardedConnection

log = get_logger("pyro_events.daemon")


class ServiceHello(NamedTuple):
    """The service's first message.

    max_message: bytes of the largest message that may come over the connection. notes: for the subscriber.
    """

    max_message: int
    notes: GreetingNotes


class ConnectionListener(Protocol):
    """A subscriber that is told of the service's connections to it."""

    @property
    def max_message(self) -> int | None:
        """Bytes of the largest message of the subscribed service; None if it has not said."""

    def connected(self, connection: object, notes: GreetingNotes) -> bool:
        """A connection was made. Returns whether events may have been missed before it. notes: from its
        handshake."""

    def disconnected(self, connection: object) -> None:
        """A connection may have ended; it may be reported twice."""

    def is_at(self, address: str) -> bool:
        """Whether the service is at an address, as far as that is known."""

    def resumed(self) -> None:
        """The program lets events start again after `abort`, in a loop of its own or the daemon's."""

    def probed(self) -> None:
        """A peer has connected and closed without sending anything, as a service does that has disconnected
        us."""


class HandshakeCheck:
    """Judges the first frames of one daemon's connections.

    listener: the subscriber; object_id: its object, to which the service connects.
    """

    def __init__(self, gate: CallbackCheck | None, location: str) -> None:
        """gate: checks the proofs of services; without one, all connections are accepted. location: of the
        daemon, for the log."""
        self._gate = gate
        self._location = location
        self._tls_failures = Failures()
        self._lock = threading.Lock()
        self.listener: ConnectionListener | None = None
        self.object_id = ""

    def accept(self, connection: GuardedConnection, frame: Frame) -> bool:
        """Prepare the answer to a first frame. False if the passphrase was not proved."""
        if self._gate is None:
            return True
        try:
            if frame.serializer_id != MSGPACK:
                raise DeniedError
            hello = read_connect(frame)
            connection.greeting = self._gate.verify(hello.handshake, hello.object_id)
        except (DeniedError, Pyro5.errors.SerializeError):
            log.info("a connection to this subscriber was denied", about="denied")
            return False
        return True

    def trusts(self, host: str) -> bool:
        """Whether an accepted peer is a service, as far as that is known: by its passphrase or its
        address."""
        return self._gate is not None or (self.listener is not None and self.listener.is_at(host))

    def service_hello(self, frame: Frame) -> ServiceHello | None:
        """The contents of a connection's first frame; None if it is not the service's.

        The service's frame names our subscriber's object. Without a passphrase any peer can do so; then its
        messages may be no larger than the service said when we subscribed.
        """
        try:
            hello = read_connect(frame) if frame.serializer_id == MSGPACK else None
        except Pyro5.errors.SerializeError:
            return None
        if hello is None or hello.object_id != self.object_id:
            return None
        bound = MAX_MESSAGE if hello.max_message is None else hello.max_message
        known = self.listener.max_message if self.listener is not None else None
        if self._gate is None and known is not None:
            bound = min(bound, known)
        return ServiceHello(bound, hello.notes)

    def tls_failed(self, host: str, reason: str) -> None:
        """Log that a peer could not connect because of TLS: it may be the event service, which delivers this
        way."""
        with self._lock:
            new = self._tls_failures.is_new(host, reason)
        if new:
            text = "a connection from %s to this subscriber's daemon at %s failed: %s"
            log.warning(text, host, self._location, reason, about=reason)
