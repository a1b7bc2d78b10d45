"""The carrier of a lane: a connection to the daemon, as the crew sees it.

Knows: how a batch is read and acknowledged on a guarded connection, and how to tell that the other side
has left. Must not know: whose daemon it is (it asks it what a frame means), events and threads.
"""

from __future__ import annotations

import select
import socket
from typing import Final, Protocol

import msgpack
import Pyro5.errors

from ...log.background import get_logger
from ...wire.frames import MSGPACK, RESULT, Frame, FrameError, write_frame
from ..dispatch.connection_queue import ConnectionEnded, ReceivedBatch
from .guarded_connection import GuardedConnection

log = get_logger("pyro_events.daemon")

_NONE_FAILED: Final[bytes] = msgpack.packb([])
_GONE: Final = getattr(select, "POLLRDHUP", 0) | getattr(select, "POLLHUP", 0) | getattr(select, "POLLERR", 0)


class BatchOwner(Protocol):
    """The daemon, as its carriers see it."""

    def take(self, connection: GuardedConnection, frame: Frame) -> ReceivedBatch | None:
        """The batch of events in a frame; None for any other call, which has been made."""

    def ended(self, source: BatchReader) -> None:
        """A connection is of no more use."""

    def forget(self, connection: GuardedConnection) -> None:
        """A connection has ended."""


class BatchReader:
    """One connection to the daemon."""

    def __init__(self, daemon: BatchOwner, connection: GuardedConnection) -> None:
        self._daemon = daemon
        self._connection = connection
        # Whether events may have been missed before the next one.
        self.gap = False

    def read(self) -> ReceivedBatch | None:
        """The next batch, or None after any other call."""
        try:
            frame = self._connection.read_call()
            batch = self._daemon.take(self._connection, frame)
        except (Pyro5.errors.CommunicationError, Pyro5.errors.SecurityError, OSError) as error:
            if isinstance(error, (FrameError, Pyro5.errors.TimeoutError)):
                log.warning("a connection is closed: %s", error, about="read")
            raise ConnectionEnded from error
        if self.gap and batch is not None and batch.rows:
            self.gap = False
            batch.after_a_gap()
        return batch

    def reply(self, batch: ReceivedBatch) -> None:
        """Acknowledge a batch."""
        data = msgpack.packb(batch.failed) if batch.failed else _NONE_FAILED
        try:
            self._connection.send(write_frame(RESULT, 0, MSGPACK, batch.seq, data))
        except Pyro5.errors.CommunicationError:
            self._connection.wake()

    def waiting(self) -> bool:
        """Whether a frame, or a part of one, waits to be read."""
        return self._connection.buffered or bool(_polled(self._connection.sock, readable=True))

    def gone(self) -> bool:
        """Whether the other side has closed, though there may be something left to read."""
        return bool(_polled(self._connection.sock) & _GONE)

    def wake(self) -> None:
        """End the connection."""
        self._connection.wake()
        self._daemon.ended(self)

    def close(self) -> None:
        """Release the socket."""
        self._daemon.ended(self)
        self._daemon.forget(self._connection)
        self._connection.close()


def _polled(sock: socket.socket, readable: bool = False) -> int:
    """The poll events of a socket now; 0 for none, or where there is no poll."""
    if not hasattr(select, "poll"):
        return 0
    poller = select.poll()
    poller.register(sock, (select.POLLIN if readable else 0) | getattr(select, "POLLRDHUP", 0))
    found = poller.poll(0)
    return found[0][1] if found else 0
