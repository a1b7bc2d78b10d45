"""Deadlines: who takes too long, and who must go because of it.

Knows: the timers, and how long a half-read message, a publisher held up, a link without subscriptions
and an idle link are borne with. Must not know: how a connection or a delivery works, or who subscribes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from .. import constants as c
from ..background_log import get_logger
from ..broker.accounting import Loss
from ..broker.backlog import Backlog
from ..broker.broker import Broker
from ..options import ServiceOptions
from .connection import Connection
from .holding import Holding, Obstacle
from .links import Links

log = get_logger("pyro_events.engine")

# How often deadlines are looked at, in seconds; by default the shortest of them is two seconds.
_TICK = 0.25
# How often idle links are looked at; by default the heartbeat's own times are longer.
_BEAT = 1.0


class Deadlines:
    """All deadlines of one service, looked at again and again from the start until `stop`."""

    def __init__(
        self,
        options: ServiceOptions,
        broker: Broker,
        holding: Holding,
        links: Links,
        connections: Collection[Connection],
    ) -> None:
        """What may be looked at, and is the engine's to change. connections: of all clients."""
        self._options = options
        self._broker = broker
        self._holding = holding
        self._links = links
        self._connections = connections
        self._unfinished: dict[Connection, float] = {}
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._timers = [
            self._loop.call_later(_TICK, self._tick),
            self._loop.call_later(_BEAT, self._beat),
        ]

    def stop(self) -> None:
        """Look no more."""
        for timer in self._timers:
            timer.cancel()

    def watch(self, connection: Connection, unfinished: bool) -> None:
        """Remember since when a frame is incomplete, so that it can be given a deadline."""
        if unfinished:
            self._unfinished[connection] = self._time()
        else:
            self._unfinished.pop(connection, None)

    def _tick(self) -> None:
        self._timers[0] = self._loop.call_later(_TICK, self._tick)
        self.look(self._time())

    def look(self, now: float) -> None:
        """End those who have taken too long. now: the loop's time."""
        for connection, since in list(self._unfinished.items()):
            if now - since > self._options.frame_timeout:
                connection.refuse("a message was begun and not finished in time")
        self._bound_unfinished()
        self._look_at_lingering(now)
        for obstacle, since in self._holding.obstacles():
            if now - since > self._options.delivery_deadline:
                self._lose_patience(obstacle, now)

    def _bound_unfinished(self) -> None:
        """Half-read messages count towards the total too: the one begun first goes when it is reached."""
        room = self._broker.most_bytes - self._broker.backlog_bytes
        held = sum(connection.buffered for connection in self._unfinished)
        while held > room and self._unfinished:
            oldest = next(iter(self._unfinished))
            held -= oldest.buffered
            del self._unfinished[oldest]
            oldest.refuse("the service holds all that it may, unfinished messages among it")

    def bound_unsent(self) -> None:
        """So do answers that nobody takes: whoever leaves most goes when it is reached.

        An eighth of the total is theirs in any case: backlogs that hold publishers up are no fault of theirs.
        """
        total = self._broker.most_bytes
        room = max(total - self._broker.backlog_bytes, total // 8)
        unsent = {connection: size for connection in self._connections if (size := connection.unsent)}
        held = sum(unsent.values())
        for connection in sorted(unsent, key=unsent.__getitem__, reverse=True):
            if held <= room:
                return
            held -= unsent[connection]
            connection.abort()
            peer = connection.peer
            log.warning(
                "a client from %s, which does not take its answers, is disconnected",
                connection.label,
                about=peer,
            )

    def _look_at_lingering(self, now: float) -> None:
        """Close links whose subscribers have stayed without subscriptions, and have got everything."""
        for delivery, since in list(self._links.lingering.items()):
            silent = now - delivery.last_acknowledged > self._options.delivery_deadline
            if now - since > self._options.linger and (silent or not delivery.backlog.waits):
                delivery.close(Loss.GONE)

    def _lose_patience(self, obstacle: Obstacle, now: float) -> None:
        """Publishers have been held up for the delivery deadline: whoever is to blame must go."""
        deadline = self._options.delivery_deadline
        if isinstance(obstacle, Backlog):
            delivery = self._links.deliveries.get(obstacle)
            if delivery is not None and now - delivery.last_acknowledged > deadline:
                explanation = f"held up a publisher for {deadline:g} s without taking an event"
                self._links.give_up(delivery, Loss.DEADLINE, explanation)
        else:
            self._shed(now)

    def _shed(self, now: float) -> None:
        """The total is full: the subscriber that has been silent for longest must go."""
        waiting = [each for each in self._links.deliveries.values() if each.backlog.waits]
        if not waiting:
            return
        silent = min(waiting, key=lambda each: each.silent_since)
        if now - silent.silent_since > self._options.delivery_deadline:
            explanation = "was silent for longest while the service held all that it may"
            self._links.give_up(silent, Loss.DEADLINE, explanation)

    def _beat(self) -> None:
        self._timers[1] = self._loop.call_later(_BEAT, self._beat)
        for delivery in list(self._links.deliveries.values()):
            if not delivery.beat():
                explanation = f"left {c.HEARTBEAT_TRIES} heartbeats unanswered"
                self._links.give_up(delivery, Loss.GONE, explanation)
        for connection in list(self._connections):
            connection.look()
        self.bound_unsent()
