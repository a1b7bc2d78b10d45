"""The names that begin with `$ES.`: who may publish them, and which patterns match them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.matching.service_subjects import (
    check_published,
    check_published_all,
    is_service_pattern,
    is_service_rule,
    is_service_subject,
    is_test_subject,
    may_match,
)
from pyro_events.broker.matching.shell_patterns import glob
from pyro_events.broker.matching.subjects import check_subject, fold

# Spellings of `$ES.` and of what is nearly that.
BEGINNINGS = st.sampled_from(
    ["$ES.", "$es.", "$eS.", "$Eſ.", "$ES", "$", "ES.", "$ESX.", "$EſX", "a", " $ES."]
)
RESTS = st.sampled_from(
    ["", "a", "TEST.", "test.x", "TEſT.X", "TEST", "TESTS.a", "SUBSCRIBER.JOINED", "SERVICE.STOPPING"]
)
SUBJECTS = st.tuples(BEGINNINGS, RESTS).map("".join).filter(bool)


def is_ours(subject: str) -> bool:
    """The rule, written another way: a long s is the one other character that folds to one of these."""
    return re.match(r"\$[eE][sSſ]\.", subject) is not None


def is_test(subject: str) -> bool:
    return re.match(r"\$[eE][sSſ]\.[tT][eE][sSſ][tT]\.", subject) is not None


@given(SUBJECTS | st.text(min_size=1, max_size=12))
def test_a_name_may_be_published_unless_it_is_the_services(name: str) -> None:
    try:
        checked = check_subject(name)
    except ValueError as refused:
        with pytest.raises(ValueError, match=re.escape(str(refused))):
            check_published(name)
        return
    test = is_test(name) and len(name) > len("$ES.TEST.")
    assert is_service_subject(fold(name)) == is_ours(name)
    if is_ours(name) and not test:
        for published in (name, [name], ["fine", name]):
            with pytest.raises(ValueError, match=re.escape(repr(name))) as error:
                check_published_all(published)
            assert "only the event service itself publishes" in str(error.value)
        with pytest.raises(ValueError, match="only the event service itself publishes"):
            check_published(name)
    else:
        assert check_published(name) == checked
        assert check_published_all([name, name]) == [checked, checked]


@pytest.mark.parametrize(
    "name", ["%", "#a", '"', "!", " a", "$", "$a", "$ESX.a", "ES.a", "\u00a0a", "x" * 255]
)
def test_what_a_name_begins_with_does_not_matter_otherwise(name: str) -> None:
    assert check_published(name) == name


@pytest.mark.parametrize("name", ["", "x" * 256, "$" * 256, "\n", "#\n", "a\n"])
def test_what_cannot_be_a_subject_cannot_be_published(name: str) -> None:
    with pytest.raises(ValueError):
        check_published(name)


@pytest.mark.parametrize("name", [1, None, b"a"])
def test_what_is_no_name_is_refused_as_ever(name: object) -> None:
    with pytest.raises(TypeError):
        check_published(name)


def test_an_instance_of_a_class_of_texts_counts_by_its_text() -> None:
    class Text(str):
        __slots__ = ()

    with pytest.raises(ValueError, match="only the event service"):
        check_published(Text("$ES.SERVICE.STOPPING"))
    assert type(check_published(Text("a"))) is str


PATTERNS = st.tuples(
    st.sampled_from([r"\$ES", r"^\$ES", r"\$eſ", r"^\$es", "[$]ES", "", "^", r"(\$ES", "(?:)", ".*|", r"\$"]),
    st.sampled_from(
        ["", r"\.", ".*", r"\..*$", "|.*", r"\.TEST\.x", r"X\.", r"\.SUBSCRIBER\.(JOINED|LEFT)", ")"]
    ),
).map("".join)


def begins_so(text: str) -> bool:
    return re.match(r"\^?\\\$[eE][sSſ]", text) is not None


@given(st.lists(PATTERNS, max_size=6), st.lists(SUBJECTS, min_size=1, max_size=6), st.sampled_from([0, 100]))
@example([r"\$ES|.*"], ["$ES.TEST.x", "a", "$Eſ.a"], 100)
def test_a_service_subject_is_matched_by_patterns_that_begin_so_and_one_for_tests_by_none(
    texts: list[str], subjects: list[str], cache_size: int
) -> None:
    table: RoutingTable[str] = RoutingTable(cache_size)
    patterns = []
    for text in texts:
        try:
            patterns.append(compile_pattern(text))
        except ValueError:
            continue
        table.add_pattern(patterns[-1], text)
        assert is_service_pattern(text) == begins_so(text)
    for subject in subjects:
        expected = {
            each.text
            for each in patterns
            if each.matches(subject)
            and (not is_ours(subject) or (begins_so(each.text) and not is_test(subject)))
        }
        assert set(table.match(subject)) == expected
        assert {
            each.text for each in patterns if each.matches(subject) and may_match(each.text, fold(subject))
        } == (expected)
    for pattern in patterns:
        table.remove(pattern.text, pattern.text)
    assert [table.match(subject) for subject in subjects] == [()] * len(subjects)


def test_a_name_is_matched_by_exact_subscription_also_one_for_tests() -> None:
    table: RoutingTable[str] = RoutingTable()
    for name in ("$ES.TEST.abc", "$ES.SERVICE.STOPPING"):
        table.add_name(name, name)
    assert table.match("$eſ.test.ABC") == ("$ES.TEST.abc",)
    assert table.match("$es.service.stopping") == ("$ES.SERVICE.STOPPING",)


@pytest.mark.parametrize("shell", ["$ES.*", "$es.SUBSCRIBER.*", "$Eſ.*"])
def test_a_shell_style_pattern_that_begins_so_means_them(shell: str) -> None:
    table: RoutingTable[str] = RoutingTable()
    table.add_pattern(compile_pattern(glob(shell)), "listener")
    assert table.match("$ES.SUBSCRIBER.JOINED") == ("listener",)
    assert table.match("$ES.TEST.x") == ()


@given(SUBJECTS)
def test_only_a_rule_that_begins_like_them_covers_service_subjects(subject: str) -> None:
    folded = fold(subject)
    assert is_service_subject(folded) <= is_service_rule(folded)
    assert is_test_subject(folded) == (is_service_subject(folded) and folded[4:].startswith("test."))
    assert not any(map(is_service_rule, ("*", "?es.*", "[$]es.*")))
