"""Msgpack pool: writes plain data as msgpack, with packers that are used again.

Knows: msgpack. Must not know: what is packed.

Making a packer costs several times as much as packing a small call, because each allocates its buffer. Two
threads must not use one at the same time, so it is taken out of the list while it works.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import Packer

from ..foreign_exceptions import is_foreign

# A packer that has packed more than this is not kept, because it keeps its buffer.
_KEEP_BUFFER: Final = 1 << 20

_idle: list[Any] = []


def pack(value: Any) -> bytes:
    """`value`, plain data, as msgpack. Raises what msgpack raises for anything else."""
    try:
        packer = _idle.pop()
    except IndexError as error:
        if is_foreign(error, IndexError):
            raise
        packer = Packer()
    # A packer that failed is not put back: it may hold half a value.
    data: bytes = packer.pack(value)
    if len(data) <= _KEEP_BUFFER:
        _idle.append(packer)
    return data
