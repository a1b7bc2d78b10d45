"""The inlet: the subscribing end of a participant.

Knows: what is subscribed, the daemon, the crew, the link for control calls, and the keeper. Must not
know: frames, or how handlers get their threads.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import Pyro5.errors
from Pyro5 import config

from ..constants import FIRST_CONTACT, MAX_SUBJECTS_PER_CALL
from ..errors import EventServiceError
from ..event import Event
from ..wire.identity import CALL_OPTION, NONCE_SIZE, CallbackGate
from .crew import Crew
from .daemon import SubscriberDaemon
from .keeper import Keeper
from .link import Link
from .locate import Finder

log = logging.getLogger("pyro_events.subscriber")

# The service waits 60 s for the first contact; a `listen` this many seconds after subscribing
# subscribes again, because its daemon answers only now.
STALE: Final = 45.0
# Unsubscribing when closing is a courtesy: the service would find out by itself.
_FAREWELL: Final = 1.0
# How long the service is given to answer a subscription that is made again.
_ANSWER: Final = 5.0
# Names in one call, when many are subscribed again: 255 characters of four bytes each, below the
# 64 KiB that the service takes in one call.
_NAMES_AT_ONCE: Final = min(MAX_SUBJECTS_PER_CALL, 50)

NAME, PATTERN = "subscribe", "subscribeMatch"


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


class Inlet:
    """One subscriber's way in."""

    def __init__(
        self,
        finder: Finder,
        handler: Callable[[], Callable[[Event], object]],
        returned: Callable[[str], object],
    ) -> None:
        """handler: returns what to call with an event. returned: called with a reason when the service
        has connected again, before any event."""
        self._returned = returned
        self._gate = CallbackGate(finder.identity) if finder.identity is not None else None
        self.link = Link(finder)
        self.link.connect()
        try:
            self.daemon = SubscriberDaemon(_host(self.link.local_host), gate=self._gate)
        except BaseException:
            self.link.close()
            raise
        self.crew = Crew(handler)
        self.keeper = Keeper(self)
        # Name or pattern -> how it was subscribed, in order; guarded by `lock`, as the options are.
        self.record: dict[str, str] = {}
        self.options: dict[str, Any] = {}
        self.lock = threading.Lock()
        self.since = 0.0
        self._told_on = 0
        self.closed = False

    def announce(self, subscriber: object) -> None:
        """Register the object in the daemon, and prepare how the service is told about it."""
        self.uri = str(self.daemon.register(subscriber))
        proxy = self.daemon.proxyFor(subscriber)
        state = [list(part) if isinstance(part, (tuple, set)) else part for part in proxy.__getstate__()]
        self.subscriber = {"__class__": "Pyro5.client.Proxy", "state": state}
        self.daemon.deliver_to(proxy._pyroUri.object, self.crew, self)

    def subscribe(self, how: str, names: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns, and remember that."""
        if not names:
            return
        self.link.call(how, names, self.subscriber, self._with_call(options) or None)
        self._told_on = self.link.reconnects
        with self.lock:
            if not self.record or not self.since:
                self.since = time.monotonic()
            self.record.update(dict.fromkeys(names, how))
            self.options.update(options)
        self.keeper.expect()

    def _with_call(self, options: dict[str, Any], anew: bool = False) -> dict[str, Any]:
        """Options with the nonce that the service's proof to us must cover."""
        if self._gate is None:
            return options
        return {**options, CALL_OPTION: self._gate.call(os.urandom(NONCE_SIZE), anew)}

    def unsubscribe(self, names: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        if not names:
            return
        with self.lock:
            for name in names:
                self.record.pop(name, None)
        self.link.call("unsubscribe", names, self.subscriber)

    def listen(self) -> None:
        """Run the daemon's request loop."""
        if self.closed:
            raise EventServiceError("this subscriber is closed")
        waited = time.monotonic() - self.since
        late = "listening began too late" if waited > FIRST_CONTACT else None
        self.keeper.begin(stale=waited > STALE, lost=late)
        try:
            self.daemon.requestLoop()
        finally:
            self.crew.pause()
            self.keeper.rest()

    def abort(self) -> None:
        """Let no further event start, and the request loop end."""
        self.crew.pause()
        self.keeper.rest()
        server = self.daemon.transportServer
        if server is not None:
            server.stop()

    # What the daemon tells (daemon.Home)

    def arrived(self, connection: object) -> bool:
        """The service has connected; returns whether events may have been missed before."""
        reason = self.keeper.arrived(connection)
        if reason is None:
            return False
        log.info("subscribed again: %s", reason)
        try:
            self._returned(reason)
        except Exception:
            log.exception("on_reconnect() failed")
        return True

    def left(self, connection: object) -> None:
        """A connection has ended."""
        self.keeper.left(connection)

    # What the keeper asks (keeper.Kept)

    def wanted(self) -> bool:
        """Whether there are subscriptions."""
        return bool(self.record) and not self.closed

    def activity(self) -> int:
        """A number that changes when events come."""
        return self.crew.begun

    def address(self) -> str:
        """Where the service is, or was last."""
        return self.link.address or ""

    def reach(self) -> bool:
        """Connect, if need be; True when it is another connection than that of the last subscription."""
        self.link.connect(quick=True)
        return self.link.reconnects != self._told_on

    def subscribe_again(self, anew: bool) -> None:
        """Tell the service of every subscription, as if for the first time."""
        with self.lock:
            record, options = dict(self.record), dict(self.options)
            self.since = time.monotonic()
        options = self._with_call(options, anew=True)
        for how in (NAME, PATTERN):
            for names in _pieces([name for name, kind in record.items() if kind == how]):
                if self.closed:
                    return
                wishes = {**options, "anew": True} if anew else options
                anew = False
                self._call(how, names, self.subscriber, wishes or None)
                self._told_on = self.link.reconnects

    def _call(self, method: str, *arguments: Any, timeout: float = _ANSWER) -> None:
        try:
            self.link.call(method, *arguments, timeout=timeout)
        except Pyro5.errors.TimeoutError:
            self.link.drop("it did not answer")
            raise

    def ask(self, timeout: float) -> bool:
        """A call that changes nothing; returns what `reach` does."""
        another = self.reach()
        self.link.call("unsubscribe", [], self.subscriber, timeout=timeout)
        return another

    def give_up(self, reason: str) -> None:
        """End all connections to and from the service."""
        self.link.drop(reason)
        self.daemon.disconnect()

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
        self.keeper.stop()
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
            self.keeper.join()


def _host(local_host: str) -> str:
    """Where the daemon listens: the address that the service knows us by, or what Pyro5's config says."""
    if config.HOST != "localhost" or not local_host:
        return str(config.HOST)
    return local_host


def _pieces(names: list[str]) -> Iterator[list[str]]:
    """Names in pieces that fit into one call."""
    for start in range(0, len(names), _NAMES_AT_ONCE):
        yield names[start : start + _NAMES_AT_ONCE]
