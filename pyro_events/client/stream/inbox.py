"""The inbox of a stream: bytes in; events, and the bytes that answer the service, out.

Knows: which events have come over one connection, which of them were taken, and what the service has to be
answered. Must not know: sockets, threads, loops, the clock, or which program takes the events. The streams of
both kinds use it, those that block and those on an event loop.

A batch is acknowledged when all its events were taken. The service has two batches at most under way, so that
is how much the inbox holds, and a program that takes its events slowly has a backlog at the service.

On demand, a batch stays packed until somebody wants its first event. The batches of a thousand streams on one
loop, read as they come, would be a hundred thousand tuples, which Python's garbage collector goes through
again and again.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import Pyro5.errors

from ...constants import EVENT_FIELDS, ReceivedRow
from ...wire.event_answers import write_events_answer
from ...wire.event_batch import after_a_gap, count_rows, events_opening, packed_events, read_rows
from ...wire.frames import PING, FrameReader
from ...wire.large_body import CLIENTS
from ...wire.own_connection import OBJECT_ID
from ...wire.replies import write_pong

_OPENING: Final = events_opening(OBJECT_ID)
_FIELDS: Final = len(EVENT_FIELDS)
# How many batches the service may have under way.
_WINDOW: Final = 2
_NO_EVENTS: Final = "the service has sent something other than events"


class EventInbox:
    """The events of one connection, after the roles on it were swapped.

    rows: the events of the present batch that can be taken, by `popleft`, also while another thread calls a
    method here. heard: how many frames have come; it changes while the service is there.
    """

    __slots__ = ("_ahead", "_batches", "_gap", "_on_demand", "_reader", "_seq", "heard", "rows")

    def __init__(self, reader: FrameReader, on_demand: bool = False) -> None:
        """reader: with what has come after the answer to `attach`; `feed` with no bytes reads that.
        on_demand: whether `rows` has the next batch only after a call of `begin`."""
        self._reader = reader
        self._on_demand = on_demand
        self._gap = False
        # The sequence number of each, how many events it has, and these, perhaps packed.
        self._batches: deque[tuple[int, int, bytes | memoryview | tuple[ReceivedRow, ...]]] = deque()
        self._ahead = 0  # how many events are in them; another thread may ask while they change
        self._seq: int | None = None  # of the present batch, which is not acknowledged
        self.rows: deque[ReceivedRow] = deque()
        self.heard = 0

    def after_a_gap(self) -> None:
        """Events may have been missed before the first one that comes."""
        self._gap = True

    @property
    def finished(self) -> bool:
        """Whether a batch waits for its acknowledgement, because all its events were taken."""
        return self._seq is not None and not self.rows

    @property
    def waiting(self) -> int:
        """How many events can be taken."""
        return len(self.rows) + self._ahead

    @property
    def unfinished_frame(self) -> bool:
        """Whether a part of a frame has come."""
        return bool(self._reader.buffered)

    def space(self) -> memoryview | None:
        """Where to put the next bytes, which `filled` then counts; None to `feed` them instead."""
        return self._reader.space()

    def filled(self, count: int) -> None:
        """So many bytes were put where `space` said. `feed` with no bytes reads them."""
        self._reader.filled(count)

    def feed(self, data: bytes) -> bytes:
        """Take bytes that have come in. Returns bytes to send at once.

        Raises ProtocolError, also FrameError, for what the service may not send; then the connection has to
        end.
        """
        if data:
            self._reader.feed(data)
        answers = b""
        while (frame := self._reader.next_frame()) is not None:
            self.heard += 1
            if frame.type == PING:  # nothing else has come for a while
                CLIENTS.trim()
                answers += write_pong(frame.serializer_id, frame.seq)
                continue
            packed = packed_events(frame, _OPENING)
            if packed is None:
                raise Pyro5.errors.ProtocolError("the service has called something other than `events`")
            events = packed if self._on_demand else self._read(packed)
            count = count_rows(packed)
            if count is None:
                raise Pyro5.errors.ProtocolError(_NO_EVENTS)
            if len(self._batches) + (self._seq is not None) == _WINDOW:
                raise Pyro5.errors.ProtocolError(
                    f"the service has sent more batches than the {_WINDOW} that may be unacknowledged"
                )
            self._batches.append((frame.seq, count, events))
            self._ahead += count
        if self._seq is None and not self._on_demand:
            self.begin()
        return answers

    def _read(self, packed: bytes | memoryview) -> tuple[ReceivedRow, ...]:
        rows: Any = read_rows(packed)  # nobody has looked at what is in it
        if rows is None:
            raise Pyro5.errors.ProtocolError(_NO_EVENTS)
        for row in rows:
            if type(row) is not tuple or len(row) != _FIELDS or type(row[0]) is not str:
                _check_retained(row)
        if self._gap and rows:
            self._gap = False
            rows = (after_a_gap(rows[0]), *rows[1:])
        checked: tuple[ReceivedRow, ...] = rows
        return checked

    def begin(self) -> None:
        """Begin with the next batch, if there is one and the present one is acknowledged. Raises as `feed`
        on demand."""
        if self._batches and self._seq is None:
            seq, count, events = self._batches.popleft()
            rows = events if type(events) is tuple else self._read(events)  # type: ignore[arg-type]
            self._seq = seq
            self.rows.extend(rows)
            self._ahead -= count

    def acknowledge(self) -> bytes:
        """The acknowledgements of the batches that are `finished`; then the next batch can be taken, on
        demand after `begin`."""
        answers = b""
        while self._seq is not None and not self.rows:
            answers += write_events_answer(self._seq, ())
            self._seq = None
            if not self._on_demand:
                self.begin()
        return answers


def _check_retained(row: Any) -> None:
    """Raise ProtocolError unless something is the row of a retained event."""
    if type(row) is tuple and len(row) == _FIELDS + 1 and type(row[0]) is str and row[_FIELDS] is True:
        return
    raise Pyro5.errors.ProtocolError(_NO_EVENTS)
