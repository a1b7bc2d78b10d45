"""How deep an encoded message nests, found out without decoding it.

This relies on the fixed stack of msgpack's compiled unpacker, which every CPython wheel has. The slow
pure-Python unpacker has no such stack; with it, only Python's recursion limit bounds the depth.

Knows: msgpack's container bytes and the stack of its unpacker. Must not know: what the containers hold.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from msgpack import Unpacker
from msgpack.exceptions import StackError

from ..constants import KIB, MAX_DEPTH, MIB

TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels, or contains itself"

# Unpackers that are not in use. Allocating memory for each payload would cost more than copying the payload.
# No buffer larger than this is kept.
_idle: list[Any] = []
KEEP_BUFFER: Final = 2 * MIB

_CONTAINER_BYTES: Final = bytes((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))

# How a message begins that is nothing but long bytes or a long text. It needs no `check_depth`, which would
# take longer than all the rest: it nests nothing, and nothing is allocated for a length that it only claims.
FLAT: Final = bytes((0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB))


def check_depth(payload: bytes | memoryview) -> None:
    """Raise StackError if `payload` nests too deep, ValueError if it does not end where it should.

    Only then is it safe to read, because every list is allocated with the length that it claims.
    """
    # In a small payload, count the bytes that may begin a container; most payloads have few. Views are of
    # large payloads.
    if (
        isinstance(payload, bytes)
        and len(payload) <= 4 * KIB
        and len(payload) - len(payload.translate(None, _CONTAINER_BYTES)) <= MAX_DEPTH
    ):
        return
    # msgpack's unpacker has a stack of fixed size. Fill it until only the allowed levels are left, and skip
    # the payload, which builds no objects: 50 µs for 1 MiB.
    try:
        unpacker = _idle.pop()
    except IndexError:
        unpacker = Unpacker(max_buffer_size=0)
    filling = _filling()
    end = unpacker.tell() + len(filling) + len(payload)
    unpacker.feed(filling)
    unpacker.feed(payload)
    unpacker.skip()
    if unpacker.tell() != end:
        raise ValueError("there are bytes after the end of the message")
    # An unpacker that has raised is not used again: its input may still be in it.
    if len(payload) <= KEEP_BUFFER:
        _idle.append(unpacker)


@functools.cache
def _filling() -> bytes:
    """As many opened lists as leave MAX_DEPTH levels on the stack of msgpack's unpacker. Finding out takes
    more than a millisecond."""
    fits, too_many = MAX_DEPTH, 1 << 20
    while too_many - fits > 1:
        depth = (fits + too_many) // 2
        unpacker = Unpacker(max_buffer_size=0)
        unpacker.feed(b"\x91" * depth + b"\xc0")
        try:
            unpacker.skip()
            fits = depth
        except StackError:
            too_many = depth
    return b"\x91" * (fits - MAX_DEPTH)
