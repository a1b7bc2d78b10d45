"""InterestReceiver: the connection over which the service tells a publisher who listens.

Knows: how names are watched, and what a row says. Must not know: functions, or which thread reads.

It is a stream's receiver: the same connection, the same way to get it again when it is lost, and the same
words for what is subscribed; the service knows by the option INTEREST that it is not events that are wanted.
"""

from __future__ import annotations

from typing import NamedTuple

import Pyro5.errors

from ...codec.message import decode
from ...constants import ReceivedRow
from ...log.background import get_logger
from ...service_threads import is_service_thread
from ...wire.own_connection import INTEREST
from ..connection.discovery import ServiceLocator
from ..stream.stream_receiver import StreamReceiver
from ..subscribing.subscriptions import NAME

log = get_logger("pyro_events.publisher")


class Said(NamedTuple):
    """What the service has said of a subject."""

    subject: str
    listeners: int


def read_said(row: ReceivedRow) -> Said | None:
    """What a row says; None, and a line in the log, if that is nothing."""
    subject, payload = row[0], row[4]
    try:
        listeners = decode(payload)
    except ValueError as error:
        listeners = error
    if type(listeners) is int and listeners >= 0:
        return Said(subject, listeners)
    log.warning("the event service has said of the listeners of %r: %r", subject, listeners, about="said")
    return None


class InterestReceiver(StreamReceiver):
    """The connection of one publisher, and the names that it watches."""

    def __init__(self, locator: ServiceLocator) -> None:
        """Connect. Raises as an EventStream does."""
        super().__init__(locator, {INTEREST: True})

    def watch(self, subjects: list[str]) -> None:
        """Have the service tell of subjects: how they are, and then of each change. If it raises, nothing has
        changed."""
        self.subscribe(NAME, subjects, {})

    def watch_again(self, subjects: list[str]) -> None:
        """The same, where it may be watched already. What the service has caused is logged."""
        try:
            self.watch(subjects)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.warning(
                "the event service may not tell who listens to %s: %s", subjects, error, about="watch"
            )

    def unwatch(self, subjects: list[str]) -> None:
        """It need not tell of these any more. Raises nothing: it would tell in vain."""
        self.remote.discard(subjects)
        if not self.source.closed and not is_service_thread():
            self._unsubscribe(subjects)

    def end(self) -> None:
        """Release everything; the service needs no other word than the end of the connection."""
        self.remote.end()
        self.close()
