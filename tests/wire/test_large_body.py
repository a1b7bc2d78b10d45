"""Large frames: received in place or in pieces, the same frames, in memory that nobody else uses."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.constants import KIB, LARGE, MIB
from pyro_events.wire.frames import (
    COMPRESSED,
    INVOKE,
    MSGPACK,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.large_body import CLIENTS, LargeBody, Pieces

LIMITS = FrameLimits(frozenset({INVOKE}), 64 * KIB, 8 * MIB)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    CLIENTS._pieces.clear()
    yield
    CLIENTS._pieces.clear()


def payload(size: int, seed: int) -> bytes:
    return bytes((position * 7 + seed) & 0xFF for position in range(251)) * (size // 251 + 1)


def received(reader: FrameReader, data: memoryview) -> None:
    """Put the data where the reader wants it, as a connection does."""
    while data:
        space = reader.space()
        if space is None:
            reader.feed(bytes(data))
            return
        count = min(len(space), len(data))
        space[:count] = data[:count]
        reader.filled(count)
        data = data[count:]


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 5 * LARGE), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 200_000), min_size=1, max_size=8),
    in_place=st.booleans(),
)
def test_however_it_arrives_it_is_the_same_frames(sizes: list[int], cuts: list[int], in_place: bool) -> None:
    sent = [payload(size, seed)[:size] for seed, size in enumerate(sizes)]
    stream = memoryview(b"".join(write_frame(INVOKE, 0, MSGPACK, seq, part) for seq, part in enumerate(sent)))
    reader = FrameReader(LIMITS)
    found: list[Frame] = []
    turn = 0
    cuts = [*cuts, 100_000]  # a megabyte in pieces of a few bytes alone would take a minute
    while stream:
        piece = stream[: cuts[turn % len(cuts)]]
        stream = stream[len(piece) :]
        turn += 1
        if in_place:
            received(reader, piece)
        else:
            reader.feed(bytes(piece))
        while (frame := reader.next_frame()) is not None:
            found.append(frame)
    assert [bytes(frame.payload) for frame in found] == sent
    assert [frame.seq for frame in found] == list(range(len(sent)))
    assert reader.buffered == 0
    assert reader.space() is None


def large_frame_of(body: bytes, reader: FrameReader) -> memoryview:
    data = write_frame(INVOKE, 0, MSGPACK, 0, body)
    for start in range(0, len(data), 100 * KIB):
        assert reader.next_frame() is None
        reader.feed(data[start : start + 100 * KIB])
    frame = reader.next_frame()
    assert frame is not None
    assert isinstance(frame.payload, memoryview)
    return frame.payload


def test_memory_is_used_again_when_nobody_has_a_view_of_it() -> None:
    reader = FrameReader(LIMITS)
    first = large_frame_of(b"1" * MIB, reader)
    where = id(CLIENTS._pieces[0])  # a reference would be a use
    del first
    second = large_frame_of(b"2" * (MIB - 5), reader)
    assert id(second.obj) == where
    assert second == b"2" * (MIB - 5)


def test_memory_that_is_in_use_is_left_alone() -> None:
    reader = FrameReader(LIMITS)
    first = large_frame_of(b"1" * MIB, reader)
    part = first[5:10]
    del first
    second = large_frame_of(b"2" * MIB, reader)
    assert part == b"1" * 5
    assert second.obj is not part.obj
    assert second == b"2" * MIB


def test_a_small_frame_does_not_hold_a_large_piece() -> None:
    """What is accounted for is the payload; the memory behind it is at most twice that."""
    reader = FrameReader(LIMITS)
    for _ in range(4):
        large_frame_of(bytes(2 * MIB), reader)
    kept = [large_frame_of(bytes(101 * KIB), reader) for _ in range(12)]
    for view in kept:
        assert isinstance(view.obj, bytearray)
        assert len(view.obj) <= 2 * len(view)


class Emptied(deque[bytearray]):
    """Another thread has taken what was there when this one looked."""

    def popleft(self) -> bytearray:
        self.clear()
        return super().popleft()


def test_another_thread_may_have_the_pieces() -> None:
    pieces = Pieces(4)
    pieces._pieces = Emptied([bytearray(MIB)])
    assert large_frame_of(b"3" * MIB, FrameReader(LIMITS, pieces)) == b"3" * MIB
    pieces._pieces = Emptied([bytearray(MIB)])
    pieces.trim()
    assert pieces.take(MIB) is None


def test_pieces_in_use_come_back_in_the_order_in_which_they_were_used() -> None:
    pieces, used = Pieces(100), deque[memoryview]()
    for number in range(200):
        body = LargeBody(LARGE + 1, memoryview(bytes(LARGE + 1)), pieces)
        whole = body.whole()
        assert whole is not None
        used.append(whole)
        if number >= 40:
            used.popleft()
    assert len(pieces._pieces) <= 42, "none was made while there was one"


def test_unused_pieces_are_let_go_of_when_they_are_many() -> None:
    pieces = Pieces(100)
    for size in range(MIB, 2 * MIB, 128 * KIB):
        for _ in range(3):
            pieces.remember(bytearray(size))
        assert sum(map(len, pieces._pieces)) <= 16 * MIB + size
    used = pieces.take(MIB + 128 * KIB)
    assert used is not None
    pieces.remember(bytearray(9 * MIB))
    pieces.trim()
    assert sum(map(len, pieces._pieces)) <= 8 * MIB + len(used)
    used[:] = bytes(len(used))
    del used
    pieces.trim()
    assert sum(map(len, pieces._pieces)) <= 8 * MIB
    assert pieces.take(MIB) is not None


def test_the_largest_are_not_kept() -> None:
    pieces = Pieces(4, MIB)
    large_frame_of(bytes(2 * MIB), FrameReader(LIMITS, pieces))
    assert not pieces._pieces
    large_frame_of(bytes(MIB), FrameReader(LIMITS, pieces))
    assert len(pieces._pieces) == 1


def test_a_piece_that_is_in_use_outlives_being_forgotten() -> None:
    pieces = Pieces(1)
    first = large_frame_of(b"1" * MIB, FrameReader(LIMITS, pieces))
    second = large_frame_of(b"2" * MIB, FrameReader(LIMITS, pieces))
    assert len(pieces._pieces) == 1
    pieces.trim()
    third = large_frame_of(b"3" * MIB, FrameReader(LIMITS, pieces))
    assert (first, second, third) == (b"1" * MIB, b"2" * MIB, b"3" * MIB)


def test_a_frame_that_is_being_received_keeps_its_memory() -> None:
    large_frame_of(bytes(MIB), FrameReader(LIMITS))
    first, second = LargeBody(MIB, memoryview(b"1" * 10)), LargeBody(MIB, memoryview(b"2" * 10))
    for body, content in ((first, b"1"), (second, b"2")):
        body.fill(memoryview(content * MIB)[10:])
    assert first.whole() == b"1" * MIB
    assert second.whole() == b"2" * MIB


def test_annotations_are_bounded_as_in_any_frame() -> None:
    """An event would hold them, and is not charged for them."""
    header = bytearray(write_frame(INVOKE, 0, MSGPACK, 0, bytes(100 * KIB))[:40])
    header[16:20] = (64 * KIB + 1).to_bytes(4, "big")
    reader = FrameReader(LIMITS)
    reader.feed(bytes(header))
    with pytest.raises(FrameError, match="annotations too large \\(65537 bytes, at most 65536\\)"):
        reader.next_frame()


def test_little_is_kept() -> None:
    reader = FrameReader(LIMITS)
    for size in (3 * MIB, 2 * MIB, MIB, 2 * MIB, MIB, 100 * KIB, 200 * KIB):
        large_frame_of(bytes(size), reader)
        frames = [large_frame_of(bytes(size), reader) for _ in range(3)]
        assert all(len(frame) == size for frame in frames)
    gc.collect()
    del frames
    CLIENTS.trim()
    assert len(CLIENTS._pieces) <= 4
    assert sum(map(len, CLIENTS._pieces)) <= 8 * MIB


def test_a_header_alone_costs_little() -> None:
    reader = FrameReader(LIMITS)
    reader.feed(write_frame(INVOKE, 0, MSGPACK, 0, bytes(8 * MIB))[:50])
    assert reader.next_frame() is None
    space = reader.space()
    assert space is not None
    assert len(space) <= 4 * LARGE
    assert 0 < reader.buffered <= 4 * LARGE + 100


def test_memory_grows_with_what_has_come() -> None:
    body = LargeBody(8 * MIB, memoryview(b""))
    come = 0
    while (space := body.space()) and come < 8 * MIB:
        assert come + len(space) <= max(4 * LARGE, 4 * come)
        body.filled(len(space))
        come += len(space)
        assert body.whole() is None or come == 8 * MIB
    assert come == 8 * MIB
    assert not body.space()


def test_annotations_of_a_large_frame() -> None:
    """Nobody sends them with one, but a frame may have them."""
    data = bytearray(write_frame(INVOKE, 0, MSGPACK, 3, b"ABCD\0\0\0\2xy" + b"p" * 100 * KIB))
    data[12:20] = (100 * KIB).to_bytes(4, "big") + (10).to_bytes(4, "big")
    reader = FrameReader(LIMITS)
    reader.feed(bytes(data[:1000]))
    assert reader.next_frame() is None
    reader.feed(bytes(data[1000:]))
    frame = reader.next_frame()
    assert frame is not None
    assert frame.annotations == b"ABCD\0\0\0\2xy"
    assert frame.payload == b"p" * 100 * KIB


def test_a_large_compressed_frame() -> None:
    """Where the limits let it pass."""
    import os
    import zlib

    body = os.urandom(100 * KIB)
    data = write_frame(INVOKE, COMPRESSED, MSGPACK, 0, zlib.compress(body))
    reader = FrameReader(FrameLimits(frozenset({INVOKE}), 200 * KIB))
    reader.feed(data[:100])
    assert reader.next_frame() is None
    reader.feed(data[100:])
    frame = reader.next_frame()
    assert frame is not None
    assert frame.payload == body
