"""A pipeline: events gathered into frames, and acknowledged while the next are on their way.

Knows: when a frame is full and how many may be unacknowledged. Must not know: sockets.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Final, NoReturn

from ..background_log import get_logger
from ..codec import encode_shared
from ..constants import MAX_STOCK_CALL
from ..errors import EventServiceError, OutcomeUnknownError
from .entries import Entry, checked_entry, packed_batch
from .outbox import Outbox
from .session import Ticket

log = get_logger("pyro_events.publisher")

# A frame is sent when it holds this much: below the 64 KiB that the service takes in one call of
# several events. Beyond 512 small events the cost of a call is under a hundredth of theirs.
FRAME_BYTES: Final = 60 * 1024
FRAME_EVENTS: Final = 512
# A payload of this size gains nothing from company.
ALONE_BYTES: Final = 32 * 1024
# Frames that may be unacknowledged: one on its way, one being handled, one acknowledged, one spare.
WINDOW: Final = 4


class Pipeline:
    """Publishes without waiting for each acknowledgement; made by `Publisher.pipeline`.

    Leaving its `with` block waits for every acknowledgement, also when an exception leaves it: what
    was published is sent, as a file is written, and the exception goes on. An error is raised by the
    next `publish` or `flush`, or at the end of the block, and says how many events it concerns; the
    event of a `publish` that raises was not published.

    Any thread may use it. Buffering takes no lock, because that would cost as much as encoding a
    small event: appending to a list and cutting off its beginning are each one step of the
    interpreter. Everything else is done under the outbox's lock.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._entries: list[Entry] = []
        # About what `entries` takes; several threads may miscount, so a frame is measured when made.
        self._size = 0
        self._outstanding: deque[tuple[Ticket, int]] = deque()
        self._queued = self._reported = 0
        self._trouble: Exception | None = None
        self._left = False
        self.frames = 0

    @property
    def buffered(self) -> int:
        """How many calls of `publish` wait for their frame to be sent."""
        return len(self._entries)

    @property
    def queued(self) -> int:
        """Deliveries queued by the service so far, as far as we have read its acknowledgements."""
        return self._queued

    def publish(self, subjects: Any, message: object) -> None:
        """Publish a message under one name or several; returns before the service has it.

        Raises TypeError or ValueError for what cannot be published, MessageTooLargeError, and the
        error of an earlier event.
        """
        entry, events, size = checked_entry(subjects, encode_shared(message))
        outbox = self._outbox
        if outbox.current is not self or self._trouble is not None:
            self._take_over()
        if not events:
            return
        entries = self._entries
        if size > ALONE_BYTES:
            with outbox.lock:
                self._send()
                self.frames += 1
                self._send_batch([entry])
            return
        if self._size + size > FRAME_BYTES:
            with outbox.lock:
                self._send()
        entries.append(entry)
        self._size += size
        if len(entries) >= FRAME_EVENTS:
            with outbox.lock:
                self._send()
        elif outbox.resting:
            outbox.rouse()

    def flush(self) -> int:
        """Send what is buffered and wait for every acknowledgement.

        Returns the deliveries queued since the last flush, or since the pipeline was made.
        """
        with self._outbox.lock:
            self._raise_trouble()
            self._send()
            self._collect(0)
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
        with self._outbox.lock:
            self._left = True
            self._outbox.leave(self)
            try:
                self.flush()
            except Exception as failure:
                if error is None:
                    raise
                log.warning("a pipeline left by an exception could not send everything: %s", failure)

    def _take_over(self) -> None:
        """Become the outbox's current pipeline, or raise why this one cannot go on."""
        with self._outbox.lock:
            if self._left:
                raise EventServiceError("this pipeline is finished: make a new one with publisher.pipeline()")
            self._raise_trouble()
            self._outbox.enter(self)

    def send_buffered(self) -> None:
        """Send what is buffered on behalf of somebody else: its errors wait for our own caller."""
        try:
            self._send()
        except Exception as error:
            self._trouble = error

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _send(self) -> None:
        """Send what is buffered, as soon as the window has room for it; the lock is held."""
        entries = self._entries
        while entries:
            count = min(len(entries), FRAME_EVENTS)
            batch = entries[:count]
            del entries[:count]
            self._size = 0
            self.frames += 1
            self._send_batch(batch)

    def _send_batch(self, batch: list[Entry]) -> None:
        """Send a batch in one frame, or in several when it was miscounted."""
        call = packed_batch(batch)
        if len(call[0]) > MAX_STOCK_CALL and len(batch) > 1:
            half = len(batch) // 2
            self._send_batch(batch[:half])
            self._send_batch(batch[half:])
            return
        self._collect(WINDOW - 1)
        events = sum([1 if type(names) is str else len(names) for names, _ in batch])
        try:
            ticket = self._outbox.post(call)
        except Exception as error:
            error.args = (f"{error}; {events} events of a pipeline were not published",)
            raise
        self._outstanding.append((ticket, events))

    def _collect(self, most: int) -> None:
        """Read acknowledgements until at most `most` frames are unacknowledged.

        What went wrong waits in `_trouble`, because it concerns earlier events than the caller's.
        """
        unknown = 0
        while len(self._outstanding) > most or (unknown and self._outstanding):
            ticket, events = self._outstanding.popleft()
            try:
                queued = int(self._outbox.link.wait(ticket))
            except OutcomeUnknownError as error:
                unknown += events
                self._trouble = OutcomeUnknownError(
                    f"of {unknown} events of a pipeline it is unknown whether they were published: {error}"
                )
            except Exception as error:
                error.args = (f"{error}; {events} events of a pipeline were not published",)
                self._trouble = error
            else:
                self._queued += queued
                self._outbox.count(events, queued)
        if unknown:
            self._outbox.count(unknown=unknown)

    def forget(self) -> None:
        """Drop everything: this is a forked child's copy of its parent's pipeline."""
        self._entries, self._size = [], 0
        self._outstanding.clear()
