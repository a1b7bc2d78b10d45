"""A subscriber as the reconnector sees it.

Knows: which part of the subscribing end does what the reconnector asks for. Must not know: when it is asked
for, or how it is done.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...log.background import get_logger
from ..connection.reconnecting import ReconnectingConnection
from ..daemon.batch_reader import BatchReader
from ..dispatch.limits import DispatchLimits
from ..own_connection.own_batches import OwnBatches
from ..reconnect.events import Answered
from .remote_subscriptions import RemoteSubscriptions
from .ways.daemon_port import DaemonPort
from .ways.event_way import EventWay
from .ways.no_port import NoPort

log = get_logger("pyro_events.subscriber")


class ReceiverTarget:
    """Implements reconnect.target.ReconnectTarget."""

    def __init__(
        self,
        connection: ReconnectingConnection,
        remote: RemoteSubscriptions,
        port: DaemonPort | NoPort,
        way: EventWay,
        limits: DispatchLimits,
    ) -> None:
        """connection: for control calls. The others are parts of the same subscriber."""
        self._connection = connection
        self._remote = remote
        self._port = port
        self._way = way
        self._limits = limits

    def wanted(self) -> bool:
        """Whether there are subscriptions."""
        return bool(self._remote)

    def falls_back(self) -> bool:
        """Whether it connects itself, if the service cannot connect to it."""
        return self._way.falls_back

    def activity(self) -> int:
        """A number that changes when events, or heartbeats on its own connection, come."""
        return self._limits.begun + self._way.attachment.heartbeats

    def address(self) -> str:
        """The address of the service, or the last one."""
        return self._connection.current.address or ""

    def own_address(self) -> str:
        """The address that the service has to connect to, if it has to."""
        return self._port.location or self._way.attachment.id

    def reach(self) -> None:
        """Connect to the service, if necessary."""
        self._remote.reach()

    def subscribe_again(self, anew: bool) -> None:
        """Send every subscription to the service, as if for the first time."""
        self._remote.resubscribe(anew)

    def ask(self, timeout: float) -> Answered:
        """What the service knows about this subscriber."""
        return self._remote.ask(timeout)

    def fall_back(self, why: str) -> None:
        """Connect itself from now on."""
        self._way.change(self._remote.calls.subscriber)
        log.warning(
            "the event service at %s cannot reach this subscriber at %s: %s; so from now on its events come "
            "over a connection that it makes itself",
            *(self.address(), self.own_address(), why),
            about=self.own_address(),
        )

    def drop_connection(self, reason: str) -> None:
        """Use another connection for control calls."""
        self._connection.drop(reason)

    def hang_up(self, connections: Iterable[object]) -> None:
        """End connections over which events come."""
        for connection in connections:
            if isinstance(connection, BatchReader | OwnBatches):
                connection.shutdown()
