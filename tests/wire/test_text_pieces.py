"""Many names or patterns in pieces: each fits into a call, and none is lost."""

from __future__ import annotations

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.constants import MAX_STOCK_CALL, MAX_SUBJECTS_PER_CALL
from pyro_events.wire.text_pieces import pieces


@given(st.lists(st.text(max_size=255), max_size=1500))
def test_pieces_fit_into_a_call_and_lose_nothing(texts: list[str]) -> None:
    made = list(pieces(texts))
    assert sum(made, []) == texts
    assert all(0 < len(piece) <= MAX_SUBJECTS_PER_CALL for piece in made)
    assert all(len(msgpack.packb(piece, unicode_errors="surrogatepass")) < MAX_STOCK_CALL for piece in made)


def test_pieces_of_very_many_names() -> None:
    texts = [f"{number:0255}" for number in range(MAX_SUBJECTS_PER_CALL * 2 + 1)]
    made = list(pieces(texts))
    assert sum(made, []) == texts and len(made) > 2
    assert all(len(msgpack.packb(piece)) < MAX_STOCK_CALL for piece in made)
    assert list(pieces([])) == []
