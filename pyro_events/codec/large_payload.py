"""Large messages: one large piece of memory, bytes or a numpy array, with a few bytes before it.

Knows: how the payloads of these messages begin. Must not know: how anything else is written, sockets.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import OutOfData, Packer

from ..constants import KIB
from ..wire.large_payload import LargeDocument, SplitPayload
from .values import ARRAY

# An array's bytes follow a head that contains the names of its fields; it is read up to this length.
_HEAD: Final = 4 * KIB
_ARRAY_OF_FOUR: Final[bytes] = b"\x94" + Packer().pack(ARRAY)


def array_payload(parts: list[Any], packed: bytes) -> SplitPayload:
    """The payload of an array's parts. packed: the same, with empty bytes as the last part."""
    return SplitPayload(packed[:-2], parts[-1])


def body_of(payload: bytes | memoryview) -> tuple[bytes, memoryview] | None:
    """An array's dtype and shape as msgpack, and the bytes at its end; None for any other payload."""
    view = memoryview(payload)
    if view[: len(_ARRAY_OF_FOUR)] != _ARRAY_OF_FOUR:
        return None
    document = LargeDocument(view, _HEAD)
    try:
        document.array()
        for _ in range(3):
            document.skip()
    except OutOfData:  # an array with hundreds of fields
        return None
    body = document.body()
    head = bytes(payload[len(_ARRAY_OF_FOUR) : document.position])
    return (head, memoryview(body)) if body is not None else None
