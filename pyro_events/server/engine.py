"""Engine: ties clients, the broker and deliveries together on one loop.

Knows: the loop, the clock, which parts there are, and which calls are blocked. Must not know: how an event
finds its subscribers (the broker does that), which clients may connect (Clients does that) or subscribe
(Deliveries does that), what is on the wire (their connections do that), or how long anything may take
(Timeouts does that).

Everything here runs on the loop's thread. Nothing that can block does: work that may take long goes to a
small pool.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..broker.accounting import Loss
from ..broker.backlog import Backlog
from ..broker.broker import broker_with
from ..broker.publishing import Entry
from ..broker.retained.retention import Retention
from ..broker.statistics import BrokerStatistics
from ..constants import KIB
from ..log.background import get_logger
from ..log.failures import Failures
from ..options import Overflow, ServiceOptions
from ..transport.tls import client_contexts
from ..wire.handshake.passphrase import Identity
from .access import AccessControl
from .clients.clients import Clients
from .clients.long_result import LongResult
from .interest.watchers import Watchers
from .limits.expiry import Expiry
from .limits.flow_control import TOTAL, BlockedPublish, BlockedPublishes, Obstacle, obstacles_of
from .limits.scheduler import Scheduler, SharedPool
from .net.tls_memory import TlsMemory
from .objects import Caller, DeferredResult, RemoteObject
from .permissions.permissions import Permissions
from .service_events.service_events import ServiceEvents
from .subscribers.deliveries import Deliveries
from .subscribers.delivery import Delivery, State
from .subscribers.own.own_connections import OwnConnections
from .timeouts import Timeouts

log = get_logger("pyro_events.engine")

# How many bytes a connection receives at once: about as many as a socket holds.
_RECEIVE = 256 * KIB
# How many threads there are for work that takes long.
_POOL = 2
# What the log, and the subscriber, are told of the policy `disconnect`.
_FULL_POLICY = "had a full backlog, and its overflow policy is disconnect"


class Engine:
    """One running event service.

    objects: what its clients can call, by object id. clients: accepts and ends connections. deliveries:
    subscribes, and ends subscriptions. own_connections: the same for listeners that connect themselves.
    watchers: publishers that want to know whether somebody listens. events: publishes what happens here.
    groups: sends the events of groups to their members.
    pool: does work that takes long, in other threads.
    """

    def __init__(
        self,
        options: ServiceOptions,
        now: Callable[[], float] = time.time,
        identity: Identity | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """now: the time of day, for the time stamps of events. identity: what clients and subscribers must
        prove, and what is proved to them. permissions: None if everybody may do everything.

        Raises EventServiceError for TLS settings that cannot be used.
        """
        self.options = options
        self.objects: dict[str, RemoteObject] = {}
        self.broker = broker_with(options)
        self.access = AccessControl(identity, options.allow_stock, now)
        self.draining = False
        self.received = memoryview(bytearray(_RECEIVE))
        self.client_tls = client_contexts()
        self.tls_memory = TlsMemory(self.received, options.total_backlog_bytes * 3 // 4, self._reserve)
        self.failures = Failures()
        self.scheduler = Scheduler()
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(max_workers=_POOL, thread_name_prefix="pyro_events-pool")
        self.pool = SharedPool(self._threads, _POOL)
        self.clients = Clients(self, options)
        self._blocked = BlockedPublishes()
        self.events = ServiceEvents(self.broker, now, self.deliver)
        self.expiry = Expiry(now, self._shrunk, self._resume_delivery)
        self.deliveries = Deliveries(self, self.broker, self.access, options)
        self.groups = self.deliveries.groups
        self.own_connections = OwnConnections(self, self.broker, self.deliveries, options)
        self.watchers = Watchers(self, self.broker, self.deliveries, options, now)
        self._timeouts = Timeouts(
            options, self.broker, self._blocked, self.deliveries, self.clients, self.events, self.expiry
        )
        self._resumable: deque[BlockedPublish] = deque()
        if permissions is not None:
            self.permit(permissions, ())

    async def stop(self) -> None:
        """Drain and end: accept no more clients, answer the calls already read, and deliver what is queued.

        Takes at most the option `drain` in seconds; what is left then is counted as lost.
        """
        self.draining = True
        self.events.stopping(self.options.drain)
        self.clients.drain()
        deadline = self._loop.time() + self.options.drain
        while self._busy() and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        self.events.end()
        await self.deliveries.stop()
        self.watchers.stop()
        self._timeouts.stop()
        await self.clients.dismiss()
        self.pool.stop()
        self._threads.shutdown(wait=False)

    def _busy(self) -> bool:
        # Who cannot be reached would have to connect, which nobody can any more.
        deliveries = [each for each in self.deliveries.table.values() if each.state is not State.UNREACHABLE]
        return self.clients.busy or self.groups.waits or any(each.backlog.waits for each in deliveries)

    def descriptors(self) -> list[int]:
        """The file descriptors of all its sockets, except of those that are still connecting."""
        linked = [delivery.descriptor for delivery in list(self.deliveries.table.values())]
        return self.clients.descriptors() + linked + self.watchers.descriptors()

    def statistics(self) -> BrokerStatistics:
        """A snapshot of everything."""
        return self.broker.statistics(self._now())

    def statistics_in_turns(
        self, address: str, finished: Callable[[BrokerStatistics], Any], seen_by: Caller | None = None
    ) -> DeferredResult:
        """The same for a client at an address, made in turns, then given to `finished`. seen_by: only of what
        that client's user has subscribed."""
        mine = None if seen_by is None else self.deliveries.owned_by(seen_by)
        pieces = self.broker.statistics_by_piece(self._now(), mine)
        return LongResult(self.scheduler, address, pieces, finished)

    @property
    def refused(self) -> dict[str, int]:
        """How many clients and subscribers were refused because there were too many."""
        return {"connections": self.clients.refused, "subscribers": self.deliveries.admission.refused}

    def _reserve(self, size: int) -> None:
        """TLS holds so many more bytes from now on, or fewer."""
        self.broker.reserve(size)
        if size < 0:
            self._look_at_total()

    def permit(self, permissions: Permissions, gone: Container[str]) -> None:
        """Other permissions hold from now on, for what is subscribed and what waits too. gone: users that are
        not there any more, or have another passphrase."""
        self.access.replace_users(permissions.identity_for, permissions.rights_of)
        self.clients.permit(gone)
        self.deliveries.permit(gone)
        self.watchers.permit(gone)
        for publication in [*self._blocked.calls(), *self._resumable]:
            publication.check_again()
        self._look_at_total()

    # Used by the service's methods.

    def publish(self, entries: Sequence[Entry], retained: Sequence[int] = ()) -> int | BlockedPublish:
        """Accept checked entries, in order, all with one time stamp. retained: the positions of those kept.

        Returns the number of deliveries queued, or a BlockedPublish if the call is blocked. Raises ValueError
        for more than may be kept; then nothing is published.
        """
        rest, now, broker = iter(entries), self._now(), self.broker
        retention = Retention(broker.retained, entries, retained, now) if retained else None
        # Nearly every call is made here: each call of a function that it does without counts.
        queued = broker.publish(rest, now) if retention is None else self._accept(rest, now, retention)
        if not (broker.full or broker.overloaded):
            return queued
        obstacles = obstacles_of(broker)
        publication = BlockedPublish(self._blocked, rest, queued, now, retention)
        self._blocked.hold(publication, obstacles, self._loop.time())
        return publication

    def _accept(self, entries: Iterator[Entry], now: float, retention: Retention | None) -> int:
        """Accept entries until one meets an obstacle, and keep those to retain. Returns the deliveries
        queued."""
        queued = self.broker.publish(entries, now)
        if retention is not None:
            retention.accepted(entries)
        return queued

    def _release(self, obstacle: Obstacle) -> None:
        for publication in self._blocked.release(obstacle):
            self._resumable.append(publication)
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Go on with the call that has waited longest of those that nothing blocks now."""
        publication = self._resumable.popleft()
        if publication.abandoned:
            return
        publication.queued += self._accept(publication.entries, publication.time, publication.retention)
        obstacles = obstacles_of(self.broker)
        if obstacles:
            self._blocked.hold(publication, obstacles, self._loop.time())
        else:
            publication.settle(publication.queued)
        self.deliver()

    # Used by deliveries (subscribers/deliveries.DeliveriesOwner, subscribers/owner).

    def configured(self, backlog: Backlog) -> None:
        """A backlog's bounds or policy may have changed: publishers that it blocked may go on."""
        delivery = self.deliveries.table.get(backlog)
        if delivery is not None:
            delivery.configured()
        self.freed(backlog)
        self.expiry.check((backlog,))
        if backlog.group:
            self.groups.changed(self.broker.groups.of(backlog), backlog)

    def freed(self, backlog: Backlog) -> None:
        """A backlog may have shrunk, or may not block any more: publishers that it blocked may go on."""
        if self._blocked.holds(backlog) and (backlog.has_space or backlog.overflow is not Overflow.BLOCK):
            self._release(backlog)
        self._look_at_total()

    def acknowledged(self, delivery: Delivery) -> None:
        """A backlog has shrunk: publishers that it blocked may go on."""
        backlog = delivery.backlog
        if backlog.group:
            self.groups.acknowledged(delivery)
        elif self._blocked and self._blocked.holds(backlog) and backlog.has_space:
            self._release(backlog)
        if self._blocked:
            self._look_at_total()

    def _shrunk(self, backlog: Backlog) -> None:
        """Expired events were dropped, which also frees space."""
        delivery = self.deliveries.table.get(backlog)
        if delivery is not None:
            self.acknowledged(delivery)
        else:
            self.freed(backlog)

    def _resume_delivery(self, backlog: Backlog) -> None:
        """All expired events were dropped: what is left can be sent."""
        delivery = self.deliveries.table.get(backlog)
        if delivery is not None:
            delivery.flush()
            self.acknowledged(delivery)
        else:
            self.groups.arrived(backlog)

    def greeted(self, delivery: Delivery) -> None:
        """A subscriber has answered the handshake: it now knows why it had been disconnected."""
        self.deliveries.departures.forget(delivery.known_as)

    def ended(self, delivery: Delivery, reason: Loss, explanation: str, why: str) -> None:
        """A delivery has ended: forget its subscriber, and release the publishers that wait for it."""
        with self.groups.leaving(delivery.backlog, reason):
            self.own_connections.remove(delivery)
            self.deliveries.remove(delivery, reason, explanation, why)
        self._release(delivery.backlog)
        self._look_at_total()

    def _look_at_total(self) -> None:
        if self._blocked.holds(TOTAL) and self.broker.relieved:
            self._release(TOTAL)

    def deliver(self) -> None:
        """Send waiting events to the subscribers that got some. The caller of `publish` calls it next.

        `publish` itself does not do it, so that everything that came at once is sent together.
        """
        if not self.broker.ready:
            return
        for backlog in self.broker.take_ready():
            delivery = self.deliveries.table.get(backlog)
            if delivery is not None:
                delivery.flush()
            else:
                self.groups.arrived(backlog)
        if self.broker.failing:
            self._disconnect_failing()

    def _disconnect_failing(self) -> None:
        for backlog in self.broker.take_failing():
            for delivery in self.groups.culprits(backlog):
                self.deliveries.disconnect_unresponsive(delivery, Loss.DISCONNECT, _FULL_POLICY)
