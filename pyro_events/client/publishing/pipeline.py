"""A pipeline: events gathered into frames, and acknowledged while the next are on their way.

Knows: when a frame is full, how many may be unacknowledged, and what became of every event. Must not know:
sockets.

An accepted event is in one place at any time, wherever an exception of the program's own arrives: buffered
in `_entries`, in the frame that is `_sending`, in an `_outstanding` one, or counted as published, not
published or unknown. The steps from one place to the next are assignments, which no exception can part.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn

from ...codec.message import encode_shared
from ...constants import MAX_STOCK_CALL
from ...errors import AnswerTimeoutError, EventServiceError, PipelineError, PipelineOutcomeUnknownError
from ...foreign_exceptions import is_foreign
from ...log.background import get_logger
from ..connection.connection import Call, PendingReply
from ..interruptions import within
from .entry import Entry, checked_entry, packed_batch
from .sender import Sender

log = get_logger("pyro_events.publisher")

# A frame is sent when it holds this much: below the 64 KiB that the service takes in one call of
# several events. Beyond 512 small events the cost of a call is under a hundredth of theirs.
FRAME_BYTES: Final = 60 * 1024
FRAME_EVENTS: Final = 512
# A payload of this size gains nothing from company.
ALONE_BYTES: Final = 32 * 1024
# Frames that may be unacknowledged: one on its way, one being handled, one acknowledged, one spare.
WINDOW: Final = 4


class _Frame:
    """Events that leave together. ticket: of the call that publishes them, once it was sent."""

    __slots__ = ("events", "reply")

    def __init__(self, events: int) -> None:
        self.events = events
        self.reply: PendingReply | None = None


class Pipeline:
    """Publishes without waiting for each acknowledgement; made by `Publisher.pipeline`.

    Leaving its `with` block sends everything and waits for every acknowledgement, also when an exception
    leaves it, which then goes on. If not everything could be published, a PipelineError says how many
    events were published, were not, and of how many nobody knows: at the end of the block, or before that
    from `flush`, or from the next `publish`, whose own event then was not accepted. The numbers are those of
    all events that the pipeline has accepted. When a PipelineError leaves the block, its numbers are brought
    up to date.

    Any thread may use it. Buffering takes no lock, because that would cost as much as encoding a
    small event: appending to a list and cutting off its beginning are each one step of the
    interpreter. Everything else is done under the outbox's lock.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._entries: list[Entry] = []
        # About what `entries` takes; several threads may miscount, so a frame is measured when made.
        self._size = 0
        self._sending: _Frame | None = None
        self._outstanding: deque[_Frame] = deque()
        self._published = self._not_published = self._unknown = 0
        self._queued = self._reported = 0
        # Whether there is something that our caller has not been told, the first error that led to it, and
        # what it was told last.
        self._trouble = False
        self._cause: BaseException | None = None
        self._raised: PipelineError | None = None
        self._used = self._left = False
        self.frames = 0

    @property
    def buffered(self) -> int:
        """How many calls of `publish` wait for their frame to be sent."""
        return len(self._entries)

    @property
    def queued(self) -> int:
        """Deliveries queued by the service so far, as far as we have read its acknowledgements."""
        return self._queued

    def publish(self, subjects: str | Iterable[str], message: object) -> None:
        """Publish a message under one name or several; returns before the service has it.

        Raises TypeError or ValueError for what cannot be published, MessageTooLargeError, and
        PipelineError when earlier events could not be published.
        """
        sender, payload = self._sender, encode_shared(message)
        if len(payload) > sender.connection.current.max_message:
            sender.connection.check_size(len(payload))
        entry, events, size = checked_entry(subjects, payload)
        if sender.current is not self or self._trouble:
            sender = self._take_over()
        if not events:
            return
        entries = self._entries
        if size > ALONE_BYTES:
            self._publish_alone(entry, events)
            return
        if self._size + size > FRAME_BYTES:
            self._send_frames()
        entries.append(entry)
        self._size += size
        if len(entries) >= FRAME_EVENTS:
            self._send_frames()
        elif sender.resting:
            sender.wake_flusher()

    def flush(self, timeout: float | None = None) -> int:
        """Send what is buffered and wait for every acknowledgement.

        timeout: seconds for the acknowledgements; None, the default, waits for as long as the service holds
        them up. Returns the deliveries queued since the last flush, or since the pipeline was made.

        Raises PipelineError when events could not be published, and AnswerTimeoutError when the time is
        up; then the events stay in the pipeline, and `flush` may be called again.
        """
        self._refuse_inside()
        deadline = None if timeout is None else time.monotonic() + (checked_timeout(timeout) or 0.0)
        done: list[bool] = []

        def settle() -> None:
            done.append(self._send(deadline) and self._collect(0, deadline))

        if deadline is None:
            self._sender.exclusively(settle)
        else:
            within(self._sender.lock, deadline - time.monotonic(), lambda: self._sender.exclusively(settle))
        if True not in done:
            raise AnswerTimeoutError(
                f"{self._pending()} events of a pipeline were not acknowledged within {timeout:g} s; they "
                "stay in it, and flush() may be called again"
            )
        self._raise_trouble()
        fresh, self._reported = self._queued - self._reported, self._queued
        return fresh

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Pipeline can be neither copied nor pickled, because it belongs to its publisher's connection: "
            "make another one with publisher.pipeline()"
        )

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._refuse_inside()
        self._sender.exclusively(self._finish)
        if error is None:
            self._raise_trouble()
        elif isinstance(error, PipelineError) and error is self._raised:
            self._update(error)
        elif self._trouble:
            log.warning("a pipeline left by an exception could not send everything: %s", self._failure())

    def _finish(self) -> None:
        self._left = True
        self._sender.leave(self)
        self._send()
        self._collect(0)

    def _refuse_inside(self) -> None:
        if self._sender.entered:
            raise EventServiceError(
                "a pipeline cannot be flushed or left in the middle of another call of its publisher by the "
                "same thread (in a signal's handler, a __del__ or a logging handler): it would wait for "
                "itself; publish() can be called there"
            )

    def _take_over(self) -> Sender:
        """Become the outbox's current pipeline, or raise why this one cannot go on."""
        sender = self._sender
        if not sender.entered:
            sender.exclusively(self._enter)
        elif self._left:
            raise _finished()
        elif not self._used:
            self._sender = sender.beside()
            return self._take_over()
        return sender

    def _enter(self) -> None:
        if self._left:
            raise _finished()
        self._raise_trouble()
        self._sender.enter(self)
        self._used = True

    def _publish_alone(self, entry: Entry, events: int) -> None:
        """Publish what is large in a frame of its own."""
        if self._sender.entered:
            self._queued += self._sender.publish(entry, events)
            self._published += events
            return

        def send() -> None:
            self._send()
            self._collect(WINDOW - 1)
            call = packed_batch([entry])
            self.frames += 1
            self._sending = frame = _Frame(events)
            self._transmit(frame, call)

        self._sender.exclusively(send)

    def _send_frames(self) -> None:
        """Send what is buffered. A thread in the middle of doing so only buffers."""
        if not self._sender.entered:
            self._sender.exclusively(self._send)

    def send_buffered(self, deadline: float | None) -> bool:
        """Send what is buffered on behalf of somebody else: its errors wait for our own caller.

        Returns False if the window had no room for all of it by `deadline`.
        """
        return self._send(deadline)

    def _send(self, deadline: float | None = None) -> bool:
        """Send what is buffered, as soon as the window has room for it; the lock is held."""
        self._recover()
        entries = self._entries
        while entries:
            if not self._collect(WINDOW - 1, deadline):
                return False
            batch = entries[:FRAME_EVENTS]
            call = packed_batch(batch)
            while len(call[0]) > MAX_STOCK_CALL and len(batch) > 1:  # it was miscounted
                batch = batch[: len(batch) // 2]
                call = packed_batch(batch)
            frame = _Frame(_events(batch))
            count = len(batch)
            # These steps belong together, and no exception can come between them.
            self._sending = frame
            del entries[:count]
            self._size = 0
            self.frames += 1
            self._transmit(frame, call)
        return True

    def _transmit(self, frame: _Frame, call: Call) -> None:
        """Send the frame that is `_sending`; what goes wrong waits for our caller."""
        try:
            frame.reply = self._sender.post(call)
            self._outstanding.append(frame)
        except BaseException as error:
            if is_foreign(error, Exception):
                self._recover()
                raise
            self._cause = self._cause or error
            self._trouble = True
            self._not_published += frame.events
        self._sending = None

    def _recover(self) -> None:
        """Account for a frame whose sending was ended by an exception of the program's own."""
        frame = self._sending
        if frame is None:
            return
        if not self._outstanding or self._outstanding[-1] is not frame:
            self._trouble = True
            self._unknown += frame.events
        self._sending = None

    def _collect(self, most: int, deadline: float | None = None) -> bool:
        """Read acknowledgements until at most `most` frames are unacknowledged; False if that takes too long.

        What went wrong waits for our caller, because it concerns earlier events than the one at hand.
        """
        connection, outstanding = self._sender.connection, self._outstanding
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
                self._cause = self._cause or error
                self._trouble = True
                if reply.frame is None:
                    self._unknown += frame.events
                    del outstanding[0]
                    self._sender.count(unknown=frame.events)
                else:
                    self._not_published += frame.events
                    del outstanding[0]
                continue
            self._queued += queued
            self._published += frame.events
            del outstanding[0]
            self._sender.count(frame.events, queued)
        return True

    def _pending(self) -> int:
        """Accepted events of which it will yet turn out what becomes of them."""
        sending = self._sending.events if self._sending is not None else 0
        return (
            _events(list(self._entries)) + sending + sum([frame.events for frame in list(self._outstanding)])
        )

    def _raise_trouble(self) -> None:
        if self._trouble:
            failure = self._failure()
            self._trouble, cause, self._cause = False, self._cause, None
            self._raised = failure
            raise failure from cause

    def _failure(self) -> PipelineError:
        failure = PipelineOutcomeUnknownError() if self._unknown else PipelineError()
        failure.__cause__ = self._cause
        self._update(failure)
        return failure

    def _update(self, failure: PipelineError) -> None:
        """Bring the numbers of an error up to date."""
        failure.published, failure.not_published = self._published, self._not_published
        failure.unknown, failure.pending = self._unknown, self._pending()
        pending = f", {failure.pending} are pending" if failure.pending else ""
        failure.args = (
            f"of the events of a pipeline {failure.published} were published, {failure.not_published} were "
            f"not published, and of {failure.unknown} it is unknown{pending}: "
            f"{failure.__cause__ or 'sending was interrupted'}",
        )

    def discard(self) -> None:
        """Drop everything: this is a forked child's copy of its parent's pipeline."""
        self._entries, self._size = [], 0
        self._sending = None
        self._outstanding.clear()


def _events(batch: list[Entry]) -> int:
    return sum([1 if type(names) is str else len(names) for names, _ in batch])


def _finished() -> EventServiceError:
    return EventServiceError("this pipeline is finished: make a new one with publisher.pipeline()")


def checked_timeout(timeout: float | None) -> float | None:
    """A timeout in seconds, or None. Raises TypeError or ValueError for what is none."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"timeout is {timeout!r}; it must be a number of seconds, 0 or more, or None")
    return float(timeout)
