"""Frames: the unit of the Pyro5 wire protocol, read incrementally and written whole.

Knows: the header and its limits. Must not know: what a payload means, or where bytes come from.

The header, all in network order (source: Pyro5's protocol module)::

    0x00   4s   b"PYRO"
    0x04   H    protocol version, 502
    0x06   B    message type
    0x07   B    serializer id
    0x08   H    flags
    0x0a   H    sequence number
    0x0c   I    payload length
    0x10   I    length of all annotations
    0x14   16s  correlation id
    0x24   H    reserved
    0x26   H    magic number 0x4dc5

Then come the annotations, each an id of four letters, a length and that many bytes; then the payload. A frame
is judged by its header alone, before a byte of its body is kept.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from ..constants import LARGE
from .errors import FrameError as FrameError  # for those who read frames
from .errors import FrameTooLargeError as FrameTooLargeError
from .errors import TlsSpokenError as TlsSpokenError
from .large_body import CLIENTS, LargeBody, Pieces

CONNECT: Final = 1
CONNECT_OK: Final = 2
CONNECT_FAIL: Final = 3
INVOKE: Final = 4
RESULT: Final = 5
PING: Final = 6

EXCEPTION: Final = 1 << 0
COMPRESSED: Final = 1 << 1
ONEWAY: Final = 1 << 2
BATCH: Final = 1 << 3
KEEP_SERIALIZED: Final = 1 << 5
CORRELATED: Final = 1 << 6

SERPENT: Final = 1
JSON: Final = 3
MSGPACK: Final = 4
# Marshal (2) is missing on purpose: reading it from a stranger can kill the interpreter.
SERIALIZERS: Final = frozenset({SERPENT, JSON, MSGPACK})
SERIALIZER_NAMES: Final = {SERPENT: "serpent", 2: "marshal", JSON: "json", MSGPACK: "msgpack"}

HEADER_SIZE: Final = 40
# Where the sequence number is in it.
SEQ_START: Final = 10
SEQ_END: Final = 12
_VERSION: Final = 502
_MAGIC: Final = 0x4DC5
_HEADER: Final = struct.Struct("!4sHBBHHII16sHH")
# The same for reading, where the correlation id and the reserved bytes are not needed.
_READ_HEADER: Final = struct.Struct("!IHBBHHII18xH")
# The first bytes of a TLS handshake and of a TLS alert.
_TLS: Final = (b"\x16", b"\x15")
_TAG: Final = int.from_bytes(b"PYRO", "big")
_NO_CORRELATION: Final = bytes(16)


class Frame:
    """One frame. `annotations` and `payload` are raw bytes; a compressed payload has been unpacked.

    A payload of more than LARGE bytes may be a view of the received bytes, which nothing else uses. To make a
    named tuple takes twice the time, and to read its fields too.
    """

    __slots__ = ("annotations", "flags", "payload", "seq", "serializer_id", "type")

    def __init__(
        self,
        kind: int,
        flags: int,
        serializer_id: int,
        seq: int,
        annotations: bytes = b"",
        payload: bytes | memoryview = b"",
    ) -> None:
        self.type = kind
        self.flags = flags
        self.serializer_id = serializer_id
        self.seq = seq
        self.annotations = annotations
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and repr(self) == repr(other)

    def __repr__(self) -> str:
        head = f"{self.type}, {self.flags}, {self.serializer_id}, {self.seq}"
        return f"Frame({head}, {self.annotations!r}, {bytes(self.payload)!r})"


@dataclass(frozen=True)
class FrameLimits:
    """What a reader accepts. Sizes in bytes.

    types: message types. size: annotations and payload together, also of an unpacked payload. large: a higher
    bound for msgpack frames only, whose structure is checked before it is built. compressed: whether
    compressed payloads are unpacked, up to `size`.
    """

    types: frozenset[int]
    size: int
    large: int = 0
    compressed: bool = True
    serializers: frozenset[int] = SERIALIZERS


class FrameReader:
    """Cuts a stream of bytes into frames.

    `feed` the bytes that arrive, or put them where `space` says; then call `next_frame` until it returns
    None. `limits` may be changed between two frames. The memory is bounded by one frame within the limits
    plus the bytes that were fed.
    """

    __slots__ = ("_annotated", "_begun", "_body", "_buffer", "_pieces", "_position", "limits")

    def __init__(self, limits: FrameLimits, pieces: Pieces = CLIENTS) -> None:
        """pieces: the memory into which large frames are received."""
        self.limits = limits
        self._pieces = pieces
        self._buffer: bytes | bytearray = b""
        self._position = 0
        # A large frame that has begun: its header, how many bytes of its body are annotations, and the body.
        self._begun: Frame | None = None
        self._annotated = 0
        self._body: LargeBody | None = None

    @property
    def buffered(self) -> int:
        """How many bytes wait: of frames that `next_frame` has not returned, or of one that is not
        complete."""
        held = HEADER_SIZE + self._body.held if self._body is not None else 0
        return held + len(self._buffer) - self._position

    def space(self) -> memoryview | None:
        """Where to put the next bytes, which `filled` then counts; None to `feed` them instead.

        A large frame is received into the memory where it stays. Call it again after `filled`.
        """
        return (self._body.space() or None) if self._body is not None else None

    def filled(self, count: int) -> bool:
        """So many bytes were put where `space` said. Returns whether that completes a frame."""
        assert self._body is not None
        return self._body.filled(count)

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        if self._body is not None:
            data = bytes(self._body.fill(memoryview(data)))
        waiting = len(self._buffer) - self._position
        if not waiting:
            self._buffer = data
        else:
            # A bytearray grows in place: a frame that comes in small pieces costs its size, not its square.
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(memoryview(self._buffer)[self._position :])
            elif self._position:
                del self._buffer[: self._position]
            self._buffer += data
        self._position = 0

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None if more bytes are needed.

        Raises FrameError as soon as the bytes cannot become an acceptable frame; the reader cannot be used
        after that.
        """
        if self._body is not None:
            return self._large_frame(self._body)
        buffer, start = self._buffer, self._position
        length = len(buffer)
        if length - start < HEADER_SIZE:
            if length > start:
                self._check_beginning(bytes(buffer[start : start + 6]))
            return None
        tag, version, kind, serializer_id, flags, seq, size, annotated, magic = _READ_HEADER.unpack_from(
            buffer, start
        )
        if tag != _TAG or version != _VERSION or magic != _MAGIC:
            self._check_beginning(bytes(buffer[start : start + 6]))
            raise FrameError("not a Pyro message: wrong magic number")
        limits = self.limits
        if (
            size + annotated > limits.size
            or kind not in limits.types
            or serializer_id not in limits.serializers
            or flags & (COMPRESSED | KEEP_SERIALIZED)
        ):
            self._judge(Frame(kind, flags, serializer_id, seq), size + annotated, annotated)
        middle = start + HEADER_SIZE + annotated
        end = middle + size
        if length < end:
            if size > LARGE:
                self._begun = Frame(kind, flags, serializer_id, seq)
                self._annotated = annotated
                begun = memoryview(buffer)[start + HEADER_SIZE :]
                self._body = LargeBody(annotated + size, begun, self._pieces)
                self._buffer, self._position = b"", 0
            return None
        annotations = bytes(buffer[start + HEADER_SIZE : middle]) if annotated else b""
        payload = buffer[middle:end] if type(buffer) is bytes else bytes(memoryview(buffer)[middle:end])
        self._buffer, self._position = (buffer, end) if end < length else (b"", 0)
        frame = Frame(kind, flags, serializer_id, seq, annotations, payload)
        if flags & COMPRESSED:
            frame.payload = self._unpacked(frame)
        return frame

    def _large_frame(self, body: LargeBody) -> Frame | None:
        whole, begun = body.whole(), self._begun
        if whole is None or begun is None:
            return None
        self._body = self._begun = None
        begun.annotations = bytes(whole[: self._annotated])
        begun.payload = whole[self._annotated :]
        if begun.flags & COMPRESSED:
            begun.payload = self._unpacked(begun)
        return begun

    def _judge(self, header: Frame, size: int, annotated: int) -> None:
        """Raise FrameError if the limits refuse this header. size: of its body; annotated: of annotations."""
        limits = self.limits
        if header.type not in limits.types:
            raise FrameError(f"a message of type {header.type} is not expected here", header)
        # Pings carry no serialized data, and Pyro5 gives them a serializer id that does not exist.
        if header.serializer_id not in limits.serializers and header.type != PING:
            name = SERIALIZER_NAMES.get(header.serializer_id, str(header.serializer_id))
            accepted = ", ".join(SERIALIZER_NAMES[known] for known in sorted(limits.serializers))
            raise FrameError(f"the serializer {name} is not accepted; use one of {accepted}", header)
        if header.flags & KEEP_SERIALIZED:
            raise FrameError("serialized blobs are not accepted; pass the message itself", header)
        if header.flags & COMPRESSED and not limits.compressed:
            raise FrameError("compressed messages are not accepted here", header)
        large = header.serializer_id == MSGPACK and not header.flags & (COMPRESSED | BATCH)
        most = max(limits.size, limits.large) if large else limits.size
        if annotated > limits.size:
            reason = f"annotations too large ({annotated} bytes, at most {limits.size})"
            raise FrameTooLargeError(reason, header)
        if size > most:
            raise FrameTooLargeError(f"message too large ({size} bytes, at most {most})", header)

    def _unpacked(self, frame: Frame) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(frame.payload, self.limits.size)
        except zlib.error as error:
            raise FrameError(f"a compressed message cannot be unpacked: {error}", frame) from None
        if not unpacker.eof:
            reason = f"a compressed message is cut short or unpacks to over {self.limits.size} bytes"
            raise FrameError(reason, frame)
        return data

    @staticmethod
    def _check_beginning(beginning: bytes) -> None:
        """Refuse a stranger's bytes at once, without waiting until there are enough for a header."""
        if beginning[:1] in _TLS:
            raise TlsSpokenError
        if not b"PYRO".startswith(beginning[:4]):
            raise FrameError("not a Pyro message")
        if len(beginning) == 6 and beginning[4:] != _VERSION.to_bytes(2, "big"):
            version = int.from_bytes(beginning[4:], "big")
            raise FrameError(f"Pyro protocol version {version} is not spoken here, only {_VERSION}")


def write_frame(kind: int, flags: int, serializer_id: int, seq: int, payload: bytes) -> bytes:
    """One frame, without annotations, ready to be sent."""
    # Without calling `write_header`, because this is done twice for each event.
    header = _HEADER.pack(
        b"PYRO", _VERSION, kind, serializer_id, flags, seq, len(payload), 0, _NO_CORRELATION, 0, _MAGIC
    )
    return header + payload


def write_header(kind: int, flags: int, serializer_id: int, seq: int, size: int, annotated: int = 0) -> bytes:
    """The header of a frame whose annotations and payload, of `size` bytes, are sent after it."""
    return _HEADER.pack(
        b"PYRO", _VERSION, kind, serializer_id, flags, seq, size, annotated, _NO_CORRELATION, 0, _MAGIC
    )


def write_again(frame: Frame) -> bytes:
    """A frame that was read, as it came, but without its correlation id."""
    size, annotated = len(frame.payload), len(frame.annotations)
    header = write_header(frame.type, frame.flags, frame.serializer_id, frame.seq, size, annotated)
    return b"".join((header, frame.annotations, frame.payload))
