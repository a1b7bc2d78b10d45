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
from typing import TYPE_CHECKING, Final

from ..errors import EventServiceError, OutcomeUnknownError
from .entries import Entry, packed_batch
from .link import Link
from .locate import Finder
from .session import Call, Ticket

if TYPE_CHECKING:
    from .pipeline import Pipeline

# After this many seconds a buffered event is sent although its frame is not full: about the time
# that a busy program takes to fill a frame.
LINGER: Final = 0.001
# A pipeline that was given this many events between two looks is about to fill its frame by itself.
_BUSY: Final = 128
# A thread that looked this often and found nothing buffered sleeps until it is woken.
_QUIET_LOOKS: Final = 50


@dataclass(frozen=True)
class PublisherStatistics:
    """What a publisher has done so far.

    published: events acknowledged by the service, one for each subject. queued: deliveries that
    they became. unknown: events whose connection broke before they were acknowledged. name: what the
    service calls this client.
    """

    published: int
    queued: int
    unknown: int
    reconnects: int
    connected: bool
    address: str | None
    name: str


class Outbox:
    """The way out of one publisher."""

    def __init__(self, finder: Finder, wait: float = 0.0) -> None:
        """wait: seconds for which a service that is not there yet is tried again."""
        self.link = Link(finder)
        self.link.connect_first(wait)
        # The pipeline that published last; only it has anything buffered, unless several threads
        # publish through several at the same moment.
        self.current: Pipeline | None = None
        self._pipelines: set[Pipeline] = set()
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

    def post(self, call: Call) -> Ticket:
        """Send the call that publishes a batch."""
        if self.closed:
            raise EventServiceError("this publisher is closed")
        return self.link.post(call)

    def publish(self, entry: Entry, events: int) -> int:
        """Publish one entry, which becomes `events` events; returns the deliveries queued."""
        call = packed_batch([entry])
        if self._pipelines:
            with self.lock:
                self._send_buffered()
                ticket = self.post(call)
        else:
            ticket = self.post(call)
        try:
            queued = int(self.link.wait(ticket))
        except OutcomeUnknownError:
            self.count(unknown=events)
            raise
        self.count(events, queued)
        return queued

    def enter(self, pipeline: Pipeline) -> None:
        """A pipeline goes on publishing: what others have buffered goes first; `lock` is held."""
        self._send_buffered()
        self._pipelines.add(pipeline)
        self.current = pipeline

    def leave(self, pipeline: Pipeline) -> None:
        """A pipeline will publish no more; `lock` is held."""
        self._pipelines.discard(pipeline)
        if self.current is pipeline:
            self.current = None

    def _send_buffered(self) -> None:
        for pipeline in self._pipelines:
            if pipeline.buffered:
                pipeline.send_buffered()

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to the statistics."""
        with self._counting:
            self._published += published
            self._queued += queued
            self._unknown += unknown

    def rouse(self) -> None:
        """See to it that what was just buffered does not linger."""
        with self.lock:
            self.resting = False
            if self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._tend, name="pyro_events-pipeline", daemon=True)
                self._thread.start()
        self._wake.set()

    def _tend(self) -> None:
        """Send what lingers. Woken only after a pause, so a busy publisher hardly pays for it."""
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            quiet, frames, buffered = 0, -1, 0
            while quiet < _QUIET_LOOKS and not self._stop.wait(LINGER):
                # Before the look, not after it: what is buffered meanwhile wakes us again.
                self.resting = quiet == _QUIET_LOOKS - 1
                pipelines = list(self._pipelines)
                before, had = frames, buffered
                frames = sum([pipeline.frames for pipeline in pipelines])
                buffered = sum([pipeline.buffered for pipeline in pipelines])
                quiet = 0 if buffered else quiet + 1
                if had and frames == before and buffered - had < _BUSY:
                    with self.lock:
                        self._send_buffered()
                    buffered = 0

    def statistics(self) -> PublisherStatistics:
        """A snapshot."""
        link = self.link
        with self._counting:
            counts = self._published, self._queued, self._unknown
        return PublisherStatistics(*counts, link.reconnects, link.connected, link.address, link.name)

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
        for pipeline in self._pipelines:
            pipeline.forget()


_outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _after_fork() -> None:
    for outbox in list(_outboxes):
        outbox._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
