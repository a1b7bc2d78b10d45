"""The keeper: sees to it that a subscriber that listens stays subscribed.

Knows: the service's connections to this program, when to look whether the service is there, and how
long to wait before trying again. Must not know: what is subscribed, or how the service is asked.

One thread for each subscriber that listens. It sleeps until a connection is lost, or until nothing has
been heard for a while, and costs nothing for each event.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final, Protocol

from ..constants import HEARTBEAT, HEARTBEAT_ANSWER, HEARTBEAT_TRIES
from .outage import delay_after, outages

log = logging.getLogger("pyro_events.subscriber")

# A connection that lasted this long was no failure: the next loss begins with a short delay again.
STEADY: Final = 5.0
# How long the service is given to connect to us after it has taken our subscription, at first and at
# most: one that cannot reach us is not to be asked every second for ever. Being asked too early does
# no harm: a link that it is making stays.
ARRIVAL: Final = 1.5
MOST_ARRIVAL: Final = 40.0
# Why a connection is given up that nothing has come by.
SILENT: Final = "the event service gave no sign of life"
# How long `close` waits for an attempt that is under way; it is interrupted, so this is not reached.
_JOIN: Final = 10.0


class Kept(Protocol):
    """A subscriber as its keeper sees it. Everything may be called from the keeper's thread."""

    def wanted(self) -> bool:
        """Whether it has subscriptions. Must not wait."""

    def activity(self) -> int:
        """A number that changes when events come."""

    def address(self) -> str:
        """Where the service is, or was last."""

    def reach(self) -> bool:
        """Connect to the service, if there is no connection to it. May raise.

        Returns whether it is another connection than the one that it was last subscribed on.
        """

    def subscribe_again(self, anew: bool) -> None:
        """Tell the service of every subscription. anew: we have no connection of it. May raise."""

    def ask(self, timeout: float) -> bool:
        """Ask the service for a sign of life; returns what `reach` does.

        Raises what keeps it from answering.
        """

    def give_up(self, reason: str) -> None:
        """End all connections to and from the service."""


