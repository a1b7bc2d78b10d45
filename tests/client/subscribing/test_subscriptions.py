"""What a subscriber has subscribed to, and for what it gets last values, against a model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.subjects import fold
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN, Call, Subscriptions, calls_for

TEXTS = st.lists(st.sampled_from(["a", "A", "b", "ß", "ẞ", "^a", ".*"]), max_size=4)
STEPS = st.lists(
    st.tuples(st.sampled_from([NAME, PATTERN, "unsubscribe", "clear"]), TEXTS, st.booleans()), max_size=20
)


@given(STEPS)
def test_it_remembers_what_a_model_remembers(steps: list[tuple[str, list[str], bool]]) -> None:
    subscriptions = Subscriptions()
    names: dict[str, str] = {}
    patterns: list[str] = []
    with_last: dict[str, set[str]] = {NAME: set(), PATTERN: set()}
    for what, texts, last in steps:
        if what == "clear":
            subscriptions.clear()
            names, patterns, with_last = {}, [], {NAME: set(), PATTERN: set()}
        elif what == "unsubscribe":
            subscriptions.discard(texts)
            names = {key: name for key, name in names.items() if key not in map(fold, texts)}
            patterns = [pattern for pattern in patterns if pattern not in texts]
            with_last[NAME] -= set(map(fold, texts))
            with_last[PATTERN] -= set(texts)
        else:
            subscriptions.add(what, texts, last)
            keys = set(map(fold, texts) if what == NAME else texts)
            with_last[what] = with_last[what] | keys if last else with_last[what] - keys
            if what == NAME:
                names.update({fold(text): text for text in texts})
            else:
                patterns += [text for text in dict.fromkeys(texts) if text not in patterns]
        assert subscriptions.texts() == (*names.values(), *patterns)
        assert len(subscriptions) == len(names) + len(patterns) and bool(subscriptions) == bool(
            names or patterns
        )
        asked = ["A", "ẞ", ".*", "new"]
        for last in (False, True):
            of_names = [t for t in asked if fold(t) in names and (fold(t) in with_last[NAME]) is last]
            of_patterns = [t for t in asked if t in patterns and (t in with_last[PATTERN]) is last]
            assert subscriptions.known(Call(NAME, asked, last, tuple(asked))) == Call(
                NAME, of_names, last, tuple(of_patterns)
            )
            assert subscriptions.known(Call(PATTERN, asked, last)) == Call(PATTERN, of_patterns, last)
            assert subscriptions.recorded(PATTERN, last) == [
                text for text in patterns if (text in with_last[PATTERN]) is last
            ]
        assert subscriptions.unknown(asked) == [
            text for text in asked if fold(text) not in names and text not in patterns
        ]
        calls = subscriptions.calls()
        told = [(call.how, text, call.last) for call in calls for text in call.texts]
        told += [(PATTERN, text, call.last) for call in calls for text in call.match]
        assert sorted(told) == sorted(
            [(NAME, name, fold(name) in with_last[NAME]) for name in names.values()]
            + [(PATTERN, pattern, pattern in with_last[PATTERN]) for pattern in patterns]
        )


def test_names_and_patterns_are_forgotten_by_kind() -> None:
    subscriptions = Subscriptions()
    for kinds, left in (({"patterns": False}, [PATTERN]), ({"names": False}, [NAME])):
        subscriptions.add(NAME, ["A.B"])
        subscriptions.add(PATTERN, ["A.B"])
        subscriptions.discard(["A.B"], **kinds)
        assert [call.how for call in subscriptions.calls()] == left


def test_what_is_too_much_for_one_call_is_told_in_several() -> None:
    subscriptions = Subscriptions()
    names = [f"{number:0255}" for number in range(500)]
    subscriptions.add(NAME, names)
    calls = subscriptions.calls()
    assert len(calls) > 1 and [text for call in calls for text in call.texts] == names


def test_names_and_patterns_with_last_values_are_one_call_if_they_fit() -> None:
    both = [(NAME, ["A"]), (PATTERN, ["^B", "^C"])]
    assert calls_for(both, False) == [Call(NAME, ["A"]), Call(PATTERN, ["^B", "^C"])]
    (one,) = calls_for(both, True)
    assert one == Call(NAME, ["A"], True, ("^B", "^C")) and one.options == {"match": ("^B", "^C")}
    assert calls_for([(NAME, []), (PATTERN, ["^B"])], True) == [Call(PATTERN, ["^B"], True)]
    assert Call(NAME, ["A"]).options == {}
    many = [f"{number:0255}" for number in range(100)]
    assert calls_for([(NAME, many), (PATTERN, many)], True) == [
        Call(NAME, many, True),
        Call(PATTERN, many, True),
    ]
