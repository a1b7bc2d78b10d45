"""Timeouts: which clients and subscribers take too long, and which of them are disconnected for it.

Knows: the timers, and how long a half-read message, a blocked publisher, a delivery without subscriptions and
an idle delivery are tolerated, and when expired events are looked for. Must not know: how a connection or a
delivery works, or what is subscribed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from .. import constants as c
from ..broker.accounting import Loss
from ..broker.backlog import Backlog
from ..broker.broker import Broker
from ..log.background import get_logger
from ..options import ServiceOptions
from .clients.clients import Clients
from .clients.connection import Connection
from .limits.expiry import Expiry
from .limits.flow_control import BlockedPublishes, Obstacle
from .service_events.service_events import ServiceEvents
from .subscribers.deliveries import Deliveries
from .subscribers.slow_subscribers import SlowSubscribers

log = get_logger("pyro_events.engine")

# Seconds between two checks of the deadlines, and between two checks of idle deliveries: at most and at
# least.
_MOST_TICK, _MOST_BEAT, _LEAST = 0.25, 1.0, 0.01


def check_intervals(options: ServiceOptions) -> tuple[float, float]:
    """Seconds between two checks of the deadlines, and between two checks of idle deliveries.

    If the deadlines are short, a small part of the shortest.
    """
    deadline = min(options.delivery_deadline, options.linger, options.frame_timeout)
    idle = min(options.heartbeat, options.heartbeat_answer, options.block_suspension)
    return max(_LEAST, min(_MOST_TICK, deadline / 8)), max(_LEAST, min(_MOST_BEAT, idle / 4))


class Timeouts:
    """All deadlines of one service, checked at intervals until `stop`."""

    def __init__(
        self,
        options: ServiceOptions,
        broker: Broker,
        holding: BlockedPublishes,
        deliveries: Deliveries,
        clients: Clients,
        events: ServiceEvents,
        expiry: Expiry,
    ) -> None:
        """The arguments are parts of the engine, which may be changed here."""
        self._options = options
        self._broker = broker
        self._blocked = holding
        self._deliveries = deliveries
        self._groups = deliveries.groups
        self._clients = clients
        self._events = events
        self._slow = SlowSubscribers(events)
        self._expiry = expiry
        self._freed: dict[Backlog, int] | None = None  # of each, when the total began to block publishers
        self._total_held_for = 0.0
        self._looked = 0.0
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._intervals = check_intervals(options)
        self._timers = [
            self._loop.call_later(self._intervals[0], self._tick),
            self._loop.call_later(self._intervals[1], self._beat),
        ]

    def stop(self) -> None:
        """Check no more."""
        for timer in self._timers:
            timer.cancel()

    def _tick(self) -> None:
        self._timers[0] = self._loop.call_later(self._intervals[0], self._tick)
        self.check(self._time())
        self._events.check()

    def check(self, now: float) -> None:
        """End whatever has taken too long. now: the loop's time."""
        for connection, since in list(self._clients.unfinished.items()):
            if now - since > self._options.frame_timeout:
                connection.refuse("the rest of a message did not come in time")
        self._bound_calls(self._clients if self._blocked else ())
        self._look_at_lingering(now)
        if self._blocked:  # what has expired may be in its way
            self._expiry.check(self._backlogs())
        looked, self._looked = self._looked, now
        for obstacle, held_for in self._blocked.check(now):
            if not self._blocked.holds(obstacle):  # a check before this one released it
                continue
            if isinstance(obstacle, Backlog):
                if any(each.last_acknowledged > looked for each in self._groups.takers(obstacle)):
                    self._blocked.restart(obstacle)
                    continue
            else:
                self._note_progress(held_for)
            if held_for > self._options.delivery_deadline:
                self._enforce_delivery_deadline(obstacle)

    def _bound_calls(self, connections: Iterable[Connection]) -> None:
        """Half-read messages, and those of waiting calls, count towards the total too. When it is reached,
        the half-read message that began first is refused; if there is none, the client that has the most in
        waiting calls is disconnected.

        connections: those whose calls may wait.

        They always have an eighth of the total: full backlogs block publishers, but end no connection.
        """
        total = self._broker.most_bytes
        space = max(total - self._broker.backlog_bytes, total // 8)
        waiting = {connection: size for connection in connections if (size := connection.held)}
        unfinished = self._clients.unfinished
        size = sum(connection.buffered for connection in unfinished) + sum(waiting.values())
        while size > space and unfinished:
            oldest = next(iter(unfinished))
            size -= oldest.buffered
            self._clients.watch(oldest, False)
            oldest.refuse("the service has reached its memory limit, unfinished messages included")
        for connection in sorted(waiting, key=waiting.__getitem__, reverse=True):
            if size <= space:
                return
            size -= waiting[connection]
            log.warning(
                "a client from %s is disconnected, with %d bytes of waiting calls: the service has reached "
                "its memory limit (--total-backlog-bytes)",
                connection.label,
                waiting[connection],
                about=connection.peer,
            )
            connection.abort()

    def bound_unsent(self) -> None:
        """Answers that clients do not read count too. When the total is reached, the client with the most of
        them is disconnected.

        They also always have an eighth of the total.
        """
        total = self._broker.most_bytes
        space = max(total - self._broker.backlog_bytes, total // 8)
        unsent = {connection: size for connection in self._clients if (size := connection.unsent)}
        held = sum(unsent.values())
        for connection in sorted(unsent, key=unsent.__getitem__, reverse=True):
            if held <= space:
                return
            held -= unsent[connection]
            connection.abort()
            peer = connection.peer
            log.warning(
                "a client from %s, which does not read its answers, is disconnected",
                connection.label,
                about=peer,
            )

    def _look_at_lingering(self, now: float) -> None:
        """Close deliveries whose subscribers have had no subscription for long enough and have got
        everything."""
        for delivery, since in list(self._deliveries.lingering.items()):
            silent = now - delivery.last_acknowledged > self._options.delivery_deadline
            if now - since > self._options.linger and (silent or not delivery.backlog.waits):
                delivery.close(Loss.GONE)

    def _enforce_delivery_deadline(self, obstacle: Obstacle) -> None:
        """Publishers have been blocked for the delivery deadline: disconnect the subscribers that are the
        cause."""
        if isinstance(obstacle, Backlog):
            deadline = self._options.delivery_deadline
            explanation = f"blocked a publisher for {deadline:g} s without taking an event"
            for delivery in self._groups.culprits(obstacle):
                self._deliveries.disconnect_unresponsive(delivery, Loss.DEADLINE, explanation)
            if self._blocked.holds(obstacle):  # others of its group have the deadline from now on
                self._blocked.restart(obstacle)
        else:
            self._disconnect_slowest()

    def _note_progress(self, held_for: float) -> None:
        """Remember what each subscriber had freed when the total began to block publishers.

        held_for: for how long it has blocked them, in seconds.
        """
        if held_for < self._total_held_for or self._freed is None:
            self._freed = {backlog: backlog.freed for backlog in self._backlogs()}
        self._total_held_for = held_for

    def _disconnect_slowest(self) -> None:
        """The total has blocked publishers for too long: disconnect subscribers that hold most and free least
        of it.

        One after the other, until publishers go on. A subscriber that has meanwhile freed as much as it still
        holds is not a cause.
        """
        before = self._freed or {}
        burdens = {
            backlog: backlog.held - (backlog.freed - before.get(backlog, 0)) for backlog in self._backlogs()
        }
        explanation = (
            "held most of the total backlog, and freed least of it, while publishers waited for space"
        )
        for backlog in sorted(burdens, key=burdens.__getitem__, reverse=True):
            for delivery in self._groups.of(backlog):
                if burdens[backlog] <= 0 or self._broker.relieved:
                    return
                self._deliveries.disconnect_unresponsive(delivery, Loss.DEADLINE, explanation)

    def _backlogs(self) -> list[Backlog]:
        """Those of all subscribers, and of all groups."""
        return [*self._deliveries.table, *[group.backlog for group in self._broker.groups]]

    def _beat(self) -> None:
        self._timers[1] = self._loop.call_later(self._intervals[1], self._beat)
        for delivery in list(self._deliveries.table.values()):
            if not delivery.heartbeat():
                explanation = f"left {c.HEARTBEAT_TRIES} heartbeats unanswered"
                self._deliveries.disconnect_unresponsive(delivery, Loss.GONE, explanation)
        self._expiry.check(self._backlogs())
        self._slow.check(self._backlogs(), self._time())
        self._deliveries.check()
        for connection in list(self._clients):
            connection.check()
        self._bound_calls(self._clients)
        self.bound_unsent()
        self._clients.pieces.trim()
