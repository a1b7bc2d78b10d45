"""A batch of events: the call that sends it to a subscriber.

Knows: how a call of `events`, and a Pyro batch of calls of `event`, look on the wire. Must not know:
connections, backlogs, what happens to an event, or the answer (event_answers.py does).

It is written with msgpack, whatever the subscriber prefers, because msgpack keeps bytes as bytes.

Msgpack builds everything that it reads, and a few megabytes can describe half a gigabyte of small lists. A
batch of the usual size is read at once, because it cannot become large. A larger batch must be large because
of the payload of its last event, which is checked before anything is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from ..constants import BATCH_BYTES, BATCH_EVENTS, EVENT_FIELDS, KIB, RETAINED, EventRow, Payload, ReceivedRow
from .frames import BATCH, CORRELATED, INVOKE, MSGPACK, Frame, write_frame, write_header
from .large_payload import LargeDocument, bytes_header
from .msgpack_pool import pack
from .requests import NO_NAMED_ARGUMENTS, one_argument_call

EVENT_CLASS: Final = "pyro_events.event.Event"
_STATE: Final = ("__class__", *EVENT_FIELDS)
_RETAINED_STATE: Final = (*_STATE, RETAINED)
_FIELDS: Final = len(EVENT_FIELDS)
# What follows the payload in the row of a retained event.
_TRUE: Final = b"\xc3"

# The event that takes a batch over BATCH_BYTES is its last; numbers and lengths are added. This much may come
# beside the message of that event.
BESIDE_MESSAGE: Final = BATCH_BYTES + 64 * KIB
_USUAL: Final = BESIDE_MESSAGE
# What comes before the payload in a row: its subject, and three numbers.
_ROW_HEAD: Final = 64 * KIB + 64
_ONE_ROW: Final = 0x91
# A payload of more bytes than this is sent from where it is.
PIECE: Final = 8 * KIB

# The msgpack types in a batch without its last payload; nested containers would only cost memory.
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _no_map(value: Any) -> Any:
    raise ValueError("a batch of events contains no map")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("a batch of events contains no extension type")


_PLAIN: Final[dict[str, Any]] = {
    "use_list": False,
    "raw": False,
    "max_array_len": BATCH_EVENTS,
    "object_hook": _no_map,
    "ext_hook": _no_extension,
}


def write_events(object_id: str, seq: int, rows: Sequence[EventRow]) -> bytes:
    """One call of `events` with a batch."""
    return write_frame(INVOKE, 0, MSGPACK, seq, pack([object_id, "events", [rows], {}]))


def write_in_pieces(object_id: str, seq: int, rows: Sequence[EventRow]) -> list[bytes | memoryview]:
    """The same, in pieces, so that no large payload is copied."""
    pieces: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = [events_opening(object_id), _array_header(len(rows))]
    for row in rows:
        payload: Payload = row[4]
        end = _TRUE if len(row) > _FIELDS else b""
        # Before the end of the row there are bytes of length 0, which take two.
        head = pack([*row[:4], b"", *row[5:]])[: -2 - len(end)]
        small += (head, bytes_header(len(payload)))
        if len(payload) > PIECE:
            pieces += (b"".join(small), payload)
            small = [end]
        else:
            small += (payload, end)
    pieces.append(b"".join(small) + NO_NAMED_ARGUMENTS)
    size = sum(map(len, pieces))
    pieces[0] = b"".join((write_header(INVOKE, 0, MSGPACK, seq, size), pieces[0]))
    return pieces


def _array_header(count: int) -> bytes:
    return bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")


def write_event_batch(object_id: str, seq: int, rows: Sequence[EventRow]) -> bytes:
    """A Pyro batch of calls of `event`, one for each row."""
    calls = [["event", [_state(row)], {}] for row in rows]
    return write_frame(INVOKE, BATCH, MSGPACK, seq, pack([object_id, "<batch>", calls, None]))


def _state(row: EventRow) -> dict[str, Any]:
    names = _STATE if len(row) == _FIELDS else _RETAINED_STATE
    return dict(zip(names, (EVENT_CLASS, *row), strict=True))


def after_a_gap(row: ReceivedRow) -> ReceivedRow:
    """The row of the first event after a reconnection: nobody knows how many were missed."""
    return (*row[:3], None, *row[4:])


def events_opening(object_id: str) -> bytes:
    """The beginning of every call of `events` of an object, for `read_events`."""
    return one_argument_call(object_id, "events")


def packed_events(frame: Frame, opening: bytes) -> bytes | memoryview | None:
    """The rows in a call of `events`, as `read_rows` reads them; None if it is another call, or must be
    checked more closely."""
    payload = frame.payload
    if (
        frame.type == INVOKE
        and frame.serializer_id == MSGPACK
        and not frame.flags & ~CORRELATED
        and payload[: len(opening)] == opening
        and payload[-1:] == NO_NAMED_ARGUMENTS
    ):
        return payload[len(opening) : -1]
    return None


def read_events(frame: Frame, opening: bytes) -> tuple[ReceivedRow, ...] | None:
    """The rows in a call of `events`; None as `packed_events` and `read_rows`."""
    packed = packed_events(frame, opening)
    return None if packed is None else read_rows(packed)


def count_rows(packed: bytes | memoryview) -> int | None:
    """How many rows a batch has, by its first bytes; None if it is something else."""
    first = packed[0] if packed else 0
    if first & 0xF0 == 0x90:
        return first & 0x0F
    return int.from_bytes(packed[1:3], "big") if first == 0xDC and len(packed) >= 3 else None


def read_rows(packed: bytes | memoryview) -> tuple[ReceivedRow, ...] | None:
    """The rows of a batch; None if it is something else. The fields of a row are not checked."""
    try:
        rows = msgpack.unpackb(packed, **_PLAIN) if len(packed) <= _USUAL else read_large_rows(packed)
    except Exception:  # the parser raises a dozen kinds
        return None
    return rows if type(rows) is tuple else None


def read_large_rows(packed: bytes | memoryview) -> tuple[Any, ...] | None:
    """The rows of a batch that is over the usual size because of its large last event.

    None, or an exception of the parser, for anything else. The last payload is a view.
    """
    head = _ROW_HEAD if packed[:1] == bytes([_ONE_ROW]) else _USUAL
    document = LargeDocument(memoryview(packed), head, **_PLAIN)
    count = document.array()
    if not 0 < count <= BATCH_EVENTS:
        return None
    rows = [document.value() for _ in range(count - 1)]
    start = document.position
    fields = document.array()
    if not _FIELDS <= fields <= _FIELDS + 1:
        return None
    last = [document.value() for _ in EVENT_FIELDS[:-1]]
    if document.position - start > _ROW_HEAD or not _SCALARS.issuperset(map(type, last)):
        return None
    retained = fields > _FIELDS
    payload = document.body(_TRUE if retained else b"")
    return (*rows, (*last, payload, *([True] if retained else []))) if payload is not None else None
