"""Sender: everything that a publisher on an event loop accepts is sent in order, at once or in frames.

Knows: the connection, whose turn it is, and how events become calls. Must not know: what subjects and
messages are, or when a pipeline's frame is full.

A call that can be sent at once is sent at once. Otherwise its task waits for its turn, in which it first
sends what a pipeline has buffered, and connects if there is no connection.
"""

from __future__ import annotations

import asyncio
import weakref
from asyncio import _get_running_loop
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from ..client.connection.discovery import ServiceLocator
from ..client.connection.opener import CLOSED
from ..client.connection.outcome import not_sent_in_time, too_large
from ..client.connection.times import ConnectTimes
from ..client.forks import tell_in_child
from ..client.statistics import PublisherStatistics
from ..errors import EventServiceError, ServiceUnreachableError
from ..wire.requests import Entry, PackedCall, packed_call, packed_publish_one, pieces
from .connection.calls import TOO_LATE, AwaitedCall, Loss, failure, value_of
from .connection.connection import Connection
from .connection.current import CurrentConnection
from .connection.turns import Turns
from .connection.waiting import result_by
from .home_loop import HomeLoop

_USUAL_TIMES: Final = ConnectTimes()


class Buffer(Protocol):
    """A pipeline, as its publisher sees it."""

    @property
    def buffered(self) -> int:
        """How many entries wait for their frame to be sent."""

    def send_now(self) -> bool:
        """Send what is buffered, if that needs no waiting. Returns whether nothing is buffered any more."""

    async def send_buffered(self, deadline: float | None = None) -> bool:
        """Send what is buffered; it is the caller's turn. False if that could not be done by `deadline`."""


class Dependent(Protocol):
    """Uses what a Sender knows, and ends with it."""

    def end(self) -> None:
        """The publisher is closed."""

    async def ending(self) -> None:
        """Wait until it has ended."""


