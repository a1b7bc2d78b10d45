"""What a subscriber has subscribed to, against a model, and that each call fits."""

from __future__ import annotations

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.subjects import fold
from pyro_events.client.subscribing.subscriptions import (
    NAME,
    PATTERN,
    Subscriptions,
    pieces,
)
from pyro_events.constants import MAX_STOCK_CALL, MAX_SUBJECTS_PER_CALL

TEXTS = st.lists(st.sampled_from(["a", "A", "b", "ß", "ẞ", "^a", ".*"]), max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from([NAME, PATTERN, "unsubscribe", "clear"]), TEXTS), max_size=20)


@given(STEPS)
def test_it_remembers_what_a_model_remembers(steps: list[tuple[str, list[str]]]) -> None:
    subscriptions = Subscriptions()
    names: dict[str, str] = {}
    patterns: list[str] = []
    for what, texts in steps:
        if what == "clear":
            subscriptions.clear()
            names, patterns = {}, []
        elif what == "unsubscribe":
            subscriptions.discard(texts)
            names = {key: name for key, name in names.items() if key not in map(fold, texts)}
            patterns = [pattern for pattern in patterns if pattern not in texts]
        else:
            subscriptions.add(what, texts)
            if what == NAME:
                names.update({fold(text): text for text in texts})
            else:
                patterns += [text for text in dict.fromkeys(texts) if text not in patterns]
        assert subscriptions.texts() == (*names.values(), *patterns)
        assert len(subscriptions) == len(names) + len(patterns) and bool(subscriptions) == bool(
            names or patterns
        )
        asked = ["A", "ẞ", ".*", "new"]
        assert subscriptions.known(NAME, asked) == [text for text in asked if fold(text) in names]
        assert subscriptions.known(PATTERN, asked) == [text for text in asked if text in patterns]
        assert subscriptions.unknown(asked) == [
            text for text in asked if fold(text) not in names and text not in patterns
        ]
        told: dict[str, list[str]] = {NAME: [], PATTERN: []}
        for method, piece in subscriptions.calls():
            told[method] += piece
        assert told == {NAME: list(names.values()), PATTERN: patterns}


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


def test_names_and_patterns_are_forgotten_by_kind() -> None:
    subscriptions = Subscriptions()
    for kinds, left in (({"patterns": False}, [PATTERN]), ({"names": False}, [NAME])):
        subscriptions.add(NAME, ["A.B"])
        subscriptions.add(PATTERN, ["A.B"])
        subscriptions.discard(["A.B"], **kinds)
        assert [how for how, _ in subscriptions.calls()] == left
