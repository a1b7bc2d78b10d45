"""The publishing end: what is accepted goes out in order, at once or in frames of many events.

Knows: the link, and how events become calls. Must not know: what subjects and messages are.

One lock keeps the order of everything that one publisher publishes: a pipeline that takes over
from another, and a single publish, first send what is still buffered.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgpack

from ..errors import EventServiceError
from .link import Link
from .locate import Finder
from .session import Ticket

if TYPE_CHECKING:
    from .pipeline import Pipeline

# After this many seconds a buffered event is sent although its frame is not full: about the time
# that a busy program takes to fill a frame.
LINGER: Final = 0.001
# A thread that looked this often and found nothing buffered sleeps until it is woken.
_QUIET_LOOKS: Final = 50

# The call `publish_encoded(batch)` up to the batch, an argument list of one.
_PUBLISH: Final[bytes] = msgpack.packb("publish_encoded") + b"\x91"
_END: Final = b"\x80"

# One or several subjects, and the payload of their event.
Entry = tuple[Any, bytes]


@dataclass(frozen=True)
class PublisherStatistics:
    """What a publisher has done so far.

    published: events acknowledged by the service, one for each subject. queued: deliveries that
    they became. unknown: events whose connection broke before they were acknowledged.
    """

    published: int
    queued: int
    unknown: int
    reconnects: int
    connected: bool
    address: str | None


class Outbox:
    """The way out of one publisher."""

    def __init__(self, finder: Finder) -> None:
        self.link = Link(finder)
        self.link.connect()
        self.current: Pipeline | None = None
        self.closed = False
        self._published = self._queued = self._unknown = 0
        self._reset()
        _outboxes.add(self)

    def _reset(self) -> None:
        # Reentrant, because a pipeline that sends what lingered in another holds it already.
        self.lock = threading.RLock()
        self._counting = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.resting = True

    def post(self, entries: list[Entry]) -> Ticket:
        """Send entries in one frame."""
        if self.closed:
            raise EventServiceError("this publisher is closed")
        return self.link.post(_PUBLISH + msgpack.packb(entries) + _END)

    def publish(self, entry: Entry, events: int) -> int:
        """Publish one entry, which becomes `events` events; returns the deliveries queued."""
        with self.lock:
            if self.current is not None:
                self.current.send_buffered()
            ticket = self.post([entry])
        try:
            queued = int(self.link.wait(ticket))
        except EventServiceError:
            self.count(unknown=events)
            raise
        self.count(events, queued)
        return queued

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to the statistics."""
        with self._counting:
            self._published += published
            self._queued += queued
            self._unknown += unknown

    def rouse(self) -> None:
        """See to it that what was just buffered does not linger; `lock` is held."""
        self.resting = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._tend, name="pyro_events-pipeline", daemon=True)
            self._thread.start()
        self._wake.set()

    def _tend(self) -> None:
        """Send what lingers. Woken only after a pause, so a busy publisher hardly pays for it."""
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            quiet, seen = 0, -1
            while quiet < _QUIET_LOOKS and not self._stop.wait(LINGER):
                with self.lock:
                    pipeline = self.current
                    if pipeline is None or not pipeline.buffered:
                        quiet, seen = quiet + 1, -1
                    elif pipeline.frames == seen:
                        pipeline.send_buffered()
                        quiet, seen = 0, -1
                    else:
                        quiet, seen = 0, pipeline.frames
                    self.resting = quiet >= _QUIET_LOOKS

    def statistics(self) -> PublisherStatistics:
        """A snapshot."""
        link = self.link
        with self._counting:
            counts = self._published, self._queued, self._unknown
        return PublisherStatistics(*counts, link.reconnects, link.connected, link.address)

    def close(self) -> None:
        """End the connection and the thread. What a pipeline still buffers is not sent."""
        self.closed = True
        self._stop.set()
        self._wake.set()
        self.link.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _forked(self) -> None:
        """In a forked child: what is buffered is the parent's to send."""
        self._reset()
        if self.current is not None:
            self.current.forget()
            self.current = None


_outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _after_fork() -> None:
    for outbox in list(_outboxes):
        outbox._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
