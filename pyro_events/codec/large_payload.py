"""Blocks: payloads that are one large piece of memory, bytes or a numpy array, with a few bytes before it.

Copying a megabyte takes longer than everything else that an event costs, so such a payload is written
in two pieces and read from where it was received.

Knows: how these payloads begin. Must not know: how anything else is written, sockets.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import OutOfData, Packer, Unpacker

from ..constants import KIB
from .values import ARRAY

# What stands before an array's bytes, the names of its fields among it, is looked for up to here.
_HEAD: Final = 4 * KIB
_ARRAY_OF_FOUR: Final[bytes] = b"\x94" + Packer().pack(ARRAY)
_BYTES: Final = 0xC6  # msgpack's longest kind, with a length of four bytes
_LENGTH: Final = 4


class SplitPayload:
    """A payload in two pieces. `body` is memory of whoever publishes: it must be sent before it changes."""

    __slots__ = ("body", "head")

    def __init__(self, head: bytes, body: bytes | memoryview) -> None:
        self.head = head + bytes([_BYTES]) + len(body).to_bytes(_LENGTH, "big")
        self.body = body

    def __len__(self) -> int:
        return len(self.head) + len(self.body)

    def __bytes__(self) -> bytes:
        return self.head + self.body


def array_block(parts: list[Any], packed: bytes) -> SplitPayload:
    """The block of an array's parts. packed: the same with no bytes in the last of them."""
    return SplitPayload(packed[:-2], parts[-1])


def body_of(payload: bytes | memoryview) -> tuple[bytes, memoryview] | None:
    """An array's dtype and shape as msgpack has them, empty for bytes, and the piece that ends the payload.

    None if the payload is no block.
    """
    start = _body_start(payload)
    after = start + 1 + _LENGTH
    if payload[start] != _BYTES or int.from_bytes(payload[start + 1 : after], "big") != len(payload) - after:
        return None
    return bytes(payload[len(_ARRAY_OF_FOUR) : start]), memoryview(payload)[after:]


def _body_start(payload: bytes | memoryview) -> int:
    if payload[: len(_ARRAY_OF_FOUR)] != _ARRAY_OF_FOUR:
        return 0
    unpacker = Unpacker(max_buffer_size=_HEAD)
    unpacker.feed(payload[len(_ARRAY_OF_FOUR) : _HEAD])
    try:
        unpacker.skip()
        unpacker.skip()
    except OutOfData:  # an array with hundreds of fields
        return 0
    return len(_ARRAY_OF_FOUR) + int(unpacker.tell())
