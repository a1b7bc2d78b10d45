"""Rights: the last rule that matches decides, and what no rule matches is not allowed."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyro_events.broker.matching.case_folding import fold
from pyro_events.broker.matching.rights import Rights, SubjectRules

# Letters that fold to one another in one character, signs of patterns, and the service's own subjects.
NAMES = st.one_of(
    st.text("aAbßẞsſSkK.!$[]-", min_size=1, max_size=6),
    st.sampled_from(["$ES.", "$eſ.x", "$ES.TEST.1", "$es.Test.", "$ES", "$ESTATE", "$ES.TEST", "LAB.DOOR"]),
)
PIECES = st.sampled_from([*"aSſ.*?$ek", "[a-c]", "[!s]", "$ES.", "TEST."])
TEXTS = st.one_of(
    NAMES.map(lambda name: name.lstrip("!") or "a"),
    st.lists(PIECES, min_size=1, max_size=5).map("".join),
)
RULES = st.lists(st.tuples(st.sampled_from(["", "!"]), TEXTS).map("".join), max_size=6)


def model(rules: list[str], subject: str) -> bool:
    """The same in ten lines."""
    folded = fold(subject)
    if folded.startswith("$es.test."):
        return True
    allowed = False
    for rule in map(fold, rules):
        text = rule.removeprefix("!")
        if not folded.startswith("$es.") or text.startswith("$es"):
            allowed = not rule.startswith("!") if fnmatch.fnmatchcase(folded, text) else allowed
    return allowed


@given(RULES, st.lists(NAMES, max_size=8))
@example(["*", "!SECRET.*"], ["$ES.SUBSCRIBER.LEFT", "secret.x", "Secret", "x"])
@example(["$ES.*", "!*"], ["$ES.SUBSCRIBER.LEFT", "x"])
@example(["$ES*"], ["$ESTATE", "$es.x", "x"])
def test_it_agrees_with_the_model(rules: list[str], subjects: list[str]) -> None:
    judged = SubjectRules(rules)
    for subject in [*subjects, *subjects]:
        assert judged.allow(subject) == model(rules, subject), (rules, subject)
        assert judged.allow(fold(subject)) == judged.allow(subject)


def test_every_spelling_of_a_name_is_judged_alike() -> None:
    rules = SubjectRules(["*", "!SECRET.*"])
    assert not any(rules.allow(name) for name in ("SECRET.X", "secret.x", "ſECRET.x", "SeCrEt."))
    assert rules.allow("SECRETARY") and not SubjectRules(["*"]).allow("$Eſ.SUBSCRIBER.LEFT")


def test_the_answers_are_remembered_for_a_bounded_number_of_subjects() -> None:
    rules = SubjectRules(["A*"], remembered=2)
    for subject in ("A1", "B1", "A2", "A1", "B1", "C1", "B1"):
        assert rules.allow(subject) == subject.startswith("A")
        assert len(rules._known) <= 2


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "empty"),
        ("!", "empty"),
        ("x" * 256, "256 characters"),
        ("a\nb", "cannot be printed"),
        ("[z-a]", "begins behind its end"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SubjectRules([rule])


def test_a_long_name_is_a_rule() -> None:
    assert SubjectRules(["." * 255]).allow("." * 255)


def test_rights_that_say_the_same_are_the_same() -> None:
    one = Rights(("LAB.*",), ("*",), frozenset({"workers"}), True, False)
    other = Rights(("LAB.*",), ("*",), frozenset({"workers"}), True, False)
    assert one == other and len({one, other}) == 1
    assert one != Rights(("LAB.*",), ("*",), frozenset({"workers"}), False, False)


def test_what_rights_allow() -> None:
    rights = Rights(publish=("LAB.*",), subscribe=("*",), groups=frozenset({"workers"}))
    assert rights.may_publish("lab.door") and not rights.may_publish("HALL")
    assert rights.may_receive("HALL") and not rights.may_receive("$ES.SUBSCRIBER.LEFT")
    assert rights.may_join("workers") and rights.may_join("WorKerſ") and not rights.may_join("others")


def test_no_rights_allow_nothing_but_tests() -> None:
    nothing = Rights()
    assert not nothing.may_publish("X") and not nothing.may_receive("X") and not nothing.may_join("X")
    assert nothing.may_publish("$ES.TEST.1") and nothing.may_receive("$es.test.1")


def test_a_pattern_that_several_users_have_answers_each_of_them() -> None:
    one, other = SubjectRules(["*.A?"]), SubjectRules(["*", "!*.A?"])
    for subject in ("LAB.A1", "LAB.B1", "LAB.A1", "lab.a2"):
        assert one.judge(fold(subject)) == (".A" in subject.upper()) != other.judge(fold(subject))
    rights = Rights(subscribe=("*.A?",))
    assert rights.may_receive_folded("lab.a1") and not rights.may_receive_folded("lab.b1")