class Keeper:
    """Keeps one subscriber subscribed, from `begin` to `rest`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        # Reentrant, because a signal's handler may call `rest` or `close`.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._working = self._rested = self._closed = False
        self._connections: set[object] = set()
        self._since = 0.0
        # Why the connection was lost, until there is another.
        self._lost: str | None = None
        # Whether the service is to be told that: once, because what it then makes takes a while to
        # arrive where much comes back at once, and must not be ended by asking again.
        self._untold = False
        # Whether the service may not know all subscriptions, and when to tell it; None: all is well.
        self._owing = False
        self._due: float | None = None
        self._failures = self._unanswered = 0
        self._complaint = ""

    def begin(self, stale: bool = False, lost: str | None = None) -> None:
        """The subscriber listens from now on.

        stale: it subscribed so long ago that it should do so again. lost: why the service will have
        given it up meanwhile, if it is certain.
        """
        with self._changed:
            if self._closed:
                return
            self._working, self._rested = True, False
            if not self._connections and self._kept.wanted():
                self._lost = self._lost or lost
                self._untold = self._untold or lost is not None
                if stale or self._owing or self._lost is not None:
                    self._owing, self._due = True, time.monotonic()
            self.expect()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyro_events-keeper", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def rest(self) -> None:
        """The subscriber does not listen any more. Does not wait for an attempt under way."""
        with self._changed:
            self._working, self._rested = False, True
            self._changed.notify_all()

    def stop(self) -> None:
        """Begin no further attempt, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread, after `stop`."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN)

    def expect(self) -> None:
        """There are subscriptions: the service will connect to us soon, if it has not already."""
        with self._changed:
            if self._due is None and not self._connections and self._kept.wanted():
                self._due = time.monotonic() + ARRIVAL
                self._changed.notify_all()

    def arrived(self, connection: object) -> str | None:
        """The service has connected. Returns why it had to, if events may have been missed."""
        with self._changed:
            if self._connections and self._lost is None:
                self._lost = "the event service connected once more"
            self._connections.add(connection)
            self._since = time.monotonic()
            self._unanswered = 0
            if not self._owing:
                self._due = None
            if not self._working and not self._rested:
                self.begin()  # in a window's loop nobody calls `listen`
            lost, self._lost, self._untold = self._lost, None, False
            self._changed.notify_all()
            return lost

    def left(self, connection: object) -> None:
        """A connection has ended; harmless for one that is not the service's, or has been reported."""
        with self._changed:
            if connection not in self._connections:
                return
            self._connections.discard(connection)
            if not self._connections and self._kept.wanted():
                self._lose("the connection from the event service ended")

    def _lose(self, reason: str) -> None:
        now = time.monotonic()
        self._lost, self._untold = self._lost or reason, True
        self._failures = 0 if now - self._since > STEADY else self._failures + 1
        self._owing, self._due = True, now + delay_after(self._failures)
        self._changed.notify_all()

    def _run(self) -> None:
        activity, heard = self._kept.activity(), time.monotonic()
        while self._waited(heard + HEARTBEAT):
            if self._due is not None:
                self._subscribe_again()
                heard = time.monotonic()
            elif activity != (activity := self._kept.activity()):
                heard = time.monotonic()
            else:
                self._ask()
                heard = time.monotonic()

    def _waited(self, until: float) -> bool:
        """Wait until there is something to do, at the latest until then; False when all is over."""
        with self._changed:
            while not self._closed:
                at = until if self._due is None else self._due
                left = at - time.monotonic()
                if self._working and left <= 0:
                    return True
                self._changed.wait(left if self._working else None)
            return False

    def _subscribe_again(self) -> None:
        with self._changed:
            if not self._kept.wanted():
                self._owing, self._due, self._lost, self._untold = False, None, None, False
                return
        address = self._kept.address()
        wait = outages.wait(address, time.monotonic())
        if wait:
            with self._changed:
                self._due = time.monotonic() + wait
            return
        with outages.turn():
            self._return(address)

    def _return(self, address: str) -> None:
        with self._changed:
            # What is lost while we are at it, is owed again.
            self._owing = False
        try:
            another = self._kept.reach()
        except Exception as error:  # whatever it is, giving up is worse
            outages.failed(address, time.monotonic())
            self._failed(error)
            return
        outages.over(address)
        try:
            with self._changed:
                if another and not self._connections:
                    self._lost = self._lost or "the connection to the event service was lost"
                    self._untold = True
                anew = self._untold and not self._connections
            self._kept.subscribe_again(anew)
        except Exception as error:
            self._failed(error)
            return
        with self._changed:
            self._complaint = ""
            if self._owing:
                return
            self._untold = False
            if self._connections:
                self._due = None
            else:
                self._due = time.monotonic() + min(MOST_ARRIVAL, ARRIVAL * 2.0 ** min(self._unanswered, 10))
                self._unanswered += 1

    def _failed(self, error: Exception) -> None:
        with self._changed:
            if self._closed:
                return
            self._failures += 1
            self._owing, self._due = True, time.monotonic() + delay_after(self._failures)
            # Once for each kind, not once for each attempt.
            known, self._complaint = self._complaint, type(error).__name__
        if known != self._complaint:
            log.warning("subscribing again failed and will be tried until it succeeds: %s", error)

    def _ask(self) -> None:
        """Nothing has been heard for a while: find out whether the service is there."""
        end = time.monotonic() + HEARTBEAT_TRIES * HEARTBEAT_ANSWER
        while self._kept.wanted():
            try:
                renewed = self._kept.ask(HEARTBEAT_ANSWER)
            except Exception as error:  # no answer, or no connection: whatever it is, it is no sign of life
                log.debug("no sign of life of the event service: %s", error)
            else:
                if renewed:
                    # Perhaps it was started anew, and knows nothing of us.
                    with self._changed:
                        self._owing, self._due = True, time.monotonic()
                return
            with self._changed:
                if self._due is None and self._working and time.monotonic() < end:
                    self._changed.wait(delay_after(2))
                if self._closed or not self._working or self._due is not None:
                    return
                if time.monotonic() < end:
                    continue
                # An open connection that nothing comes by is worth nothing: the service may be gone, or
                # the network have been cut for so long that what waits comes minutes later.
                self._connections.clear()
                self._lose(SILENT)
            self._kept.give_up(SILENT)
            return
