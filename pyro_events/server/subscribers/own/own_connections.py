"""Listeners that have made a connection of their own (C31): who has which key, and what a key may change.

Knows: the delivery of each listener, by its public id. Must not know: how events are sent, how a call
arrives, or how the roles on a connection are swapped.

wire/own_connection.py draws the protocol. A key is never stored: its id, which is a digest of it and of the
user, finds the delivery. An id is not a secret, and nothing can be done with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import Pyro5.errors

from ....broker.accounting import Loss
from ....broker.broker import Broker
from ....constants import NOT_KNOWN
from ....options import ServiceOptions
from ....wire.own_connection import INSTEAD_OF, KEY, KEY_BYTES, Attached, id_of, is_key
from ...objects import Caller, RoleSwap
from ..callbacks.callback_address import Callback, read_subscriber
from ..deliveries import Deliveries, DeliveriesOwner
from ..delivery import Delivery, State
from ..departures import Standing
from ..subscribe_options import SubscribeOptions, read_options
from .own_delivery import OwnDelivery


class AttachOptions(NamedTuple):
    """The options of `attach`. wanted: those of a subscribing call. key: the one that the listener has, ""
    for none. callback: what it was subscribed as, None for nothing."""

    wanted: SubscribeOptions
    key: str
    callback: Callback | None


def read_attach_options(options: Any, caller_host: str, allowed: frozenset[str]) -> AttachOptions:
    """The options of `attach`. Raises TypeError or ValueError."""
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dictionary, not {type(options).__name__}")
    rest = {name: value for name, value in options.items() if name not in (KEY, INSTEAD_OF)}
    wanted, key, subscriber = read_options(rest), options.get(KEY, ""), options.get(INSTEAD_OF)
    if key and not is_key(key):
        raise ValueError(f"a listener's key has {2 * KEY_BYTES} digits and letters from a to f")
    callback = None if subscriber is None else read_subscriber(subscriber, caller_host, allowed)
    return AttachOptions(wanted, key, callback)


class OwnConnections:
    """All listeners of one service that have made a connection of their own."""

    def __init__(
        self,
        owner: DeliveriesOwner,
        broker: Broker,
        deliveries: Deliveries,
        options: ServiceOptions,
    ) -> None:
        self._owner = owner
        self._broker = broker
        self._deliveries = deliveries
        self._options = options
        self._by_id: dict[str, OwnDelivery] = {}

    def attach(self, caller: Caller, options: Any) -> RoleSwap:
        """A client wants to get events over the connection on which it calls.

        Raises TypeError, ValueError or SecurityError, and then nothing has changed.
        """
        wanted = read_attach_options(options, caller.host, self._options.allow_callback)
        key = wanted.key or os.urandom(KEY_BYTES).hex()
        known_as = id_of(key, caller.user)
        before: Delivery | None = self._find(known_as)
        if before is None and wanted.callback is not None:
            before = self._checked(caller, wanted.callback)
        # Nobody gets the name of an object that has not subscribed: it may be another host's.
        subscriber = before.backlog.subscriber if before is not None else f"OWN:{known_as}@{caller.host}"
        self._deliveries.admit(caller, before)
        backlog = self._deliveries.subscribed(subscriber, (), (), wanted.wanted, caller, caller.user)
        if before is not None and before.state is State.ACTIVE:
            before.close(Loss.GONE, "connected again, because it had lost its connection", hung_up=True)
            backlog = self._deliveries.subscribed(subscriber, (), (), wanted.wanted, caller, caller.user)
            before = None
        delivery = OwnDelivery(self._owner, backlog, caller.host, known_as, self._options, caller.user)
        notes = self._deliveries.begin(delivery, before)
        if before is not None:  # it may have had another key, whose connection was not taken over yet
            self.remove(before)
        self._by_id[known_as] = delivery
        answer = Attached(key, known_as, self._broker.subscriptions(backlog), notes)
        return RoleSwap(answer.plain(), delivery.take_over, delivery.abandon)

    def _checked(self, caller: Caller, callback: Callback) -> Delivery | None:
        """The delivery to what a caller says that it is, None if there is none. Raises SecurityError.

        Its host alone does not prove that, once there is a key: behind NAT many have one host.
        """
        before = self._deliveries.checked(caller, callback.uri)
        if before is not None and before.user != caller.user:  # an admin takes nobody's place
            return None
        if isinstance(before, OwnDelivery) and before.state is State.ACTIVE:
            raise Pyro5.errors.SecurityError(
                f"{callback.uri} gets its events over a connection of its own: only its key can replace that"
            )
        return before

    def subscribe(
        self, caller: Caller, key: str, names: object, patterns: object, wanted: SubscribeOptions
    ) -> int:
        """Subscribe a listener. Returns how many subscriptions it has, NOT_KNOWN if there is no such
        listener. Raises TypeError or ValueError."""
        delivery = self._find(id_of(key, caller.user))
        if delivery is None:
            return NOT_KNOWN
        subscriber = delivery.backlog.subscriber
        backlog = self._deliveries.subscribed(subscriber, names, patterns, wanted, caller, caller.user)
        self._owner.configured(backlog)
        self._owner.events.subscribed(backlog)
        return self._count(delivery)

    def unsubscribe(self, caller: Caller, key: str, texts: object) -> int:
        """Remove subscriptions. Returns how many are left, NOT_KNOWN as above."""
        delivery = self._find(id_of(key, caller.user))
        if delivery is None:
            return NOT_KNOWN
        self._broker.unsubscribe(delivery.backlog.subscriber, texts, delivery.user)
        self._owner.configured(delivery.backlog)
        return self._count(delivery)

    def _count(self, delivery: OwnDelivery) -> int:
        """How many subscriptions it has; without any, its end is not worth a warning."""
        count = self._broker.subscriptions(delivery.backlog)
        delivery.lingering = not count
        return count

    def standing(self, caller: Caller, key: str) -> Standing:
        """The state of a listener at the service."""
        known_as = id_of(key, caller.user)
        delivery = self._find(known_as)
        if delivery is None:
            return Standing(NOT_KNOWN, "", self._deliveries.departures.of(known_as).why)
        return Standing(self._broker.subscriptions(delivery.backlog), delivery.state.value, "")

    def _find(self, known_as: str) -> OwnDelivery | None:
        return self._by_id.get(known_as)

    def remove(self, delivery: Delivery) -> None:
        """A delivery has ended; it may be one that the service has made."""
        if self._by_id.get(delivery.known_as) is delivery:
            del self._by_id[delivery.known_as]
