"""ServiceMethods: what clients can call on the event service.

Knows: the remote methods, their arguments, and what is refused in them. Must not know: any rule of delivery,
or how a call arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any, Final

import Pyro5.errors

from ..broker.interest.listeners import finished
from ..broker.matching.service_subjects import check_published, check_published_all
from ..broker.matching.subjects import check_subjects
from ..broker.publishing import Entry
from ..broker.statistics import BrokerStatistics
from ..codec.message import encode_plain
from ..constants import AGAIN_KEY, MAX_CLIENTS_SHOWN, MIB, Payload
from ..wire.frames import SERPENT
from ..wire.own_connection import ATTACH, key_in
from ..wire.requests import Publication
from .clients.long_result import LongResult
from .engine import Engine
from .interest.watchers import is_interest
from .limits.flow_control import BlockedPublish
from .objects import LARGE, Caller, DeferredResult, RoleSwap
from .permissions.checks import check_names, check_publish
from .subscribers.callbacks.callback_address import names_of, read_subscriber
from .subscribers.subscribe_options import read_options

# Names that a stock client may call. `publish_encoded` is for our own Publisher.
REMOTE_METHODS = (
    "listeners",
    "publish",
    "publish_encoded",
    "statistics",
    "subscribe",
    "subscribeMatch",
    "unsubscribe",
)

# For how many subscribers the statistics are made in one go, and of how many subjects the listeners are
# counted: each may have to be matched, which takes 20 µs beside 10,000 patterns.
_FEW: Final = 100
_FEW_SUBJECTS: Final = 20


class ServiceMethods:
    """The remote methods of an event service. They run on the engine's loop; each takes its caller first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.methods: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(self, name) for name in REMOTE_METHODS},
            ATTACH: self.attach,
            LARGE: self.publish_large,
        }

    def deliver(self) -> None:
        """Send what has been published; for callers other than the engine's own connections."""
        self._engine.deliver()

    def publish(self, caller: Caller, subjects: Any, message: Any) -> int | BlockedPublish:
        """Publish a message that a stock client sent. Returns the number of deliveries queued."""
        checked = _publishable(caller, subjects)
        payload = encode_plain(message, serpent=caller.serializer_id == SERPENT)
        return self.publish_message(checked, payload)

    def publish_encoded(self, caller: Caller, batch: Any) -> int | BlockedPublish:
        """Publish [subjects, payload] pairs in order. Returns the number of deliveries queued."""
        if not isinstance(batch, (list, tuple)):
            raise TypeError("a batch must be a list of [subjects, payload] pairs")
        most = self._engine.options.max_message
        entries: list[Entry] = []
        name: tuple[str, ...] = ()
        for entry in batch:
            subjects, payload = entry if type(entry) is list and len(entry) == 2 else _pair(entry)
            if type(payload) is not bytes or len(payload) > most:
                self._check_payload(payload)
            if type(subjects) is not str:
                entries.extend(_entries(check_published_all(subjects), payload))
                continue
            # These lines run most often: one name is by far the most common case, and in a pipeline it is
            # often the same as before.
            if not name or subjects != name[0]:
                name = (check_published(subjects),)
            entries.append((name, payload))
        if caller.rights is not None:
            check_publish(caller, chain.from_iterable([entry[0] for entry in entries]))
        return self._engine.publish(entries)

    def publish_large(self, caller: Caller, entry: Publication) -> int | BlockedPublish:
        """Publish the single entry of a large frame."""
        subjects, payload = _pair(entry)
        return self.publish_message(_publishable(caller, subjects), payload)

    def publish_message(self, subjects: list[str], payload: Payload) -> int | BlockedPublish:
        """Publish one message on checked subjects. Raises Pyro5's MessageTooLargeError."""
        self._check_payload(payload)
        return self._engine.publish(_entries(subjects, payload))

    def _check_payload(self, payload: Any) -> None:
        if not isinstance(payload, (bytes, memoryview)):
            kind = type(payload).__name__
            raise TypeError(f"a payload must be bytes, made by pyro_events.codec.message, not {kind}")
        most = self._engine.options.max_message
        if len(payload) > most:
            raise Pyro5.errors.MessageTooLargeError(
                f"a message of {len(payload)} bytes is over the service's limit of {most}"
            )

    def attach(self, caller: Caller, options: Any = None) -> RoleSwap:
        """Swap the roles on the caller's connection: it gets events over it, or is told who listens. See
        wire/own_connection.py."""
        if is_interest(options):
            return self._engine.watchers.attach(caller, options)
        return self._engine.own_connections.attach(caller, options)

    def subscribe(self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None) -> int | None:
        """Subscribe to one name or several.

        For a listener, by its key, returns how many subscriptions it has, -1 if it is not known here.
        """
        return self._subscribe(caller, subjects, (), subscriber, options)

    def subscribeMatch(
        self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None
    ) -> int | None:
        """Subscribe to one pattern or several; as `subscribe`."""
        return self._subscribe(caller, (), subjects, subscriber, options)

    def _subscribe(
        self, caller: Caller, names: Any, patterns: Any, subscriber: Any, options: Any
    ) -> int | None:
        key = key_in(subscriber)
        if key is not None and self._engine.watchers.has(caller, key):
            if patterns:
                raise ValueError("a publisher can ask who wants a subject, and not who wants a pattern")
            return self._engine.watchers.watch(caller, key, _publishable(caller, names))
        if caller.rights is not None:
            names = check_subjects(names)
            if not (isinstance(options, Mapping) and options.get(AGAIN_KEY)):
                check_names(caller, names)
        if key is not None:
            return self._engine.own_connections.subscribe(caller, key, names, patterns, options)
        callback = read_subscriber(subscriber, caller.host, self._engine.options.allow_callback)
        self._engine.deliveries.subscribe(caller, callback, names, patterns, read_options(options))
        return None

    def unsubscribe(self, caller: Caller, subjects: Any, subscriber: Any) -> int:
        """Remove names and patterns, in any mixture; those that are not there are ignored.

        Returns how many are left, -1 if the subscriber is not known here. A call without subjects asks only
        that.
        """
        key = key_in(subscriber)
        if key is not None and self._engine.watchers.has(caller, key):
            return self._engine.watchers.unwatch(caller, key, check_subjects(subjects))
        if key is not None:
            return self._engine.own_connections.unsubscribe(caller, key, subjects)
        names = names_of(subscriber, caller, self._engine.options.allow_callback)
        return self._engine.deliveries.unsubscribe(caller, names, subjects)

    def listeners(
        self, caller: Caller, subjects: Any, options: Any = None
    ) -> dict[str, int] | DeferredResult:
        """How many listeners each of the subjects has: how many deliveries an event would become.

        options: {"exact": True} leaves those out that match only by patterns that match everything
        (broker/interest/everything.py).
        """
        exact, names = _exactly(options), _publishable(caller, subjects)
        counting = self._engine.broker.interest.listeners(names, exact)
        if exact or len(names) > _FEW_SUBJECTS:
            return LongResult(self._engine.scheduler, caller.host, counting, dict)
        return finished(counting)

    def statistics(self, caller: Caller, options: Any = None) -> dict[str, Any] | DeferredResult:
        """`BrokerStatistics` as a dictionary, with the number of connected clients, and the name and host of
        those that have a name.

        options: {"subscriber": a proxy or URI} asks for the state of that subscriber: see
        deliveries.Standing.
        """
        if options is not None:
            subscriber = _only_subscriber(options)
            key = key_in(subscriber)
            if key is not None and self._engine.watchers.has(caller, key):
                return self._engine.watchers.standing(caller, key)._asdict()
            if key is not None:
                return self._engine.own_connections.standing(caller, key)._asdict()
            names = names_of(subscriber, caller, self._engine.options.allow_callback)
            return self._engine.deliveries.standing(caller, names)._asdict()
        if caller.rights is not None and not caller.rights.admin:
            return self._engine.statistics_in_turns(caller.host, partial(self._described_to, caller), caller)
        if len(self._engine.deliveries.table) <= _FEW:
            return self._described(self._engine.statistics())
        return self._engine.statistics_in_turns(caller.host, self._described)

    def _described_to(self, caller: Caller, snapshot: BrokerStatistics) -> dict[str, Any]:
        """The same for a user that sees what is its own: None where a figure is of everybody's together."""
        clients = self._engine.clients.named(caller) + self._engine.watchers.named(caller)
        hidden: dict[str, Any] = {"connections": None, "published": None, "refused": {}}
        hidden["clients"] = clients[:MAX_CLIENTS_SHOWN]
        return {**self._described(snapshot), **hidden}

    def _described(self, snapshot: BrokerStatistics) -> dict[str, Any]:
        # dataclasses.asdict would copy every value: most of a second for 8,000 subscribers.
        subscribers = [vars(each) for each in snapshot.subscribers]
        clients = {
            "connections": len(self._engine.clients) + len(self._engine.watchers),
            "refused": self._engine.refused,
            "clients": [*self._engine.clients.named(), *self._engine.watchers.named()][:MAX_CLIENTS_SHOWN],
        }
        groups = [vars(each) for each in snapshot.groups]
        return {**clients, **vars(snapshot), "subscribers": subscribers, "groups": groups}


