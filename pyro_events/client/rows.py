"""Rows: the events of a batch, as they stand in a call.

Knows: their shape on the wire. Must not know: connections, or what an event is.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from ..constants import BATCH_EVENTS

# A batch and its rows; what else could be nested there would only cost memory.
_ROW: Final = 5


def read_rows(packed: bytes | memoryview) -> Any:
    """The rows of a batch, None when it is something else that must be looked at more closely."""
    try:
        rows = msgpack.unpackb(
            packed,
            use_list=False,
            raw=False,
            max_array_len=max(BATCH_EVENTS, _ROW),
            object_hook=_no_map,
            ext_hook=_no_extension,
        )
    except Exception:  # the parser raises a dozen kinds; the stock way says what is wrong
        return None
    return rows if type(rows) is tuple else None


def _no_map(value: Any) -> Any:
    raise ValueError("a batch of events contains no map")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("a batch of events contains no extension type")
