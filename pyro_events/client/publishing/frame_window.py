"""The frames of a pipeline that are not acknowledged yet, and the outcome of every event in them.

Knows: which frames are unacknowledged, and how each ended. Must not know: what is buffered, or when a frame
is full.

An event that was sent is in one place at any time, wherever an exception of the program's own arrives: in the
frame that is `sending`, in an `_outstanding` one, or counted as published, not published or unknown. The
steps from one place to the next are assignments, which no exception can interrupt. The publisher's lock is
held in all methods that change something.
"""

from __future__ import annotations

from collections import deque

from ...foreign_exceptions import is_foreign
from ...wire.requests import PackedCall
from ..connection.connection import PendingReply
from .pipeline_account import PipelineAccount
from .sender import Sender


class PipelineFrame:
    """Events that are sent together. reply: of the call that publishes them, after it was sent."""

    __slots__ = ("events", "reply")

    def __init__(self, events: int) -> None:
        self.events = events
        self.reply: PendingReply | None = None


class FrameWindow:
    """sending: the frame that is being sent. account: the outcome of the events, according to the
    acknowledgements read so far."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._outstanding: deque[PipelineFrame] = deque()
        self.account = PipelineAccount()
        self.sending: PipelineFrame | None = None

    def published(self, events: int, queued: int) -> None:
        """Count events that were published without a frame."""
        self.account.queued += queued
        self.account.published += events

    def transmit(self, frame: PipelineFrame, call: PackedCall) -> None:
        """Send the frame that is `sending`. A failure is kept for the pipeline's caller."""
        try:
            frame.reply = self._sender.post(call)
            self._outstanding.append(frame)
        except BaseException as error:
            if is_foreign(error, Exception):
                self.recover()
                raise
            self.account.failed(error)
            self.account.not_published += frame.events
        self.sending = None

    def recover(self) -> None:
        """Account for a frame if an exception of the program's own has ended its sending."""
        frame = self.sending
        if frame is None:
            return
        lost = not self._outstanding or self._outstanding[-1] is not frame
        if lost:
            self.account.trouble = True
            self.account.unknown += frame.events
        self.sending = None
        if lost:
            self._sender.count(unknown=frame.events)

    def collect(self, most: int, deadline: float | None = None) -> bool:
        """Read acknowledgements until at most `most` frames are unacknowledged. False if that takes too long.

        A failure is kept for the caller, because it concerns earlier events. deadline: on the monotonic
        clock.
        """
        connection, outstanding, account = self._sender.connection, self._outstanding, self.account
        while len(outstanding) > most:
            frame = outstanding[0]
            reply = frame.reply
            assert reply is not None, "what is outstanding was sent"
            if not connection.settled(reply, deadline):
                return False
            try:
                queued = int(connection.wait(reply))
            except BaseException as error:
                if is_foreign(error, Exception):
                    raise
                account.failed(error)
                if reply.answer is None:
                    account.unknown += frame.events
                    del outstanding[0]
                    self._sender.count(unknown=frame.events)
                else:
                    account.not_published += frame.events
                    del outstanding[0]
                continue
            account.queued += queued
            account.published += frame.events
            del outstanding[0]
            self._sender.count(frame.events, queued)
        return True

    @property
    def pending(self) -> int:
        """Events that were sent and whose outcome will be known later."""
        sending = self.sending.events if self.sending is not None else 0
        return sending + sum([frame.events for frame in list(self._outstanding)])

    def discard(self) -> None:
        """Drop everything: this is a forked child's copy of its parent's pipeline."""
        self.sending = None
        self._outstanding.clear()
