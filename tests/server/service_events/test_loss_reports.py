"""Which losses are told, and when; the time is the test's own."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions, Overflow
from pyro_events.server.service_events.loss_reports import LossReports


def backlogs(count: int) -> list[Backlog]:
    options = BacklogOptions(1, 1000, Overflow.DROP_NEWEST)
    made = [Backlog(f"PYRO:s{number}@h:1", options, TotalBytes()) for number in range(count)]
    for backlog in made:
        backlog.push(queued_event("a", 0.0, b""))
    return made


def lose(backlog: Backlog, events: int = 1) -> None:
    for _ in range(events):
        backlog.push(queued_event("a", 0.0, b""))


def test_what_is_lost_while_somebody_listens_is_told_once() -> None:
    reports, (one, other) = LossReports(), backlogs(2)
    lose(one, 5)
    assert not reports.going_on
    reports.begin([one, other], 10.0)
    assert reports.going_on
    lose(one, 2)
    assert reports.due([one, other], 10.9) == []
    assert reports.due([one, other], 11.0) == [one]
    assert reports.take(one) == {"drop-newest": 2}
    lose(one)
    lose(other, 3)
    assert reports.due([one, other], 11.5) == []
    assert reports.due([one, other], 12.0) == [one, other]
    assert [reports.take(each) for each in (one, other)] == [{"drop-newest": 1}, {"drop-newest": 3}]
    assert reports.due([one, other], 13.0) == []
    reports.end()
    lose(one)
    reports.begin([one, other], 20.0)
    assert reports.due([one, other], 21.0) == []


def test_what_was_not_taken_comes_again_with_what_was_lost_since() -> None:
    reports, (one,) = LossReports(), backlogs(1)
    reports.begin([], 0.0)
    lose(one, 2)
    assert reports.due([one], 1.0) == [one]
    one.lose_everything(Loss.GONE)
    assert reports.due([one], 2.0) == [one]
    assert reports.take(one) == {"drop-newest": 2, "gone": 1}


def test_each_has_its_turn() -> None:
    """Of three that lose all the time, one can be told at a time."""
    reports, some = LossReports(), backlogs(3)
    reports.begin([], 0.0)
    told = []
    for second in range(1, 7):
        for backlog in some:
            lose(backlog)
        first = reports.due(some, float(second))[0]
        assert sum(reports.take(first).values()) == min(second, 3)
        told.append(some.index(first))
    assert sorted(told[:3]) == sorted(told[3:]) == [0, 1, 2]


def test_a_subscriber_that_is_gone_is_forgotten() -> None:
    reports, (one, other) = LossReports(), backlogs(2)
    reports.begin([], 0.0)
    lose(one)
    lose(other)
    assert reports.due([one, other], 1.0) == [one, other]
    assert reports.take(one) == {"drop-newest": 1}
    for backlog in (one, other):
        reports.forget(backlog)
    assert reports.due([], 2.0) == []
    assert reports.due([one], 3.0) == [one]  # as if it were another
    assert reports.take(one) == {"drop-newest": 1}
    reports.forget(one)
    reports.forget(one)


def test_the_backlog_of_a_group_that_has_ended_is_forgotten() -> None:
    """Nobody says so."""
    reports, some = LossReports(), backlogs(3)
    for backlog in some:
        lose(backlog)
    reports.begin(some, 0.0)
    assert reports.due(some[:2], 1.0) == []
    assert reports.due(some, 2.0) == [some[2]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 3), st.sampled_from([0.0, 0.25, 1.0, 2.5]), st.booleans()
        ),
        max_size=40,
    )
)
def test_all_that_is_lost_is_told_and_each_subscriber_once_a_second_at_most(
    steps: list[tuple[int, int, float, bool]],
) -> None:
    reports, some = LossReports(), backlogs(3)
    lose(some[0], 7)
    reports.begin(some, 0.0)
    expected, told = [Counter[str]() for _ in some], [Counter[str]() for _ in some]
    last: dict[int, float] = {}
    now = 0.0
    for which, events, seconds, taken in [*steps, (0, 0, 1.0, True)]:
        lose(some[which], events)
        expected[which]["drop-newest"] += events
        now += seconds
        for backlog in reports.due(some, now):
            number = some.index(backlog)
            assert now - last.get(number, -1.0) >= 1.0
            last[number] = now
            if taken:
                losses = reports.take(backlog)
                assert losses
                told[number].update(losses)
    assert [each.total() for each in told] == [each.total() for each in expected]
