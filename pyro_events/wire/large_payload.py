"""Large payloads: so many bytes that they are neither copied nor built twice.

Copying a megabyte takes longer than everything else that an event costs. So a large message, bytes or a numpy
array, is written in two pieces, and is read from where it was received.

Msgpack announces bytes by their number, so all that stands before the last bytes of a document is small.
That head is read with a bound, before anything is built of the rest: a few megabytes of msgpack can describe
half a gigabyte of small lists.

Knows: how msgpack announces bytes. Must not know: calls, events, what the bytes mean.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import Unpacker

# How msgpack announces bytes: by the first byte, how many more of them give the number.
_LENGTH_SIZES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}


def bytes_header(size: int) -> bytes:
    """What announces so many bytes, in the longest of msgpack's three ways."""
    return b"\xc6" + size.to_bytes(4, "big")


class SplitPayload:
    """A payload in two pieces. `body` is memory of whoever publishes: it must be sent before it changes."""

    __slots__ = ("body", "head")

    def __init__(self, before: bytes, body: bytes | memoryview) -> None:
        """before: the msgpack that stands before the bytes of `body`."""
        self.head = before + bytes_header(len(body))
        self.body = body

    def __len__(self) -> int:
        return len(self.head) + len(self.body)

    def __bytes__(self) -> bytes:
        return self.head + self.body


class LargeDocument:
    """A msgpack document that is large because of the bytes that it ends with, read from its beginning.

    What is asked for must be there, within the bound, or msgpack raises one of a dozen exceptions.
    """

    __slots__ = ("_data", "_unpacker")

    def __init__(self, data: bytes | memoryview, head: int, **options: Any) -> None:
        """head: what may be read of it without the bytes at its end. options: of msgpack's Unpacker."""
        self._data = data
        self._unpacker = Unpacker(max_buffer_size=head + 1, **options)
        self._unpacker.feed(data[:head])

    @property
    def position(self) -> int:
        """Where the next object begins."""
        return int(self._unpacker.tell())

    def array(self) -> int:
        """The number of items of the array that begins here; the next object is the first of them."""
        return int(self._unpacker.read_array_header())

    def value(self) -> Any:
        """The object that begins here."""
        return self._unpacker.unpack()

    def skip(self) -> None:
        """Go on behind the object that begins here."""
        self._unpacker.skip()

    def body(self, end: bytes = b"") -> bytes | memoryview | None:
        """The bytes that are announced here; None if there are none, or if more follows them than `end`."""
        data, at = self._data, self.position
        length_size = _LENGTH_SIZES.get(data[at]) if at < len(data) else None
        if length_size is None:
            return None
        start = at + 1 + length_size
        stop = start + int.from_bytes(data[at + 1 : start], "big")
        return data[start:stop] if stop + len(end) == len(data) and data[stop:] == end else None
