"""Deliveries: which subscriber has a delivery, who may change its subscriptions, and which delivery lingers.

Knows: the delivery of each backlog, and the rights that subscribing and unsubscribing need. Must not know:
publishers, clients' connections, time limits, or how a delivery works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from typing import Protocol

from ...broker.accounting import Loss
from ...broker.backlog import Backlog
from ...broker.broker import Broker
from ...broker.retained.last import Last
from ...constants import NOT_KNOWN
from ...options import ServiceOptions
from ...wire.handshake.greeting_notes import GreetingNotes
from ..access import AccessControl
from ..limits.admission import Admission
from ..limits.block_rights import BlockRights
from ..limits.turns import host_of
from ..net.sockets import files_for_each
from ..net.tls_memory import TLS_FULL
from ..objects import Caller
from ..permissions.checks import check_group
from ..permissions.permissions import USER_GONE
from ..service_events.service_events import ServiceEvents
from .callbacks.callback_address import Callback
from .callbacks.callback_delivery import CallbackDelivery
from .callbacks.reconnect_hint import ReconnectHint
from .delivery import Delivery
from .departures import Departure, Departures, Standing, remembered_as
from .groups.group_deliveries import GroupDeliveries, GroupsOwner
from .owner import DeliveryOwner
from .subscribe_options import SubscribeOptions


class DeliveriesOwner(DeliveryOwner[Delivery], GroupsOwner, Protocol):
    """The parts of the engine that deliveries use.

    draining: whether the service accepts no more clients. events: publishes who comes and goes.
    """

    draining: bool
    events: ServiceEvents

    def configured(self, backlog: Backlog) -> None:
        """The bounds or the policy of a backlog may have changed."""


class Deliveries:
    """The deliveries to all subscribers of one service.

    deliveries: each delivery by its backlog. lingering: those whose subscriber has no subscription left, with
    the loop's time since when. Both are for reading. admission: how many there are, of which host.
    groups: sends the events of groups to their members.
    """

    def __init__(
        self, owner: DeliveriesOwner, broker: Broker, access: AccessControl, options: ServiceOptions
    ) -> None:
        self._owner = owner
        self._broker = broker
        self._access = access
        self._options = options
        self._time = asyncio.get_running_loop().time
        self.table: dict[Backlog, Delivery] = {}
        self.groups = GroupDeliveries(owner, broker.groups, self.table)
        self._rights = BlockRights(options.block_suspension)
        self.lingering: dict[Delivery, float] = {}
        self.departures = Departures()
        self.admission = Admission("subscribers", options, files_for_each)
        self._reconnect_hint = ReconnectHint(broker.knows)

    def subscribe(
        self, caller: Caller, callback: Callback, names: object, patterns: object, wanted: SubscribeOptions
    ) -> None:
        """Subscribe an object, and connect to it unless there is a delivery to it.

        Raises TypeError, ValueError or SecurityError.
        """
        broker = self._broker
        existing = self.checked(caller, callback.uri)
        user = caller.user if existing is None else existing.user
        self.admit(caller, existing)
        proof = self._access.proof_for(caller, callback.address[0], callback.object_id, wanted.call)
        ends = existing is not None and wanted.anew
        first = wanted._replace(last=Last.NONE) if ends else wanted
        backlog = self.subscribed(callback.uri, names, patterns, first, caller, user)
        if existing is not None and ends:
            # It has lost our connection, which the service might notice only minutes later.
            explanation = "subscribed again, because it had lost its connection"
            with broker.groups.hold(backlog):
                existing.close(Loss.GONE, explanation, hung_up=True)
                backlog = self.subscribed(callback.uri, names, patterns, wanted, caller, user)
        if backlog in self.table:
            self._note_lingering(backlog)
            self._owner.configured(backlog)
        elif not broker.subscriptions(backlog):
            broker.remove(backlog, Loss.GONE)  # an empty sequence of subjects is allowed
        else:
            host, waits = caller.host, wanted.falls_back
            delivery = CallbackDelivery(
                self._owner, backlog, callback, self._options, proof, host, waits, user
            )
            delivery.start(self.begin(delivery))
        self._owner.events.subscribed(backlog)

    def subscribed(
        self,
        subscriber: str,
        names: object,
        patterns: object,
        wanted: SubscribeOptions,
        caller: Caller,
        user: str,
    ) -> Backlog:
        """Subscribe a user's subscriber at the broker. Raises TypeError, ValueError or SecurityError, and
        then nothing has changed."""
        check_group(caller, wanted.group)
        owner, asked = host_of(caller.host), (wanted.group, wanted.ahead, wanted.last)
        backlog = self._broker.subscribe(
            subscriber, names, patterns, wanted.options, owner, self._access.rights_of(user), *asked, user
        )
        if wanted.name:
            backlog.name = wanted.name
        return backlog

    def admit(self, caller: Caller, existing: Delivery | None) -> None:
        """Raise ValueError if a caller can have no other delivery. existing: the one that it has."""
        if self._owner.draining:
            raise ValueError("the event service is stopping; subscribe again when it is back")
        reason_to_refuse = self.admission.reason_to_refuse(caller.host) if existing is None else None
        if existing is None and self._owner.client_tls is not None and self._owner.tls_memory.full:
            reason_to_refuse = TLS_FULL
        if reason_to_refuse is not None:
            raise ValueError(reason_to_refuse)

    def begin(self, delivery: Delivery, before: Delivery | None = None) -> GreetingNotes:
        """Add a delivery. before: the one whose backlog it goes on with. Returns what the subscriber is to be
        told."""
        if before is not None:
            before.surrender()
            self.lingering.pop(before, None)
            self.admission.leave(before.subscribed_from)
        backlog = delivery.backlog
        note = self._rights.apply(backlog, delivery.address, self._time(), delivery.user)
        self.groups.review_blocking(backlog)
        self.table[backlog] = delivery
        self.admission.add(delivery.subscribed_from)
        departure = self.departures.of(delivery.known_as)
        return GreetingNotes(departure.why if departure.user == delivery.user else "", note)

    def unsubscribe(self, caller: Caller, uris: Sequence[str], texts: object) -> int:
        """Remove subscriptions; the delivery lingers for a while after the last one. Returns how many are
        left, NOT_KNOWN if there is no such subscriber.

        uris: the names that the subscriber may have. Raises TypeError, ValueError or SecurityError.
        """
        # What it has not subscribed it cannot tell from what is not there.
        existing = self.checked(caller, self._meant(caller, uris))
        uri, user = ("", "") if existing is None else (existing.backlog.subscriber, existing.user)
        backlog = self._broker.unsubscribe(uri, texts, user)
        if backlog is None:
            return NOT_KNOWN
        self._note_lingering(backlog)
        self._owner.configured(backlog)
        return self._broker.subscriptions(backlog)

    def standing(self, caller: Caller, uris: Sequence[str]) -> Standing:
        """The state of a subscriber at the service; arguments and errors as for `unsubscribe`."""
        uri = self._meant(caller, uris)
        existing, departure = self.checked(caller, uri), self.departures.of(remembered_as(uri, caller.user))
        if existing is None:
            if not self._access.owns(caller, departure.user):
                return Standing(NOT_KNOWN, "", "")
            if departure.why:
                self._access.check_rights(caller, departure.host, departure.subscribed_from)
            return Standing(NOT_KNOWN, "", departure.why)
        why = existing.obstacle
        if why and departure.why:
            why = f"{departure.why}; now {why}"
        return Standing(self._broker.subscriptions(existing.backlog), existing.state.value, why)

    def checked(self, caller: Caller, uri: str) -> Delivery | None:
        """The delivery to a subscriber, None if there is none, or only one of another user's. Raises
        SecurityError if the caller may not change it."""
        existing = self._find(caller, uri)
        if existing is None:
            return None
        self._access.check_rights(caller, existing.address[0], existing.subscribed_from)
        return existing

    def _meant(self, caller: Caller, uris: Sequence[str]) -> str:
        """Which of these names a caller means: the first of a subscriber of its own."""
        return next((uri for uri in uris if self._find(caller, uri) is not None), uris[0])

    def _find(self, caller: Caller, uri: str) -> Delivery | None:
        """The delivery to a subscriber of a caller's own; for an admin, of any user's."""
        backlog = self._broker.find(uri, caller.user)
        if backlog is None and self._broker.knows(uri):
            backlog = next((each for each in self.owned_by(caller) if each.subscriber == uri), None)
        return self.table.get(backlog) if backlog is not None else None

    def of_users(self, users: Container[str]) -> list[Delivery]:
        """The deliveries to what these users have subscribed."""
        return [each for each in self.table.values() if each.user in users]

    def owned_by(self, caller: Caller) -> list[Backlog]:
        """The backlogs of what a caller may see."""
        return [backlog for backlog, each in self.table.items() if self._access.owns(caller, each.user)]

    def permit(self, gone: Container[str]) -> None:
        """Users have other rights than before. gone: users whose subscribers are not accepted any more."""
        for backlog, delivery in self.table.items():
            backlog.rights = self._access.rights_of(delivery.user)
        # Before anything is sent: what one of a group leaves goes to the others.
        self._broker.restrict()
        for delivery in self.of_users(gone):
            delivery.close(Loss.DENIED, USER_GONE)
        for backlog, delivery in list(self.table.items()):
            rights = backlog.rights
            if backlog.group and rights is not None and not rights.may_join(backlog.group):
                delivery.close(Loss.DENIED, f"its user may not be in the group {backlog.group!r} any more")
                continue
            self._rights.permit(backlog)
            self._owner.configured(backlog)
        self.groups.review_blocking()

    def _note_lingering(self, backlog: Backlog) -> None:
        """If a subscriber has no subscription left, remember since when."""
        delivery = self.table[backlog]
        delivery.lingering = delivery.lingers and not self._broker.subscriptions(backlog)
        if not delivery.lingering:
            self.lingering.pop(delivery, None)
        else:
            self.lingering.setdefault(delivery, self._time())

    def disconnect_unresponsive(self, delivery: Delivery, reason: Loss, explanation: str) -> None:
        """End a delivery because its subscriber does not answer; the subscriber may not learn of it."""
        # A plain object, which has only `event`, would not reconnect by itself.
        comes_back = (
            isinstance(delivery, CallbackDelivery) and delivery.takes_batches and not delivery.lingering
        )
        delivery.close(reason, explanation)
        if reason is Loss.DEADLINE:
            self._suspend(delivery)
        if comes_back:
            self._reconnect_hint.begin(delivery.backlog.subscriber, delivery.address)

    def _suspend(self, delivery: Delivery) -> None:
        """It blocked publishers for too long: whatever subscribes from there cannot do so for a while."""
        self._rights.suspend(delivery.address, self.table, self._time(), delivery.user)
        self.groups.review_blocking()
        for backlog, other in list(self.table.items()):
            if other.address == delivery.address:
                self._owner.configured(backlog)

    def check(self) -> None:
        """Called at intervals: give back rights whose suspension is over."""
        self._rights.check(self._time())
        self.groups.check()

    async def stop(self) -> None:
        """End all deliveries."""
        for delivery in list(self.table.values()):
            delivery.close(Loss.STOPPED)
        await self._reconnect_hint.stop()

    def remove(self, delivery: Delivery, reason: Loss, explanation: str, why: str) -> None:
        """A delivery has ended, and its subscriber is forgotten; the events that waited for it are lost.

        explanation: why, "" if there is nothing to say. why: what the subscriber is told when it asks or
        reconnects, "" for nothing.
        """
        backlog, events = delivery.backlog, self._owner.events
        departure = Departure(why, delivery.address[0], delivery.subscribed_from, delivery.user)
        self.departures.note(delivery.known_as, departure)
        if self.table.pop(backlog, None) is not None:
            self.admission.leave(delivery.subscribed_from)
        self.lingering.pop(delivery, None)
        self._rights.remove(backlog)
        subscribed = events.leaving(backlog)
        self._broker.remove(backlog, reason)
        if subscribed is not None:
            events.left(backlog, subscribed, reason, explanation)
