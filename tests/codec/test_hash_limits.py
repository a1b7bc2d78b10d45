"""Members with one hash: how many are accepted, and what is said of more."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.codec.hash_limits import MAX_EQUAL_HASHES, MAX_EQUAL_NATIVE, check_hashes, refuse_hashes
from pyro_events.errors import PayloadError, UnsupportedTypeError

PERIOD = 2**61 - 1  # ints that differ by this have one hash, on 64-bit machines


class Member:
    """Has the hash that it is told."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, MAX_EQUAL_HASHES + 3)), max_size=4))
def test_both_refuse_exactly_what_has_too_many_of_one_hash(groups: list[tuple[int, int]]) -> None:
    members = [Member(number) for number, count in groups for _ in range(count)]
    most = max(Counter(map(hash, members)).values(), default=0)
    if most <= MAX_EQUAL_HASHES:
        check_hashes(members)
        refuse_hashes(members)
        return
    with pytest.raises(PayloadError, match=f"^{most} members or keys have the same hash value$"):
        check_hashes(members)
    with pytest.raises(UnsupportedTypeError, match=f"^{most} of its members or keys .*at most 64 may; send"):
        refuse_hashes(members)


def test_many_pairs_of_one_hash_are_no_attack() -> None:
    check_hashes([Member(number // 2) for number in range(1000)])


def test_the_limit_is_of_one_hash_and_not_of_the_number_of_members() -> None:
    few, many = ([1 << 61 * k for k in range(MAX_EQUAL_HASHES + more)] for more in (0, 1))
    for kind in (list, set, frozenset, dict.fromkeys):
        check_hashes(kind(few))  # type: ignore[operator]
        with pytest.raises(PayloadError):
            check_hashes(kind(many))  # type: ignore[operator]


@pytest.mark.parametrize("check", [check_hashes, refuse_hashes])
def test_a_member_without_a_hash_is_a_type_error(check: Any) -> None:
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        check([1, []])


def test_what_msgpack_knows_stays_below_the_limit_by_itself() -> None:
    """These are not counted when they are written, so the reader must take them all."""
    floats = [2.0**exponent for exponent in range(-1037, 1024, 61)]
    ints = [1 + k * PERIOD for k in range(9) if 1 + k * PERIOD < 2**64]
    most = max(Counter(map(hash, [*floats, *ints, 2.0**-1074])).values())
    assert 30 < most <= MAX_EQUAL_NATIVE < MAX_EQUAL_HASHES
