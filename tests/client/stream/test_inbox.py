"""The inbox of a stream beside a model of it, however the network cuts the bytes."""

from __future__ import annotations

import sys
import threading
from typing import Any

import msgpack
import Pyro5.errors
import pytest
from contract import in_background
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.client.stream.inbox import EventInbox
from pyro_events.constants import KIB
from pyro_events.wire.event_answers import read_events_answer
from pyro_events.wire.event_batch import write_events, write_in_pieces
from pyro_events.wire.frames import (
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    Frame,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.own_connection import OBJECT_ID, delivery_limits
from pyro_events.wire.requests import write_ping

ANSWERS = FrameLimits(types=frozenset({RESULT, PING}), size=1 << 20)


def inbox(on_demand: bool = False) -> EventInbox:
    return EventInbox(FrameReader(delivery_limits(1 << 20)), on_demand)


def rows(*numbers: int) -> list[Any]:
    return [("A", 1.0, number, 0, b"\x01") for number in numbers]


def answers(data: bytes) -> list[Frame]:
    reader = FrameReader(ANSWERS)
    reader.feed(data)
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    return found


@given(
    batches=st.lists(st.integers(0, 4), max_size=6),
    pings=st.sets(st.integers(0, 5)),
    piece=st.integers(1, 200),
    takes=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    on_demand=st.booleans(),
)
def test_events_are_taken_in_order_and_a_batch_is_acknowledged_when_its_last_was_taken(
    batches: list[int], pings: set[int], piece: int, takes: list[int], on_demand: bool
) -> None:
    calls, first, ends = [], 1, []
    for seq, count in enumerate(batches):
        call = write_events(OBJECT_ID, seq, rows(*range(first, first + count)))
        calls.append(call + write_ping(seq) if seq in pings else call)
        first += count
        ends.append(first - 1)  # the number of the batch's last event
    box, sent, taken, written = inbox(on_demand), b"", [], b""
    turns = iter([*takes, 1] * (sum(map(len, calls)) + first))
    acknowledged = 0
    while sent or acknowledged < len(batches):
        while calls and len(batches) - len(calls) < acknowledged + 2:
            sent += calls.pop(0)
        written += box.feed(sent[:piece])
        sent = sent[piece:]
        for _ in range(next(turns)):
            box.begin()
            if box.rows:
                taken.append(box.rows.popleft()[2])
            written += box.acknowledge()
            for frame in answers(written):  # nothing is acknowledged before it was taken
                assert frame.type == PING or ends[frame.seq] <= len(taken)
        acknowledged = sum(frame.type == RESULT for frame in answers(written))
    assert taken == list(range(1, first))
    replies = answers(written)
    assert [frame.seq for frame in replies if frame.type == RESULT] == list(range(len(batches)))
    assert [frame.seq for frame in replies if frame.type == PING] == sorted(pings & set(range(len(batches))))
    assert all(read_events_answer(frame, 4) == [] for frame in replies if frame.type == RESULT)
    assert box.heard == len(replies) and box.waiting == 0


def test_what_waits_is_counted_and_only_the_first_after_a_gap_is_marked() -> None:
    box = inbox()
    box.after_a_gap()
    box.feed(write_events(OBJECT_ID, 1, []) + write_events(OBJECT_ID, 2, rows(1, 2)))
    assert (box.waiting, len(box.rows), box.finished) == (2, 0, True)  # the empty batch is first
    assert [frame.seq for frame in answers(box.acknowledge())] == [1]
    box.feed(write_events(OBJECT_ID, 3, rows(3)))
    assert (box.waiting, len(box.rows), box.finished) == (3, 2, False)
    assert [row[3] for row in box.rows] == [None, 0]
    assert box.acknowledge() == b""  # not all were taken


def test_a_retained_event_may_be_the_first_after_a_gap() -> None:
    box, kept = inbox(), ("A", 1.0, 1, 0, b"\x01", True)
    box.after_a_gap()
    box.feed(write_events(OBJECT_ID, 1, [kept, *rows(2)]))
    assert list(box.rows) == [("A", 1.0, 1, None, b"\x01", True), *rows(2)]


@pytest.mark.parametrize("on_demand", [False, True])
def test_what_is_in_the_fields_of_a_row_is_not_checked_here(on_demand: bool) -> None:
    box, odd = inbox(on_demand), ("A", "b", (), 0, 1)
    box.after_a_gap()
    box.feed(write_frame(INVOKE, 0, MSGPACK, 1, msgpack.packb([OBJECT_ID, "events", [[odd, odd]], {}])))
    box.begin()
    assert list(box.rows) == [("A", "b", (), None, 1), odd]


def test_on_demand_a_batch_is_read_when_its_first_event_is_wanted() -> None:
    box = inbox(on_demand=True)
    box.after_a_gap()
    box.feed(write_events(OBJECT_ID, 1, rows(1, 2)) + write_events(OBJECT_ID, 2, rows(3)))
    assert (box.waiting, len(box.rows), box.finished) == (3, 0, False)
    box.begin()
    box.begin()
    assert [(row[2], row[3]) for row in box.rows] == [(1, None), (2, 0)] and box.waiting == 3
    box.rows.clear()
    assert box.finished and box.waiting == 1
    assert len(answers(box.acknowledge())) == 1 and not box.rows and not box.finished
    box.begin()
    assert list(box.rows) == rows(3)


def test_on_demand_a_batch_that_cannot_be_read_is_found_then() -> None:
    box = inbox(on_demand=True)
    box.feed(write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0)]))  # type: ignore[list-item]
    with pytest.raises(Pyro5.errors.ProtocolError, match="other than events"):
        box.begin()


