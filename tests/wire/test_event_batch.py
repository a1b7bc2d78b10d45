"""A batch of events: a stock daemon reads it, ours reads its rows, and what is none costs nothing."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import msgpack
import Pyro5.protocol as pyro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from Pyro5.serializers import serializers
from stock_wire import changed, received

from pyro_events.constants import EVENT_FIELDS, MIB, EventRow
from pyro_events.wire.event_batch import (
    PIECE,
    after_a_gap,
    count_rows,
    events_opening,
    packed_events,
    read_events,
    read_large_rows,
    read_rows,
    write_event_batch,
    write_events,
    write_in_pieces,
)
from pyro_events.wire.frames import CORRELATED, INVOKE, JSON, MSGPACK, ONEWAY, RESULT, Frame

LARGE = bytes(400_000)


def row(
    payload: bytes = b"p", subject: Any = "S", time: Any = 1.5, seq: Any = 7, missed: Any = 0
) -> list[Any]:
    return [subject, time, seq, missed, payload]


fields = (
    st.text(max_size=300),
    st.floats(allow_nan=False) | st.integers(-(2**63), 2**64 - 1),
    st.integers(-(2**63), 2**64 - 1),
    st.none() | st.booleans() | st.integers(0, 300),
    st.binary(max_size=300) | st.just(bytes(1000)),
)
rows = st.lists(st.tuples(*fields) | st.tuples(*fields, st.just(True)), max_size=20)


@settings(max_examples=50)
@given(rows)
def test_every_batch_is_read_whatever_its_size(wanted: list[Any]) -> None:
    packed = msgpack.packb(wanted)
    assert read_rows(packed) == tuple(wanted)
    if wanted:
        assert read_large_rows(packed) == tuple(wanted)
        assert read_large_rows(memoryview(packed)) == tuple(wanted)


@settings(max_examples=50)
@given(rows, st.data())
def test_a_batch_cut_short_is_none(wanted: list[Any], data: st.DataObject) -> None:
    packed = msgpack.packb(wanted)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    assert read_rows(cut) is None
    with contextlib.suppress(IndexError, ValueError, msgpack.UnpackException):
        assert read_large_rows(cut) is None


@given(st.binary())
def test_any_bytes_are_a_batch_or_none(packed: bytes) -> None:
    assert isinstance(read_rows(packed), (tuple, type(None)))


def test_large_batches_of_many_and_of_one() -> None:
    for last in (row(LARGE), [*row(LARGE), True]):
        many = [row() for _ in range(499)] + [[*row(), True] for _ in range(500)] + [last]
        assert read_rows(msgpack.packb(many)) == tuple(map(tuple, many))
    assert read_rows(memoryview(msgpack.packb([row(LARGE, "S" * 300)]))) == (tuple(row(LARGE, "S" * 300)),)


@pytest.mark.parametrize(
    "value",
    [
        [row(LARGE), row() + [1]],
        [row(LARGE) + [False]],
        [row(LARGE) + [1]],
        [row(LARGE) + [None]],
        [row(LARGE) + [True, True]],
        [[*row()[:4], True, LARGE]],
        [row() + [LARGE]],
        [row(LARGE), row()[:4]],
        [row(LARGE), 5],
        [row(LARGE, missed=[])],
        [row(LARGE, subject={})],
        [row(LARGE, seq=msgpack.ExtType(5, b"x"))],
        [row(LARGE, subject=b"S")],
        [row(LARGE, missed="x" * 70_000)],
        [row("text" * 200_000)],  # type: ignore[arg-type]
        [row()] * 1001 + [row(LARGE)],
        {"a": LARGE},
        LARGE,
        "text" * 200_000,
        [[]] * 400_000,
        [],
        [row(LARGE), row()],
        [row()] * 9_000,
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_what_is_large_by_anything_but_its_last_payload_is_none(value: Any) -> None:
    packed = msgpack.packb(value)
    assert not value or read_rows(packed) is None
    with contextlib.suppress(IndexError, ValueError, msgpack.UnpackException):
        assert read_large_rows(packed) is None


@pytest.mark.parametrize("value", [{"a": 1}, 5, "text", [{"a": 1}], [[{}]], [msgpack.ExtType(5, b"x")]])
def test_what_is_small_and_no_batch(value: Any) -> None:
    assert read_rows(msgpack.packb(value)) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xdc\x03\xe8" + (b"\xdc\x03\xe8" + b"\x91\x90" * 500) * 8000,
        b"\x91" + b"\x91\x90" * (4 * MIB),
        b"\xdc\x03\xe8" + b"\x95" * (8 * MIB),
        b"\x91\x95" + b"\xa1x\xcb" + bytes(8) + b"\x01\x95" + b"\x90" * (8 * MIB),
        b"\x91\x96" + b"\xa1x\xcb" + bytes(8) + b"\x01\x95" + b"\x90" * (8 * MIB),
        b"\xdc\xff\xff" + b"\x95\xa0\x00\x00\x00\xc4\x00" * (MIB + MIB // 8),
    ],
    ids=range(6),
)
def test_little_is_built_of_what_is_large_and_hostile(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        assert read_rows(hostile) is None
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


# What the service writes

ROWS: list[EventRow] = [
    ("STOCKQUOTE.SUN", 1700000000.25, 1, 0, b"\x92\xa3SUN\x16"),
    ("stockquote.größe", 1700000000.5, 5, 3, bytes(range(256))),
    ("stockquote.größe", 1700000000.5, 6, 0, b"\xc0", True),
]
SENT = [list(row) for row in ROWS]


def test_events_is_one_call_with_the_rows() -> None:
    message = received(write_events("obj_1", 65535, ROWS))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, 0, 65535)
    object_id, method, args, kwargs = serializers["msgpack"].loadsCall(message.data)
    assert (object_id, method, args, kwargs) == ("obj_1", "events", [SENT], {})


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize("kept", [(), (True,)])
@pytest.mark.parametrize("others", [0, 1, 14, 15, 400])
def test_large_events_are_written_as_small_ones_without_being_copied(
    size: int, kind: Any, kept: tuple[Any, ...], others: int
) -> None:
    payload = kind(bytes(size))
    row: Any = ("A", 1.5, 3, 2, payload, *kept)
    rows = [*[("B", 1.0, 1, None, b"small")] * others, row, *ROWS, row]
    pieces = write_in_pieces("o", 7, rows)
    assert sum(piece is payload for piece in pieces) == (2 if size > PIECE else 0)
    message = received(b"".join(pieces))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, 0, 7)
    sent = [[*each[:4], bytes(each[4]), *each[5:]] for each in rows]
    assert msgpack.unpackb(message.data) == ["o", "events", [sent], {}]


def test_event_is_a_batch_with_one_call_for_each_row() -> None:
    message = received(write_event_batch("obj_1", 2, ROWS))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, pyro.FLAGS_BATCH, 2)
    object_id, method, batch, kwargs = msgpack.unpackb(message.data)
    assert (object_id, method, kwargs) == ("obj_1", "<batch>", None)
    assert batch == [
        ["event", [{"__class__": "pyro_events.event.Event", **dict(zip(names, row, strict=True))}], {}]
        for row, names in zip(ROWS, (EVENT_FIELDS, EVENT_FIELDS, (*EVENT_FIELDS, "retained")), strict=True)
    ]


# What our own subscriber reads


def called(data: bytes) -> Frame:
    """One of our frames as the reader hands it over."""
    message = received(data)
    return Frame(message.type, message.flags, message.serializer_id, message.seq, b"", bytes(message.data))


@settings(max_examples=50)
@given(rows)
def test_what_the_service_writes_is_read(wanted: list[Any]) -> None:
    frame = called(write_events("obj_1", 7, wanted))
    assert read_events(frame, events_opening("obj_1")) == tuple(wanted)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 512])
def test_the_events_of_a_batch_are_counted_without_reading_them(count: int) -> None:
    packed = packed_events(called(write_events("obj_1", 7, ROWS[:1] * count)), events_opening("obj_1"))
    assert packed is not None and count_rows(packed) == count
    assert count_rows(memoryview(packed)) == count


@pytest.mark.parametrize("packed", [b"", b"\xc0", b"\x80", b"\xdc\x01", b"\xdd\x00\x00\x00\x01"])
def test_what_is_no_batch_is_not_counted(packed: bytes) -> None:
    assert count_rows(packed) is None


@pytest.mark.parametrize("size", [10, 100_000, 400_000])
def test_a_large_event_is_read(size: int) -> None:
    plain: EventRow = ("A", 1.5, 3, None, bytes(size))
    kept: EventRow = ("A", 1.5, 3, None, bytes(size), True)
    for row in (plain, kept):
        frame = called(b"".join(write_in_pieces("obj_1", 7, [row])))
        assert read_events(frame, events_opening("obj_1")) == (row,)


def test_the_first_event_after_a_gap_says_so() -> None:
    assert after_a_gap(("A", 1.5, 3, 0, b"p")) == ("A", 1.5, 3, None, b"p")
    assert after_a_gap(("A", 1.5, 3, 0, b"p", True)) == ("A", 1.5, 3, None, b"p", True)


GOOD = called(write_events("obj_1", 7, ROWS))


def test_a_correlation_id_is_of_no_interest() -> None:
    assert read_events(changed(GOOD, flags=CORRELATED), events_opening("obj_1")) is not None


@pytest.mark.parametrize(
    "frame",
    [
        changed(GOOD, type=RESULT),
        changed(GOOD, serializer_id=JSON),
        changed(GOOD, flags=ONEWAY),
        changed(GOOD, payload=GOOD.payload[:-1] + b"\xc0"),
        changed(GOOD, payload=b""),
        called(write_events("obj_2", 7, ROWS)),
        called(write_event_batch("obj_1", 7, ROWS)),
        Frame(INVOKE, 0, MSGPACK, 7, b"", msgpack.packb(["obj_1", "events", [5], {}])),
    ],
    ids=range(8),
)
def test_another_call_is_not_read(frame: Frame) -> None:
    assert read_events(frame, events_opening("obj_1")) is None
