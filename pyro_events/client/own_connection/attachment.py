"""A listener's attachment to the service: the key that stands for it, and the connection that it has now.

Knows: when such a connection has to be made, and which thread serves it. Must not know: what is subscribed,
when the service was lost, or what happens to an event.

The connection has a thread from the beginning, as each connection to a daemon has. So heartbeats are answered
before the program listens, and after it has aborted; no event starts then, because the dispatcher is paused.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol

from ...errors import EventServiceError
from ...log.background import get_logger
from ...wire.handshake.greeting_notes import GreetingNotes
from ...wire.own_connection import attach_options
from ..connection.discovery import ServiceLocator
from ..connection.opener import ConnectionOpener
from ..connection.times import ConnectTimes
from ..dispatch.dispatcher import Dispatcher
from .opening import OwnConnection, open_own_connection
from .own_batches import OwnBatches

log = get_logger("pyro_events.subscriber")

_USUAL_TIMES: Final = ConnectTimes()


class AttachedSubscriber(Protocol):
    """The subscriber that is attached."""

    def attached(self, connection: object, notes: GreetingNotes) -> bool:
        """It is connected. Returns whether events may have been missed before. notes: for the subscriber."""

    def disconnected(self, connection: object) -> None:
        """A connection has ended; it may be reported twice."""


class Attachment:
    """One listener's attachment.

    id: what the service's statistics and log call it; "" before the first connection. heartbeats: how many
    have come. instead_of: the proxy that is subscribed so far, until a connection takes its place.
    """

    def __init__(
        self,
        locator: ServiceLocator,
        dispatcher: Dispatcher,
        subscriber: AttachedSubscriber,
        times: ConnectTimes = _USUAL_TIMES,
    ) -> None:
        """dispatcher: gets the events. times: how long connecting may take."""
        self._name = locator.name
        self._opener = ConnectionOpener(locator)
        self._dispatcher = dispatcher
        self._subscriber = subscriber
        self._times = times
        self._key = self.id = ""
        self._stands: dict[str, str] = {}  # in a call, in place of a proxy
        self._source: OwnBatches | None = None
        self._attaching = False
        self.instead_of: Any = None
        self.heartbeats = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        source = self._source
        return source is not None and not source.over

    def attach(self, again: bool = False, quick: bool = False) -> dict[str, str]:
        """Connect, if there is no connection. Returns what stands in a call in place of a proxy.

        One thread at a time calls it.

        Args:
            again: the service does not know this listener any more, so another connection is needed.
            quick: as for `ConnectionOpener.open`.

        Raises:
            EventServiceError: it is closed, or the same thread is in the middle of this already.
            Exception: as `open_own_connection` raises.
        """
        source = self._source
        if source is not None and not source.over:
            if not again:
                return self._stands
            source.shutdown()
        if self._attaching:
            raise EventServiceError(
                "this thread is in the middle of connecting to the event service, which something that it "
                "runs meanwhile (a signal handler, a __del__) needs too: subscribe later, or in a thread"
            )
        self._attaching = True
        try:
            options = attach_options(self._name, self._key, self.instead_of)
            self._begin(open_own_connection(self._opener, options, self._times, quick))
        finally:
            self._attaching = False
        return self._stands

    def _begin(self, own: OwnConnection) -> None:
        attached = own.attached
        self._key, self.id, self._stands = attached.key, attached.id, attached.subscriber
        self.instead_of = None
        self._source = source = OwnBatches(self, own)
        thread = threading.Thread(
            target=self._serve, args=(source, attached.notes), name="pyro_events-subscriber", daemon=True
        )
        try:
            thread.start()
        except BaseException as error:
            source.shutdown()  # its thread, if it has begun, closes it
            if thread.ident is None:
                source.close()
            if not isinstance(error, RuntimeError):
                raise
            raise EventServiceError(f"the connection for events gets no thread: {error}") from error

    def _serve(self, source: OwnBatches, notes: GreetingNotes) -> None:
        """Everything that happens on one connection; the body of its thread."""
        workers = self._dispatcher.add(source)
        if workers is None:  # the subscriber is closed
            source.close()
            return
        try:
            source.gap = self._subscriber.attached(source, notes)
        except BaseException:  # nobody knows what the subscriber knows now: it has to connect again
            log.exception("the connection for events is closed", about=self.id)
            source.shutdown()
        workers.run()

    def close(self) -> None:
        """End the connection, make none from now on, and interrupt an attempt to make one."""
        self._opener.close()
        source = self._source
        if source is not None:
            source.shutdown()

    def disown(self) -> None:
        """In a forked child: the connection is the parent's."""
        self._opener.forked()
        source, self._source = self._source, None
        if source is not None:
            source.disown()

    # Called by the connection (own_batches.SourceOwner).

    def heard(self) -> None:
        """A heartbeat has come."""
        self.heartbeats += 1

    def ended(self, source: OwnBatches) -> None:
        """A connection cannot be used any more."""
        self._subscriber.disconnected(source)
