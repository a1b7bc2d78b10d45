"""Frames: whatever arrives in whatever pieces is the same frames, or the same clear error.

Knows: the header, spelled out here a second time, and Pyro5's own reader and writer. Must not know:
what a payload means.
"""

from __future__ import annotations

import marshal
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import Pyro5
import Pyro5.protocol as pyro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from Pyro5.callcontext import current_context

from pyro_events.wire import frames
from pyro_events.wire.frames import Frame, FrameError, FrameLimits, FrameReader, TlsSpokenError, write_frame

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PYRO_PING = 42  # the serializer id that Pyro5 gives its pings
MARSHAL = 2

EVERY_TYPE = frozenset({pyro.MSG_CONNECT, pyro.MSG_INVOKE, pyro.MSG_RESULT, pyro.MSG_PING})
WIDE = FrameLimits(types=EVERY_TYPE, size=64 * KIB)

thorough = settings(deadline=None, max_examples=100)


def packed(
    kind: int = pyro.MSG_INVOKE,
    flags: int = 0,
    serializer_id: int = 4,
    seq: int = 0,
    payload: bytes = b"",
    annotations: bytes = b"",
    **unusual: Any,
) -> bytes:
    """A frame as the protocol's description has it. unusual: tag, version, magic, size, annotated."""
    header = struct.pack(
        "!4sHBBHHII16sHH",
        unusual.get("tag", b"PYRO"),
        unusual.get("version", 502),
        kind,
        serializer_id,
        flags,
        seq,
        unusual.get("size", len(payload)),
        unusual.get("annotated", len(annotations)),
        unusual.get("correlation", bytes(16)),
        0,
        unusual.get("magic", 0x4DC5),
    )
    return header + annotations + payload


class Outcome(NamedTuple):
    """What a reader made of a stream: its frames, then its error or the number of bytes that wait."""

    frames: list[Frame]
    error: str | None
    refused: Frame | None
    buffered: int | None


def read(pieces: Sequence[bytes], limits: Sequence[FrameLimits] = (WIDE,)) -> Outcome:
    """Feed a reader piece by piece. limits: for each frame in turn, the last for all that follow."""
    schedule = iter(limits)
    reader = FrameReader(next(schedule))
    found: list[Frame] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (frame := reader.next_frame()) is not None:
                found.append(frame)
                reader.limits = next(schedule, reader.limits)
    except FrameError as error:
        return Outcome(found, str(error), error.header, None)
    return Outcome(found, None, None, reader.buffered)


def refusal(data: bytes, limits: FrameLimits = WIDE) -> FrameError:
    """The error that a reader raises for some bytes."""
    reader = FrameReader(limits)
    reader.feed(data)
    with pytest.raises(FrameError) as caught:
        reader.next_frame()
    return caught.value


