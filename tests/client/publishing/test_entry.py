"""Entries: what may be published, and that its size is an upper bound of what the wire takes."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.client.publishing.entry import checked_entry, checked_timeout
from pyro_events.errors import MessageTooLargeError

NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp", "Cf")), min_size=1, max_size=40
)


@given(NAMES | st.lists(NAMES, max_size=20), st.binary(max_size=300))
def test_the_size_is_an_upper_bound(subjects: str | list[str], payload: bytes) -> None:
    entry, events, size = checked_entry(subjects, payload)
    assert entry == (subjects, payload)
    assert events == (1 if isinstance(subjects, str) else len(subjects))
    assert len(msgpack.packb(entry)) <= size


@pytest.mark.parametrize("retain", [None, 0, 1, "yes", np.True_])
def test_what_is_no_choice_whether_to_retain(retain: Any) -> None:
    with pytest.raises(TypeError, match="retain must be True or False, not"):
        checked_entry("A", b"", retain)


def test_any_iterable_of_names() -> None:
    assert checked_entry((name for name in "ab"), b"")[0] == (["a", "b"], b"")
    with pytest.raises(TypeError):
        checked_entry(5, b"")
    with pytest.raises(ValueError, match="256"):
        checked_entry(["a", "b" * 256], b"")


@pytest.mark.parametrize("subjects", ["$ES.SERVICE.STOPPING", ["fine", "$Eſ.x"]])
def test_a_subject_of_the_service(subjects: str | list[str]) -> None:
    with pytest.raises(ValueError, match="only the event service itself publishes"):
        checked_entry(subjects, b"")
    assert checked_entry("$ES.TEST.x", b"")[0] == ("$ES.TEST.x", b"")


def test_more_names_than_a_call_holds() -> None:
    names = [f"{number:0250}" for number in range(300)]
    with pytest.raises(MessageTooLargeError, match="300 subjects of one publish .* fewer subjects at once"):
        checked_entry(names, b"")


@pytest.mark.parametrize(("timeout", "seconds"), [(None, None), (0, 0.0), (1.5, 1.5), (864_000, 864_000.0)])
def test_a_timeout(timeout: float | None, seconds: float | None) -> None:
    assert checked_timeout(timeout) == seconds


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 10**30, 10**400, 1_000_000])
def test_a_timeout_that_is_longer_than_the_system_can_wait(timeout: float) -> None:
    assert checked_timeout(timeout) is None


@pytest.mark.parametrize("timeout", [True, "1", b"1", [1]])
def test_a_timeout_of_another_type(timeout: object) -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None"):
        checked_timeout(timeout)


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
def test_a_timeout_that_cannot_be(timeout: float) -> None:
    with pytest.raises(ValueError, match="it must be a number of seconds, 0 or more, or None"):
        checked_timeout(timeout)


def test_a_timeout_of_numpy() -> None:
    """Its comparisons give no bool."""
    assert checked_timeout(np.float64(1.5)) == 1.5 and checked_timeout(np.float64("inf")) is None
    with pytest.raises(ValueError, match="0 or more"):
        checked_timeout(np.float64("nan"))
