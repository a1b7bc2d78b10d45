"""Sending: everything that a publisher accepts is sent in order, at once or in frames of many events.

Knows: the connection, and how events become calls. Must not know: what subjects and messages are.

One lock keeps the order of everything that one publisher publishes. A pipeline that takes over from another,
and a single publish, first send what is still buffered. If a thread publishes something in the middle of that
(in a signal handler, for example), it does not wait: the event uses another connection, or is only buffered.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ...errors import EventServiceError
from ...service_threads import refuse_in_service_thread
from ...wire.requests import Entry, PackedCall, packed_publish_one, pieces
from ..connection.connection import PendingReply
from ..connection.discovery import ServiceLocator
from ..connection.outcome import not_sent_in_time
from ..connection.reconnecting import ReconnectingConnection
from ..forks import tell_in_child
from ..interruptions import WakeUp, owned, within

if TYPE_CHECKING:  # imported when statistics are first asked for
    from ..statistics import PublisherStatistics

# A buffered event is sent after this many seconds even if its frame is not full: about the time that a busy
# program takes to fill a frame.
FLUSH_DELAY: Final = 0.001
# A pipeline that got this many events between two checks is about to fill its frame by itself.
_BUSY: Final = 128
# After this many checks that found nothing buffered, the thread sleeps until it is woken.
_QUIET_LOOKS: Final = 50
# How long `close` waits for the flushing thread, which it has just woken.
_JOIN: Final = 10.0

T = TypeVar("T")


class Buffer(Protocol):
    """Publishes through a Sender in frames, and buffers events until a frame is full."""

    frames: int
    """How many frames it has sent."""

    @property
    def buffered(self) -> int:
        """How many entries wait for their frame to be sent."""

    def send_buffered(self, deadline: float | None) -> bool:
        """Send what is buffered. False if that could not be done by `deadline`."""

    def discard(self) -> None:
        """Drop everything, in a forked child."""


class Dependent(Protocol):
    """Uses what a Sender knows, and ends with it."""

    def end(self) -> None:
        """The publisher is closed."""


class Sender:
    """Sends what one publisher publishes, in order. locator: finds the service."""

    def __init__(
        self,
        locator: ServiceLocator,
        wait: float | None = 0.0,
        parent: Sender | None = None,
        depth: int = 0,
    ) -> None:
        """wait: seconds for which a service that is not there yet is tried again; None connects with the
        first call. parent: the sender that counts the events. depth: how many others this one was made in the
        middle of."""
        self.locator = locator
        self._parent = parent
        self._depth = depth
        self.connection = ReconnectingConnection(locator, depth)
        if wait is not None:
            self.connection.connect_first(wait)
        # What sends for this publisher over another connection.
        self.dependents: weakref.WeakSet[Dependent] = weakref.WeakSet()
        # The pipeline that published last. Only this one has anything buffered, unless several threads
        # publish through several pipelines at the same moment.
        self.current: Buffer | None = None
        self._pipelines: set[Buffer] = set()
        self._beside: Sender | None = None
        self.closed = False
        self._published = self._queued = self._unknown = 0
        self._reset()
        tell_in_child(self)

    def _reset(self) -> None:
        # Reentrant, so that a thread that interrupts itself can find out (interruptions.py).
        self.lock = threading.RLock()
        self._working = False
        self._counting = threading.RLock()
        self._wake = WakeUp()
        self._flusher: threading.Thread | None = None
        self.resting = True

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of `exclusively`."""
        return self._working and owned(self.lock)

    def exclusively(self, work: Callable[[], T]) -> T:
        """Do something that only one thread may do at a time, and no thread in the middle of it: not if
        `entered`."""
        refuse_in_service_thread()
        with self.lock:
            self._working = True
            try:
                return work()
            finally:
                self._working = False

    def beside(self) -> Sender:
        """A sender for pipelines of a thread that is in the middle of using this one."""
        if self._beside is None:
            self._beside = Sender(self.locator, parent=self, depth=self._depth + 1)
        if self.closed:
            self._beside.close()
        return self._beside

    def independent(self) -> Sender:
        """A sender with a connection of its own, which is made with its first call. Until then it assumes
        that the service has the same limits."""
        other = Sender(self.locator, None, parent=self)
        current, mine = other.connection.current, self.connection.current
        current.announced, current.max_message = mine.announced, mine.max_message
        return other

    def post(self, call: PackedCall, deadline: float | None = None) -> PendingReply:
        """Send the call that publishes a batch. deadline: as for `ReconnectingConnection.post`."""
        if self.closed:
            raise EventServiceError("this publisher is closed")
        return self.connection.post(call, deadline)

    def publish(self, entry: Entry, events: int, timeout: float | None = None) -> int:
        """Publish one entry, which becomes `events` events. Returns the deliveries queued.

        timeout: seconds for all of it; then AnswerTimeoutError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        call = packed_publish_one(entry)
        if self._pipelines and not self.entered:
            reply = self._post_in_order(call, deadline)
        else:
            reply = self.post(call, deadline)
        try:
            queued = int(self.connection.wait(reply, deadline))
        except BaseException:
            if reply.answer is None:
                self.count(unknown=events)
            raise
        self.count(events, queued)
        return queued

    def clear_retained(self, names: list[str]) -> int:
        """Forget last values, after what was published before. Returns how many there were."""
        if self.closed:
            raise EventServiceError("this publisher is closed")
        if self._pipelines and not self.entered:
            self.exclusively(self._send_buffered)
        return sum([int(self.connection.call("clear_retained", some)) for some in pieces(names)])

    def _post_in_order(self, call: PackedCall, deadline: float | None) -> PendingReply:
        """The same, after sending what pipelines have buffered."""
        replies: list[PendingReply] = []

        def post() -> None:
            if self._send_buffered(deadline):
                replies.append(self.post(call, deadline))

        if deadline is None:
            self.exclusively(post)
        else:
            within(self.lock, deadline - time.monotonic(), lambda: self.exclusively(post))
        if not replies:
            raise not_sent_in_time(self.connection.current.address)
        return replies[0]

    def enter(self, pipeline: Buffer) -> None:
        """A pipeline begins to publish: send first what others have buffered. `lock` is held."""
        self._send_buffered()
        self._pipelines.add(pipeline)
        self.current = pipeline

    def leave(self, pipeline: Buffer) -> None:
        """A pipeline has finished; `lock` is held."""
        self._pipelines.discard(pipeline)
        if self.current is pipeline:
            self.current = None

    def _send_buffered(self, deadline: float | None = None) -> bool:
        """Send what pipelines have buffered. False if that could not be done by `deadline`."""
        return all(
            [pipeline.send_buffered(deadline) for pipeline in list(self._pipelines) if pipeline.buffered]
        )

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to the statistics."""
        if self._parent is not None:
            self._parent.count(published, queued, unknown)
            return
        with self._counting:
            self._published += published
            self._queued += queued
            self._unknown += unknown

    def wake_flusher(self) -> None:
        """Make sure that events that were just buffered are sent soon."""
        refuse_in_service_thread()
        with self.lock:
            self.resting = False
            if self._flusher is None and not self.closed:
                # Noted before it starts, so that a thread that interrupts itself does not start another one.
                self._flusher = thread = threading.Thread(
                    target=self._flush_loop, args=(self._wake,), name="pyro_events-pipeline", daemon=True
                )
                try:
                    thread.start()
                except BaseException:
                    if thread.ident is None:
                        self._flusher = None
                    raise
        self._wake.set()

    def _flush_loop(self, wake: WakeUp) -> None:
        """Send events that have been buffered for long enough. It sleeps after a pause, so a busy publisher
        hardly pays for it."""
        while not self.closed:
            wake.wait()
            quiet, frames, buffered = 0, -1, 0
            while quiet < _QUIET_LOOKS and not self.closed:
                wake.wait(FLUSH_DELAY)
                # Before the check, not after it: what is buffered meanwhile wakes the thread again.
                self.resting = quiet == _QUIET_LOOKS - 1
                pipelines = list(self._pipelines)
                before, had = frames, buffered
                frames = sum([pipeline.frames for pipeline in pipelines])
                buffered = sum([pipeline.buffered for pipeline in pipelines])
                quiet = 0 if buffered else quiet + 1
                if had and frames == before and buffered - had < _BUSY and not self.closed:
                    self.exclusively(self._send_buffered)
                    buffered = 0

    def statistics(self) -> PublisherStatistics:
        """A snapshot."""
        from ..statistics import PublisherStatistics

        connection = self.connection
        with self._counting:
            published, queued, unknown = self._published, self._queued, self._unknown
        current = connection.current
        return PublisherStatistics(
            published,
            queued,
            unknown,
            current.reconnects,
            current.connected,
            current.address,
            connection.name,
            current.transport,
        )

    def close(self) -> None:
        """End the connection, the thread, and the dependents. What a pipeline still buffers is not sent."""
        self.closed = True
        self._wake.set()
        for dependent in list(self.dependents):
            dependent.end()
        self.connection.close()
        if self._beside is not None:
            self._beside.close()
        thread = self._flusher
        # Not if this thread holds what the other one waits for: that ends when this one goes on.
        if thread is not None and thread is not threading.current_thread() and not owned(self.lock):
            thread.join(_JOIN)

    def forked(self) -> None:
        """In a forked child: the parent sends what is buffered."""
        self._reset()
        for pipeline in self._pipelines:
            pipeline.discard()
