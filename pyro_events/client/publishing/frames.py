"""The frames of a pipeline: how much is sent together, and how much may be unacknowledged.

Knows: the bounds, and how a frame is cut from what is buffered. Must not know: when that is done, sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...constants import MAX_STOCK_CALL
from ...wire.requests import Entry, PackedCall, packed_publish

# A frame is sent when it has this many bytes: less than the 64 KiB that the service accepts in one call of
# several events. With more than 512 small events, the cost of a call is less than a hundredth of theirs.
FRAME_BYTES: Final = 60 * 1024
FRAME_EVENTS: Final = 512
# A payload of this size gains nothing from being sent with others.
ALONE_BYTES: Final = 32 * 1024
# How many frames may be unacknowledged: one being sent, one being handled, one being acknowledged, one spare.
WINDOW: Final = 4


def first_frame(entries: list[Entry]) -> tuple[PackedCall, list[Entry]]:
    """The call that publishes the first of the entries, as many as fit, and these entries."""
    batch = entries[:FRAME_EVENTS]
    call = packed_publish(batch)
    while len(call[0]) > MAX_STOCK_CALL and len(batch) > 1:  # it was miscounted
        batch = batch[: len(batch) // 2]
        call = packed_publish(batch)
    return call, batch


def fitting(sizes: Iterable[int]) -> tuple[int, int]:
    """How many of the first entries fit into a frame, and their bytes. sizes: the bytes of each entry.

    The first one counts as fitting, however large it is.
    """
    count = total = 0
    for size in sizes:
        if count and (total + size > FRAME_BYTES or count == FRAME_EVENTS):
            break
        count += 1
        total += size
    return count, total


def count_events(batch: list[Entry]) -> int:
    """How many events entries become: one for each name."""
    return sum([1 if type(entry[0]) is str else len(entry[0]) for entry in batch])
