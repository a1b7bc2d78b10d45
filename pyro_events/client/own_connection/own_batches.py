"""Reads the batches of events on a listener's own connection, and acknowledges them.

Knows: what the service sends when the roles are swapped: batches, and heartbeats, which are answered here.
Must not know: how the connection was made, threads, and what happens to a batch.
"""

from __future__ import annotations

from typing import Protocol

import Pyro5.errors

from ...constants import FRAME_TIMEOUT
from ...log.background import get_logger
from ...wire.event_answers import write_events_answer
from ...wire.event_batch import events_opening, read_events
from ...wire.frames import MSGPACK, PING, Frame, FrameError
from ...wire.own_connection import OBJECT_ID
from ...wire.replies import write_pong
from ..connection.frame_socket import FrameSocket
from ..dispatch.batch import ReceivedBatch
from ..dispatch.workers import ConnectionEnded
from .opening import OwnConnection

log = get_logger("pyro_events.subscriber")

_OPENING = events_opening(OBJECT_ID)


class SourceOwner(Protocol):
    """What is told of such a connection."""

    def heard(self) -> None:
        """A heartbeat has come."""

    def ended(self, source: OwnBatches) -> None:
        """It cannot be used any more, though a handler may still be busy with its last event. May be told
        again."""


class OwnBatches:
    """The batches of one connection.

    gap: whether events may have been missed before the next one. over: whether it has ended.
    """

    def __init__(self, owner: SourceOwner, own: OwnConnection, patience: float = FRAME_TIMEOUT) -> None:
        """patience: seconds for a frame, after it has begun."""
        self._owner = owner
        self._frames = FrameSocket(own.sock, own.reader, patience)
        self.gap = False
        self.over = False

    def read(self) -> ReceivedBatch:
        """The next batch. Answers heartbeats that come before it. Raises ConnectionEnded."""
        try:
            frame = self._next_call()
            rows = read_events(frame, _OPENING)
            if rows is None:
                raise FrameError("it has called something else than `events`")
        except Pyro5.errors.CommunicationError as error:
            if isinstance(error, (FrameError, Pyro5.errors.TimeoutError)):
                log.warning("the connection for events is closed: %s", error, about="read")
            raise ConnectionEnded from None
        batch = ReceivedBatch(frame.seq, rows)
        if self.gap and rows:
            self.gap = False
            batch.after_a_gap()
        return batch

    def _next_call(self) -> Frame:
        while (frame := self._frames.next_frame()).type == PING:
            self._owner.heard()
            self._frames.send(write_pong(MSGPACK, frame.seq))
        return frame

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Answer a call of `events` with the positions of the events that raised."""
        try:
            self._frames.send(write_events_answer(batch.seq, batch.failed))
        except Pyro5.errors.CommunicationError:
            self._frames.shutdown()

    def has_data(self) -> bool:
        """Whether a frame, or a part of one, waits to be read."""
        return self._frames.has_data()

    def is_gone(self) -> bool:
        """Whether the service has closed, even if there is something left to read."""
        return self._frames.is_gone()

    def shutdown(self) -> None:
        """End the connection, so that a thread that reads returns."""
        self.over = True
        self._frames.shutdown()
        self._owner.ended(self)

    def close(self) -> None:
        """Release the socket."""
        self.over = True
        self._owner.ended(self)
        self._frames.sock.close()

    def disown(self) -> None:
        """In a forked child: release the parent's socket. Shutting it down would end it for both."""
        self.over = True
        self._frames.sock.close()
