"""The frames of a pipeline on an event loop that are not acknowledged yet.

Knows: how many frames were sent and how many have ended, and who waits for that. Must not know: what is
buffered, or when a frame is full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..client.connection.outcome import broken
from ..client.publishing.frames import WINDOW
from ..client.publishing.pipeline_account import PipelineAccount
from ..foreign_exceptions import is_foreign
from ..wire.requests import PackedCall
from .connection.calls import Loss, Reply, value_of
from .connection.connection import Connection
from .connection.waiting import result_by, set_once


class Counter(Protocol):
    """The publisher's statistics."""

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        """Add to them."""


class PipelineFrame:
    """Events that are sent together, until they are acknowledged."""

    __slots__ = ("_address", "_events", "_window", "seq")

    def __init__(self, window: FrameWindow, events: int, address: str) -> None:
        self.seq = 0
        self._window = window
        self._events = events
        self._address = address

    def answered(self, reply: Reply) -> None:
        """The acknowledgement, or an error."""
        account, events = self._window.account, self._events
        try:
            queued = int(value_of(reply))
        except Exception as error:
            if is_foreign(error, Exception):
                raise
            account.failed(error)
            account.not_published += events
        else:
            account.published += events
            account.queued += queued
            self._window.counter.count(events, queued)
        self._window.ended(events)

    def lost(self, loss: Loss) -> None:
        """The connection broke."""
        account, events = self._window.account, self._events
        account.failed(broken(self._address, loss.reason))
        if loss.sent:
            account.unknown += events
            self._window.counter.count(unknown=events)
        else:
            account.not_published += events
        self._window.ended(events)


class FrameWindow:
    """account: the outcome of the events. pending: events that were sent and whose outcome will be known
    later. sent: how many frames were sent. more: called when a frame has ended."""

    def __init__(self, counter: Counter, more: Callable[[], None]) -> None:
        self.counter = counter
        self.account = PipelineAccount()
        self.pending = 0
        self.sent = 0
        self._ended = 0
        self._more = more
        # Tasks that wait until so many frames have ended.
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []

    @property
    def is_full(self) -> bool:
        """Whether no frame may be sent until one is acknowledged."""
        return self.sent - self._ended >= WINDOW

    @property
    def is_empty(self) -> bool:
        """Whether all frames are acknowledged."""
        return self.sent == self._ended

    def transmit(self, connection: Connection, call: PackedCall, events: int) -> None:
        """Send a frame."""
        self.sent += 1
        self.pending += events
        connection.send_at_once(call, PipelineFrame(self, events, connection.address))

    def ended(self, events: int) -> None:
        """The outcome of the oldest frame is known."""
        self.pending -= events
        self._ended += 1
        ended, waiting = self._ended, self._waiting
        if waiting:
            for until, waiter in waiting:
                if until <= ended:
                    set_once(waiter, True)
            self._waiting = [(until, waiter) for until, waiter in waiting if not waiter.done()]
        self._more()

    async def space(self, deadline: float | None) -> bool:
        """Wait until a frame may be sent. False if the deadline (loop's clock) is earlier."""
        return await self.acknowledged(self.sent - WINDOW + 1, deadline)

    async def acknowledged(self, frames: int, deadline: float | None) -> bool:
        """Wait until the outcome of so many frames is known. False if the deadline is earlier."""
        if self._ended >= frames:
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((frames, waiter))
        return await result_by(waiter, deadline, late=False)
