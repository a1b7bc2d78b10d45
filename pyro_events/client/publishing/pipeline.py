"""A pipeline: gathers events into frames, and sends the next frame before the last is acknowledged.

Knows: when a frame is full, how many may be unacknowledged, and which pipeline may send. Must not know:
sockets, or the outcome of the frames.

An accepted event is in one place at any time, wherever an exception of the program's own arrives: buffered in
`_entries`, or in the FrameWindow. The steps from one place to the next are assignments, which no exception
can interrupt.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn

from ...codec.message import encode_shared
from ...errors import AnswerTimeoutError, EventServiceError, PipelineError
from ...log.background import get_logger
from ...wire.requests import Entry, packed_publish
from ..interruptions import within
from .entry import checked_entry, checked_timeout
from .frame_window import FrameWindow, PipelineFrame
from .frames import ALONE_BYTES, FRAME_BYTES, FRAME_EVENTS, WINDOW, count_events, first_frame
from .sender import Sender

log = get_logger("pyro_events.publisher")

# What the package calls, and tab completion does not offer to programs.
_OURS: Final = ("discard", "send_buffered")


class Pipeline:
    """Publishes without waiting for each acknowledgement; made by `Publisher.pipeline`.

    Leaving its `with` block sends everything and waits for every acknowledgement, also when an exception
    leaves the block; that exception then goes on. If not everything could be published, a PipelineError says
    how much was, at the end of the block, from `flush`, or from the next `publish`, whose own event is then
    not accepted. Its numbers count all events that the pipeline has accepted. When a PipelineError leaves the
    block, they are brought up to date. Any thread may use a pipeline.

    Example:
        >>> with Publisher() as market, market.pipeline() as fast:
        ...     fast.publish("STOCKQUOTE.SUN", 22.44)
        ...     fast.publish(["STOCKQUOTE.IBM", "STOCKQUOTE.SAP"], 22.44)
        >>> fast.queued
        0
    """

    # Buffering takes no lock, because that would cost as much as encoding a small event: appending to a list
    # and cutting off its beginning are each one step of the interpreter. Everything else is done under the
    # publisher's lock.

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._entries: list[Entry] = []
        # The approximate size of `entries`; several threads may miscount, so a frame is measured when it is
        # made.
        self._size = 0
        self._window = FrameWindow(sender)
        self._account = self._window.account
        self._reported = 0
        # The error that the caller got last.
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
        return self._account.queued

    def publish(self, subjects: str | Iterable[str], message: object, *, retain: bool = False) -> None:
        """Publish a message under one name or several; returns before the service has it.

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
            EventServiceError: the `with` block has been left.
        """
        sender, payload = self._sender, encode_shared(message)
        if len(payload) > sender.connection.current.max_message:
            sender.connection.check_size(len(payload))
        entry, events, size = checked_entry(subjects, payload, retain)
        if sender.current is not self or self._account.trouble:
            sender = self._take_over()
        if not events:
            return
        if size > ALONE_BYTES:
            self._publish_alone(entry, events)
            return
        entries, together = self._entries, self._size + size
        if together > FRAME_BYTES:
            self._send_frames()
            together = self._size + size
        entries.append(entry)
        self._size = together
        if len(entries) >= FRAME_EVENTS:
            self._send_frames()
        elif sender.resting:
            sender.wake_flusher()

    def flush(self, timeout: float | None = None) -> int:
        """Send what is buffered and wait for every acknowledgement.

        Args:
            timeout: seconds for the acknowledgements. Default None: as long as the service blocks them.

        Returns:
            The deliveries queued since the last flush, or since the pipeline was made.

        Raises:
            PipelineError: events could not be published.
            AnswerTimeoutError: the time is up. The events stay in the pipeline; `flush` may be called again.
        """
        self._refuse_inside()
        timeout = checked_timeout(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        done: list[bool] = []

        def settle() -> None:
            done.append(self._send(deadline) and self._window.collect(0, deadline))

        if deadline is None:
            self._sender.exclusively(settle)
        else:
            within(self._sender.lock, deadline - time.monotonic(), lambda: self._sender.exclusively(settle))
        if True not in done:
            pending = self._pending
            raise AnswerTimeoutError(
                f"{pending} events of a pipeline were not acknowledged within {timeout:g} s; they "
                "stay in it, and flush() may be called again"
            )
        self._raise_trouble()
        queued = self._account.queued
        fresh, self._reported = queued - self._reported, queued
        return fresh

    def __repr__(self) -> str:
        connection = self._sender.connection
        state = "finished" if self._left else "open"
        pending = self._pending
        to = f"{connection.name!r} to {connection.current.address}"
        return f"<Pipeline of {to}, {state}, {pending} events pending, {self.queued} deliveries queued>"

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
            self._account.update(error, self._pending)
        elif self._account.trouble:
            log.warning(
                "a pipeline left by an exception could not send everything: %s",
                self._account.failure(self._pending),
            )

    def _finish(self) -> None:
        self._left = True
        self._sender.leave(self)
        self._send()
        self._window.collect(0)

    def _refuse_inside(self) -> None:
        if self._sender.entered:
            raise EventServiceError(
                "a pipeline cannot be flushed or left in the middle of another call of its publisher by the "
                "same thread (in a signal's handler, a __del__ or a logging handler): it would wait for "
                "itself; publish() can be called there"
            )

    def _take_over(self) -> Sender:
        """Become the publisher's current pipeline, or raise the error why this one cannot go on."""
        sender = self._sender
        if not sender.entered:
            sender.exclusively(self._enter)
        elif self._left:
            raise _finished()
        elif not self._used:
            self._sender = sender.beside()
            self._window = FrameWindow(self._sender)
            self._account = self._window.account
            return self._take_over()
        return sender

    def _enter(self) -> None:
        if self._left:
            raise _finished()
        self._raise_trouble()
        self._sender.enter(self)
        self._used = True

    def _publish_alone(self, entry: Entry, events: int) -> None:
        """Publish a large event in its own frame."""
        if self._sender.entered:
            self._window.published(events, self._sender.publish(entry, events))
            return

        def send() -> None:
            self._send()
            self._window.collect(WINDOW - 1)
            call = packed_publish([entry])
            self.frames += 1
            self._window.sending = frame = PipelineFrame(events)
            self._window.transmit(frame, call)

        self._sender.exclusively(send)

    def _send_frames(self) -> None:
        """Send what is buffered. A thread that is in the middle of doing so only buffers."""
        if not self._sender.entered:
            self._sender.exclusively(self._send)

    def send_buffered(self, deadline: float | None) -> bool:
        """Send what is buffered for another caller; errors are kept for this pipeline's own caller.

        Returns False if the window had no space for all of it by `deadline`.
        """
        return self._send(deadline)

    def _send(self, deadline: float | None = None) -> bool:
        """Send what is buffered, as soon as the window has space for it; the lock is held."""
        window, entries = self._window, self._entries
        window.recover()
        while entries:
            if not self._window.collect(WINDOW - 1, deadline):
                return False
            call, batch = first_frame(entries)
            frame = PipelineFrame(count_events(batch))
            count = len(batch)
            # These steps belong together; no exception can come between them.
            window.sending = frame
            del entries[:count]
            self._size = 0
            self.frames += 1
            window.transmit(frame, call)
        return True

    @property
    def _pending(self) -> int:
        """Events whose outcome will be known later."""
        return count_events(list(self._entries)) + self._window.pending

    def _raise_trouble(self) -> None:
        account = self._account
        if account.trouble:
            failure = account.failure(self._pending)
            cause = failure.__cause__
            account.told()
            self._raised = failure
            raise failure from cause

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name not in _OURS]

    def discard(self) -> None:
        """Drop everything: this is a forked child's copy of its parent's pipeline."""
        self._entries, self._size = [], 0
        self._window.discard()


def _finished() -> EventServiceError:
    return EventServiceError("this pipeline is finished: make a new one with publisher.pipeline()")
