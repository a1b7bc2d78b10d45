"""A pipeline on an event loop: gathers events, and does not wait for each acknowledgement.

Knows: when a frame is full, and who is told of failures. Must not know: transports, or how a frame is sent
(pipeline_buffer.py does).
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from collections.abc import Iterable
from types import TracebackType
from typing import NoReturn

from ..client.publishing.entry import checked_entry, checked_timeout
from ..client.publishing.frames import ALONE_BYTES, FRAME_BYTES, FRAME_EVENTS
from ..codec.message import encode_shared
from ..errors import AnswerTimeoutError, EventServiceError, PipelineError
from ..wire.requests import Entry
from .pipeline_buffer import PipelineBuffer
from .sender import Sender


class Pipeline:
    """Publishes without waiting for each acknowledgement; made by `pyro_events.aio.Publisher.pipeline`.

    Leaving its `async with` block sends everything and waits for every acknowledgement, also when an
    exception or a cancellation leaves the block; that then goes on. If not everything could be published, a
    PipelineError says how much was, at the end of the block, from `flush`, or from the next `publish`, whose
    own event is then not accepted. Its numbers count all events that the pipeline has accepted. When a
    PipelineError leaves the block, they are brought up to date. Any task of the publisher's loop may use it.

    Example:
        >>> async def main():
        ...     async with aio.Publisher() as market, market.pipeline() as fast:
        ...         await fast.publish("STOCKQUOTE.SUN", 22.44)
        ...         await fast.publish(["STOCKQUOTE.IBM", "STOCKQUOTE.SAP"], 22.44)
        ...     return fast.queued
        >>> asyncio.run(main())
        0
    """

    def __init__(self, sender: Sender, publisher: object) -> None:
        """publisher: kept, so that it is not closed as long as somebody has the pipeline."""
        self._sender = sender
        self._publisher = publisher
        self._buffer = PipelineBuffer(sender)
        self._account = self._buffer.account
        self._entries = self._buffer.entries
        self._reported = 0
        # The error that the caller got last.
        self._raised: PipelineError | None = None
        self._left = False

    @property
    def buffered(self) -> int:
        """How many calls of `publish` wait for their frame to be sent."""
        return len(self._entries)

    @property
    def queued(self) -> int:
        """Deliveries queued by the service so far, as far as its acknowledgements have come."""
        return self._account.queued

    @property
    def frames(self) -> int:
        """How many frames it has sent."""
        return self._buffer.window.sent

    async def publish(self, subjects: str | Iterable[str], message: object, *, retain: bool = False) -> None:
        """Publish a message under one name or several; usually returns before the service has it.

        It waits only when too much is unacknowledged, or when there is no connection. If it is cancelled, the
        event is published once or never.

        Args:
            subjects: one name or any iterable of names.
            message: any Python object that can be sent.
            retain: as for `Publisher.publish`; False by default. Where the service keeps as many last values
                as it may, a PipelineError says later that this and what was sent in the same call were not
                published.

        Raises:
            TypeError, ValueError: a subject or the message cannot be published.
            MessageTooLargeError: the message is over the service's limit.
            PipelineError: earlier events could not be published; this one was not accepted.
            EventServiceError: the `async with` block has been left, or the publisher cannot be used.
        """
        sender, payload = self._sender, encode_shared(message)
        if len(payload) > sender.connection.max_message:
            await sender.check_size(len(payload))
        entry, events, size = checked_entry(subjects, payload, retain)
        buffer = self._buffer
        if (
            sender.current is not buffer
            or buffer.size + size > FRAME_BYTES
            or sender.turns.taken
            or self._account.trouble
            or self._left
            or _get_running_loop() is not sender.home.loop
        ):
            await self._publish_in_turn(entry, events, size)
        elif events:
            entries = self._entries
            if entries:
                entries.append(entry)
                buffer.size += size
                if len(entries) >= FRAME_EVENTS:
                    await self._send_full()
            else:
                buffer.append(entry, size)

    async def flush(self, timeout: float | None = None) -> int:
        """Send what is buffered and wait for every acknowledgement.

        Args:
            timeout: seconds for the acknowledgements. Default None: as long as the service blocks them.

        Returns:
            The deliveries queued since the last flush, or since the pipeline was made.

        Raises:
            PipelineError: events could not be published.
            AnswerTimeoutError: the time is up. The events stay in the pipeline; `flush` may be called again.
            EventServiceError: the publisher is not connected yet, or belongs to another event loop.
        """
        timeout = checked_timeout(timeout)
        loop = self._sender.home.check()
        if not await self._buffer.settle(None if timeout is None else loop.time() + timeout):
            raise AnswerTimeoutError(
                f"{self._buffer.pending} events of a pipeline were not acknowledged within {timeout:g} s; "
                "they stay in it, and flush() may be called again"
            )
        self._raise_trouble()
        queued = self._account.queued
        fresh, self._reported = queued - self._reported, queued
        return fresh

    def __repr__(self) -> str:
        connection, pending = self._sender.connection, self._buffer.pending
        state = "finished" if self._left else "open"
        to = f"{connection.name!r} to {connection.address}"
        return f"<aio.Pipeline of {to}, {state}, {pending} events pending, {self.queued} deliveries queued>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Pipeline can be neither copied nor pickled, because it belongs to its publisher's connection: "
            "make another one with publisher.pipeline()"
        )

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left = True
        buffer = self._buffer
        if buffer.pending:
            self._sender.home.check()
            try:
                await buffer.settle()
            except BaseException:
                buffer.abandon()
                raise
        if self._sender.current is buffer:
            self._sender.current = None
        if error is None:
            self._raise_trouble()
        elif isinstance(error, PipelineError) and error is self._raised:
            self._account.update(error, buffer.pending)
        elif self._account.trouble:
            buffer.log_trouble()

    async def _publish_in_turn(self, entry: Entry, events: int, size: int) -> None:
        """Publish an event that cannot be buffered at once."""
        sender, buffer = self._sender, self._buffer
        sender.check()
        self._check_open()
        await sender.turns.take()
        try:
            self._check_open()
            if sender.current is not buffer:
                if sender.current is not None:
                    await sender.current.send_buffered()
                sender.current = buffer
            if not events:
                return
            if size > ALONE_BYTES or buffer.size + size > FRAME_BYTES:
                await buffer.send_buffered()
            if size > ALONE_BYTES:
                await buffer.send_alone(entry, events)
            else:
                buffer.append(entry, size)
        finally:
            sender.turns.give()

    async def _send_full(self) -> None:
        """Send a full frame, and let the loop send it and read acknowledgements."""
        if self._buffer.send_now():
            await asyncio.sleep(0)
        else:
            await self._buffer.send_in_turn()

    def _check_open(self) -> None:
        if self._left:
            raise EventServiceError("this pipeline is finished: make a new one with publisher.pipeline()")
        self._raise_trouble()

    def _raise_trouble(self) -> None:
        account = self._account
        if account.trouble:
            failure = account.failure(self._buffer.pending)
            cause = failure.__cause__
            account.told()
            self._raised = failure
            raise failure from cause
