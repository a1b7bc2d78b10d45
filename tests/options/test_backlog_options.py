"""The options of a subscriber: what is accepted, what is refused and how clearly, and that nothing can be
widened."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.options import BacklogOptions, Overflow
from pyro_events.options.backlog_options import check_last_and_group, checked_group

NAMES = ["block", "drop-oldest", "drop-newest", "latest", "disconnect"]
NO_COUNT: list[Any] = [0, -1, 1.0, "1", None, True, [1], float("nan")]
NO_AGE: list[Any] = [0, -1.0, "1", None, True, math.nan, -math.inf, [1]]


def nested(depth: int) -> list[Any]:
    """Deeper than `repr` can follow."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_named(name: str) -> None:
    policy = Overflow.parse(name)
    assert policy.value == name
    assert Overflow.parse(policy) is policy


def test_the_policies_are_five() -> None:
    assert [policy.value for policy in Overflow] == NAMES


@pytest.mark.parametrize(
    "value", ["", "BLOCK", "drop_oldest", None, 1, ["block"], {"block": 1}, b"block", nested(2000)]
)
def test_an_argument_that_is_not_a_policy(value: Any) -> None:
    with pytest.raises(ValueError, match="overflow must be one of block, drop-oldest, .*, not "):
        Overflow.parse(value)


def test_a_policy_may_be_given_by_its_name() -> None:
    given_by_name: Any = "latest"
    assert BacklogOptions(overflow=given_by_name).overflow is Overflow.LATEST


@pytest.mark.parametrize("name", ["backlog", "backlog_bytes"])
@pytest.mark.parametrize("value", [*NO_COUNT, nested(2000)])
def test_a_bound_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, not "):
        BacklogOptions(**{name: value})


@given(
    wanted=st.fixed_dictionaries(
        {},
        optional={
            "backlog": st.integers(-5, 15),
            "backlog_bytes": st.integers(-50, 150),
            "overflow": st.sampled_from([*NAMES, *Overflow, "unknown"]),
        },
    )
)
def test_a_bound_can_only_be_narrowed(wanted: dict[str, Any]) -> None:
    widest = BacklogOptions(10, 100, Overflow.DROP_NEWEST)
    acceptable = (
        1 <= wanted.get("backlog", 1) <= 10
        and 1 <= wanted.get("backlog_bytes", 1) <= 100
        and wanted.get("overflow") != "unknown"
    )
    if not acceptable:
        with pytest.raises(ValueError, match=r"must be|is more than the service allows \(10"):
            widest.narrowed(wanted)
        return
    narrowed = widest.narrowed(wanted)
    assert narrowed.backlog == wanted.get("backlog", 10)
    assert narrowed.backlog_bytes == wanted.get("backlog_bytes", 100)
    assert narrowed.overflow is Overflow.parse(wanted.get("overflow", Overflow.DROP_NEWEST))


@pytest.mark.parametrize("name", ["", "Backlog", "subscriber", 7, None, "x" * 10_000])
def test_an_unknown_option_is_named_with_those_that_there_are(name: Any) -> None:
    known = "ahead, backlog, backlog_bytes, group, last, max_age, name, overflow"
    with pytest.raises(ValueError, match=f"^unknown option .*; there are {known}$") as caught:
        BacklogOptions().narrowed({name: 1})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("value", NO_COUNT)
def test_a_wanted_bound_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match="^backlog must be a whole number"):
        BacklogOptions().narrowed({"backlog": value})


def test_a_wider_bound_says_what_can_be_done() -> None:
    with pytest.raises(ValueError, match="^backlog=100001 is more than the service allows .* ask for less"):
        BacklogOptions().narrowed({"backlog": 100_001})


def test_an_age_is_a_positive_number() -> None:
    assert BacklogOptions().max_age is None
    assert BacklogOptions(max_age=2).max_age == 2.0
    assert BacklogOptions(max_age=math.inf).max_age is None
    for value in NO_AGE:
        if value is not None:
            with pytest.raises(ValueError, match="^max_age must be a positive number of seconds"):
                BacklogOptions(max_age=value)
        with pytest.raises(ValueError, match="^max_age must be a positive number of seconds"):
            BacklogOptions().narrowed({"max_age": value})


def test_an_age_can_only_be_narrowed() -> None:
    assert BacklogOptions().narrowed({"max_age": 5}).max_age == 5.0
    limited = BacklogOptions(max_age=10.0)
    assert limited.narrowed({"max_age": 10}).max_age == 10.0
    for value in (10.5, math.inf):
        with pytest.raises(ValueError, match="is more than the service allows .10"):
            limited.narrowed({"max_age": value})


def test_an_age_stays_until_another_is_given() -> None:
    options = BacklogOptions()
    mine = options.narrowed({"max_age": 5})
    assert options.narrowed({"backlog": 7}, mine) == BacklogOptions(7, max_age=5.0)
    assert options.narrowed({"max_age": math.inf}, mine) == options


@pytest.mark.parametrize("group", ["", "a\nb", "x" * 256])
def test_a_group_that_cannot_be(group: str) -> None:
    with pytest.raises(ValueError, match="a group's name has 1 to 255 printable characters"):
        checked_group(group)


def test_a_group_is_text() -> None:
    assert checked_group("workers") == "workers"
    with pytest.raises(TypeError, match="group must be the name of a group, a str, not int"):
        checked_group(5)


def test_last_and_a_group_exclude_each_other() -> None:
    for last, group in ((True, None), (True, ""), (False, "workers")):
        check_last_and_group(last, group)
    with pytest.raises(ValueError, match="last=True and group= exclude each other"):
        check_last_and_group(True, "workers")
