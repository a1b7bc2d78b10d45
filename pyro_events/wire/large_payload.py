"""Large payloads: so many bytes that they are neither copied nor built twice.

Copying a megabyte takes longer than everything else that is done for an event. So a large message, bytes or a
numpy array, is written in two pieces, and is read from where it was received.

Msgpack writes the length of bytes in front of them, so everything before the last bytes of a document is
small. That head is read with a bound, before anything is built of the rest: a few megabytes of msgpack can
describe half a gigabyte of small lists.

Knows: how msgpack begins bytes. Must not know: calls, events, what the bytes mean.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import Unpacker

# How msgpack begins bytes: for each first byte, how many more bytes give the length.
_LENGTH_SIZES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}


def bytes_header(size: int) -> bytes:
    """The header of so many bytes, in the longest of msgpack's three forms."""
    return b"\xc6" + size.to_bytes(4, "big")


class SplitPayload:
    """A payload in two pieces.

    `body` is memory of the publishing program: send it, or call `detach`, before it changes.
    """

    __slots__ = ("body", "head")

    def __init__(self, before: bytes, body: bytes | memoryview) -> None:
        """before: the msgpack in front of the bytes of `body`."""
        self.head = before + bytes_header(len(body))
        self.body = body

    def detach(self) -> None:
        """Copy `body`, unless it cannot change: from now on the program may use its memory again."""
        if type(self.body) is not bytes:
            self.body = bytes(self.body)

    def __len__(self) -> int:
        return len(self.head) + len(self.body)

    def __bytes__(self) -> bytes:
        return self.head + self.body


class LargeDocument:
    """A msgpack document that is large because of the bytes at its end, read from its beginning.

    If the expected object is not there, within the bound, msgpack raises one of a dozen exceptions.
    """

    __slots__ = ("_data", "_unpacker")

    def __init__(self, data: bytes | memoryview, head: int, **options: Any) -> None:
        """head: how many bytes may be read without the bytes at its end. options: of msgpack's Unpacker."""
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
        """Skip the object that begins here."""
        self._unpacker.skip()

    def body(self, end: bytes = b"") -> bytes | memoryview | None:
        """The bytes that begin here; None if there are none, or if more than `end` follows them."""
        body, rest = self.body_and_end(len(end))
        return body if rest == end else None

    def body_and_end(self, most: int) -> tuple[bytes | memoryview | None, bytes]:
        """The bytes that begin here, and what follows them; None if there are none, or if more than `most`
        bytes follow them."""
        data, at = self._data, self.position
        length_size = _LENGTH_SIZES.get(data[at]) if at < len(data) else None
        if length_size is None:
            return None, b""
        start = at + 1 + length_size
        stop = start + int.from_bytes(data[at + 1 : start], "big")
        if not stop <= len(data) <= stop + most:
            return None, b""
        return data[start:stop], bytes(data[stop:])
