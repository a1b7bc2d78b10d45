"""LineLimiter: against a model that knows all lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.log.limits import LineLimiter

INTERVAL = 1.0
KINDS = st.sampled_from("abcd")
STEPS = st.lists(st.tuples(st.floats(0, 0.7), st.one_of(st.none(), KINDS)), max_size=60)


@given(STEPS, st.integers(1, 4))
def test_every_line_is_counted_once_the_last_is_never_lost_and_none_comes_too_early(
    steps: list[tuple[float, str | None]], most: int
) -> None:
    limiter: LineLimiter[tuple[str, int]] = LineLimiter(INTERVAL, most)
    now = 0.0
    given_lines: list[tuple[str, int]] = []
    logged: list[tuple[float, tuple[str, int], int]] = []
    for number, (pause, kind) in enumerate(steps):
        now += pause
        if kind is None:
            logged += [(now, line, count) for line, count in limiter.due(now)]
            continue
        line = (kind, number)
        given_lines.append(line)
        if limiter.allows(kind, line, now):
            logged.append((now, line, 1))
    logged += [(now, line, count) for line, count in limiter.rest()]
    assert sum(count for _, _, count in logged) == len(given_lines)
    assert len({line for _, line, _ in logged}) == len(logged)
    for kind in {line[0] for line in given_lines}:
        mine = [line for line in given_lines if line[0] == kind]
        times = [at for at, line, _ in logged if line[0] == kind]
        if most == 4:  # none of them shares its place with another
            assert mine[0] in [line for _, line, _ in logged]
            assert mine[-1] in [line for _, line, _ in logged]
            assert all(
                later - earlier >= INTERVAL for earlier, later in zip(times, times[1:-1], strict=False)
            )


def test_the_first_line_comes_at_once_and_the_last_of_those_that_follow_after_the_interval() -> None:
    limiter: LineLimiter[str] = LineLimiter(INTERVAL, 10)
    assert limiter.next_due() is None
    assert limiter.allows("x", "first", 0.0)
    assert not limiter.allows("x", "second", 0.2)
    assert not limiter.allows("x", "third", 0.4)
    assert limiter.next_due() == INTERVAL
    assert limiter.due(0.9) == []
    assert limiter.due(1.0) == [("third", 2)]
    assert limiter.next_due() == 2.0, "what was kept back begins an interval too"
    assert limiter.due(2.0) == []
    assert limiter.next_due() is None
    assert limiter.allows("x", "fourth", 2.1)


def test_what_is_beyond_the_kinds_that_are_told_apart_shares_one_place() -> None:
    limiter: LineLimiter[int] = LineLimiter(INTERVAL, 100)
    admitted = [limiter.allows(number, number, 0.0) for number in range(10_000)]
    assert sum(admitted) == 101
    assert limiter.due(INTERVAL) == [(9_999, 10_000 - 101)]
