"""Watchers: the publishers that are told when the first listener of a subject comes, and when the last goes.

Knows: the connection of each of them, by its public id, and how much of the loop's time telling them may
take. Must not know: which subjects have changed (broker/interest finds that), or how anything is sent.

A publisher makes a connection of its own, as a listener does (wire/own_connection.py), with the option
INTEREST, and says with its key which names it watches. It is not a subscriber: it gets no event, and nobody
counts it as a listener. Its connection is admitted as a subscriber's is.

When subscriptions change, nothing is counted at once. That is done in slices, soon afterwards, however many
have changed by then.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, NamedTuple, Protocol

from ...broker.accounting import Loss
from ...broker.broker import Broker
from ...broker.interest.watched import Change
from ...client_name import checked_client_name
from ...constants import HEARTBEAT_TRIES, NAME_KEY, NOT_KNOWN
from ...options import ServiceOptions
from ...wire.handshake.greeting_notes import NO_NOTES
from ...wire.own_connection import INTEREST, KEY, KEY_BYTES, Attached, id_of, is_key
from ..access import AccessControl
from ..limits.turns import host_of
from ..objects import Caller, RoleSwap
from ..permissions.permissions import USER_GONE
from ..subscribers.deliveries import Deliveries
from ..subscribers.delivery import Delivery
from ..subscribers.departures import Standing
from ..subscribers.owner import DeliveryOwner
from ..timeouts import check_intervals
from .watcher_delivery import WatcherDelivery

# Seconds of the loop's time for one slice of the work, and the pause after it if there is more. To count
# 10,000 subjects takes 0.15 s, and with the pauses half a second; beside 10,000 patterns that all match, one
# subject takes 5 ms, as a publish does then.
_SLICE: Final = 0.002
_PAUSE: Final = 0.004


class WatchersOwner(DeliveryOwner[Delivery], Protocol):
    """The parts of the engine that a delivery uses. access: what each user may do."""

    access: AccessControl


class WatchOptions(NamedTuple):
    """The options of `attach`. key: the one that the publisher has, "" for none."""

    key: str
    name: str


def is_interest(options: Any) -> bool:
    """Whether the options of `attach` are those of a publisher that watches subjects."""
    return isinstance(options, Mapping) and bool(options.get(INTEREST))


def read_watch_options(options: Mapping[str, Any]) -> WatchOptions:
    """The options of such a call. Raises TypeError or ValueError."""
    unknown = set(options) - {INTEREST, KEY, NAME_KEY}
    if unknown:
        raise ValueError(f"a publisher that watches subjects has no options {sorted(map(str, unknown))}")
    key, name = options.get(KEY, ""), options.get(NAME_KEY)
    if key and not is_key(key):
        raise ValueError(f"a publisher's key has {2 * KEY_BYTES} digits and letters from a to f")
    return WatchOptions(key, "" if name is None else checked_client_name(name))


class Watchers:
    """All of them, and the owner of their deliveries."""

    def __init__(
        self,
        owner: WatchersOwner,
        broker: Broker,
        deliveries: Deliveries,
        options: ServiceOptions,
        now: Callable[[], float],
    ) -> None:
        """deliveries: admits connections. now: the time of day."""
        self._owner = owner
        self.expiry = owner.expiry
        self.failures = owner.failures
        self.scheduler = owner.scheduler
        self.client_tls = owner.client_tls
        self.tls_memory = owner.tls_memory
        self._interest = broker.interest
        self._deliveries = deliveries
        self._options = options
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._by_id: dict[str, WatcherDelivery] = {}
        # What is found and not told yet, in order; and who has something to be sent.
        self._changes: deque[Change[Any]] = deque()
        self._ready: dict[WatcherDelivery, None] = {}
        self._work_timer: asyncio.Handle | None = None
        self._beat_timer: asyncio.Handle | None = None
        broker.interest.wake = self._wake
        broker.interest.restrict(self._may)

    def __len__(self) -> int:
        return len(self._by_id)

    def named(self, seen_by: Caller | None = None) -> list[tuple[str, str]]:
        """The names and hosts of those that gave a name. seen_by: only those that are its own."""
        shown = [one for one in self._by_id.values() if one.backlog.name]
        if seen_by is not None:
            shown = [one for one in shown if self._owner.access.owns(seen_by, one.user)]
        return [(one.backlog.name, one.address[0]) for one in shown]

    def permit(self, gone: Container[str]) -> None:
        """Users have other rights than before. gone: users whose clients are not accepted any more."""
        for watcher in self.of_users(gone):
            watcher.close(Loss.DENIED, USER_GONE)
        self._interest.restrict(self._may)

    def _may(self, watcher: Any, subject: str) -> bool:
        rights = self._owner.access.rights_of(watcher.user)
        return rights is None or rights.may_publish(subject)

    def descriptors(self) -> list[int]:
        """The file descriptors of their connections."""
        return [one.descriptor for one in list(self._by_id.values())]

    # ---- what they ask for ----------------------------------------------------------------------

    def attach(self, caller: Caller, options: Mapping[str, Any]) -> RoleSwap:
        """A publisher wants to be told over the connection on which it calls.

        With the key that it has, this connection takes the place of its last one; what it watches it has to
        say again. Raises TypeError or ValueError, and then nothing has changed.
        """
        wanted = read_watch_options(options)
        key = wanted.key or os.urandom(KEY_BYTES).hex()
        known_as = id_of(key, caller.user)
        before = self._by_id.get(known_as)
        self._deliveries.admit(caller, before)
        delivery = WatcherDelivery(self, caller, known_as, wanted.name, self._options)
        self._interest.watch(
            delivery, (), delivery.backlog.subscriber, host_of(caller.host)
        )  # its own memory
        if before is not None:
            before.close(Loss.GONE, "connected again, because it had lost its connection", hung_up=True)
        self._by_id[known_as] = delivery
        self._deliveries.admission.add(caller.host)
        if self._beat_timer is None:
            self._beat_later()
        answer = Attached(key, known_as, 0, NO_NOTES)
        return RoleSwap(answer.plain(), delivery.take_over, delivery.abandon)

    def has(self, caller: Caller, key: str) -> bool:
        """Whether a key is one of theirs, and of the caller's user."""
        return id_of(key, caller.user) in self._by_id

    def of_users(self, users: Container[str]) -> list[WatcherDelivery]:
        """Those that belong to clients of these users."""
        return [each for each in self._by_id.values() if each.user in users]

    def watch(self, caller: Caller, key: str, subjects: list[str]) -> int:
        """Tell the publisher with that key of subjects, checked ones: soon how they are, and then of each
        change. Returns how many it watches. Raises ValueError, and then nothing has changed."""
        watcher = self._by_id[id_of(key, caller.user)]
        host = watcher.subscribed_from
        self._interest.watch(watcher, subjects, watcher.backlog.subscriber, host_of(host))
        return self._interest.watched_by(watcher)

    def unwatch(self, caller: Caller, key: str, subjects: list[str]) -> int:
        """Tell it of these no longer. Returns how many are left."""
        watcher = self._by_id[id_of(key, caller.user)]
        self._interest.unwatch(watcher, subjects)
        return self._interest.watched_by(watcher)

    def standing(self, caller: Caller, key: str) -> Standing:
        """The state of a publisher here, as a listener's."""
        watcher = self._by_id.get(id_of(key, caller.user))
        if watcher is None:
            return Standing(NOT_KNOWN, "", "")
        return Standing(self._interest.watched_by(watcher), watcher.state.value, "")

    # ---- telling them ---------------------------------------------------------------------------

    def _wake(self) -> None:
        """There is something to look at."""
        if self._work_timer is None:
            self._work_timer = self._loop.call_soon(self._work)

    def _work(self) -> None:
        """A slice of the work."""
        self._work_timer = None
        end = self._loop.time() + _SLICE
        while self._step():
            if self._loop.time() > end:
                self._work_timer = self._loop.call_later(_PAUSE, self._work)
                return

    def _step(self) -> bool:
        """Do one piece of the work. Returns whether there was any."""
        if self._changes:
            watcher, subject, listeners = self._changes.popleft()
            if watcher.is_open:
                watcher.tell(subject, listeners, self._now())
                self._ready[watcher] = None
        elif self._interest.pending:
            self._changes.extend(self._interest.look(1))
        elif self._ready:
            watcher = next(iter(self._ready))
            del self._ready[watcher]
            watcher.flush()
        else:
            return False
        return True

    # ---- their connections ----------------------------------------------------------------------

    def _beat_later(self) -> None:
        self._beat_timer = self._loop.call_later(check_intervals(self._options)[1], self._beat)

    def _beat(self) -> None:
        """Send the idle ones a heartbeat, and end those that do not answer."""
        self._beat_timer = None
        for watcher in list(self._by_id.values()):
            if not watcher.heartbeat():
                watcher.close(Loss.GONE, f"left {HEARTBEAT_TRIES} heartbeats unanswered")
        if self._by_id:
            self._beat_later()

    def stop(self) -> None:
        """End all of them."""
        for watcher in list(self._by_id.values()):
            watcher.close(Loss.STOPPED)
        for timer in (self._work_timer, self._beat_timer):
            if timer is not None:
                timer.cancel()
        self._work_timer = self._beat_timer = None

    # What a delivery tells its owner (subscribers/owner.DeliveryOwner).

    def acknowledged(self, delivery: Delivery) -> None:
        """It has been told; nobody waits for that."""

    def greeted(self, delivery: Delivery) -> None:
        """It is connected; there is nothing to explain to it."""

    def ended(self, delivery: Delivery, reason: Loss, explanation: str, why: str) -> None:
        """A connection has ended: forget what it watched."""
        if self._by_id.get(delivery.known_as) is delivery:
            del self._by_id[delivery.known_as]
        self._interest.remove(delivery)
        self._deliveries.admission.leave(delivery.subscribed_from)
