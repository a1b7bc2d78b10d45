"""Subscriber: what a program derives from to be called back.

Knows: subscriptions, and when the program listens. Must not know: frames, or how handlers get their
threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import Pyro5.errors
from Pyro5 import config
from Pyro5.server import expose

from ..broker.subjects import check_subjects, check_texts
from ..constants import MAX_SUBJECTS_PER_CALL
from ..errors import EventServiceError
from ..event import Event
from ..options import Overflow
from .crew import Crew
from .daemon import SubscriberDaemon
from .link import Link
from .locate import Finder
from .participant import Participant, chosen_uri

log = logging.getLogger("pyro_events.subscriber")

# The service waits 60 s for the first contact; a `listen` this many seconds after subscribing
# subscribes again, because its daemon answers only now.
STALE: Final = 45.0
# Unsubscribing when closing is a courtesy: the service would find out by itself.
_FAREWELL: Final = 1.0
# Names in one call, when many are subscribed again: 255 characters of four bytes each, below the
# 64 KiB that the service takes in one call.
_NAMES_AT_ONCE: Final = min(MAX_SUBJECTS_PER_CALL, 50)

_NAME, _PATTERN = "subscribe", "subscribeMatch"


@dataclass(frozen=True)
class SubscriberStatistics:
    """What a subscriber has done so far.

    handled: events whose `event` returned, in acknowledged batches; failed: those that raised.
    running: parts of batches being handled now. subscriptions: names and patterns.
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