class Sender:
    """Sends what one publisher publishes, in order.

    current: the pipeline that published last; no other has anything buffered. turns: for all that cannot be
    done at once. locator: finds the service.
    """

    def __init__(
        self,
        locator: ServiceLocator,
        wait: float,
        times: ConnectTimes = _USUAL_TIMES,
        parent: Sender | None = None,
    ) -> None:
        """wait: seconds for which a service that is not there yet is tried again. times: how long connecting
        may take. parent: the sender that counts the events."""
        self.locator = locator
        self._wait = wait
        self._times = times
        self._parent = parent
        # What sends for this publisher over another connection.
        self.dependents: weakref.WeakSet[Dependent] = weakref.WeakSet()
        self.home = HomeLoop("publisher")
        self.connection = CurrentConnection(locator, times)
        self.turns = Turns()
        self.current: Buffer | None = None
        self._published = self._queued = self._unknown = 0
        tell_in_child(self)

    async def connect(self) -> None:
        """Connect for the first time; harmless if it is connected."""
        if self.connection.closed:
            raise EventServiceError(CLOSED)
        self.home.enter()
        await self.turns.take()
        try:
            if not self.connection.connected:
                await self.connection.open_first(self._wait)
        finally:
            self.turns.give()

    def independent(self) -> Sender:
        """A sender on the same loop with a connection of its own, which is made with its first call. Until
        then it assumes that the service has the same limits."""
        self.check()
        other = Sender(self.locator, 0.0, self._times, self)
        other.home.enter()
        current, mine = other.connection, self.connection
        current.announced, current.max_message = mine.announced, mine.max_message
        return other

    def check(self) -> None:
        """Raise EventServiceError if it cannot be used here, or any more."""
        self.home.check()
        if self.connection.closed:
            raise EventServiceError(CLOSED)

    async def check_size(self, size: int) -> None:
        """Raise MessageTooLargeError if the service does not accept a message of so many bytes.

        The service may have been restarted with another limit, so this connects if there is no connection.
        """
        self.check()
        if self.connection.usable() is None:
            await self.connection.open()
        if size > self.connection.max_message:
            raise too_large(size, self.connection.max_message, self.connection.address)

    # ---- one event, acknowledged ----------------------------------------------------------------

    def publish(self, entry: Entry, events: int, timeout: float | None) -> Coroutine[Any, Any, int]:
        """Publish one entry, which becomes `events` events. Returns the deliveries queued.

        timeout: seconds for all of it; then AnswerTimeoutError.
        """
        return self._call(packed_publish_one(entry), events, timeout)

    async def clear_retained(self, names: list[str]) -> int:
        """Forget last values, after what was published before. Returns how many there were."""
        return sum([await self._call(packed_call("clear_retained", some), 0, None) for some in pieces(names)])

    async def _call(self, call: PackedCall, events: int, timeout: float | None) -> int:
        """Make a call whose result is a number. events: how many it publishes."""
        loop = self.home.loop
        if loop is None or _get_running_loop() is not loop:
            loop = self.home.check()
        deadline = None if timeout is None else loop.time() + timeout
        for _ in range(2):
            pending = AwaitedCall(loop)
            connection = self.at_once()
            if connection is not None:
                connection.send(call, pending)
            else:
                connection = await self._send_in_turn(call, pending, deadline)
            try:
                if deadline is None:
                    outcome = await pending.outcome
                else:
                    outcome = await result_by(pending.outcome, deadline, TOO_LATE)
            except asyncio.CancelledError:
                self.count(unknown=events)
                raise
            if not isinstance(outcome, Loss):
                queued = int(value_of(outcome))
                if events:
                    self.count(events, queued)
                return queued
            if outcome.sent:
                self.count(unknown=events)
                raise failure(outcome, connection.address)
        raise ServiceUnreachableError(
            f"the event service at {self.connection.address} closes every connection"
        )

    def at_once(self) -> Connection | None:
        """The connection, if something can be sent on it without waiting, in the running loop."""
        connection = self.connection.usable()
        if connection is None or connection.paused or self.turns.taken:
            return None
        current = self.current
        if current is not None and current.buffered and not current.send_now():
            return None
        # Sending a frame of the pipeline may have filled the transport.
        return None if connection.paused else connection

    async def _send_in_turn(
        self, call: PackedCall, pending: AwaitedCall, deadline: float | None
    ) -> Connection:
        self.check()
        if not await self.turns.take(deadline):
            raise not_sent_in_time(self.connection.address)
        try:
            if self.current is not None and not await self.current.send_buffered(deadline):
                raise not_sent_in_time(self.connection.address)
            connection = await self.ready(deadline)
            if len(call) > 1 and len(call[1]) > self.connection.max_message:
                raise too_large(len(call[1]), self.connection.max_message, connection.address)
            connection.send(call, pending)
            return connection
        finally:
            self.turns.give()

    async def ready(self, deadline: float | None) -> Connection:
        """The connection, when something can be sent on it; it is the caller's turn.

        Connects if there is none. deadline: on the loop's clock; then AnswerTimeoutError, and nothing was
        sent.
        """
        while True:
            self.check()
            connection = self.connection.usable()
            if connection is None:
                connection = await self.connection.open(deadline)
            if not await connection.writable(deadline):
                raise not_sent_in_time(self.connection.address)
            if connection.ended is None and not connection.paused:
                return connection

    # ---- figures, and the end -------------------------------------------------------------------

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to the statistics."""
        if self._parent is not None:
            self._parent.count(published, queued, unknown)
            return
        self._published += published
        self._queued += queued
        self._unknown += unknown

    def statistics(self) -> PublisherStatistics:
        """A snapshot."""
        connection = self.connection
        return PublisherStatistics(
            self._published,
            self._queued,
            self._unknown,
            connection.reconnects,
            connection.connected,
            connection.address,
            connection.name,
            connection.transport,
        )

    @property
    def closed(self) -> bool:
        """Whether the connection is closed for good."""
        return self.connection.closed

    @property
    def in_use(self) -> bool:
        """Whether a socket is open, or is about to be."""
        return self.connection.in_use

    def drop(self) -> None:
        """Release the socket, from any thread: nobody has the publisher any more."""
        self.connection.drop()

    async def close(self) -> None:
        """End the connection and the dependents. What a pipeline still buffers is not sent."""
        loop = self.home.loop
        if loop is not None and not loop.is_closed() and not self.connection.closed:
            self.home.check()
        self.connection.close()
        dependents = list(self.dependents)
        for dependent in dependents:
            dependent.end()
        for dependent in dependents:
            await dependent.ending()
        await self.connection.released()

    def forked(self) -> None:
        """In a forked child: the connection is the parent's."""
        self.home.loop = None
        self.connection.disown()
