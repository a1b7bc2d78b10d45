"""The inlet: the subscribing end of a participant.

Knows: what is subscribed, the daemon, the crew, the link for control calls, and the keeper. Must not
know: frames, or how handlers get their threads.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import Pyro5.errors
from Pyro5 import config

from ..broker.subjects import compile_pattern
from ..constants import FIRST_CONTACT, MAX_SUBJECT
from ..errors import EventServiceError
from ..event import Event
from ..wire.identity import CALL_OPTION, NONCE_SIZE, CallbackGate
from .crew import Crew
from .daemon import SubscriberDaemon
from .keeper import Keeper
from .link import Link
from .locate import Finder
from .subscriptions import PATTERN, Subscriptions, pieces

log = logging.getLogger("pyro_events.subscriber")

# The service waits 60 s for the first contact; a `listen` this many seconds after subscribing
# subscribes again, because its daemon answers only now.
STALE: Final = 45.0
# Unsubscribing when closing is a courtesy: the service would find out by itself.
_FAREWELL: Final = 1.0
# How long the service is given to answer a subscription that is made again.
_ANSWER: Final = 5.0
# How long a `listen` after `abort` waits for the one that was aborted to return.
_CHANGE_OVER: Final = 1.0


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
        # Guarded by `lock`, as the options are.
        self.record = Subscriptions()
        self.options: dict[str, Any] = {}
        self.lock = threading.Lock()
        self._listening = threading.Lock()
        self._aborted = False
        self.since = 0.0
        self._told_on = 0
        self.closed = False
        _inlets.add(self)

    def announce(self, subscriber: object) -> None:
        """Register the object in the daemon, and prepare how the service is told about it."""
        self.uri = str(self.daemon.register(subscriber))
        proxy = self.daemon.proxyFor(subscriber)
        state = [list(part) if isinstance(part, (tuple, set)) else part for part in proxy.__getstate__()]
        self.subscriber = {"__class__": "Pyro5.client.Proxy", "state": state}
        self.daemon.deliver_to(proxy._pyroUri.object, self.crew, self)

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns, and remember that. When it raises, nothing has changed."""
        if not texts:
            return
        calls = list(pieces(texts))
        if how == PATTERN:
            for text in texts:
                # The service judges patterns; but one of several calls must not fail when others have
                # been made, and what is much too long does not even fit into a call.
                if len(calls) > 1 or len(text) > MAX_SUBJECT:
                    compile_pattern(text)
        told_on = self._subscribe_in_pieces(how, calls, options)
        with self.lock:
            # A connection made between two pieces may be to a service that knows only the later ones.
            self._told_on = told_on
            if not self.record or not self.since:
                self.since = time.monotonic()
            self.record.add(how, texts)
            self.options.update(options)
        self.keeper.expect()

    def _subscribe_in_pieces(self, how: str, calls: list[list[str]], options: dict[str, Any]) -> int:
        """Make the calls; returns which connection the first was made on."""
        told_on, proof = 0, self._with_call({})
        done: list[str] = []
        try:
            for number, some in enumerate(calls, 1):
                # The options with the last: if it fails, they have not changed.
                wishes = {**proof, **options} if number == len(calls) else proof
                self.link.call(how, some, self.subscriber, wishes or None)
                if number == 1:
                    told_on = self.link.reconnects
                done += some
        except BaseException:
            self._take_back(done)
            raise
        return told_on

    def _take_back(self, texts: list[str]) -> None:
        """Unsubscribe from what was not subscribed before, as far as that is possible."""
        with self.lock:
            texts = self.record.unknown(texts)
        try:
            for some in pieces(texts):
                self.link.call("unsubscribe", some, self.subscriber, timeout=_ANSWER)
        except Exception as error:  # the error that we are in the middle of is the one to be raised
            log.debug("taking back a part of a subscription failed: %s", error)

    def _with_call(self, options: dict[str, Any], anew: bool = False) -> dict[str, Any]:
        """Options with the nonce that the service's proof to us must cover."""
        if self._gate is None:
            return options
        return {**options, CALL_OPTION: self._gate.call(os.urandom(NONCE_SIZE), anew)}

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        with self.lock:
            self.record.discard(texts)
        # Nothing longer can have been subscribed.
        for some in pieces([text for text in texts if len(text) <= MAX_SUBJECT]):
            self.link.call("unsubscribe", some, self.subscriber)

    def listen(self) -> None:
        """Run the daemon's request loop. Raises EventServiceError while another thread does."""
        if self.closed:
            raise EventServiceError("this subscriber is closed")
        if not self._listening.acquire(timeout=_CHANGE_OVER if self._aborted else 0):
            raise EventServiceError(
                "another thread is in listen() of this subscriber: one is enough, its events run in threads "
                "of their own"
            )
        try:
            self._aborted = False
            self._listen()
        finally:
            self._listening.release()

    def _listen(self) -> None:
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
        self._aborted = True
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
            calls, options = self.record.calls(), dict(self.options)
            self.since = time.monotonic()
        options = self._with_call(options, anew=True)
        for how, texts in calls:
            if self.closed:
                return
            wishes = {**options, "anew": True} if anew else options
            anew = False
            self._call(how, texts, self.subscriber, wishes or None)
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
            names = self.record.texts()
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
            names = list(self.record.texts())
            self.record.clear()
        if closed:
            return
        self.keeper.stop()
        self.crew.pause()
        try:
            for some in pieces(names):
                if self.link.connected:
                    self.link.call("unsubscribe", some, self.subscriber, timeout=_FAREWELL)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.debug("unsubscribing at the end failed: %s", error)
        finally:
            self.link.close()
            self.daemon.close()
            self.crew.close()
            self.keeper.join()

    def _forked(self) -> None:
        """In a forked child: the subscriber is the parent's, and its connections are."""
        self.closed = True
        self.lock, self._listening = threading.Lock(), threading.Lock()
        self.record.clear()
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
