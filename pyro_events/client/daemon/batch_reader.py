"""Reads the batches of events on one connection, and acknowledges them.

Knows: which calls contain batches. Must not know: the daemon (which makes all other calls), sockets, threads,
and what happens to a batch.
"""

from __future__ import annotations

from typing import Protocol

import Pyro5.errors

from ...log.background import get_logger
from ...wire.event_answers import write_events_answer
from ...wire.event_batch import events_opening, read_events
from ...wire.frames import Frame, FrameError
from ..dispatch.batch import ReceivedBatch
from ..dispatch.workers import ConnectionEnded
from .guarded_connection import GuardedConnection

log = get_logger("pyro_events.daemon")


class ConnectionOwner(Protocol):
    """The daemon, as far as its connections use it."""

    def make_call(self, connection: GuardedConnection, frame: Frame) -> None:
        """Make any call except of `events`, as Pyro5 does."""

    def disconnected(self, reader: BatchReader) -> None:
        """A connection cannot be used any more, though a handler may still be busy with its last event."""

    def remove(self, connection: GuardedConnection) -> None:
        """No thread uses a connection any more; it will be closed."""


class BatchReader:
    """One connection to the daemon."""

    def __init__(self, owner: ConnectionOwner, connection: GuardedConnection, object_id: str) -> None:
        """object_id: of the object whose `events` is read here; with "" every call is made as Pyro5 does."""
        self._owner = owner
        self._connection = connection
        self._opening = events_opening(object_id) if object_id else None
        # Whether events may have been missed before the next one.
        self.gap = False

    def read(self) -> ReceivedBatch:
        """The next batch. Makes other calls that come before it. Raises ConnectionEnded."""
        batch = None
        try:
            while batch is None:
                frame = self._connection.read_call()
                batch = self._decode(frame)
                if batch is None:
                    self._owner.make_call(self._connection, frame)
        except (Pyro5.errors.CommunicationError, Pyro5.errors.SecurityError, OSError) as error:
            if isinstance(error, (FrameError, Pyro5.errors.TimeoutError)):
                log.warning("a connection is closed: %s", error, about="read")
            raise ConnectionEnded from None
        if self.gap and batch.rows:
            self.gap = False
            batch.after_a_gap()
        return batch

    def _decode(self, frame: Frame) -> ReceivedBatch | None:
        """The batch of events in a frame; None for any other call."""
        rows = read_events(frame, self._opening) if self._opening is not None else None
        return ReceivedBatch(frame.seq, rows) if rows is not None else None

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Answer a call of `events` with the positions of the events that raised."""
        try:
            self._connection.send(write_events_answer(batch.seq, batch.failed))
        except Pyro5.errors.CommunicationError:
            self._connection.shutdown()

    def has_data(self) -> bool:
        """Whether a frame, or a part of one, waits to be read."""
        return self._connection.frames.has_data()

    def is_gone(self) -> bool:
        """Whether the other side has closed, even if there is something left to read."""
        return self._connection.frames.is_gone()

    def shutdown(self) -> None:
        """End the connection, so that a thread that reads returns."""
        self._connection.shutdown()
        self._owner.disconnected(self)

    def close(self) -> None:
        """Release the socket."""
        self._owner.disconnected(self)
        self._owner.remove(self._connection)
        self._connection.close()
