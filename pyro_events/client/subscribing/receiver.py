"""The receiver: the subscribing end of a client.

Knows: the daemon, the own connection, the dispatcher, the reconnection and the remote subscriptions, and what
each tells the others. Must not know: frames, what the service is told, or how handlers get their threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...errors import EventServiceError
from ...event import Event
from ...log.background import get_logger
from ...service_threads import is_service_thread
from ...wire.handshake.greeting_notes import GreetingNotes
from ...wire.handshake.proofs import CallbackCheck
from ..connection.discovery import ServiceLocator
from ..connection.reconnecting import ReconnectingConnection
from ..daemon.daemon import SubscriberDaemon
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.handlers import check_result
from ..forks import tell_in_child
from ..own_connection.attachment import Attachment
from ..own_connection.opening import check_capable
from ..reconnect.reconnection import Reconnection
from .background_listener import BackgroundListener
from .function_subscriptions import FunctionSubscriptions
from .receiver_target import ReceiverTarget
from .remote_subscriptions import RemoteSubscriptions
from .ways.daemon_port import DaemonPort
from .ways.event_way import EventWay
from .ways.no_port import NoPort

log = get_logger("pyro_events.subscriber")

# How long a `listen` after `abort` waits until the aborted one has returned.
_CHANGE_OVER: Final = 1.0
# How long `close` waits for the thread of `listen_in_background`.
_JOIN_TIMEOUT: Final = 2.0
# How long `abort` and `close` wait for a lock whose holder may be waiting for them, in seconds.
_INSIDE: Final = 0.1
_LISTENS_ALREADY: Final = (
    "another thread is in listen() of this subscriber: one is enough, because "
    "events run in threads of the daemon"
)

if TYPE_CHECKING:  # imported when statistics are first asked for
    from ..statistics import SubscriberStatistics


class Receiver:
    """The subscribing end of one client."""

    def __init__(
        self,
        locator: ServiceLocator,
        handler: Callable[[], Callable[[Event], object]],
        returned: Callable[[str], object],
        wait: float = 0.0,
        callback: bool | None = None,
    ) -> None:
        """handler: returns the function to call with an event. returned: called with a reason when the
        service is connected again, before any event. wait: seconds for which a service that is not there yet
        is tried again. callback: as for EventWay."""
        self._returned = returned
        gate = CallbackCheck(locator.identity) if locator.identity is not None else None
        self.connection = ReconnectingConnection(locator)
        self.connection.connect_first(wait)
        current = self.connection.current
        self.dispatcher = Dispatcher(handler)
        self.dispatcher.pause()  # until the program listens
        try:
            self.port: DaemonPort | NoPort
            if callback is False:
                check_capable(current.peer, str(current.address))
                self.port = NoPort(self.dispatcher.resume)
            else:
                self.port = DaemonPort(current.local_host, gate)
        except BaseException:
            self.connection.close()
            raise
        self.way = EventWay(callback, current, Attachment(locator, self.dispatcher, self))
        self.remote = RemoteSubscriptions(self.connection, gate)
        self.remote.calls.way = self.way
        limits = self.dispatcher.limits
        self.reconnection = Reconnection(
            ReceiverTarget(self.connection, self.remote, self.port, self.way, limits)
        )
        self.subscriptions = FunctionSubscriptions(
            self.remote, self.dispatcher, handler, self.reconnection.subscriptions_changed
        )
        self._listening = threading.Lock()
        self._background: BackgroundListener | None = None
        self.aborted = False
        self._disowned = False
        tell_in_child(self)

    def announce(self, subscriber: object) -> None:
        """Register the object in the daemon, and prepare how the service is told about it."""
        self.remote.calls.subscriber = self.port.announce(subscriber, self.dispatcher, self)

    @property
    def daemon(self) -> SubscriberDaemon:
        """The Pyro5 daemon. Raises EventServiceError if there is none."""
        return self.port.daemon

    @property
    def uri(self) -> str:
        """What the service's statistics and log call this subscriber, as far as is known."""
        return self.port.uri or self.way.attachment.id

    def listen(self) -> None:
        """Let events come, until `abort` or `close`. Raises EventServiceError while another thread does."""
        if self.remote.ended:
            raise EventServiceError("this subscriber is closed")
        if not self._listening.acquire(timeout=_CHANGE_OVER if self.aborted else 0):
            raise EventServiceError(_LISTENS_ALREADY)
        try:
            self.aborted = False
            self._listen()
        finally:
            self._listening.release()

    def listen_in_background(self, listen: Callable[[], object]) -> None:
        """Have a separate thread call the program's `listen`, which calls ours. Returns when events can come.

        Raises EventServiceError if closed, or while another thread listens.
        """
        before = self._background
        if before is not None and self.aborted:
            before.join(_CHANGE_OVER)
        if self.remote.ended or self.port.closed:
            raise EventServiceError("this subscriber is closed")
        if (before is not None and before.running) or (self._listening.locked() and not self.aborted):
            raise EventServiceError(_LISTENS_ALREADY)
        self._background = listener = BackgroundListener(listen)
        self.port.when_begun(listener.begun)
        listener.start()

    def _listen(self) -> None:
        self.reconnection.listened()
        try:
            self.port.run()
        finally:
            self.dispatcher.pause()
            self.reconnection.paused()

    def abort(self) -> None:
        """Start no further event, and end `listen`."""
        if self._disowned:
            return
        self.aborted = True
        self.dispatcher.pause(self._patience())
        self.reconnection.paused()
        self.port.stop()

    # Called by the daemon (daemon.handshake.ConnectionListener).

    @property
    def max_message(self) -> int | None:
        """Bytes of the service's largest message, as it said on the last connection."""
        return self.connection.current.announced

    def connected(self, connection: object, notes: GreetingNotes) -> bool:
        """The service has connected. Returns whether events may have been missed before."""
        return self._again(self.reconnection.connected_by(connection, notes.why, notes.note))

    def _again(self, reason: str | None) -> bool:
        """There is a connection. reason: why events may have been missed, if they may."""
        if reason is None:
            return False
        log.info("subscribed again: %s", reason)
        try:
            check_result("on_reconnect()", self._returned(reason))
        except BaseException:  # as in `event`: this thread has to read what comes over the connection
            log.exception("on_reconnect() failed")
        return True

    def disconnected(self, connection: object) -> None:
        """A connection has ended."""
        self.reconnection.disconnected(connection)

    def is_at(self, address: str) -> bool:
        """Whether the service is at an address: the one at which we last reached it."""
        return address == self.connection.current.remote_host

    def resumed(self) -> None:
        """The program lets events start again after `abort`, without `listen`."""
        self.reconnection.listened()

    def probed(self) -> None:
        """The service may have disconnected us."""
        self.reconnection.hinted()

    # Called by the attachment too (attachment.AttachedSubscriber).

    def attached(self, connection: object, notes: GreetingNotes) -> bool:
        """We have connected. Returns whether events may have been missed before."""
        missed = self._again(self.reconnection.connected_by(connection, notes.why, notes.note, own=True))
        if self.dispatcher.limits.paused and not self.aborted:
            self.port.knock()  # the program may have a loop that waits for the daemon's sockets
        return missed

    def statistics(self) -> SubscriberStatistics:
        """A snapshot."""
        from ..statistics import SubscriberStatistics

        limits, connection = self.dispatcher.limits, self.connection
        return SubscriberStatistics(
            limits.handled,
            limits.failed,
            limits.running,
            self.remote.texts(),
            self.uri,
            self.port.connections + self.way.attachment.connected,
            connection.current.reconnects,
            connection.current.connected,
            connection.current.address,
            connection.name,
            self.reconnection.state.problem,
            not self.way.own,
        )

    def wait_until_connected(self, timeout: float | None) -> bool:
        """Wait until the service has connected to us. Returns whether it has."""
        return self.reconnection.wait_until_connected(timeout)

    def _patience(self) -> float:
        """How long to wait for the dispatcher's lock: hardly at all if this thread is in the middle of
        something that others may wait for."""
        parts = (self.connection, self.remote, self.dispatcher.limits, self.reconnection, self.port)
        inside = any([part.entered for part in parts]) or is_service_thread()
        return _INSIDE if inside else threading.TIMEOUT_MAX

    def close(self) -> None:
        """Unsubscribe from everything, then end connections and threads."""
        if self._disowned:
            return
        # Once more if an exception of the program's own has ended it in the middle.
        names = self.remote.end()
        patience = self._patience()
        self.aborted = True
        self.reconnection.closed()
        self.dispatcher.pause(patience)
        try:
            if names:
                self.remote.unsubscribe_all(names)
        finally:
            self.connection.close()
            self.way.attachment.close()
            self.port.close()
            self.dispatcher.close(patience)
            if patience == threading.TIMEOUT_MAX:
                self.reconnection.join()
                if self._background is not None:
                    self._background.join(_JOIN_TIMEOUT)

    def forked(self) -> None:
        """In a forked child: the subscriber and its connections are the parent's."""
        self._disowned = True
        self._listening = threading.Lock()
        self._background = None
        self.reconnection.disown()
        self.remote.disown()
        self.connection.disown()
        self.way.attachment.disown()
        self.port.disown()
        self.dispatcher.disown()
