"""WatcherDelivery: tells one publisher who wants its subjects, over a connection that the publisher has made.

Knows: how the number of a subject's listeners becomes a row. Must not know: which subjects are watched, or
when something changes; the rest is as for any listener (OwnDelivery).

Of what waits only the newest state of each subject matters, which is what `latest` keeps. So a publisher that
does not read holds up nobody, and is told how it is when it does. The subject of a row is the watched one,
and its message is the number.
"""

from __future__ import annotations

from typing import Final

from ...broker.accounting import TotalBytes, queued_event
from ...broker.backlog import Backlog
from ...codec.message import encode
from ...options import BacklogOptions, Overflow, ServiceOptions
from ..objects import Caller
from ..subscribers.delivery import Delivery
from ..subscribers.own.own_delivery import OwnDelivery
from ..subscribers.owner import DeliveryOwner

# No less than a row for each subject that one publisher may watch: their number is bounded already.
_BOUNDS: Final = BacklogOptions(backlog=2**31, backlog_bytes=2**40, overflow=Overflow.LATEST)


class WatcherDelivery(OwnDelivery):
    """The connection of one publisher that watches subjects."""

    __slots__ = ()

    def __init__(
        self,
        owner: DeliveryOwner[Delivery],
        caller: Caller,
        known_as: str,
        name: str,
        options: ServiceOptions,
    ) -> None:
        """caller: has made the connection. known_as: its public id. name: what the publisher calls itself, ""
        if it did not say."""
        # The total is nobody's: what may wait is counted as memory of what is watched.
        backlog = Backlog(f"WATCHER:{known_as}@{caller.host}", _BOUNDS, TotalBytes())
        backlog.name = name
        super().__init__(owner, backlog, caller.host, known_as, options, caller.user)
        self.lingering = True  # nobody loses an event when it ends, so that is not worth a warning

    def tell(self, subject: str, listeners: int, now: float) -> None:
        """The next thing to send about a subject is how many listeners it has. now: the time of day."""
        self.backlog.push(queued_event(subject, now, encode(listeners)))