@pytest.mark.parametrize("on_demand", [False, True])
def test_what_is_no_batch_is_refused_at_once(on_demand: bool) -> None:
    call = write_frame(INVOKE, 0, MSGPACK, 1, msgpack.packb([OBJECT_ID, "events", ["no rows"], {}]))
    with pytest.raises(Pyro5.errors.ProtocolError, match="other than events"):
        inbox(on_demand).feed(call)


@pytest.mark.parametrize("kept", [(), (True,)])
def test_a_large_message_is_received_where_it_stays(kept: Any) -> None:
    box, payload = inbox(), bytes(100 * KIB)
    sent = b"".join(write_in_pieces(OBJECT_ID, 1, [("A", 1.0, 1, 0, payload, *kept)]))
    assert box.feed(sent[:1000]) == b"" and box.unfinished_frame
    sent = sent[1000:]
    while (space := box.space()) is not None:
        count = min(len(space), len(sent))
        space[:count] = sent[:count]
        sent = sent[count:]
        box.filled(count)
    assert box.feed(b"") == b"" and not sent and not box.unfinished_frame
    (row,) = box.rows
    assert bytes(row[4]) == payload and row[5:] == kept


def test_more_batches_than_may_be_under_way_end_the_connection() -> None:
    """Or a service could fill the memory of a program that takes its events slowly."""
    box = inbox()
    box.feed(write_events(OBJECT_ID, 1, rows(1)) + write_events(OBJECT_ID, 2, []))
    box.rows.popleft()
    assert len(answers(box.acknowledge())) == 2
    box.feed(write_events(OBJECT_ID, 3, rows(2)) + write_events(OBJECT_ID, 4, rows(3)))
    with pytest.raises(Pyro5.errors.ProtocolError, match="more batches"):
        box.feed(write_events(OBJECT_ID, 5, []))


def test_what_waits_can_be_counted_while_another_thread_takes_it() -> None:
    box, over = inbox(), threading.Event()

    def take() -> None:
        for seq in range(3000):
            box.feed(write_events(OBJECT_ID, seq & 0xFFFF, rows(1)))
            box.rows.popleft()
            box.feed(write_events(OBJECT_ID, seq & 0xFFFF, rows(2)))
            box.acknowledge()
            box.rows.popleft()
            box.acknowledge()
        over.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        taking = in_background(take)
        while not over.is_set():
            assert 0 <= box.waiting <= 2
        taking.result()
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize(
    "data",
    [
        write_frame(INVOKE, 0, MSGPACK, 1, b"\x94\xa1x"),
        write_events("another", 1, rows(1)),
        write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0)]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [(5, 1.0, 1, 0, b"")]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [5]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [()]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0, b"", False)]),
        write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0, b"", 1)]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [(5, 1.0, 1, 0, b"", True)]),  # type: ignore[list-item]
        write_events(OBJECT_ID, 1, [("A", 1.0, 1, 0, b"", True, True)]),  # type: ignore[list-item]
        write_frame(RESULT, 0, MSGPACK, 1, b"\xc0"),
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=range(12),
)
def test_what_the_service_may_not_send(data: bytes) -> None:
    with pytest.raises(Pyro5.errors.ProtocolError):
        inbox().feed(data)
