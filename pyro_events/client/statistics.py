"""Statistics of publishers and subscribers: frozen snapshots.

Knows: the numbers, and which objects have which of them. Must not know: where they are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..version import is_compiled


@dataclass(frozen=True)
class PublisherStatistics:
    """What a publisher has done so far; `Publisher.statistics` returns one.

    Attributes:
        published: events that the service has acknowledged, one for each subject.
        queued: deliveries that they became, one for each subscriber that an event matched.
        unknown: events that were sent and not acknowledged, because the connection broke, the time was up or
            an exception of the program's own ended the call.
        reconnects: how often the connection was made again.
        connected: whether there is a connection now.
        address: the URI of the service that it is connected to, or was last.
        name: what the service calls this client.
        transport: how: "tcp", or "unix" for the Unix socket of a service on the same machine.
        compiled: whether the compiled form of this package runs here.

    Example:
        >>> with Publisher() as market:
        ...     market.publish("STOCKQUOTE.SUN", 22.44)
        ...     market.statistics().published
        0
        1
    """

    published: int
    queued: int
    unknown: int
    reconnects: int
    connected: bool
    address: str | None
    name: str
    transport: str = "tcp"
    compiled: bool = is_compiled()


@dataclass(frozen=True)
class BackgroundStatistics:
    """What has become of the events of a background publisher; `BackgroundPublisher.statistics` returns one.

    accepted = published + sum(dropped.values()) + refused + unknown + waiting.

    Attributes:
        accepted: events that `publish` took, one for each subject.
        published: events that the service has acknowledged.
        queued: deliveries that they became, one for each subscriber that an event matched.
        dropped: events that were never sent, by reason: "drop-oldest", "drop-newest" and "latest" by the
            policy, and "closed" because the background publisher was closed.
        refused: events that the service did not accept; the log has its reason.
        unknown: events that were sent and not acknowledged, because the connection broke.
        waiting: events that are queued here, or not acknowledged yet.
        waiting_bytes: the memory of those that are queued here, each with its message, its subjects and a
            constant.
        reconnects: how often the connection was made again.
        connected: whether there is a connection now.
        address: the URI of the service that it is connected to, or was last.
        name: what the service calls this client.

    Example:
        >>> with market.background() as instrument:
        ...     instrument.publish("OVEN.TEMPERATURE", 210.5)
        >>> instrument.statistics().published, sum(instrument.statistics().dropped.values())
        (1, 0)
    """

    accepted: int
    published: int
    queued: int
    dropped: Mapping[str, int]
    refused: int
    unknown: int
    waiting: int
    waiting_bytes: int
    reconnects: int
    connected: bool
    address: str | None
    name: str


@dataclass(frozen=True)
class InterestStatistics:
    """What a function of `Publisher.on_interest` was told; `InterestWatch.statistics` returns one.

    Attributes:
        subjects: those that it is for.
        told: the number of listeners with which it was called last, by subject.
        calls: how often it was called.
        failed: how often it raised.
        connected: whether the service can tell of changes now.

    Example:
        >>> with market.on_interest("STOCKQUOTE.SUN", call=print) as watch:
        ...     watch.statistics().told
        {}
    """

    subjects: tuple[str, ...]
    told: Mapping[str, int]
    calls: int
    failed: int
    connected: bool


@dataclass(frozen=True)
class SubscriberStatistics:
    """What a subscriber has done so far; `Subscriber.statistics` returns one.

    Attributes:
        handled: events whose `event` returned, in acknowledged batches.
        failed: events whose `event` raised.
        running: events that are being handled now.
        subscriptions: the names and the patterns that are subscribed.
        uri: the Pyro URI of this subscriber, at which the service connects to it. With callback=False, the id
            by which the service's statistics and log know it; "" before it has subscribed.
        connections: connections to this subscriber, and its own for events, that are open now.
        reconnects: how often the connection to the service was made again.
        connected: whether there is a connection to the service now.
        address: the URI of the service that it is connected to, or was last.
        name: what the service calls this client.
        unreachable: why the service does not reach this subscriber, in its words, when it has not for
            three seconds; None when it does.
        callback: whether the service connects to this subscriber, which is how its events come. False if
            they come over a connection that it has made itself.
        compiled: whether the compiled form of this package runs here.

    Example:
        >>> with Subscriber() as ticker:
        ...     ticker.subscribe(["STOCKQUOTE.SUN", "STOCKQUOTE.IBM"])
        ...     ticker.statistics().subscriptions
        ('STOCKQUOTE.SUN', 'STOCKQUOTE.IBM')
    """

    handled: int
    failed: int
    running: int
    subscriptions: tuple[str, ...]
    uri: str
    connections: int
    reconnects: int
    connected: bool
    address: str | None
    name: str
    unreachable: str | None = None
    callback: bool = True
    compiled: bool = is_compiled()


@dataclass(frozen=True)
class ClientStatistics:
    """What an object of a class that inherits from both Publisher and Subscriber has done so far.

    Attributes:
        publisher: what it has published.
        subscriber: what it has been sent.

    Example:
        >>> class Relay(Publisher, Subscriber):
        ...     pass
        >>> with Relay() as relay:
        ...     relay.publish("STOCKQUOTE.SUN", 22.44)
        ...     relay.statistics().publisher.published
        0
        1
    """

    publisher: PublisherStatistics
    subscriber: SubscriberStatistics


@dataclass(frozen=True)
class StreamStatistics:
    """What a stream has done so far; `EventStream.statistics` returns one.

    Attributes:
        taken: events that the program has taken.
        waiting: events that have come and can be taken; at most two batches.
        subscriptions: the names and the patterns that are subscribed.
        id: what logs and statistics of the service call this stream, beside its name.
        reconnects: how often its connection was made again.
        connected: whether there is a connection for events now.
        address: the URI of the service that it is connected to, or was last.
        name: what the service calls this client.

    Example:
        >>> with EventStream("NEWS") as events:
        ...     events.statistics().connected
        True
    """

    taken: int
    waiting: int
    subscriptions: tuple[str, ...]
    id: str
    reconnects: int
    connected: bool
    address: str | None
    name: str


# By which types are told apart what `statistics` returns: a class that is both has both methods.


class Publishes(Protocol):
    """A Publisher."""

    @property
    def publish(self) -> Callable[..., Any]:
        """Publishes an event."""


class Subscribes(Protocol):
    """A Subscriber."""

    @property
    def subscribeMatch(self) -> Callable[..., Any]:
        """Subscribes to patterns."""


class PublishesAndSubscribes(Publishes, Subscribes, Protocol):
    """An object of a class that inherits from both."""
