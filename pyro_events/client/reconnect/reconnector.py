"""The keeper: sees to it that a subscriber that listens stays subscribed.

Knows: the service's connections to this program, when to look whether the service is there, and how
long to wait before trying again. Must not know: what is subscribed, or how the service is asked.

One thread for each subscriber that listens. It sleeps until a connection is lost and it is its turn to
look for the service (outage.py), or until nothing has been heard for a while, and costs nothing for each
event.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from ...constants import HEARTBEAT, HEARTBEAT_ANSWER
from ...log.background import get_logger
from ..interruptions import owned
from .heartbeat import HeartbeatProbe
from .reconnect_queue import backoff, outages
from .target import ReconnectTarget, SubscriptionStatus

log = get_logger("pyro_events.subscriber")

# A connection that lasted this long was no failure: the next loss begins with a short delay again.
STEADY: Final = 5.0
# How long the service is given to connect to us after it has taken our subscription, at first and at
# most: one that cannot reach us is not to be asked every second for ever. Being asked too early does
# no harm: a link that it is making stays.
ARRIVAL: Final = 1.5
MOST_ARRIVAL: Final = 40.0
# The least pause between two questions that somebody makes us ask: strangers can do that too.
DOUBT_EVERY: Final = 1.0
# When an attempt is due of one that waits for its turn.
_SUMMONED: Final = math.inf
# Why we do not go on with a connection.
SILENT: Final = "the event service gave no sign of life"
# Why events may have been missed.
LOST: Final = "the connection to the event service was lost"
FORGOTTEN: Final = "the event service did not know this subscriber any more"
# How long `close` waits for an attempt that is under way; it is interrupted, so this is not reached.
_JOIN: Final = 10.0


class Reconnector:
    """Keeps one subscriber subscribed, from `begin` to `rest`."""

    def __init__(self, kept: ReconnectTarget) -> None:
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
        # Whether it is our turn.
        self._admitted = False
        self._failures = self._unanswered = 0
        self._complaint = ""
        # When to ask how we stand, because there is reason to doubt it; and when we last did for that, or
        # were to.
        self._doubt: float | None = None
        self._asked = -math.inf
        self._heartbeat = HeartbeatProbe(kept, self._changed, self._idle)

    def begin(self, late: bool = False) -> None:
        """The subscriber listens from now on. late: so late that the service may have given it up."""
        with self._changed:
            if self._closed:
                return
            rested, self._working, self._rested = self._rested, True, False
            if rested and self._connections:
                self._doubt = time.monotonic()  # it may have been given up meanwhile
            if not self._connections and self._kept.wanted():
                if self._owing or self._lost is not None:
                    self._owing, self._due = True, time.monotonic()
                elif late:
                    self._doubt = time.monotonic()
            self.expect()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyro_events-keeper", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def rest(self) -> None:
        """The subscriber does not listen any more. Does not wait for an attempt under way."""
        with self._changed:
            self._working, self._rested, self._doubt = False, True, None
            if self._due == _SUMMONED:
                self._due = time.monotonic()
            self._changed.notify_all()
        self._leave()

    def stop(self) -> None:
        """Begin no further attempt, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._changed)

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

    def connected(self, connection: object) -> str | None:
        """The service has connected. Returns why it had to, if events may have been missed."""
        with self._changed:
            self._since = time.monotonic()
            self._unanswered, self._doubt = 0, None
            if self._connections:
                self._lost = self._lost or "the event service connected once more"
                # It may not know all that we subscribed to before.
                self._owing, self._due = True, self._soon()
            self._connections.add(connection)
            if not self._owing:
                self._due = None
            if not self._working and not self._rested:
                self.begin()  # in a window's loop nobody calls `listen`
            lost, self._lost, self._untold = self._lost, None, False
            back = self._due is None
            self._changed.notify_all()
        if back:
            self._leave()
        return lost

    def doubt(self) -> None:
        """The service may have given us up without our hearing of it: ask it soon."""
        with self._changed:
            if not self._working or self._closed or not self._kept.wanted():
                return
            if not self._heartbeat.waiting and self._doubt is None:
                self._doubt = self._soon()
                self._changed.notify_all()
            overdue = self._heartbeat.overdue
        if overdue:
            self._kept.drop_link("the answer is overdue, though the service can be reached")

    def _soon(self) -> float:
        """When to ask how we stand: now, but not too often."""
        self._asked = max(time.monotonic(), self._asked + DOUBT_EVERY)
        return self._asked

    def left(self, connection: object) -> None:
        """A connection has ended; harmless for one that is not the service's, or has been reported."""
        with self._changed:
            if connection not in self._connections:
                return
            self._connections.discard(connection)
            if self._connections:
                self._doubt = self._soon()
                self._changed.notify_all()
            if self._connections or not self._kept.wanted():
                return
            at = self._lose("the connection from the event service ended")
        self._line_up(at)

    def _lose(self, reason: str) -> float:
        """The last connection is lost; returns when to return at the earliest."""
        now = time.monotonic()
        self._lost, self._untold = self._lost or reason, True
        self._failures = 0 if now - self._since > STEADY else self._failures + 1
        self._owing, self._due = True, now + backoff(self._failures)
        return self._due

    def _line_up(self, at: float) -> None:
        """Wait for our turn, if it is not ours already, and for that time."""
        with self._changed:
            if self._admitted or not self._working or self._closed:
                self._changed.notify_all()
                return
            # The thread may sleep on until we are summoned, which may be at once.
            self._due = _SUMMONED
        outages.line_up(self, self._kept.address(), at)

    def grant_turn(self, at: float) -> bool:
        """For the line: it is our turn from that time on; False if there is no need to return."""
        with self._changed:
            if self._due is None or not self._working or self._closed:
                return False
            self._admitted, self._due = True, at
            self._changed.notify_all()
            return True

    def _leave(self) -> None:
        """It is not our turn any more, nor do we want it to be."""
        outages.leave(self)
        with self._changed:
            self._admitted = False
            if self._due == _SUMMONED:
                # Another thread has lined up meanwhile, and was taken out of the line again: nobody will
                # summon us, so the thread has to see for itself.
                self._due = time.monotonic()
                self._changed.notify_all()

    def _run(self) -> None:
        activity, heard = self._kept.activity(), time.monotonic()
        try:
            while self._waited(heard + HEARTBEAT):
                if self._doubts():
                    if not self._ask_in_doubt():
                        continue
                elif self._due is not None:
                    self._subscribe_again()
                elif activity == (activity := self._kept.activity()):
                    self._ask()
                heard = time.monotonic()
        finally:
            self._leave()

    def _doubts(self) -> bool:
        """Whether there is a doubt that is to be cleared up now; then it is gone."""
        with self._changed:
            found = self._doubt is not None and not self._owing and time.monotonic() >= self._doubt
            if found:
                self._doubt = None
            return found

    def _waited(self, until: float) -> bool:
        """Wait until there is something to do, at the latest until then; False when all is over."""
        with self._changed:
            while not self._closed:
                at = until if self._due is None else self._due
                if self._doubt is not None and not self._owing:
                    at = min(at, self._doubt)
                left = at - time.monotonic()
                if self._working and left <= 0:
                    return True
                self._changed.wait(left if self._working and left < _SUMMONED else None)
            return False

    def _subscribe_again(self) -> None:
        with self._changed:
            wanted = self._kept.wanted()
            if not wanted:
                self._owing, self._due, self._lost, self._untold = False, None, None, False
            # What is lost while we are at it, is owed again.
            admitted, self._owing = self._admitted, self._owing and not self._admitted
        if not wanted:
            self._leave()
        elif not admitted:
            self._line_up(time.monotonic())
        elif self._reached():
            self._tell()

    def _reached(self) -> bool:
        """Whether there is a connection to the service; if not, we are in line again."""
        try:
            another = self._kept.reach()
            # Whoever owes a subscription though a connection is open does not know what that is worth.
            open_ones = tuple(self._connections)
            known = not open_ones or self._kept.ask(HEARTBEAT_ANSWER) is not SubscriptionStatus.UNKNOWN
        except Exception as error:  # whatever it is, giving up is worse
            with self._changed:
                self._admitted, self._owing, self._due = False, True, _SUMMONED
            lasting = getattr(error, "tls", False) or not getattr(error, "temporary", True)
            if not outages.failed(self, time.monotonic(), lasting):
                self._try_later()
            self._complain(error)
            return False
        outages.succeeded(self)
        dead = () if known else open_ones
        with self._changed:
            self._connections.difference_update(dead)
            if (another or not known) and not self._connections:
                self._lost = self._lost or (LOST if known else FORGOTTEN)
                self._untold = True
        self._kept.hang_up(dead)
        return True

    def _tell(self) -> None:
        """Subscribe again. Our turn lasts until the service has connected, if it does so soon."""
        with self._changed:
            anew = self._untold and not self._connections
        try:
            self._kept.subscribe_again(anew)
        except Exception as error:
            self._try_later()
            self._leave()
            self._complain(error)
            return
        with self._changed:
            self._complaint = ""
            if self._owing:
                return
            self._untold = False
            first = not self._connections and not self._unanswered
            if self._connections:
                self._due = None
            else:
                self._due = time.monotonic() + min(MOST_ARRIVAL, ARRIVAL * 2.0 ** min(self._unanswered, 10))
                self._unanswered += 1
        if not first:
            self._leave()

    def _try_later(self) -> None:
        """An attempt failed for a reason of our own."""
        with self._changed:
            self._failures += 1
            self._owing, self._due = True, time.monotonic() + backoff(self._failures)

    def _complain(self, error: Exception) -> None:
        """Once for each kind, not once for each attempt."""
        with self._changed:
            # That one side speaks TLS now, and the other does not, is another than that nobody is there.
            kind = f"{type(error).__name__} {getattr(error, 'temporary', True)}"
            known, self._complaint = self._complaint, kind
            if self._closed or known == self._complaint:
                return
        log.warning("subscribing again failed and will be tried until it succeeds: %s", error)

    def _idle(self) -> bool:
        """Whether there is nothing to do but to wait."""
        return self._due is None and self._working and not self._closed and self._kept.wanted()

    def _ask_in_doubt(self) -> bool:
        """Find out how we stand; returns whether the service has answered. No answer means nothing: a
        stranger may have made us ask, and it may be frozen."""
        standing = self._heartbeat.ask()
        if standing is not None:
            self._judge(standing)
        return standing is not None

    def _ask(self) -> None:
        """Nothing has been heard for a while: find out whether the service is there."""
        if not self._kept.wanted():
            return
        standing = self._heartbeat.ask()
        if standing is not None:
            self._judge(standing)
            return
        with self._changed:
            if not self._idle():
                return
            # Its connections to us stay open: they may be as good as before when the network is, and what
            # waits to come by them would be lost.
            at = time.monotonic() + backoff(0)
            self._owing, self._due = True, at
        self._kept.drop_link(SILENT)
        self._line_up(at)

    def _judge(self, standing: SubscriptionStatus) -> None:
        """What follows from how we stand with the service."""
        with self._changed:
            if standing is SubscriptionStatus.KNOWN or self._owing or not self._kept.wanted():
                return
            self._owing, self._due = True, time.monotonic()
            if standing is SubscriptionStatus.UNKNOWN and not self._connections:
                self._lost, self._untold = self._lost or FORGOTTEN, True
