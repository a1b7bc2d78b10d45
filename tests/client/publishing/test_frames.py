"""Frames of a pipeline: as many events as may be sent together, and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.client.publishing.frames import FRAME_BYTES, FRAME_EVENTS, count_events, first_frame
from pyro_events.constants import MAX_STOCK_CALL
from pyro_events.wire.requests import Entry, packed_publish


def test_the_bounds_fit_into_what_the_service_accepts() -> None:
    assert FRAME_BYTES < MAX_STOCK_CALL


def test_an_event_for_each_name() -> None:
    assert count_events([("a", b"1"), (["b", "c"], b"2"), ([], b"3")]) == 3


def test_no_more_than_so_many_events() -> None:
    entries: list[Entry] = [("a", b"1")] * (FRAME_EVENTS + 3)
    call, batch = first_frame(entries)
    assert len(batch) == FRAME_EVENTS and call == packed_publish(entries[:FRAME_EVENTS])


ENTRIES = st.lists(
    st.tuples(st.text("ab", min_size=1, max_size=200), st.binary(max_size=3000).map(lambda b: b * 10)),
    min_size=1,
    max_size=40,
)


@given(ENTRIES)
def test_what_was_miscounted_is_cut_until_it_fits(entries: list[Entry]) -> None:
    call, batch = first_frame(entries)
    assert batch == entries[: len(batch)] and call == packed_publish(batch)
    assert len(call[0]) <= MAX_STOCK_CALL or len(batch) == 1
