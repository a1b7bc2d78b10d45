"""BackgroundPublisher: publishes without waiting for the service.

Knows: what its user may do, and when it ends. Must not know: what is dropped, or how it is sent.
"""

from __future__ import annotations

import atexit
import sys
import time
import warnings
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn

from ...codec.message import encode_detached
from ...errors import EventServiceError
from ...log.background import get_logger
from ...service_threads import refuse_in_service_thread
from ..connection.outcome import too_large
from ..publishing.entry import checked_entry, checked_timeout
from ..publishing.sender import Sender
from ..statistics import BackgroundStatistics
from .options import BackgroundOptions, BackgroundTimes
from .sender_thread import SenderThread
from .shared_queue import SharedQueue

log = get_logger("pyro_events.publisher")

_TIMES: Final = BackgroundTimes()


class BackgroundPublisher:
    """Publishes without waiting for the service; made by `Publisher.background`.

    `publish` encodes the message, queues the event and returns; one thread sends what is queued. It raises
    nothing but errors of its caller: what the service does, or that it is away, is logged and counted. Any
    thread may use it, and any code that runs in the middle of such a thread.

    The end of the `with` block, and `close`, wait for at most 5 seconds until everything has been sent, and
    then drop the rest. An exception of the block goes on.

    Example:
        >>> with market.background(limit=1000, overflow="latest") as instrument:
        ...     instrument.publish("OVEN.TEMPERATURE", 210.5)
        ...     instrument.flush(timeout=5.0)
        True
    """

    def __init__(self, owner: Sender, options: BackgroundOptions, times: BackgroundTimes = _TIMES) -> None:
        """owner: the publisher's sender, which lends its name and address, and counts the events."""
        self._closed = True  # until it is complete
        self._owner = owner
        self._times = times
        self._sender = owner.independent()
        self._queue = SharedQueue(options)
        self._thread = SenderThread(self._sender, self._queue, times)
        owner.dependents.add(self._thread)
        self._closed = False
        _open.add(self)
        self._thread.start()

    def publish(self, subjects: str | Iterable[str], message: object, *, retain: bool = False) -> None:
        """Queue a message under one name or several; never waits.

        The message is encoded, and copied where that is needed, before this returns: its memory may be used
        again. If too much waits, an event is dropped, this one or another, as `overflow` says.

        Args:
            subjects: one name or any iterable of names.
            message: any Python object that can be sent.
            retain: as for `Publisher.publish`; False by default. Where the service keeps as many last values
                as it may, that is logged, and counted as refused.

        Raises:
            TypeError, ValueError: a subject or the message cannot be published.
            MessageTooLargeError: the message is over the service's limit. While the service is away, its
                limit is not known; if it then refuses the event, that is logged and counted.
            EventServiceError: this background publisher, or its publisher, is closed.

        Example:
            >>> with market.background() as instrument:
            ...     instrument.publish(["OVEN.TEMPERATURE", "ALARMS"], 300.0)
        """
        thread = self._thread
        if self._closed or thread.stopped:
            raise EventServiceError(
                "this background publisher is closed: make a new one with publisher.background()"
            )
        payload = encode_detached(message)
        current = self._sender.connection.current
        if len(payload) > current.max_message and thread.outcomes.away is None:
            thread.wake(look=True)  # the service may have been restarted with another limit since
            address = current.address or self._owner.connection.current.address
            raise too_large(len(payload), current.max_message, address)
        entry, events, size = checked_entry(subjects, payload, retain)
        if not events:
            return
        queue = self._queue
        queue.publish(entry, events, size)
        if thread.resting:
            thread.wake()
        elif not thread.started:
            thread.start()
        if queue.overflowed:
            thread.outcomes.overflowed()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits any more of what was published before.

        Args:
            timeout: seconds to wait. Default None: until the service has taken everything, which may be for
                ever.

        Returns:
            False if the time is over first. True otherwise; `statistics` says what was sent and what was not.

        Raises:
            TypeError, ValueError: the timeout is not a time.
            EventServiceError: this was called in the middle of the background publisher's own work by the
                same thread, in a signal handler, say, or in a thread that runs an event service.

        Example:
            >>> with market.background() as instrument:
            ...     instrument.publish("OVEN.TEMPERATURE", 210.5)
            ...     instrument.flush(timeout=5.0), instrument.statistics().published
            (True, 1)
        """
        timeout = checked_timeout(timeout)
        refuse_in_service_thread()
        if self._inside:
            raise EventServiceError(
                "a background publisher cannot be flushed in the middle of its own work by the same thread "
                "(in a signal's handler, a __del__ or a logging handler): it would wait for itself; "
                "publish() can be called there"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        return self._queue.wait(deadline, self._thread.start)

    @property
    def _inside(self) -> bool:
        """Whether the calling thread is in the middle of using this object."""
        return self._queue.entered or self._thread.current

    def statistics(self) -> BackgroundStatistics:
        """What has become of the events so far.

        Returns:
            A frozen snapshot, in which every accepted event is counted once.

        Example:
            >>> with market.background() as instrument:
            ...     instrument.publish("OVEN.TEMPERATURE", 210.5)
            ...     instrument.statistics().accepted
            1
        """
        connection = self._sender.connection
        current = connection.current
        return self._queue.statistics(current.reconnects, current.connected, current.address, connection.name)

    def close(self) -> None:
        """Accept nothing more, wait up to 5 seconds until what is queued has been sent, and drop the rest.

        It raises nothing that the service has caused, and calling it again is harmless. In the middle of
        this object's own work, in a signal handler, say, it does not wait.

        Example:
            >>> instrument = market.background()
            >>> instrument.publish("OVEN.TEMPERATURE", 210.5)
            >>> instrument.close()
        """
        closed, self._closed = self._closed, True
        try:
            if not closed and not self._inside:
                self._queue.wait(time.monotonic() + self._times.leaving, self._thread.start)
        finally:
            self._thread.end()

    def _flush_at_exit(self, deadline: float) -> None:
        """The program ends: wait until then, on the monotonic clock. `publish` may still be called."""
        if not self._closed and not self._queue.wait(deadline, self._thread.start):
            name, waiting = self._sender.connection.name, self.statistics().waiting
            log.warning("%s: the program ended before %d events were sent", name, waiting)

    def __enter__(self) -> BackgroundPublisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # At the end of the interpreter a lock may stay held by a thread that was stopped.
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            # It is not closed by that: other finalizers may still publish.
            self._thread.finish(self._times.leaving)
            warnings.warn(
                f"{self!r} was not closed: use it in a with statement, or call close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        figures = self.statistics()
        state = "closed" if self._closed else "connected" if figures.connected else "not connected"
        return (
            f"<BackgroundPublisher {figures.name!r}, {state}, {figures.waiting} events waiting, "
            f"{sum(figures.dropped.values())} dropped>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a BackgroundPublisher can be neither copied nor pickled, because it has a connection and a "
            "thread: make another one with publisher.background()"
        )


# Those that may be open.
_open: Final[weakref.WeakSet[BackgroundPublisher]] = weakref.WeakSet()


def _flush_all() -> None:
    """At the end of the program: wait for a moment until what is queued has been sent."""
    deadline = time.monotonic() + _TIMES.exit
    for publisher in list(_open):
        publisher._flush_at_exit(deadline)


atexit.register(_flush_all)
