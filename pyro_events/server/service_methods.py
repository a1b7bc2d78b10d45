"""ServiceMethods: what clients can call on the event service.

Knows: the remote methods, their arguments, and what is refused in them; those of publishers are in
publish_methods.py. Must not know: any rule of delivery, or how a call arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ..broker.interest.listeners import finished
from ..broker.matching.service_subjects import check_published_all
from ..broker.matching.subjects import check_subjects
from ..broker.retained.last import Last
from ..broker.statistics import BrokerStatistics
from ..constants import AGAIN_KEY, MAX_CLIENTS_SHOWN
from ..wire.own_connection import ATTACH, key_in
from .clients.invoke import error_to_tell
from .clients.long_result import LongResult
from .clients.one_by_one import OneByOne
from .engine import Engine
from .interest.watchers import is_interest
from .objects import LARGE, Caller, DeferredResult, RoleSwap
from .permissions.checks import check_names
from .publish_methods import PublishMethods, publishable
from .subscribers.callbacks.callback_address import names_of, read_subscriber
from .subscribers.subscribe_options import read_options

# Names that a stock client may call. `publish_encoded` is for our own Publisher.
REMOTE_METHODS = (
    "clear_retained",
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


class ServiceMethods(PublishMethods):
    """The remote methods of an event service. They run on the engine's loop; each takes its caller first."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._searches = OneByOne(engine.scheduler)
        self.methods: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(self, name) for name in REMOTE_METHODS},
            ATTACH: self.attach,
            LARGE: self.publish_large,
        }

    def deliver(self) -> None:
        """Send what has been published; for callers other than the engine's own connections."""
        self._engine.deliver()

    def attach(self, caller: Caller, options: Any = None) -> RoleSwap:
        """Swap the roles on the caller's connection: it gets events over it, or is told who listens. See
        wire/own_connection.py."""
        if is_interest(options):
            return self._engine.watchers.attach(caller, options)
        return self._engine.own_connections.attach(caller, options)

    def subscribe(
        self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None
    ) -> int | None | DeferredResult:
        """Subscribe to one name or several.

        For a listener, by its key, returns how many subscriptions it has, -1 if it is not known here.
        """
        return self._subscribe(caller, subjects, (), subscriber, options)

    def subscribeMatch(
        self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None
    ) -> int | None | DeferredResult:
        """Subscribe to one pattern or several; as `subscribe`."""
        return self._subscribe(caller, (), subjects, subscriber, options)

    def _subscribe(
        self, caller: Caller, names: Any, patterns: Any, subscriber: Any, options: Any
    ) -> int | None | DeferredResult:
        wanted, key = read_options(options), key_in(subscriber)
        patterns = patterns or wanted.match
        if key is not None and self._engine.watchers.has(caller, key):
            if patterns:
                raise ValueError("a publisher can ask who wants a subject, and not who wants a pattern")
            # What it has no right to any more it may ask for again: it is told that nobody listens.
            again = isinstance(options, Mapping) and options.get(AGAIN_KEY)
            names = check_published_all(names) if again else publishable(caller, names)
            return self._engine.watchers.watch(caller, key, names)
        if caller.rights is not None:
            names = check_subjects(names)
            if not (isinstance(options, Mapping) and options.get(AGAIN_KEY)):
                check_names(caller, names)

        def subscribe() -> int | None:
            if key is not None:
                return self._engine.own_connections.subscribe(caller, key, names, patterns, wanted)
            callback = read_subscriber(subscriber, caller.host, self._engine.options.allow_callback)
            self._engine.deliveries.subscribe(caller, callback, names, patterns, wanted)
            return None

        search = None
        if wanted.last is not Last.NONE:
            search = self._engine.broker.search_retained(patterns, caller.rights)
        if search is None:
            return subscribe()
        return self._searches.begin(caller.host, search, lambda _: self._late(subscribe, caller))

    def _late(self, subscribe: Callable[[], Any], caller: Caller) -> Any:
        """The result of a subscription that is made later than its call came, or its error."""
        try:
            return subscribe()
        except Exception as error:
            return error_to_tell(error, "subscribing", caller)
        finally:
            self._engine.deliver()

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
        exact, names = _exactly(options), publishable(caller, subjects)
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


def _exactly(options: Any) -> bool:
    """Whether the options of `listeners` leave out those that listen to everything. Raises TypeError or
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