@contextmanager
def allocating_at_most(size: int) -> Iterator[None]:
    """Fail if the block ever holds more than `size` bytes beyond what was held before."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= size


@contextmanager
def compression() -> Iterator[None]:
    """Pyro5 compresses what it sends."""
    Pyro5.config.COMPRESSION = True
    try:
        yield
    finally:
        Pyro5.config.COMPRESSION = False


# Streams

annotation_chunks = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["Lu"]), min_size=4, max_size=4),
    st.binary(max_size=30),
    max_size=3,
)
payloads = st.one_of(st.binary(max_size=300), st.binary(max_size=10).map(lambda data: data * 50))
harmless_flags = st.sets(
    st.sampled_from([pyro.FLAGS_ONEWAY, pyro.FLAGS_BATCH, pyro.FLAGS_EXCEPTION, pyro.FLAGS_ITEMSTREAMRESULT])
).map(sum)


def annotated(chunks: dict[str, bytes]) -> bytes:
    """Annotations as they stand in a frame."""
    return b"".join(struct.pack("!4sI", key.encode(), len(data)) + data for key, data in chunks.items())


@st.composite
def good_frames(draw: st.DrawFn) -> tuple[bytes, Frame]:
    """A frame within WIDE, as bytes and as it should be read."""
    kind = draw(st.sampled_from(sorted(EVERY_TYPE)))
    serializer_id = draw(st.sampled_from([1, 3, 4] + [PYRO_PING, MARSHAL] * (kind == pyro.MSG_PING)))
    flags, seq = draw(harmless_flags), draw(st.integers(0, 0xFFFF))
    annotations, payload = annotated(draw(annotation_chunks)), draw(payloads)
    sent = payload
    if draw(st.booleans()):
        sent = zlib.compress(payload)
        flags |= pyro.FLAGS_COMPRESSED
    data = packed(
        kind,
        flags,
        serializer_id,
        seq,
        sent,
        annotations,
        correlation=draw(st.binary(min_size=16, max_size=16)),
    )
    return data, Frame(kind, flags, serializer_id, seq, annotations, payload)


@st.composite
def broken_frames(draw: st.DrawFn) -> bytes:
    """A frame with one byte changed, or cut short."""
    data = bytearray(draw(good_frames())[0])
    place = draw(st.integers(0, len(data) - 1))
    if draw(st.booleans()):
        return bytes(data[:place])
    data[place] ^= draw(st.integers(1, 255))
    return bytes(data)


streams = st.lists(st.one_of(good_frames().map(lambda frame: frame[0]), broken_frames()), max_size=6).map(
    b"".join
)
some_limits = st.builds(
    FrameLimits,
    types=st.frozensets(st.sampled_from(sorted(EVERY_TYPE)), min_size=2),
    size=st.sampled_from([0, 10, 100, 500, 64 * KIB]),
    large=st.sampled_from([0, 200, 64 * KIB]),
    compressed=st.booleans(),
    serializers=st.sampled_from([frames.SERIALIZERS, frozenset({frames.MSGPACK})]),
)


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces, some of them perhaps empty."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@thorough
@given(st.lists(good_frames(), max_size=5), st.data())
def test_frames_are_read_as_they_were_written(sent: list[tuple[bytes, Frame]], data: st.DataObject) -> None:
    stream = b"".join(frame for frame, _ in sent)
    expected = Outcome([frame for _, frame in sent], None, None, 0)
    assert read([stream]) == expected
    assert read([stream[i : i + 1] for i in range(len(stream))]) == expected
    assert read(data.draw(cut(stream))) == expected


@thorough
@given(streams, st.lists(some_limits, min_size=1, max_size=6), st.data())
def test_how_a_stream_is_cut_makes_no_difference(
    stream: bytes, limits: list[FrameLimits], data: st.DataObject
) -> None:
    whole = read([stream], limits)
    assert read([stream[i : i + 1] for i in range(len(stream))], limits) == whole
    assert read(data.draw(cut(stream)), limits) == whole


@thorough
@given(st.binary(max_size=400), st.sampled_from([b"", b"PYRO", b"PYRO\x01\xf6", packed(size=7)]))
def test_any_bytes_are_frames_or_an_error(data: bytes, beginning: bytes) -> None:
    stream = beginning + data
    outcome = read([stream])
    if outcome.buffered is not None:
        assert outcome.buffered + frames.HEADER_SIZE * len(outcome.frames) <= len(stream)


@pytest.mark.parametrize(
    "original",
    [
        packed(payload=b"x" * 90, seq=77),
        packed(pyro.MSG_PING, serializer_id=PYRO_PING, payload=b"ping"),
        packed(flags=pyro.FLAGS_COMPRESSED, serializer_id=1, payload=zlib.compress(b"x" * 90)),
        packed(pyro.MSG_RESULT, payload=b"x", annotations=annotated({"ABCD": b"data"})),
        write_frame(pyro.MSG_INVOKE, pyro.FLAGS_ONEWAY, frames.JSON, 65535, b"{}"),
    ],
)
def test_any_bit_of_a_header_may_be_wrong(original: bytes) -> None:
    for bit in range(8 * frames.HEADER_SIZE):
        data = bytearray(original)
        data[bit // 8] ^= 1 << bit % 8
        whole = read([bytes(data)])
        assert whole.error or len(whole.frames) == 1 or whole.buffered == len(data), bit
        assert read([bytes(data[i : i + 1]) for i in range(len(data))]).error == whole.error


# What is refused


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (packed(tag=b"HTTP"), "not a Pyro message"),
        (packed(version=503), "version 503 is not spoken here, only 502"),
        (packed(magic=0x4DC6), "wrong magic number"),
        (b"G", "not a Pyro message"),
        (b"PYRO\x00\x30", "version 48"),
    ],
)
def test_a_stranger_is_refused_without_an_answer(data: bytes, says: str) -> None:
    error = refusal(data)
    assert says in str(error)
    assert error.header is None


@pytest.mark.parametrize("length", range(6))
def test_the_beginning_of_a_frame_is_waited_for(length: int) -> None:
    assert read([packed()[:length]]) == Outcome([], None, None, length)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (packed(pyro.MSG_CONNECTOK, seq=9), "type 2 is not expected"),
        (
            packed(serializer_id=MARSHAL, seq=9),
            "serializer marshal is not accepted; use one of serpent, json, msgpack",
        ),
        (packed(serializer_id=PYRO_PING, seq=9), "serializer 42 is not accepted"),
        (packed(flags=pyro.FLAGS_KEEPSERIALIZED, seq=9), "blobs are not accepted"),
        (packed(size=64 * KIB, annotated=1, seq=9), "message too large (65537 bytes, at most 65536)"),
    ],
)
def test_what_the_limits_refuse_can_be_answered(data: bytes, says: str) -> None:
    error = refusal(data)
    assert says in str(error)
    assert error.header is not None
    assert error.header.seq == 9
    assert error.header.payload == b""


def test_marshal_is_refused_before_its_payload_is_there() -> None:
    payload = marshal.dumps(("Pyro.EventService", "publish", (), {}))
    frame = packed(serializer_id=MARSHAL, payload=payload)
    assert "marshal" in str(refusal(frame))
    assert "marshal" in str(refusal(frame[: frames.HEADER_SIZE]))


def test_only_some_serializers_may_be_accepted() -> None:
    limits = FrameLimits(types=EVERY_TYPE, size=100, serializers=frozenset({frames.MSGPACK}))
    assert "use one of msgpack" in str(refusal(packed(serializer_id=1), limits))
    assert read([packed()], [limits]).frames


@pytest.mark.parametrize("field", ["size", "annotated"])
def test_a_header_that_claims_a_gigabyte_is_refused_at_once(field: str) -> None:
    unusual: dict[str, Any] = {field: GIB}
    header = packed(**unusual)
    with allocating_at_most(64 * KIB):
        assert "too large" in str(refusal(header))
        assert "too large" in str(read([header[i : i + 1] for i in range(len(header))]).error)


LARGE = FrameLimits(types=EVERY_TYPE, size=100, large=1000)


@pytest.mark.parametrize(
    ("most", "serializer_id", "flags"),
    [
        (1000, frames.MSGPACK, 0),
        (1000, frames.MSGPACK, pyro.FLAGS_ONEWAY),
        (100, frames.MSGPACK, pyro.FLAGS_BATCH),
        (100, frames.MSGPACK, pyro.FLAGS_COMPRESSED),
        (100, frames.JSON, 0),
        (100, frames.SERPENT, 0),
    ],
)
def test_only_plain_msgpack_may_be_large(most: int, serializer_id: int, flags: int) -> None:
    fitting = packed(flags=flags, serializer_id=serializer_id, size=most - 8, annotated=8)
    assert read([fitting], [LARGE]) == Outcome([], None, None, len(fitting))
    error = refusal(packed(flags=flags, serializer_id=serializer_id, size=most - 7, annotated=8), LARGE)
    assert str(error) == f"message too large ({most + 1} bytes, at most {most})"


def test_a_large_bound_below_the_ordinary_one_changes_nothing() -> None:
    limits = FrameLimits(types=EVERY_TYPE, size=100, large=10)
    assert read([packed(payload=b"x" * 100)], [limits]).frames


# Compressed payloads


@pytest.mark.parametrize("size", [0, 1, 99, 100])
@pytest.mark.parametrize("make", [os.urandom, bytes])
def test_a_compressed_payload_may_unpack_to_the_limit(size: int, make: Callable[[int], bytes]) -> None:
    limits = FrameLimits(types=EVERY_TYPE, size=100)
    payload = make(size)
    sent = zlib.compress(payload)
    if len(sent) <= limits.size:
        found = read([packed(flags=pyro.FLAGS_COMPRESSED, payload=sent)], [limits])
        assert found.frames[0].payload == payload


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (zlib.compress(bytes(101)), "cut short or unpacks to over 100 bytes"),
        (zlib.compress(bytes(90))[:-1], "cut short or unpacks to over 100 bytes"),
        (b"", "cut short"),
        (b"no zlib at all", "cannot be unpacked"),
    ],
)
def test_a_compressed_payload_that_is_wrong(sent: bytes, says: str) -> None:
    limits = FrameLimits(types=EVERY_TYPE, size=100)
    error = refusal(packed(flags=pyro.FLAGS_COMPRESSED, seq=9, payload=sent), limits)
    assert says in str(error)
    assert error.header is not None
    assert error.header.seq == 9


def test_compression_may_be_refused() -> None:
    limits = FrameLimits(types=EVERY_TYPE, size=100, compressed=False)
    assert "compressed" in str(refusal(packed(flags=pyro.FLAGS_COMPRESSED, size=50), limits))


def test_a_zlib_bomb_costs_no_memory() -> None:
    bomb = packed(flags=pyro.FLAGS_COMPRESSED, payload=zlib.compress(bytes(60 * MIB)))
    assert len(bomb) < 64 * KIB
    with allocating_at_most(512 * KIB):
        assert "unpacks to over" in str(refusal(bomb))


# Memory


def test_a_dripping_frame_costs_its_size() -> None:
    payload = bytes(4 * MIB)
    limits = FrameLimits(types=EVERY_TYPE, size=0, large=len(payload))
    data = packed(payload=payload)
    reader = FrameReader(limits)
    # The buffer with what a growing bytearray keeps in reserve, then the payload beside it.
    with allocating_at_most(11 * MIB):
        for start in range(0, len(data), 64 * KIB):
            assert reader.next_frame() is None
            reader.feed(data[start : start + 64 * KIB])
        frame = reader.next_frame()
    assert frame is not None
    assert frame.payload == payload
    assert reader.buffered == 0


def test_frames_that_were_read_are_let_go() -> None:
    reader = FrameReader(WIDE)
    data = packed(payload=bytes(KIB))
    with allocating_at_most(64 * KIB):
        reader.feed(data[:1])
        for _ in range(1000):
            reader.feed(data[1:] + data[:1])
            assert reader.next_frame() is not None
            assert reader.buffered == 1


# Pyro5's own reader and writer


@thorough
@given(
    kind=st.sampled_from(sorted(EVERY_TYPE)),
    flags=harmless_flags,
    serializer_id=st.sampled_from(sorted(frames.SERIALIZERS)),
    seq=st.integers(0, 0xFFFF),
    payload=payloads,
    annotations=annotation_chunks,
    correlation=st.none() | st.uuids(),
    compressed=st.booleans(),
)
def test_what_pyro5_writes_is_read(
    kind: int,
    flags: int,
    serializer_id: int,
    seq: int,
    payload: bytes,
    annotations: dict[str, bytes],
    correlation: UUID | None,
    compressed: bool,
) -> None:
    current_context.correlation_id = correlation
    try:
        if compressed:
            with compression():
                sent = pyro.SendingMessage(kind, flags, seq, serializer_id, payload, annotations)
        else:
            sent = pyro.SendingMessage(kind, flags, seq, serializer_id, payload, annotations)
    finally:
        current_context.correlation_id = None
    expected = Frame(kind, sent.flags, serializer_id, seq, annotated(annotations), payload)
    assert read([sent.data]) == Outcome([expected], None, None, 0)


@thorough
@given(
    kind=st.sampled_from(sorted(EVERY_TYPE)),
    flags=harmless_flags,
    serializer_id=st.sampled_from(sorted(frames.SERIALIZERS)),
    seq=st.integers(0, 0xFFFF),
    payload=payloads,
)
@example(kind=pyro.MSG_PING, flags=0, serializer_id=PYRO_PING, seq=0, payload=b"pong")
def test_what_we_write_is_read_by_pyro5(
    kind: int, flags: int, serializer_id: int, seq: int, payload: bytes
) -> None:
    data = write_frame(kind, flags, serializer_id, seq, payload)
    received = pyro.ReceivingMessage(data[: frames.HEADER_SIZE], data[frames.HEADER_SIZE :])
    assert (received.type, received.flags, received.serializer_id, received.seq) == (
        kind,
        flags,
        serializer_id,
        seq,
    )
    assert (bytes(received.data), received.annotations) == (payload, {})
    assert read([data]) == Outcome([Frame(kind, flags, serializer_id, seq, b"", payload)], None, None, 0)


def test_the_ping_of_a_stock_proxy_is_read() -> None:
    class Connection:
        def __init__(self) -> None:
            self.sent = b""

        def send(self, data: bytes) -> None:
            self.sent += data

        def recv(self, size: int) -> bytes:
            answer, self.answer = self.answer[:size], self.answer[size:]
            return answer

        answer = write_frame(pyro.MSG_PING, 0, PYRO_PING, 0, b"pong")

    connection = Connection()
    pyro.SendingMessage.ping(connection)  # which reads our answer, too
    assert read([connection.sent]).frames == [Frame(pyro.MSG_PING, 0, PYRO_PING, 0, b"", b"ping")]
    assert connection.answer == b""


@pytest.mark.parametrize("beginning", [b"\x16", b"\x16\x03\x01\x02\x00\x01", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_who_speaks_tls_is_told_apart(beginning: bytes) -> None:
    reader = FrameReader(WIDE)
    reader.feed(beginning)
    with pytest.raises(TlsSpokenError, match="Pyro5's setting SSL is on there and off here") as caught:
        reader.next_frame()
    assert caught.value.header is None


@pytest.mark.parametrize("annotations", [{}, {"ABCD": b"one", "EFGH": b""}])
@pytest.mark.parametrize("payload", [b"", b"payload"])
def test_a_frame_is_written_as_it_came(annotations: dict[str, bytes], payload: bytes) -> None:
    came = pyro.SendingMessage(
        pyro.MSG_INVOKE, pyro.FLAGS_ONEWAY, 5, 4, payload, annotations=annotations
    ).data
    reader = FrameReader(FrameLimits(types=frozenset({pyro.MSG_INVOKE}), size=1000))
    reader.feed(came)
    read = reader.next_frame()
    assert read is not None
    assert frames.write_again(read) == came
