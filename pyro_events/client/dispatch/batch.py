"""Batches that a connection has received, and the slices of them that threads handle.

Knows: which events of a batch have started, which raised, and for how long one has been running. Must not
know: threads, locks, connections, the clock (times are arguments), or what an event contains.

No lock is taken for each event to record that it has started. A thread takes the events of its slice from an
iterator. Another thread that takes over the rest drains that iterator in one step, which the interpreter does
not interrupt.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import length_hint

from ...constants import ReceivedRow
from ...wire.event_batch import after_a_gap


class ReceivedBatch:
    """A call of `events`.

    failed: positions of the events whose handler raised. unfinished: how many of its slices are being handled
    or wait; the batch is done when it is 0.
    """

    __slots__ = ("failed", "rows", "seq", "unfinished")

    def __init__(self, seq: int, rows: Sequence[ReceivedRow]) -> None:
        self.seq = seq
        self.rows = rows
        self.failed: list[int] = []
        self.unfinished = 0

    def after_a_gap(self) -> None:
        """Nobody knows how many events were missed before the first of these; none has started yet."""
        self.rows = [after_a_gap(self.rows[0]), *self.rows[1:]]


class Slice:
    """Events of one batch that one thread handles one after the other.

    rows: an iterator over those that have not started. since: when a thread began with the slice; later, when
    its present event was first seen running. relieved: whether another thread was started because of its
    present event.
    """

    __slots__ = ("_left", "batch", "relieved", "rows", "since")

    def __init__(self, batch: ReceivedBatch, rows: Sequence[ReceivedRow]) -> None:
        self.batch = batch
        self.rows = iter(rows)
        self.relieved = False
        # An event is identified by how many follow it: here, the first.
        self._left = len(rows) - 1
        self.since = 0.0
        batch.unfinished += 1

    @property
    def left(self) -> int:
        """How many of its events have not started."""
        return length_hint(self.rows)

    def has_run(self, now: float) -> float:
        """How many seconds its present event has certainly been running: since it was first seen here."""
        left = length_hint(self.rows)
        if left != self._left:
            self._left, self.since = left, now
        return now - self.since

    def split_off_rest(self, now: float) -> Slice | None:
        """Remove the events that have not started, and return them as another slice; None if there are
        none."""
        rest = list(self.rows)  # one step under the interpreter's lock: no event can start twice
        if len(rest) != self._left:
            self.since = now
        self._left = 0
        return Slice(self.batch, rest) if rest else None
