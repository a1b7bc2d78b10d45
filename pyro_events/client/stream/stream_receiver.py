"""The receiver of a stream: its own connection, its subscriptions, and how both come back after an outage.

Knows: the connection for events, the one for calls, and what the reconnection is told. Must not know: frames,
what an event is made of, or what the service is told about subscriptions.

A thread that wants an event reads it from the socket (event_source.py). The reconnector's threads make a new
connection when one was lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import Pyro5.errors

from ...constants import HEARTBEAT, HEARTBEAT_ANSWER
from ...errors import EventServiceError
from ...foreign_exceptions import is_foreign
from ...log.background import get_logger
from ...service_threads import is_service_thread, refuse_in_service_thread
from ...wire.own_connection import Attached, attach_options
from ..connection.discovery import ServiceLocator
from ..connection.opener import ConnectionOpener
from ..connection.reconnecting import ReconnectingConnection
from ..connection.times import ConnectTimes
from ..forks import tell_in_child
from ..own_connection.opening import OwnConnection, open_own_connection
from ..reconnect.events import Answered
from ..reconnect.reconnection import Reconnection
from ..reconnect.times import ReconnectTimes
from ..subscribing.call_options import of_the_subscriber
from ..subscribing.remote_subscriptions import RemoteSubscriptions
from .event_source import EventSource
from .inbox import EventInbox
from .link import StreamLink
from .watcher import StreamWatcher, shared

if TYPE_CHECKING:  # imported when statistics are first asked for
    from ..statistics import StreamStatistics

log = get_logger("pyro_events.stream")

CLOSED: Final = "this stream is closed: its program has called close()"
# The service's heartbeat comes first, so this side asks only if that is missing.
STREAM_TIMES: Final = ReconnectTimes(heartbeat=HEARTBEAT + HEARTBEAT_ANSWER)
_TIMES: Final = ConnectTimes()
# After so many seconds without a call the connection for calls is released.
_IDLE: Final = 5.0
# Unsubscribing when closing is a courtesy: how long connecting for it may take.
_CLOSING: Final = 1.0


class StreamReceiver:
    """The inside of one stream. source: where its events come from."""

    def __init__(
        self,
        locator: ServiceLocator,
        options: dict[str, Any],
        wait: float = 0.0,
        watcher: StreamWatcher = shared,
        times: ReconnectTimes = STREAM_TIMES,
    ) -> None:
        """options: of the backlog. wait: seconds for which a service that is not there yet is tried again."""
        refuse_in_service_thread()
        self._disowned = False
        self._watcher = watcher
        self._options = options
        self._opener = ConnectionOpener(locator)
        self.connection = ReconnectingConnection(locator)
        self.connection.connect_first(wait)
        try:
            own = self._open(Attached("", ""), _TIMES.first)
        except BaseException:
            self.connection.close()
            raise
        self.attached = own.attached
        self.remote = RemoteSubscriptions(self.connection, None)
        self.remote.calls.subscriber = own.attached.subscriber
        self.reconnection = Reconnection(self, times=times)
        link = StreamLink(own.sock, EventInbox(own.reader))
        self.source = EventSource(link, self._lost)
        link.start()
        tell_in_child(self)

    def start(self) -> None:
        """Watch the connection, and make it again when it is lost. A subscription may have failed before."""
        self.remote.calls.forgotten = self._forgotten
        self.reconnection.listened()
        self.reconnection.connected_by(self.source.link)
        self.connection.rest(0.0)  # most streams make no other call
        self._watcher.add(self)

    def _open(self, before: Attached, seconds: float) -> OwnConnection:
        """Make a connection for events, within so many seconds."""
        options = attach_options(self.connection.name, before.key, **self._options)
        deadline = time.monotonic() + seconds
        return open_own_connection(self._opener, options, _TIMES, quick=True, deadline=deadline)

    def _lost(self, link: StreamLink) -> None:
        """A connection has ended."""
        log.debug("the connection of a stream has ended: %s", link.reason)
        self.reconnection.disconnected(link)

    def _forgotten(self) -> None:
        """The service does not know this stream, and here the end of the connection is not noticed yet."""
        self.source.link.fail("the service does not know this stream any more")
        self.source.check()

    # What the watcher calls (watcher.Watched)

    def fileno(self) -> int:
        """The descriptor of the connection, -1 for none."""
        link = self.source.link
        return -1 if link.dead else link.fileno()

    @property
    def signals(self) -> bool:
        """Whether the program waits for the descriptor."""
        return self.source.signals()

    def look(self) -> bool:
        """Read what has come, without waiting. False if another thread is reading."""
        return self.source.look()

    def rest(self) -> None:
        """Release the connection for calls when it was not used for a while, because a thousand streams would
        cost the service as many connections more. And check what nobody looks at otherwise."""
        self.source.check()
        self.connection.rest(_IDLE)

    def descriptor(self) -> int:
        """What is readable while an event can be taken."""
        signal = self.source.signal()
        self._watcher.wake()
        return signal.fileno()

    # Subscriptions

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns. If it raises, nothing has changed."""
        self.subscribe_to([(how, texts)], options)

    def subscribe_to(self, wanted: list[tuple[str, list[str]]], options: dict[str, Any]) -> None:
        """Subscribe to names and patterns. If it raises, nothing has changed."""
        if self.source.closed:
            raise EventServiceError(CLOSED)
        if any(texts for _, texts in wanted):
            with self._unless_closed():
                self.remote.subscribe_to(wanted, options)
            self._options = {**self._options, **of_the_subscriber(options)}

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        if self.source.closed:
            raise EventServiceError(CLOSED)
        with self._unless_closed():
            self.remote.unsubscribe(texts)

    @contextlib.contextmanager
    def _unless_closed(self) -> Iterator[None]:
        """What fails because another thread closes the stream meanwhile says so."""
        try:
            yield
        except EventServiceError as error:
            if not self.source.closed or is_foreign(error, EventServiceError):
                raise
            raise EventServiceError(CLOSED) from None

    # Called by the reconnector (target.ReconnectTarget).

    def wanted(self) -> bool:
        """Whether the connection is to be kept: also without subscriptions, which may come later."""
        return not self.source.closed

    def falls_back(self) -> bool:
        """There is nothing to fall back to: it is this side that connects."""
        return False

    def fall_back(self, why: str) -> None:
        """Never called, because `falls_back` says so."""

    def activity(self) -> int:
        """A number that changes when something comes."""
        return self.source.activity()

    def address(self) -> str:
        """The address of the service, or the last one."""
        return self.connection.current.address or ""

    def own_address(self) -> str:
        """What the service calls this stream."""
        return f"stream {self.attached.id}"

    def reach(self) -> None:
        """Connect to the service, if necessary."""
        self.remote.reach()

    def ask(self, timeout: float) -> Answered:
        """What the service knows about this stream."""
        return self.remote.ask(timeout)

    def drop_connection(self, reason: str) -> None:
        """Use another connection for calls."""
        self.connection.drop(reason)

    def subscribe_again(self, anew: bool) -> None:
        """Make the connection again if there is none, and send every subscription to the service."""
        if anew or self.source.link.dead:
            self._connect_again()
        self.remote.resubscribe(False)
        self.connection.rest(0.0)  # as after `start`

    def _connect_again(self) -> None:
        own = self._open(self.attached, _TIMES.connect)
        self.attached, self.remote.calls.subscriber = own.attached, own.attached.subscriber
        link = StreamLink(own.sock, EventInbox(own.reader))
        reason = self.reconnection.connected_by(link, *own.attached.notes)
        if reason is not None:
            log.info("subscribed again: %s", reason)
            link.inbox.after_a_gap()
        link.start()
        self.source.replace(link)
        self._watcher.wake()

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections that the service does not use any more."""
        for connection in connections:
            if isinstance(connection, StreamLink):
                connection.fail("the service does not use it any more")

    def statistics(self) -> StreamStatistics:
        """A snapshot."""
        from ..statistics import StreamStatistics

        connection, source = self.connection, self.source
        return StreamStatistics(
            source.taken,
            source.link.inbox.waiting,
            self.remote.texts(),
            self.attached.id,
            source.generation,
            not source.link.dead and not source.closed,
            connection.current.address,
            connection.name,
        )

    def close(self, wait: bool = True) -> None:
        """Unsubscribe and release everything; a thread that waits for an event wakes first.

        wait: whether to tell the service, and wait for threads that are reading; not in a `__del__`.
        """
        if self._disowned:
            return
        first, alive = self.source.stop(), self.source.alive
        self._watcher.remove(self)
        self._opener.close()
        self.reconnection.closed()
        wait = wait and not is_service_thread() and not self.source.entered
        try:
            names = self.remote.end()
            if first and names and wait and alive:
                self._unsubscribe(names)
        finally:
            self.connection.close()
            self.source.close(wait)
            if wait:
                self.reconnection.join()

    def _unsubscribe(self, names: list[str]) -> None:
        """Tell the service that what waits is not wanted, or it would warn of the loss."""
        try:
            self.connection.connect(quick=True, deadline=time.monotonic() + _CLOSING)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.debug("unsubscribing at the end failed: %s", error)
        else:
            self.remote.unsubscribe_all(names)

    def forked(self) -> None:
        """In a forked child: the connections are the parent's."""
        self._disowned = True
        self._opener.forked()
        self.connection.disown()
        self.remote.disown()
        self.reconnection.disown()
        self.source.forked()
