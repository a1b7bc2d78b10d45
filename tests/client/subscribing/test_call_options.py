"""What a program asks for when it subscribes, as the service's calls carry it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pyro_events.client.subscribing.call_options import given_options, of_every_call, of_the_subscriber
from pyro_events.options.backlog_options import Overflow


def test_only_given_options_are_sent() -> None:
    assert given_options(None, None, None) == {}
    assert given_options(5, None, "latest") == {"backlog": 5, "overflow": "latest"}
    assert given_options(None, 7, Overflow.BLOCK) == {"backlog_bytes": 7, "overflow": "block"}


@pytest.mark.parametrize("bound", [0, -1, 2**64, -(10**30), 10**30, 1.5, True, "5", "5" * 100_000, b"5"])
def test_a_bound_that_no_service_accepts(bound: Any) -> None:
    for bounds in ((bound, None), (None, bound)):
        with pytest.raises(ValueError, match="backlog") as caught:
            given_options(*bounds, None)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("overflow", ["latst", 5, b"latest"])
def test_a_policy_that_is_unknown(overflow: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="overflow"):
        given_options(None, None, overflow)


def test_options_of_age_and_groups() -> None:
    assert given_options(None, None, None, max_age=2) == {"max_age": 2.0}
    for endless in (math.inf, 1e300, 10**400):
        assert given_options(None, None, None, max_age=endless) == {"max_age": math.inf}
    assert given_options(None, None, None, group="workers", ahead=1) == {"group": "workers", "ahead": 1}
    assert given_options(None, None, None, last=True) == {"last": True}


@pytest.mark.parametrize("max_age", [0, -1.0, math.nan, True, "5", b"5", [5]])
def test_an_age_that_no_service_accepts(max_age: Any) -> None:
    with pytest.raises(ValueError, match="max_age must be a positive number of seconds"):
        given_options(None, None, None, max_age=max_age)


@pytest.mark.parametrize("group", ["", "a\nb", "x" * 256, 5, b"workers"])
def test_a_group_that_cannot_be(group: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="group"):
        given_options(None, None, None, group=group)


@pytest.mark.parametrize("ahead", [0, -1, 1.5, True, "1", 2**64])
def test_a_number_ahead_that_cannot_be(ahead: Any) -> None:
    with pytest.raises(ValueError, match="ahead"):
        given_options(None, None, None, group="workers", ahead=ahead)


@pytest.mark.parametrize("last", [1, 0, None, "yes"])
def test_last_is_true_or_false(last: Any) -> None:
    with pytest.raises(TypeError, match="last must be True or False"):
        given_options(None, None, None, last=last)


def test_last_and_a_group_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        given_options(None, None, None, group="workers", last=True)


def test_which_options_each_call_carries_and_which_stay() -> None:
    options = {"backlog": 5, "group": "workers", "ahead": 1, "last": True}
    assert of_every_call(options) == {"group": "workers", "last": True}
    assert of_the_subscriber(options) == {"backlog": 5, "group": "workers", "ahead": 1}