def _entries(subjects: list[str], payload: Payload) -> list[Entry]:
    """One entry for all subjects, so that a full backlog of one does not delay the others.

    But if that goes far beyond a backlog's bound, each subject is one entry, and the next one waits until
    there is space.
    """
    if len(subjects) * len(payload) <= MIB:
        return [(subjects, payload)]
    return [((subject,), payload) for subject in subjects]


def _publishable(caller: Caller, subjects: Any) -> list[str]:
    """The names of one call, which the caller may publish. Raises TypeError, ValueError or SecurityError."""
    names = check_published_all(subjects)
    check_publish(caller, names)
    return names


def _exactly(options: Any) -> bool:
    """Whether the options of `listeners` leave out whoever listens to everything. Raises TypeError or
    ValueError."""
    if options is None:
        return False
    if not isinstance(options, Mapping):
        raise TypeError(f"the options of listeners must be a dictionary, not {type(options).__name__}")
    if not set(options) <= {"exact"} or not isinstance(options.get("exact", False), bool):
        raise ValueError(f"listeners has the option 'exact', True or False, not {dict(options)!r:.100}")
    return bool(options.get("exact"))


def _only_subscriber(options: Any) -> Any:
    """The subscriber in the options. Raises TypeError or ValueError."""
    if not isinstance(options, Mapping):
        raise TypeError(f"the options of statistics must be a dictionary, not {type(options).__name__}")
    if set(options) != {"subscriber"}:
        raise ValueError(f"statistics has the option 'subscriber', not {sorted(map(str, options))}")
    return options["subscriber"]


def _pair(entry: Any) -> tuple[Any, Any]:
    """Subjects and payload of one entry, both unchecked."""
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        raise TypeError("each entry of a batch must be a [subjects, payload] pair")
    subjects, payload = entry
    return subjects, payload
