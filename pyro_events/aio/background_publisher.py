"""BackgroundPublisher of an asyncio program: publishes without waiting for the service, and without `await`.

Knows: what its user may do, and when it ends. Must not know: what is dropped, or how it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn

from ..client.background.options import BackgroundOptions, BackgroundTimes
from ..client.background.shared_queue import LOOK, SharedQueue
from ..client.connection.outcome import too_large
from ..client.publishing.entry import checked_entry, checked_timeout
from ..client.statistics import BackgroundStatistics
from ..codec.message import encode_detached
from ..errors import EventServiceError
from .background_task import BackgroundTask
from .connection.waiting import result_by, set_once
from .sender import Sender

_TIMES: Final = BackgroundTimes()


class _WokenTask:
    """A task that waits, and that any thread may wake."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[bool] = loop.create_future()

    def set(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(set_once, self._future, True)

    async def wait(self, until: float) -> None:
        """Wait until it is woken, or until then on the loop's clock."""
        await result_by(self._future, until, False)
        self._future = self._loop.create_future()


class BackgroundPublisher:
    """Publishes without waiting for the service; made by `pyro_events.aio.Publisher.background`.

    `publish` is a plain function, which any thread may call. It encodes the message, queues the event and
    returns; a task on the publisher's loop sends what is queued, whenever the program awaits something. It
    raises nothing but errors of its caller: what the service does, or that it is away, is logged and counted.

    The end of the `async with` block, and `close`, wait for at most 5 seconds until everything has been sent,
    and then drop the rest. An exception of the block goes on. What is queued when the loop ends is dropped.

    Example:
        >>> async def main():
        ...     async with aio.Publisher() as market, market.background() as instrument:
        ...         instrument.publish("OVEN.TEMPERATURE", 210.5)
        ...         return await instrument.flush(timeout=5.0)
        >>> asyncio.run(main())
        True
    """

    def __init__(
        self, owner: Sender, publisher: object, options: BackgroundOptions, times: BackgroundTimes = _TIMES
    ) -> None:
        """owner: the publisher's sender, which lends its name and address, and counts the events. publisher:
        kept, so that it is not closed as long as somebody has this object."""
        self._closed = True  # until it is complete
        self._publisher = publisher
        self._owner = owner
        self._times = times
        self._sender = owner.independent()
        self._queue = SharedQueue(options)
        self._task = BackgroundTask(owner.home.check(), self._sender, self._queue, times)
        owner.dependents.add(self._task)
        self._closed = False

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
            EventServiceError: this background publisher, or its publisher, is closed, or belongs to the
                process from which this one was forked.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, market.background() as instrument:
            ...         instrument.publish(["OVEN.TEMPERATURE", "ALARMS"], 300.0)
            >>> asyncio.run(main())
        """
        task = self._task
        if self._closed or task.ended:
            raise EventServiceError(
                "this background publisher is closed: make a new one with publisher.background()"
            )
        if self._sender.home.loop is None:
            raise EventServiceError(
                "this background publisher belongs to the process from which this one was forked: make "
                "another publisher"
            )
        payload = encode_detached(message)
        connection = self._sender.connection
        if len(payload) > connection.max_message and task.outcomes.away is None:
            task.wake(look=True)  # the service may have been restarted with another limit since
            address = connection.address or self._owner.connection.address
            raise too_large(len(payload), connection.max_message, address)
        entry, events, size = checked_entry(subjects, payload, retain)
        if not events:
            return
        queue = self._queue
        queue.publish(entry, events, size)
        if task.resting:
            task.wake()
        if queue.overflowed:
            task.outcomes.overflowed()

    async def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits any more of what was published before.

        Args:
            timeout: seconds to wait. Default None: until the service has taken everything, which may be for
                ever.

        Returns:
            False if the time is over first. True otherwise; `statistics` says what was sent and what was not.

        Raises:
            TypeError, ValueError: the timeout is not a time.
            EventServiceError: it belongs to another event loop.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, market.background() as instrument:
            ...         instrument.publish("OVEN.TEMPERATURE", 210.5)
            ...         return await instrument.flush(timeout=5.0), instrument.statistics().published
            >>> asyncio.run(main())
            (True, 1)
        """
        timeout = checked_timeout(timeout)
        loop = self._sender.home.check()
        deadline = None if timeout is None else loop.time() + timeout
        woken = _WokenTask(loop)
        waiter = self._queue.begin_waiting(woken)
        try:
            while not self._queue.has_outcome(waiter):
                if (
                    self._task.resting
                ):  # an exception of the program's own has ended what should have woken it
                    self._task.wake()
                look = loop.time() + LOOK  # as a thread that waits, it looks by itself too
                if deadline is not None:
                    if loop.time() >= deadline:
                        return False
                    look = min(look, deadline)
                await woken.wait(look)
        finally:
            self._queue.end_waiting(waiter)
        return True

    def statistics(self) -> BackgroundStatistics:
        """What has become of the events so far.

        Returns:
            A frozen snapshot, in which every accepted event is counted once.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, market.background() as instrument:
            ...         instrument.publish("OVEN.TEMPERATURE", 210.5)
            ...         return instrument.statistics().accepted
            >>> asyncio.run(main())
            1
        """
        current = self._sender.connection
        return self._queue.statistics(current.reconnects, current.connected, current.address, current.name)

    async def close(self) -> None:
        """Accept nothing more, wait up to 5 seconds until what is queued has been sent, and drop the rest.

        It raises nothing that the service has caused, and calling it again is harmless. If it is cancelled,
        it does not wait any more.

        Raises:
            EventServiceError: it belongs to another event loop.
        """
        self._sender.home.check()
        closed, self._closed = self._closed, True
        try:
            if not closed:
                await self.flush(self._times.leaving)
        finally:
            self._task.end()
        await self._task.ending()

    async def __aenter__(self) -> BackgroundPublisher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not (getattr(self, "_closed", True) or self._task.ended or self._sender.home.loop is None):
            # It is not closed by that: other finalizers may still publish.
            self._task.finish(self._times.leaving)
            text = f"unclosed {self!r}: use it in `async with`, or call `await close()`"
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)

    def __repr__(self) -> str:
        figures = self.statistics()
        ended = self._closed or self._task.ended
        state = "closed" if ended else "connected" if figures.connected else "not connected"
        return (
            f"<aio.BackgroundPublisher {figures.name!r}, {state}, {figures.waiting} events waiting, "
            f"{sum(figures.dropped.values())} dropped>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a BackgroundPublisher can be neither copied nor pickled, because it has a connection and a "
            "task: make another one with publisher.background()"
        )
