"""Engine: ties connections, the broker and deliveries together on one loop.

Knows: the loop, the clock, who is connected, and which calls are held up. Must not know: how an event
finds its subscribers (the broker's) or what is on the wire (the connections').

Everything here runs on the loop's thread. Nothing that can block does: work that may take long goes
to a small pool.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..broker.backlog import Backlog, Loss
from ..broker.broker import Broker, BrokerStatistics, Entry
from ..options import Overflow, ServiceOptions
from ..tls import client_context, server_context
from ..wire.identity import Identity
from .connection import Connection
from .delivery import Delivery, State
from .doorkeeper import Doorkeeper
from .holding import TOTAL, Holding, Obstacle, Publication
from .served import Caller, ServedObject
from .sockets import secured
from .subscribers import Callback, Wishes

log = logging.getLogger("pyro_events.engine")

# How often deadlines are looked at, in seconds; the shortest of them is two seconds.
_TICK = 0.25
# How often idle links are looked at; the heartbeat's own times are longer.
_BEAT = 1.0
# Connections that may wait to be accepted; and that asyncio accepts in one go, which is also how often
# it tries, and writes to the log, each time that there is no descriptor left.
_ACCEPT_QUEUE = 1024
_ACCEPT_AT_ONCE = 16
# How long clients are given to take their last answers when the service ends.
_FAREWELL = 0.5


class Engine:
    """One event service at work.

    objects: what its connections can call, by object id.
    """

    def __init__(
        self,
        options: ServiceOptions,
        now: Callable[[], float] = time.time,
        identity: Identity | None = None,
    ) -> None:
        """now: the time of day, that events are stamped with. identity: what clients and subscribers
        must prove, and what is proved to them.

        Raises EventServiceError for TLS settings that cannot be used.
        """
        self.options = options
        self.objects: dict[str, ServedObject] = {}
        self.broker = Broker(options.backlog, options.total_backlog_bytes)
        self.doorkeeper = Doorkeeper(identity, options.allow_stock, now)
        self.draining = False
        self.client_tls = client_context()
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pyro_events-pool")
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._unfinished: dict[Connection, float] = {}
        self._deliveries: dict[Backlog, Delivery] = {}
        self._lingering: dict[Delivery, float] = {}
        self._holding = Holding()
        self._resumable: deque[Publication] = deque()
        self._timers = [
            self._loop.call_later(_TICK, self._tick),
            self._loop.call_later(_BEAT, self._beat),
        ]

    async def listen(self, sock: socket.socket) -> None:
        """Accept clients on a bound socket, which becomes the engine's.

        Raises EventServiceError for TLS settings that cannot be used.
        """
        secure = secured(server_context(), self.options.handshake_timeout)
        server = await self._loop.create_server(
            lambda: Connection(self), sock=sock, backlog=_ACCEPT_AT_ONCE, **secure
        )
        sock.listen(_ACCEPT_QUEUE)
        self._servers.append(server)

    async def stop(self) -> None:
        """Drain and end: no new clients; calls already read are answered, what is queued is delivered.

        Takes at most the option `drain` in seconds; what is left then is counted as lost.
        """
        self.draining = True
        for server in self._servers:
            server.close()
        # Publishers that go on would keep slow subscribers busy until the time is up.
        for connection in self._connections:
            connection.drain()
        deadline = self._loop.time() + self.options.drain
        while self._busy() and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for delivery in list(self._deliveries.values()):
            delivery.close(Loss.STOPPED)
        for timer in self._timers:
            timer.cancel()
        await self._dismiss()
        self._pool.shutdown(wait=False)

    async def _dismiss(self) -> None:
        """End all connections; what is left to send goes out first, if it goes at all."""
        for connection in list(self._connections):
            connection.refuse("the service stops")
        deadline = self._loop.time() + _FAREWELL
        await asyncio.sleep(0)  # enough for most
        while self._connections and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    def _busy(self) -> bool:
        return any(connection.busy for connection in self._connections) or any(
            backlog.waits for backlog in self._deliveries
        )

    def statistics(self) -> BrokerStatistics:
        """A snapshot of everything."""
        return self.broker.statistics(self._now())

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    # What connections ask (connection.ConnectionOwner)

    def admit(self, connection: Connection, crowded: bool) -> str | None:
        """Take a client in, or say why not. crowded: the process has hardly a file left to open."""
        if self.draining:
            return "the event service is stopping"
        if len(self._connections) >= self.options.max_connections:
            log.warning(
                "a client from %s was refused: all %d connections are taken",
                connection.peer,
                len(self._connections),
            )
            return f"all {self.options.max_connections} connections of the event service are taken"
        if crowded:
            log.warning("a client from %s was refused: the process's limit of open files", connection.peer)
            return "the event service has as many connections as its process may open"
        self._connections.add(connection)
        return None

    def disconnected(self, connection: Connection) -> None:
        """A client is gone."""
        self._connections.discard(connection)
        self._unfinished.pop(connection, None)

    def watch(self, connection: Connection, unfinished: bool) -> None:
        """Remember since when a frame is incomplete, so that it can be given a deadline."""
        if unfinished:
            self._unfinished[connection] = self._loop.time()
        else:
            self._unfinished.pop(connection, None)

    def in_pool(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do work in another thread and call back, on the loop, with its result or its exception."""

        def finished(future: asyncio.Future[Any]) -> None:
            error = future.exception()
            done(error if error is not None else future.result())

        self._loop.run_in_executor(self._pool, work).add_done_callback(finished)

    # What the service's methods ask

    def publish(self, entries: Iterable[Entry]) -> int | Publication:
        """Accept checked entries, in order, all with one time stamp.

        Returns the number of deliveries queued, or a Publication when the call is held up.
        """
        rest = iter(entries)
        now = self._now()
        queued, obstacles = self._accept(rest, now)
        if not obstacles:
            return queued
        publication = Publication(self._holding, rest, queued, now)
        self._holding.hold(publication, obstacles, self._loop.time())
        return publication

    def _accept(self, entries: Iterator[Entry], now: float) -> tuple[int, list[Obstacle]]:
        """Accept entries until one meets an obstacle; returns the deliveries queued, and what that was."""
        broker = self.broker
        queued = broker.publish(entries, now)
        obstacles: list[Obstacle] = []
        if broker.full:
            obstacles.extend(broker.take_full())
        if broker.overloaded:
            obstacles.append(TOTAL)
        return queued, obstacles

    def _release(self, obstacle: Obstacle) -> None:
        for publication in self._holding.release(obstacle):
            self._resumable.append(publication)
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Go on with the publication that has waited longest of those that nothing holds up now."""
        publication = self._resumable.popleft()
        if publication.abandoned:
            return
        queued, obstacles = self._accept(publication.entries, publication.time)
        publication.queued += queued
        if obstacles:
            self._holding.hold(publication, obstacles, self._loop.time())
        else:
            publication.settle(publication.queued)
        self.deliver()

    def subscribe(
        self, caller: Caller, callback: Callback, names: object, patterns: object, wishes: Wishes
    ) -> None:
        """Subscribe an object, and connect to it unless a link exists.

        Raises TypeError, ValueError or SecurityError.
        """
        if self.draining:
            raise ValueError("the event service is stopping; subscribe again when it is back")
        link = self._checked_link(caller, callback.uri)
        proof = self.doorkeeper.proof_for(callback.address[0], callback.object_id, wishes.call)
        backlog = self.broker.subscribe(callback.uri, names, patterns, wishes.options)
        if link is not None and wishes.anew:
            # It has lost our connection, which we might find out minutes later.
            link.close(Loss.GONE, "subscribed anew, because it had lost its connection")
            backlog = self.broker.subscribe(callback.uri, names, patterns, wishes.options)
        if backlog in self._deliveries:
            self._note_lingering(backlog)
            if self._holding.holds(backlog) and (
                backlog.has_room or backlog.options.overflow is not Overflow.BLOCK
            ):
                self._release(backlog)
            return
        if not self.broker.subscriptions(backlog):
            self.broker.remove(backlog, Loss.GONE)  # an empty sequence of subjects is no error
        else:
            delivery = Delivery(self, backlog, callback, self.options, proof, caller.host)
            self._deliveries[backlog] = delivery
            delivery.start()

    def unsubscribe(self, caller: Caller, uris: Sequence[str], texts: object) -> None:
        """Remove subscriptions; the link lingers a while after the last.

        uris: the names that the subscriber may have. Raises TypeError, ValueError or SecurityError.
        """
        uri = next((uri for uri in uris if self.broker.find(uri) is not None), uris[0])
        self._checked_link(caller, uri)
        backlog = self.broker.unsubscribe(uri, texts)
        if backlog is not None:
            self._note_lingering(backlog)

    def _checked_link(self, caller: Caller, uri: str) -> Delivery | None:
        """The link to a subscriber, None if there is none. Raises SecurityError if it is not the caller's."""
        backlog = self.broker.find(uri)
        link = self._deliveries.get(backlog) if backlog is not None else None
        if link is not None:
            self.doorkeeper.check_rights(caller, link.address[0], link.subscribed_from)
        return link

    def _note_lingering(self, backlog: Backlog) -> None:
        """Remember since when a subscriber has had no subscription left, if it has none."""
        delivery = self._deliveries[backlog]
        delivery.lingering = not self.broker.subscriptions(backlog)
        if not delivery.lingering:
            self._lingering.pop(delivery, None)
        else:
            self._lingering.setdefault(delivery, self._loop.time())

    def _look_at_lingering(self, now: float) -> None:
        """Close links whose subscribers have stayed without subscriptions, and have got everything."""
        for delivery, since in list(self._lingering.items()):
            silent = now - delivery.last_acknowledged > self.options.delivery_deadline
            if now - since > self.options.linger and (silent or not delivery.backlog.waits):
                delivery.close(Loss.GONE)

    # What deliveries tell (delivery.DeliveryOwner)

    def acknowledged(self, delivery: Delivery) -> None:
        """A backlog has shrunk: publishers that it held up may go on."""
        backlog = delivery.backlog
        if self._holding.holds(backlog) and backlog.has_room:
            self._release(backlog)
        self._look_at_total()
        if delivery.slow and not len(backlog):
            delivery.slow = False
            log.warning("%s has caught up", backlog.subscriber)

    def ended(self, delivery: Delivery, reason: Loss) -> None:
        """A link is closed: its subscriber is forgotten, and nobody waits for it any more."""
        self._deliveries.pop(delivery.backlog, None)
        self._lingering.pop(delivery, None)
        self.broker.remove(delivery.backlog, reason)
        self._release(delivery.backlog)
        self._look_at_total()

    def _look_at_total(self) -> None:
        if self._holding.holds(TOTAL) and self.broker.relieved:
            self._release(TOTAL)

    def deliver(self) -> None:
        """Send what waits to those who got something. Whoever publishes calls it next.

        Not done by `publish` itself, so that a publisher's answer is on its way before: it is the
        publisher who waits.
        """
        if not self.broker.ready:
            return
        for backlog in self.broker.take_ready():
            delivery = self._deliveries.get(backlog)
            if delivery is None:
                continue
            if not delivery.wake() and not delivery.slow and backlog.crowded:
                delivery.slow = True
                log.warning("%s is slow: %d events wait for it", backlog.subscriber, len(backlog))
        if self.broker.failing:
            self._disconnect_failing()

    def _disconnect_failing(self) -> None:
        for backlog in self.broker.take_failing():
            delivery = self._deliveries.get(backlog)
            if delivery is not None:
                delivery.close(Loss.DISCONNECT, "has a full backlog")

    # Time

    def _tick(self) -> None:
        self._timers[0] = self._loop.call_later(_TICK, self._tick)
        now = self._loop.time()
        for connection, since in list(self._unfinished.items()):
            if now - since > self.options.frame_timeout:
                connection.refuse("a message was begun and not finished in time")
        self._bound_unfinished()
        self._look_at_lingering(now)
        for obstacle, since in self._holding.obstacles():
            if now - since > self.options.delivery_deadline:
                self._lose_patience(obstacle, now)

    def _bound_unfinished(self) -> None:
        """Half-read messages count towards the total too: the one begun first goes when it is reached."""
        room = self.options.total_backlog_bytes - self.broker.backlog_bytes
        held = sum(connection.buffered for connection in self._unfinished)
        while held > room and self._unfinished:
            oldest = next(iter(self._unfinished))
            held -= oldest.buffered
            del self._unfinished[oldest]
            oldest.refuse("the service holds all that it may, unfinished messages among it")

    def _lose_patience(self, obstacle: Obstacle, now: float) -> None:
        """Publishers have been held up for the delivery deadline: whoever is to blame must go."""
        deadline = self.options.delivery_deadline
        if isinstance(obstacle, Backlog):
            delivery = self._deliveries.get(obstacle)
            if delivery is not None and now - delivery.last_acknowledged > deadline:
                explanation = f"held up a publisher for {deadline:g} s without taking an event"
                delivery.close(Loss.DEADLINE, explanation)
        else:
            self._shed(now)

    def _shed(self, now: float) -> None:
        """The total is full: the subscriber that has been silent for longest must go."""
        waiting = [
            each for each in self._deliveries.values() if len(each.backlog) or each.backlog.unacknowledged
        ]
        if not waiting:
            return
        silent = min(waiting, key=lambda each: each.silent_since)
        if now - silent.silent_since > self.options.delivery_deadline:
            silent.close(Loss.DEADLINE, "was silent for longest while the service held all that it may")

    def _beat(self) -> None:
        self._timers[1] = self._loop.call_later(_BEAT, self._beat)
        for delivery in list(self._deliveries.values()):
            if delivery.state is State.ACTIVE:
                delivery.beat()
        for connection in list(self._connections):
            connection.look()
