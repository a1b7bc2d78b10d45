"""The inlet: the subscribing end of a participant.

Knows: the daemon, the crew, the keeper and the enrolment, and what they tell each other. Must not know:
frames, what the service is told, or how handlers get their threads.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from Pyro5 import config

from ...errors import EventServiceError
from ...event import Event
from ...log.background import get_logger
from ...service_threads import is_service_thread
from ...wire.passphrase import CallbackGate
from ..connection.discovery import Finder
from ..connection.reconnecting import Link
from ..daemon.batch_reader import DaemonCarrier
from ..daemon.daemon import SubscriberDaemon
from ..dispatch.dispatcher import CLOSE_TIMEOUT, Crew
from ..reconnect.reconnector import Keeper
from ..reconnect.target import Standing
from .background_listener import BackgroundListener
from .handlers import check_result
from .remote_subscriptions import Enrolment

log = get_logger("pyro_events.subscriber")

# The service waits 60 s for the first contact, if it was not told otherwise; a `listen` this many seconds
# after subscribing asks whether it still does.
LATE: Final = 45.0
# How long a `listen` after `abort` waits for the one that was aborted to return.
_CHANGE_OVER: Final = 1.0
# How long `abort` and `close` wait for a lock where its holder may wait for them, in seconds.
_INSIDE: Final = 0.1
_LISTENS_ALREADY: Final = (
    "another thread is in listen() of this subscriber: one is enough, its events run in threads of their own"
)


@dataclass(frozen=True)
class SubscriberStatistics:
    """What a subscriber has done so far.

    handled: events whose `event` returned, in acknowledged batches; failed: those that raised.
    running: parts of batches being handled now. subscriptions: names and patterns. name: what the service
    calls this client.
    """

    handled: int
    failed: int
    running: int
    subscriptions: tuple[str, ...]
    uri: str
    connections: int
    reconnects: int
    connected: bool
    address: str | None
    name: str


class Inlet:
    """One subscriber's way in."""

    def __init__(
        self,
        finder: Finder,
        handler: Callable[[], Callable[[Event], object]],
        returned: Callable[[str], object],
        wait: float = 0.0,
    ) -> None:
        """handler: returns what to call with an event. returned: called with a reason when the service
        has connected again, before any event. wait: seconds for which a service that is not there yet is
        tried again."""
        self._returned = returned
        gate = CallbackGate(finder.identity) if finder.identity is not None else None
        self.link = Link(finder)
        self.link.connect_first(wait)
        try:
            self.daemon = SubscriberDaemon(_host(self.link.local_host), gate=gate)
        except BaseException:
            self.link.close()
            raise
        self.enrolment = Enrolment(self.link, gate)
        self.crew = Crew(handler)
        self.keeper = Keeper(self)
        self._listening = threading.Lock()
        self._background: BackgroundListener | None = None
        self.aborted = False
        self._disowned = False
        _inlets.add(self)

    def announce(self, subscriber: object) -> None:
        """Register the object in the daemon, and prepare how the service is told about it."""
        self.uri = str(self.daemon.register(subscriber))
        proxy = self.daemon.proxyFor(subscriber)
        state = [list(part) if isinstance(part, (tuple, set)) else part for part in proxy.__getstate__()]
        self.enrolment.subscriber = {"__class__": "Pyro5.client.Proxy", "state": state}
        self.daemon.deliver_to(proxy._pyroUri.object, self.crew, self)

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns. When it raises, nothing has changed."""
        if texts:
            self.enrolment.subscribe(how, texts, options)
            self.keeper.expect()

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        self.enrolment.unsubscribe(texts)

    def listen(self) -> None:
        """Run the daemon's request loop. Raises EventServiceError while another thread does."""
        if self.enrolment.ended:
            raise EventServiceError("this subscriber is closed")
        if not self._listening.acquire(timeout=_CHANGE_OVER if self.aborted else 0):
            raise EventServiceError(_LISTENS_ALREADY)
        try:
            self.aborted = False
            self._listen()
        finally:
            self._listening.release()

    def listen_in_background(self, listen: Callable[[], object]) -> None:
        """Have a thread of its own call `listen`, which calls ours; return when events come.

        Raises EventServiceError when closed, and while another thread listens.
        """
        before = self._background
        if before is not None and self.aborted:
            before.join(_CHANGE_OVER)
        server = self.daemon.transportServer
        if self.enrolment.ended or server is None:
            raise EventServiceError("this subscriber is closed")
        if (before is not None and before.running) or (self._listening.locked() and not self.aborted):
            raise EventServiceError(_LISTENS_ALREADY)
        self._background = listener = BackgroundListener(listen)
        server.begun = listener.begun
        listener.start()

    def _listen(self) -> None:
        self.keeper.begin(late=time.monotonic() - self.enrolment.since > LATE)
        try:
            self.daemon.requestLoop()
        finally:
            self.crew.pause()
            self.keeper.rest()

    def abort(self) -> None:
        """Let no further event start, and the request loop end."""
        if self._disowned:
            return
        self.aborted = True
        self.crew.pause(self._patience())
        self.keeper.rest()
        server = self.daemon.transportServer
        if server is not None:
            server.stop()

    # What the daemon tells (daemon.Home)

    @property
    def max_message(self) -> int | None:
        """Bytes of the largest message of the service, as it said when the link connected."""
        return self.link.announced

    def arrived(self, connection: object) -> bool:
        """The service has connected; returns whether events may have been missed before."""
        reason = self.keeper.arrived(connection)
        if reason is None:
            return False
        log.info("subscribed again: %s", reason)
        try:
            check_result("on_reconnect()", self._returned(reason))
        except Exception:
            log.exception("on_reconnect() failed")
        return True

    def left(self, connection: object) -> None:
        """A connection has ended."""
        self.keeper.left(connection)

    def is_at(self, address: str) -> bool:
        """Whether the service is at an address: the one that we last reached it at."""
        return address == self.link.remote_host

    def knocked(self) -> None:
        """The service may have given us up."""
        self.keeper.doubt()

    # What the keeper asks (kept.Kept)

    def wanted(self) -> bool:
        """Whether there are subscriptions."""
        return bool(self.enrolment)

    def activity(self) -> int:
        """A number that changes when events come."""
        return self.crew.begun

    def address(self) -> str:
        """Where the service is, or was last."""
        return self.link.address or ""

    def reach(self) -> bool:
        """Connect, if need be; True when it is another connection than that of the last subscription."""
        return self.enrolment.reach()

    def subscribe_again(self, anew: bool) -> None:
        """Tell the service of every subscription, as if for the first time."""
        self.enrolment.again(anew)

    def ask(self, timeout: float) -> Standing:
        """How we stand with the service."""
        return self.enrolment.ask(timeout)

    def drop_link(self, reason: str) -> None:
        """Use another connection for control calls."""
        self.link.drop(reason)

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections of the service to us."""
        for connection in connections:
            if isinstance(connection, DaemonCarrier):
                connection.wake()

    def statistics(self) -> SubscriberStatistics:
        """A snapshot."""
        crew, link = self.crew, self.link
        return SubscriberStatistics(
            crew.handled,
            crew.failed,
            crew.running,
            self.enrolment.texts(),
            self.uri,
            self.daemon.connections,
            link.reconnects,
            link.connected,
            link.address,
            link.name,
        )

    def _patience(self) -> float:
        """How long to wait for the crew's lock: hardly, where this thread is in the middle of what others
        may wait for."""
        parts = (self.link, self.enrolment, self.crew, self.keeper, self.daemon)
        inside = any([part.entered for part in parts]) or is_service_thread()
        return _INSIDE if inside else threading.TIMEOUT_MAX

    def close(self) -> None:
        """Unsubscribe from everything, then end connections and threads."""
        if self._disowned:
            return
        # Once more when an exception of the program's own has ended it in the middle.
        names = self.enrolment.end()
        patience = self._patience()
        self.aborted = True
        self.keeper.stop()
        self.crew.pause(patience)
        try:
            if names:
                self.enrolment.farewell(names)
        finally:
            self.link.close()
            self.daemon.close()
            self.crew.close(patience)
            if patience == threading.TIMEOUT_MAX:
                self.keeper.join()
                if self._background is not None:
                    self._background.join(CLOSE_TIMEOUT)

    def _forked(self) -> None:
        """In a forked child: the subscriber is the parent's, and its connections are."""
        self._disowned = True
        self._listening = threading.Lock()
        self._background = None
        self.enrolment.disown()
        self.link.disown()
        self.daemon.disown()


_inlets: weakref.WeakSet[Inlet] = weakref.WeakSet()


def _after_fork() -> None:
    for inlet in list(_inlets):
        inlet._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _host(local_host: str) -> str:
    """Where the daemon listens: the address that the service knows us by, or what Pyro5's config says."""
    if config.HOST != "localhost" or not local_host:
        return str(config.HOST)
    return local_host