class _Inlet:
    """The subscribing end of a participant: the daemon, the crew, and a link for control calls."""

    def __init__(self, subscriber: Subscriber, finder: Finder) -> None:
        self.link = Link(finder)
        self.link.connect()
        try:
            self.daemon = SubscriberDaemon(_host(self.link.local_host))
        except BaseException:
            self.link.close()
            raise
        self.crew = Crew(lambda: subscriber.event)
        # Name or pattern -> how it was subscribed, in order; guarded by `lock`, as the options are.
        self.record: dict[str, str] = {}
        self.options: dict[str, Any] = {}
        self.lock = threading.Lock()
        self.since = 0.0
        self.closed = False
        self.warned = False

    def announce(self, subscriber: Subscriber) -> None:
        """Register the object in the daemon, and prepare how the service is told about it."""
        self.uri = str(self.daemon.register(subscriber))
        proxy = self.daemon.proxyFor(subscriber)
        state = [list(part) if isinstance(part, (tuple, set)) else part for part in proxy.__getstate__()]
        self.subscriber = {"__class__": "Pyro5.client.Proxy", "state": state}
        self.daemon.deliver_to(proxy._pyroUri.object, self.crew)

    def subscribe(self, how: str, names: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns, and remember that."""
        if not names:
            return
        self.link.call(how, names, self.subscriber, options or None)
        with self.lock:
            if not self.record or not self.since:
                self.since = time.monotonic()
            self.record.update(dict.fromkeys(names, how))
            self.options.update(options)

    def unsubscribe(self, names: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        if not names:
            return
        with self.lock:
            for name in names:
                self.record.pop(name, None)
        self.link.call("unsubscribe", names, self.subscriber)

    def subscribe_again(self) -> None:
        """Tell the service of every subscription, as if for the first time."""
        with self.lock:
            record, options = dict(self.record), dict(self.options)
            self.since = time.monotonic()
        for how in (_NAME, _PATTERN):
            for names in _pieces([name for name, kind in record.items() if kind == how]):
                self.link.call(how, names, self.subscriber, options or None)

    def listen(self) -> None:
        """Run the daemon's request loop."""
        if self.closed:
            raise EventServiceError("this subscriber is closed")
        if self.record and not self.daemon.connections and time.monotonic() - self.since > STALE:
            self.subscribe_again()
        try:
            self.daemon.requestLoop()
        finally:
            self.crew.pause()

    def abort(self) -> None:
        """Let no further event start, and the request loop end."""
        self.crew.pause()
        server = self.daemon.transportServer
        if server is not None:
            server.stop()

    def statistics(self) -> SubscriberStatistics:
        """A snapshot."""
        crew, link = self.crew, self.link
        with self.lock:
            names = tuple(self.record)
        return SubscriberStatistics(
            crew.handled,
            crew.failed,
            crew.running,
            names,
            self.uri,
            self.daemon.connections,
            link.reconnects,
            link.connected,
            link.address,
        )

    def close(self) -> None:
        """Unsubscribe from everything, then end connections and threads."""
        with self.lock:
            closed, self.closed = self.closed, True
            names = list(self.record)
            self.record.clear()
        if closed:
            return
        self.crew.pause()
        try:
            for some in _pieces(names):
                if self.link.connected:
                    self.link.call("unsubscribe", some, self.subscriber, timeout=_FAREWELL)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.debug("unsubscribing at the end failed: %s", error)
        finally:
            self.link.close()
            self.daemon.close()
            self.crew.close()


class Subscriber(Participant):
    """Derive from it and override `event`; no decorator is needed.

    Subscribing works from `__init__` on, in any thread, inside `event` too; events come when
    `listen` runs. Use it in a `with` statement, or call `close`.
    """

    __inlet: _Inlet

    def __init__(self, ident: object = None, es_uri: object = None, *, esURI: object = None) -> None:
        """Find the event service and connect to it; the arguments are those of Publisher.

        Raises ServiceNotFoundError (a NamingError) or ServiceUnreachableError (a CommunicationError).
        """
        inlet = _Inlet(self, Finder(chosen_uri(ident, es_uri, esURI)))
        self.__inlet = inlet
        self._join("subscriber", inlet)
        try:
            inlet.announce(self)
        except BaseException:
            inlet.close()
            raise

    def event(self, event: Event) -> None:
        """Override this: it is called with every event, in threads of the daemon."""
        if not self.__inlet.warned:
            self.__inlet.warned = True
            log.warning("%s does not override event(): its events are ignored", type(self).__name__)

    @expose  # type: ignore[untyped-decorator]
    def events(self, batch: Any) -> list[int]:
        """For the service: handle rows of [subject, time, seq, missed, payload].

        Returns the positions whose `event` raised.
        """
        return self.__inlet.crew.run(batch)

    def subscribe(
        self,
        subjects: Any,
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | str | None = None,
    ) -> None:
        """Subscribe to one name or any iterable of names. Subscribing twice is harmless.

        The options bound this subscriber's backlog in the service, and say what happens to an event
        that finds it full; the last ones given hold for all its subscriptions.

        Raises TypeError or ValueError for a bad name or option, ServiceUnreachableError, and
        OutcomeUnknownError.
        """
        options = _options(backlog, backlog_bytes, overflow)
        self.__inlet.subscribe(_NAME, check_subjects(subjects), options)

    def subscribeMatch(
        self,
        patterns: Any,
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | str | None = None,
    ) -> None:
        """Subscribe to the subjects that match one regular expression or any of several.

        Matched from the start of the subject, whatever the case of letters. Options and errors as
        for `subscribe`; a bad pattern is a ValueError.
        """
        options = _options(backlog, backlog_bytes, overflow)
        self.__inlet.subscribe(_PATTERN, check_texts(patterns), options)

    def unsubscribe(self, subjects: Any) -> None:
        """Remove names and patterns, in any mixture; what is not there is no error.

        Nothing published afterwards arrives by them; what was queued before still may.
        """
        self.__inlet.unsubscribe(check_texts(subjects))

    def listen(self) -> None:
        """Let events come, until `abort` or `close`. May be called again after `abort`."""
        self.__inlet.listen()

    def abort(self) -> None:
        """End `listen`: no further event starts, and what is being handled is not waited for.

        Returns at once, from any thread, inside `event` too. The subscriptions stay.
        """
        self.__inlet.abort()

    def setThreading(self, threading: bool) -> None:
        """Whether an event may be handled while the previous one still is.

        It is on at first: events start in order, up to 16 handlers run at once. Off: strictly one
        by one.
        """
        self.__inlet.crew.set_threading(bool(threading))

    @property
    def daemon(self) -> SubscriberDaemon:
        """The Pyro5 daemon that the events come to; for GUI loops: `sockets`, `events`, `requestLoop`."""
        return self.__inlet.daemon


def _host(local_host: str) -> str:
    """Where the daemon listens: the address that the service knows us by, or what Pyro5's config says."""
    if config.HOST != "localhost" or not local_host:
        return str(config.HOST)
    return local_host


def _options(
    backlog: int | None, backlog_bytes: int | None, overflow: Overflow | str | None
) -> dict[str, Any]:
    """The options that were given, as the service takes them; it sets the bounds, so it judges them."""
    name = Overflow.parse(overflow).value if overflow is not None else None
    given = {"backlog": backlog, "backlog_bytes": backlog_bytes, "overflow": name}
    return {key: value for key, value in given.items() if value is not None}


def _pieces(names: list[str]) -> Iterator[list[str]]:
    """Names in pieces that fit into one call."""
    for start in range(0, len(names), _NAMES_AT_ONCE):
        yield names[start : start + _NAMES_AT_ONCE]
