"""What has become of events, told to the queue, the publisher's statistics and the log.

Knows: the lines of the log, and how often each is written. Must not know: how anything is sent, or by which
thread or task.
"""

from __future__ import annotations

from typing import Protocol

from ...log.background import get_logger
from .accounts import Batch, Parts
from .shared_queue import SharedQueue

log = get_logger("pyro_events.publisher")


class Counter(Protocol):
    """The publisher's statistics."""

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to them."""


class Outcomes:
    """away: why the service cannot be reached; None if it can, as far as is known."""

    def __init__(self, queue: SharedQueue, counter: Counter, name: str) -> None:
        """name: of this client at the service."""
        self._queue = queue
        self._counter = counter
        self._name = name
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a forked child."""
        self.away: str | None = None
        self._told = False

    # ---- of a batch -----------------------------------------------------------------------------

    def acknowledged(self, batch: Batch, queued: int) -> None:
        """The service has published a batch, which became so many deliveries."""
        self._queue.use(lambda queue: queue.acknowledged(batch, queued))
        self._counter.count(batch.events, queued)

    def refused(self, batch: Batch, error: Exception) -> None:
        """The service does not accept a batch."""
        self._queue.use(lambda queue: queue.not_accepted(batch))
        text = "%s: the event service has refused %d events: %s"
        log.warning(text, self._name, batch.events, error, about=self._name)

    def divided(self, batch: Batch, parts: Parts, error: Exception) -> None:
        """The service does not accept all of a batch. error: what it has said last."""
        self._queue.use(lambda queue: queue.divided(batch, parts))
        self._counter.count(parts.published, parts.queued, parts.unknown)
        refused = batch.events - parts.published - parts.unknown
        if refused:
            text = "%s: the event service has refused %d events: %s"
            log.warning(text, self._name, refused, error, about=self._name)
        if parts.unknown:
            text = "%s: whether %d events were published is unknown: %s"
            log.warning(text, self._name, parts.unknown, error, about=self._name)

    def unknown(self, batch: Batch, error: Exception) -> None:
        """Nobody knows whether a batch was published."""
        self._queue.use(lambda queue: queue.lost(batch))
        self._counter.count(unknown=batch.events)
        text = "%s: whether %d events were published is unknown: %s"
        log.warning(text, self._name, batch.events, error, about=self._name)

    # ---- of the service -------------------------------------------------------------------------

    def lost(self, error: Exception) -> None:
        """The service cannot be reached."""
        if self.away is None:
            text = "%s: the event service is away, and what is published in the background waits: %s"
            log.warning(text, self._name, error)
        self.away = str(error)

    def reached(self) -> None:
        """The service can be reached."""
        if self.away is not None:
            log.warning("%s: the event service is back", self._name)
        self.away = None

    # ---- of the queue ---------------------------------------------------------------------------

    def overflowed(self) -> None:
        """Events are dropped; that is logged once until everything has been sent."""
        if not self._told:
            self._told = True
            why = "it takes them more slowly than they are published" if self.away is None else "it is away"
            log.warning(
                "%s: more is published in the background than may wait for the event service, and events are "
                "dropped (%s): %s",
                self._name,
                self._queue.overflow,
                why,
            )

    def caught_up(self) -> None:
        """Everything has been sent."""
        if self._told:
            dropped = self._queue.use(lambda queue: queue.caught_up())
            self._told = False
            log.warning("%s: the event service has caught up; %d events were dropped", self._name, dropped)

    def failed(self, error: BaseException) -> None:
        """An error that nobody has caused has ended the sending, and the publisher is closed."""
        text = "%s: sending in the background has failed, and the background publisher is closed"
        log.error(text, self._name, error=error)

    def ended(self) -> None:
        """Nothing more is sent: drop what waits, for good."""
        dropped = self._queue.use(lambda queue: queue.close())
        if dropped:
            log.warning("%s: the background publisher ended before %d events were sent", self._name, dropped)
