"""Rows: the events of a batch, as they stand in a call.

Knows: their shape on the wire. Must not know: connections, or what becomes of an event.

Msgpack builds whatever it is given, and a few megabytes can describe half a gigabyte of small lists. A
batch of the usual size is read at once, because little can come of it. What is larger must be large by
the payload of its last event, which is seen before anything is built of it.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from ..constants import BATCH_BYTES, BATCH_EVENTS, KIB

Packed = bytes | memoryview

# subject, time, seq, missed, payload
_ROW: Final = 5
_ROW_HEADER: Final = 0x90 + _ROW
_OTHERS: Final = bytes([0x90 + _ROW - 1])  # all but the payload
# A batch is closed by the event that takes it over BATCH_BYTES; numbers and lengths come on top.
_USUAL: Final = BATCH_BYTES + 64 * KIB

# Bytes after the first one of a number, nothing, true and false; the rest take one byte.
_SIZES: Final = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8}
_SIZES.update({0xCC + code: 1 << code for code in range(4)} | {0xD0 + code: 1 << code for code in range(4)})
# Bytes of the length of a text, and of bytes.
_TEXT: Final = {0xD9: 1, 0xDA: 2}
_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}


def _no_map(value: Any) -> Any:
    raise ValueError("a batch of events contains no map")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("a batch of events contains no extension type")


# What a row is made of; what else could be nested there would only cost memory.
_PLAIN: Final[dict[str, Any]] = {
    "use_list": False,
    "raw": False,
    "max_array_len": BATCH_EVENTS,
    "object_hook": _no_map,
    "ext_hook": _no_extension,
}


def read_rows(packed: Packed) -> tuple[Any, ...] | None:
    """The rows of a batch; None when it is something else, that must be looked at more closely."""
    try:
        rows = msgpack.unpackb(packed, **_PLAIN) if len(packed) <= _USUAL else _read_large(packed)
    except Exception:  # the parser raises a dozen kinds
        return None
    return rows if type(rows) is tuple else None


def _read_large(packed: Packed) -> tuple[Any, ...] | None:
    """The rows of a batch whose last event is so large that it is over the usual size."""
    first = packed[0]
    if 0x90 <= first <= 0x9F:
        count, at = first & 0x0F, 1
    elif first == 0xDC:
        count, at = int.from_bytes(packed[1:3], "big"), 3
    else:
        return None
    if not 0 < count <= BATCH_EVENTS:
        return None
    rows: list[Any] = []
    if count > 1:
        others = msgpack.Unpacker(max_buffer_size=_USUAL, **_PLAIN)
        others.feed(packed[at:_USUAL])
        rows = [others.unpack() for _ in range(count - 1)]
        at += others.tell()
    row = _last_row(packed, at)
    return (*rows, row) if row is not None else None


def _last_row(packed: Packed, start: int) -> tuple[Any, ...] | None:
    """The row that begins at `start` and ends with the batch; its payload is a view of that.

    IndexError when it is cut short.
    """
    if packed[start] != _ROW_HEADER:
        return None
    at = start + 1
    for _ in range(_ROW - 1):
        at = _after_plain(packed, at)
        if not at:
            return None
    length = _BYTES.get(packed[at])
    if length is None:
        return None
    after = at + 1 + length
    if after + int.from_bytes(packed[at + 1 : after], "big") != len(packed):
        return None
    others = msgpack.unpackb(_OTHERS + packed[start + 1 : at], **_PLAIN)
    return (*others, memoryview(packed)[after:])


def _after_plain(packed: Packed, at: int) -> int:
    """Where a number, text or nothing ends that begins at `at`; 0 if something else does."""
    code = packed[at]
    if code < 0x80 or code >= 0xE0:
        return at + 1
    if 0xA0 <= code <= 0xBF:
        return at + 1 + (code & 0x1F)
    if code in _SIZES:
        return at + 1 + _SIZES[code]
    length = _TEXT.get(code)
    if length is None:
        return 0
    return at + 1 + length + int.from_bytes(packed[at + 1 : at + 1 + length], "big")
