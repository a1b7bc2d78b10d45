"""How many events in any second, and that what is left out is counted; the time is the test's own."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.server.service_events.rate_limit import RateLimit

# How long after the one before, and of which subject.
STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 3.0]), st.sampled_from(["a", "b"])),
    max_size=80,
)


@given(STEPS, st.integers(1, 5), st.integers(0, 10**6).map(float))
def test_at_most_so_many_in_any_second_and_the_others_are_counted(
    steps: list[tuple[float, str]], most: int, now: float
) -> None:
    limit = RateLimit(most)
    admitted: list[float] = []
    refused: Counter[str] = Counter()
    told: Counter[str] = Counter()
    reports: list[float] = []
    for step, subject in steps:
        now += step
        room = sum(now - time < 1.0 for time in admitted) < most
        assert limit.admits(subject, now) == room
        if room:
            admitted.append(now)
        else:
            refused[subject] += 1
        omitted = limit.take_omitted(now)
        told.update(omitted)
        if omitted:
            assert told == refused
            assert not reports or now - reports[-1] >= 1.0
            reports.append(now)
    now += 1.0
    told.update(limit.take_omitted(now))
    assert told == refused
    assert limit.take_omitted(now + 100) == {}


def test_a_storm_is_a_hundred_and_one_that_counts_the_rest() -> None:
    limit = RateLimit()
    assert [limit.admits("joined", 5.0) for _ in range(1000)] == [True] * 100 + [False] * 900
    assert not limit.admits("left", 5.9)
    assert limit.take_omitted(5.9) == {}
    assert limit.admits("left", 6.0)
    assert limit.take_omitted(6.0) == {"joined": 900, "left": 1}
    assert limit.take_omitted(9.0) == {}


def test_the_rest_is_told_at_once_when_it_must_be() -> None:
    limit = RateLimit(1)
    assert limit.take_omitted(5.0, rest=True) == {}
    assert limit.admits("a", 5.0) and not limit.admits("b", 5.0)
    assert limit.take_omitted(5.0, rest=True) == {"b": 1}
    assert limit.take_omitted(7.0, rest=True) == {}
