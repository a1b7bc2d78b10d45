"""When a subscriber is asked for a sign of life, and when it has given none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyro_events.constants import HEARTBEAT_TRIES
from pyro_events.server.subscribers.heartbeat import Beat, Heartbeat

EVERY, ANSWER = 15.0, 5.0


def test_a_silent_subscriber_is_asked_three_times() -> None:
    heartbeat = Heartbeat(EVERY, ANSWER, 0.0)
    said = {now: heartbeat.beat(now) for now in range(31)}
    assert [now for now, beat in said.items() if beat is Beat.ASK] == [15, 20, 25]
    assert [now for now, beat in said.items() if beat is Beat.DEAD] == [30]


def test_a_word_at_the_last_moment_is_enough() -> None:
    heartbeat = Heartbeat(EVERY, ANSWER, 0.0)
    for now in (15, 20, 25):
        assert heartbeat.beat(now) is Beat.ASK
    heartbeat.heard(29.9)
    assert heartbeat.beat(30) is Beat.WAIT
    assert heartbeat.beat(44) is Beat.WAIT
    assert heartbeat.beat(45) is Beat.ASK


def test_an_answer_may_come_late_but_not_without_a_question() -> None:
    heartbeat = Heartbeat(EVERY, ANSWER, 0.0)
    assert not heartbeat.answered()
    heartbeat.beat(15)
    heartbeat.beat(20)
    heartbeat.heard(21)  # something else
    assert heartbeat.answered() and heartbeat.answered()
    assert not heartbeat.answered()


def test_no_answer_is_owed_over_another_connection() -> None:
    heartbeat = Heartbeat(EVERY, ANSWER, 0.0)
    heartbeat.beat(15)
    heartbeat.restart()
    assert not heartbeat.answered()


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=50))
def test_it_is_dead_only_when_no_question_was_answered(
    history: list[tuple[float, bool]],
) -> None:
    heartbeat = Heartbeat(EVERY, ANSWER, 0.0)
    now = heard = 0.0
    asked = owed = 0
    for passed, speaks in history:
        now += passed
        if speaks:
            heartbeat.heard(now)
            heard, asked = now, 0
            assert heartbeat.answered() == bool(owed)
            owed = max(0, owed - 1)
            continue
        beat = heartbeat.beat(now)
        if now - heard < EVERY + asked * ANSWER:
            assert beat is Beat.WAIT
        elif asked == HEARTBEAT_TRIES:
            assert beat is Beat.DEAD
        else:
            assert beat is Beat.ASK
            asked += 1
            owed += 1
