"""What an event counts for: measured, and the same whatever the number of its holders."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import Loss, base_size, queued_event, shares_of, text_size
from pyro_events.constants import EVENT_OVERHEAD, HOLDER_OVERHEAD


@pytest.mark.parametrize("text", ["", "LAB.TEMPERATURE", "É" * 255, "\N{GRINNING FACE}" * 255], ids=ascii)
def test_a_text_takes_at_most_what_it_counts_for(text: str) -> None:
    text.encode()
    assert sys.getsizeof(text) <= text_size(text)


@given(st.text(max_size=20), st.binary(max_size=20))
def test_an_event_counts_for_its_subject_its_payload_and_its_place(subject: str, payload: bytes) -> None:
    event = queued_event(subject, 1.5, payload)
    assert event[:3] == (subject, 1.5, payload)
    assert event[3] == text_size(subject) + EVENT_OVERHEAD + HOLDER_OVERHEAD + len(payload)
    assert event[3] == base_size(subject) + len(payload)
    assert event[4] is None


@pytest.mark.parametrize("holders", [2, 3, 1000])
def test_all_shares_of_an_event_are_what_it_was_counted_for(holders: int) -> None:
    alone = queued_event("a", 1.0, b"payload")[3]
    shares = shares_of(holders)
    freed = [next(shares, alone) for _ in range(holders)]
    # The last one to let go frees the event itself.
    assert freed == [HOLDER_OVERHEAD] * (holders - 1) + [alone]
    assert sum(freed) == alone + HOLDER_OVERHEAD * (holders - 1)


def test_the_reasons_of_a_loss_have_names_of_their_own() -> None:
    names = [reason.value for reason in Loss]
    assert len(set(names)) == len(names) and all(names)
