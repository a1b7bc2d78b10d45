"""What a pipeline on an event loop has buffered, and when and how that is sent.

Knows: frames, the publisher's turns and its connection. Must not know: what is published, or who is told of
failures.

Frames that are not full are sent as Nagle's algorithm sends small packets: at the next turn of the loop if no
frame is unacknowledged, otherwise with the next acknowledgement. If something has to be waited for then, such
as a new connection, a task does the waiting.
"""

from __future__ import annotations

import asyncio

from ..client.publishing.frames import count_events, first_frame
from ..errors import AnswerTimeoutError
from ..foreign_exceptions import is_foreign
from ..log.background import get_logger
from ..wire.requests import Entry, PackedCall, packed_publish
from .connection.connection import Connection
from .frame_window import FrameWindow
from .sender import Sender

log = get_logger("pyro_events.publisher")


class PipelineBuffer:
    """entries, size: what is buffered, and about how many bytes that is. account: the outcome of all
    events."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.entries: list[Entry] = []
        self.size = 0
        self.window = FrameWindow(sender, self._frame_ended)
        self.account = self.window.account
        self._abandoned = False
        # Whether a call of `_flush` is due, and the task that does what it could not do at once.
        self._due = False
        self._flushing: asyncio.Task[None] | None = None

    @property
    def buffered(self) -> int:
        """How many entries wait for their frame to be sent."""
        return len(self.entries)

    @property
    def pending(self) -> int:
        """Events whose outcome will be known later."""
        return count_events(self.entries) + self.window.pending

    def append(self, entry: Entry, size: int) -> None:
        """Buffer an entry. size: its bytes."""
        self.entries.append(entry)
        self.size += size
        if len(self.entries) == 1 and self.window.is_empty:
            self._flush_soon()

    # ---- at once --------------------------------------------------------------------------------

    def send_now(self) -> bool:
        """Send what is buffered, if that needs no waiting. Returns whether nothing is buffered any more."""
        sender = self._sender
        while self.entries:
            if self.window.is_full or sender.turns.taken:
                return False
            connection = sender.connection.usable()
            if connection is None or connection.paused:
                return False
            self._transmit(connection)
        return True

    def _flush_soon(self) -> None:
        """Send what is buffered at the next turn of the loop."""
        loop = self._sender.home.loop
        if not self._due and loop is not None:
            self._due = True
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._due = False
        loop = self._sender.home.loop
        if loop is None or self._sender.connection.closed or self.send_now():
            return
        flushing = self._flushing is not None and not self._flushing.done()
        if not flushing and not self.window.is_full:  # else it goes on when a frame has ended
            self._flushing = loop.create_task(self._flush_in_turn())

    def _frame_ended(self) -> None:
        """The outcome of a frame is known."""
        if self.entries:
            self._flush_soon()
        elif self._abandoned:
            self.abandon()

    # ---- with waiting ---------------------------------------------------------------------------

    async def send_buffered(self, deadline: float | None = None) -> bool:
        """Send what is buffered; it is the caller's turn. Failures are kept for the pipeline's own caller.

        Returns False if that could not be done by the deadline (loop's clock).
        """
        while self.entries:
            if not await self.window.space(deadline):
                return False
            try:
                connection = await self._sender.ready(deadline)
            except AnswerTimeoutError as error:
                if is_foreign(error, AnswerTimeoutError):
                    raise
                return False
            except Exception as error:
                if is_foreign(error, Exception):
                    raise
                self._not_published(error, count_events(self._cut()[1]))
            else:
                self._transmit(connection)
        return True

    async def send_alone(self, entry: Entry, events: int) -> None:
        """Send a large event in its own frame; it is the caller's turn, and nothing is buffered. A failure is
        kept, as that of a buffered event is."""
        await self.window.space(None)
        try:
            connection = await self._sender.ready(None)
        except Exception as error:
            if is_foreign(error, Exception):
                raise
            self._not_published(error, events)
        else:
            self.window.transmit(connection, packed_publish([entry]), events)

    async def send_in_turn(self, deadline: float | None = None) -> bool:
        """Wait for the turn, and send what is buffered. False if that could not be done by the deadline."""
        turns = self._sender.turns
        if not await turns.take(deadline):
            return False
        try:
            return await self.send_buffered(deadline)
        finally:
            turns.give()

    async def settle(self, deadline: float | None = None) -> bool:
        """Send what is buffered, and wait for the acknowledgements of all that was sent until then. False if
        the deadline is earlier."""
        if self.entries and not await self.send_in_turn(deadline):
            return False
        return await self.window.acknowledged(self.window.sent, deadline)

    async def _flush_in_turn(self) -> None:
        """Send what is buffered, for nobody who waits for it."""
        try:
            await self.send_in_turn()
        finally:
            if self._abandoned:
                self.abandon()

    # ---- frames ---------------------------------------------------------------------------------

    def _transmit(self, connection: Connection) -> None:
        call, batch = self._cut()
        self.window.transmit(connection, call, count_events(batch))

    def _cut(self) -> tuple[PackedCall, list[Entry]]:
        """Take the next frame out of what is buffered."""
        call, batch = first_frame(self.entries)
        del self.entries[: len(batch)]
        self.size = 0
        return call, batch

    def _not_published(self, error: Exception, events: int) -> None:
        self.account.failed(error)
        self.account.not_published += events

    def abandon(self) -> None:
        """There is no caller any more who could be told of failures: log them when all outcomes are known."""
        self._abandoned = True
        if self.account.trouble and self.window.is_empty and not self.entries:
            self.log_trouble()

    def log_trouble(self) -> None:
        """Log what could not be published, where no caller is told."""
        log.warning(
            "a pipeline left by an exception could not send everything: %s",
            self.account.failure(self.pending),
        )
        self.account.told()
