"""Engine: ties connections, the broker and deliveries together on one loop.

Knows: the loop, the clock, who is connected, and which calls are held up. Must not know: how an event
finds its subscribers (the broker's), what is on the wire (the connections'), who may subscribe (the
links'), or how long anything may take (the deadlines').

Everything here runs on the loop's thread. Nothing that can block does: work that may take long goes
to a small pool.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from ..broker.accounting import Loss
from ..broker.backlog import Backlog
from ..broker.broker import Broker, BrokerStatistics, Entry
from ..constants import KIB, MAX_CLIENTS_SHOWN
from ..log.background import get_logger
from ..log.failures import Failures
from ..options import Overflow, ServiceOptions
from ..transport.tls import client_contexts, server_contexts
from ..wire.passphrase import Identity
from .access import AccessControl
from .clients.connection import Connection
from .clients.long_result import LongResult
from .limits.admission import Admission
from .limits.flow_control import TOTAL, BlockedPublish, BlockedPublishes, Obstacle
from .limits.scheduler import Scheduler, SharedPool
from .net.sockets import files_for_each
from .net.tls_layer import TLS_FULL, AcceptedTls, TlsMemory
from .objects import DeferredResult, RemoteObject
from .subscribers.deliveries import Deliveries
from .subscribers.delivery import Delivery
from .timeouts import Timeouts

log = get_logger("pyro_events.engine")

# Connections that may wait to be accepted; and that asyncio accepts in one go, which is also how often
# it tries, and writes to the log, each time that there is no descriptor left.
_ACCEPT_QUEUE = 1024
_ACCEPT_AT_ONCE = 16
# What a connection takes in at once: about what a socket holds.
_RECEIVE = 256 * KIB
# Threads for work that takes long.
_POOL = 2
# How long clients are given to take their last answers when the service ends.
_FAREWELL = 0.5


class Engine:
    """One event service at work.

    objects: what its connections can call, by object id. links: subscribes, and ends subscriptions.
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
        self.objects: dict[str, RemoteObject] = {}
        self.broker = Broker(
            options.backlog,
            options.total_backlog_bytes,
            max_subscriptions=options.max_subscriptions,
            max_programs=options.max_programs,
            subscription_bytes=options.total_subscription_bytes,
            owner_bytes=options.host_subscription_bytes,
        )
        self.access = AccessControl(identity, options.allow_stock, now)
        self.draining = False
        self.received = memoryview(bytearray(_RECEIVE))
        self.client_tls = client_contexts()
        self.tls_memory = TlsMemory(self.received, options.total_backlog_bytes * 3 // 4, self._reserve)
        self.tls_failures = Failures()
        self.scheduler = Scheduler()
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(max_workers=_POOL, thread_name_prefix="pyro_events-pool")
        self._pool = SharedPool(self._threads, _POOL)
        self.in_pool = self._pool.submit
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._clients = Admission("connections", options, files_for_each)
        self._blocked = BlockedPublishes()
        self.deliveries = Deliveries(self, self.broker, self.access, options)
        self._deliveries = self.deliveries.table
        self._timeouts = Timeouts(options, self.broker, self._blocked, self.deliveries, self._connections)
        # Connections tell them what is unfinished with each read: one call, not two.
        self.watch = self._timeouts.watch
        self._resumable: deque[BlockedPublish] = deque()

    async def listen(self, sock: socket.socket) -> None:
        """Accept clients on a bound socket, which becomes the engine's.

        Raises EventServiceError for TLS settings that cannot be used.
        """
        contexts = server_contexts()

        def accepted() -> asyncio.BaseProtocol:
            connection = Connection(self)
            if contexts is None:
                return connection
            return AcceptedTls(connection, contexts.get(), self.tls_memory, self.tls_failed)

        server = await self._loop.create_server(accepted, sock=sock, backlog=_ACCEPT_AT_ONCE)
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
        await self.deliveries.stop()
        self._timeouts.stop()
        await self._dismiss()
        self._pool.stop()
        self._threads.shutdown(wait=False)

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

    def descriptors(self) -> list[int]:
        """The file descriptors of all its sockets, but of those that are being connected."""
        listening = [sock.fileno() for server in self._servers for sock in server.sockets]
        linked = [delivery.descriptor for delivery in list(self._deliveries.values())]
        return listening + linked + [connection.descriptor for connection in list(self._connections)]

    def statistics(self) -> BrokerStatistics:
        """A snapshot of everything."""
        return self.broker.statistics(self._now())

    def statistics_in_turns(
        self, address: str, finished: Callable[[BrokerStatistics], Any]
    ) -> DeferredResult:
        """The same for a client at an address, made by turns, then given to `finished`."""
        return LongResult(self.scheduler, address, self.broker.statistics_by_piece(self._now()), finished)

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def refused(self) -> dict[str, int]:
        """How many clients and subscribers were refused because there were too many."""
        return {"connections": self._clients.refused, "subscribers": self.deliveries.admission.refused}

    def clients(self) -> list[tuple[str, str]]:
        """The names and hosts of clients that say what they are called, at most MAX_CLIENTS_SHOWN."""
        named = ((each.name, each.peer) for each in self._connections if each.name)
        return list(islice(named, MAX_CLIENTS_SHOWN))

    # What connections ask (connection.ConnectionOwner)

    def accept(self, connection: Connection, crowded: bool) -> str | None:
        """Take a client in, or say why not. crowded: the process has hardly a file left to open."""
        if self.draining:
            return "the event service is stopping"
        if crowded:
            peer = connection.peer
            log.warning("a client from %s was refused: the process's limit of open files", peer, about=peer)
            return "the event service has as many connections as its process may open"
        if self.tls_memory.full:
            peer = connection.peer
            log.warning("a client from %s was refused: %s", peer, TLS_FULL, about=peer)
            return TLS_FULL
        reason_to_refuse = self._clients.reason_to_refuse(connection.peer)
        if reason_to_refuse is None:
            self._clients.add(connection.peer)
            self._connections.add(connection)
        return reason_to_refuse

    def _reserve(self, size: int) -> None:
        """TLS holds so many more bytes from now on, or fewer."""
        self.broker.reserve(size)
        if size < 0:
            self._look_at_total()

    def tls_failed(self, peer: str, reason: str) -> None:
        """A client from `peer` was turned away before it could say anything."""
        if self.tls_failures.is_new(peer, reason):
            log.warning("a client from %s was turned away: %s", peer, reason, about=reason)

    def disconnected(self, connection: Connection) -> None:
        """A client is gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._clients.leave(connection.peer)
        self.watch(connection, False)

    # What the service's methods ask

    def publish(self, entries: Iterable[Entry]) -> int | BlockedPublish:
        """Accept checked entries, in order, all with one time stamp.

        Returns the number of deliveries queued, or a Publication when the call is held up.
        """
        rest = iter(entries)
        now = self._now()
        queued, obstacles = self._accept(rest, now)
        if not obstacles:
            return queued
        publication = BlockedPublish(self._blocked, rest, queued, now)
        self._blocked.hold(publication, obstacles, self._loop.time())
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
        for publication in self._blocked.release(obstacle):
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
            self._blocked.hold(publication, obstacles, self._loop.time())
        else:
            publication.settle(publication.queued)
        self.deliver()

    # What links and deliveries ask and tell (links.LinksOwner, delivery.DeliveryOwner)

    def configured(self, backlog: Backlog) -> None:
        """A backlog's bounds or policy may have changed: publishers that it held up may go on."""
        delivery = self._deliveries.get(backlog)
        if delivery is not None:
            delivery.configured()
        if self._blocked.holds(backlog) and (backlog.has_room or backlog.overflow is not Overflow.BLOCK):
            self._release(backlog)

    def acknowledged(self, delivery: Delivery) -> None:
        """A backlog has shrunk: publishers that it held up may go on."""
        backlog = delivery.backlog
        if self._blocked.holds(backlog) and backlog.has_room:
            self._release(backlog)
        self._look_at_total()

    def greeted(self, delivery: Delivery) -> None:
        """A subscriber has been reached: it knows by now why it had been disconnected."""
        self.deliveries.departures.forget(delivery.backlog.subscriber)

    def ended(self, delivery: Delivery, reason: Loss, why: str) -> None:
        """A link is closed: its subscriber is forgotten, and nobody waits for it any more."""
        self.deliveries.remove(delivery, reason, why)
        self._release(delivery.backlog)
        self._look_at_total()

    def _look_at_total(self) -> None:
        if self._blocked.holds(TOTAL) and self.broker.relieved:
            self._release(TOTAL)

    def deliver(self) -> None:
        """Send what waits to those who got something. Whoever publishes calls it next.

        Not done by `publish` itself, so that all that came at once is sent together.
        """
        if not self.broker.ready:
            return
        for backlog in self.broker.take_ready():
            delivery = self._deliveries.get(backlog)
            if delivery is not None:
                delivery.flush()
        if self.broker.failing:
            self._disconnect_failing()

    def _disconnect_failing(self) -> None:
        for backlog in self.broker.take_failing():
            delivery = self._deliveries.get(backlog)
            if delivery is not None:
                self.deliveries.disconnect_unresponsive(delivery, Loss.DISCONNECT, "has a full backlog")
