"""What becomes of a ReconnectState when a service that is expected to connect does not."""

from __future__ import annotations

from typing import Any

import pytest
from driven_state import REACHED, REFUSED, TIMES, UNKNOWN, UNSURE, DrivenState

from pyro_events.client.reconnect.events import (
    UNEXPLAINED,
    Answered,
    Ask,
    Connected,
    Disconnected,
    Failed,
    FallBack,
    Listened,
    Paused,
    Reach,
    ReconnectAction,
    Report,
    Resubscribed,
    Subscribe,
    Subscribed,
    SubscriptionStatus,
    Warn,
)
from pyro_events.client.reconnect.request_results import FORGOTTEN, LOST
from pyro_events.client.reconnect.state import NEVER, State
from pyro_events.client.reconnect.transitions import ENDED


@pytest.fixture
def one() -> DrivenState:
    """It listens, and has subscribed."""
    subscriber = DrivenState()
    subscriber.gets(Listened(), Subscribed())
    return subscriber


@pytest.fixture
def connected(one: DrivenState) -> DrivenState:
    one.gets(Connected("one"))
    return one


class TestAServiceThatDoesNotConnect:
    """C23d."""

    @staticmethod
    def why(text: str, **more: Any) -> Answered:
        return Answered(SubscriptionStatus.KNOWN, text, **more)

    def test_it_is_asked_why_and_the_log_says_so_once(self, one: DrivenState) -> None:
        began, told = one.now, []
        asked = []
        for _ in range(5):
            assert one.waits() == [Ask()]
            asked.append(one.now - began)
            told += one.gets(self.why("no answer"))
            assert bool(told) == (one.now - began >= TIMES.warn_after)
        assert told == [Warn("no answer")] and one.state.problem == "no answer"
        assert asked == [1.5, 3.0, 6.0, 12.0, 24.0]
        one.gets(Connected("one"))
        assert one.state.problem is None and not one.state.warned

    def test_one_that_has_given_up_is_told_again(self, one: DrivenState) -> None:
        refused = Answered(SubscriptionStatus.UNKNOWN, "refused")
        began = one.now
        one.waits()
        assert one.gets(refused) == [Subscribe(anew=True)]
        one.gets(Resubscribed())
        assert one.state.due == began + TIMES.warn_after
        one.waits()
        assert one.gets(refused) == [Warn("refused"), Subscribe(anew=True)]
        one.gets(Resubscribed())
        assert one.state.due == one.now + TIMES.patience(2)
        assert one.gets(Connected("one")) == [Report(FORGOTTEN)]

    @pytest.mark.parametrize("questions", [0, 9])
    def test_one_that_was_restarted_before_it_has_said_why_has_its_time_again(self, questions: int) -> None:
        one = DrivenState()
        one.gets(Listened(), Subscribed(falls_back=True))
        for _ in range(questions):  # in vain, because it is away
            assert one.waits() == [Ask()]
            one.gets(Failed(ConnectionError(), "away"))
        one.now += TIMES.warn_after
        one.waits()
        assert one.gets(Answered(SubscriptionStatus.UNKNOWN, falls_back=True)) == [Subscribe(anew=True)]
        began = one.now
        one.gets(Resubscribed())
        assert self.answered_until(one, began + TIMES.warn_after) == [
            FallBack("no answer"),
            Subscribe(anew=False),
        ]

    def answered_until(self, one: DrivenState, end: float) -> list[ReconnectAction]:
        """What it does at that time, which it does not pass, where there is no answer before."""
        told: list[ReconnectAction] = []
        while one.now < end:
            assert not told and one.waits() == [Ask()]
            told = one.gets(self.why("no answer", falls_back=True))
        assert one.now == end
        return told

    def test_one_that_can_connect_itself_does_so_after_a_warning_too(self) -> None:
        one = DrivenState()
        one.gets(Listened(), Subscribed(falls_back=True))
        while not one.state.warned:  # the service is restarted again and again, without saying anything
            one.now += TIMES.warn_after
            one.waits()
            one.gets(Answered(SubscriptionStatus.UNKNOWN, "restarted", falls_back=True), Resubscribed())
        assert FallBack("no answer") in self.answered_until(one, one.now + TIMES.warn_after)

    def test_a_service_that_does_not_say_why(self, one: DrivenState) -> None:
        one.waits()
        one.gets(self.why(""))
        one.waits()
        assert one.gets(self.why("")) == [Warn("")]
        assert one.state.problem == UNEXPLAINED
        for why, problem in [
            ("", UNEXPLAINED),
            ("no answer", "no answer"),
            ("refused", "refused"),
            ("", "refused"),
        ]:
            one.waits()
            assert one.gets(self.why(why)) == []
            assert one.state.problem == problem
        one.gets(Connected("one"))
        assert one.state.problem is None

    def test_before_the_program_listens_silence_is_no_fault(self) -> None:
        one = DrivenState()
        one.gets(Subscribed())
        assert one.waits() == [Ask()]
        one.gets(self.why("it has not answered", silent=True))
        assert one.state.due == NEVER
        one.now += 10
        one.gets(Listened())
        told = []
        for _ in range(3):
            one.waits()
            told += one.gets(self.why("it has not answered", silent=True))
        assert told == [Warn("it has not answered")]

    def test_before_the_program_listens_a_refusal_is_one(self) -> None:
        one = DrivenState()
        one.gets(Subscribed())
        refused = Answered(SubscriptionStatus.UNKNOWN, "refused")
        one.waits()
        assert one.gets(refused) == []
        one.waits()
        assert one.now == 1000 + TIMES.warn_after
        assert one.gets(refused) == [Warn("refused")]
        assert one.state.due == NEVER
        one.gets(Listened())
        assert one.waits() == [Reach()]

    def test_before_the_program_listens_nothing_that_waits_is_given_up(self) -> None:
        """The service may not know all that is subscribed, and is told; it need not connect again."""
        one = DrivenState()
        one.gets(Subscribed())
        one.waits()
        assert one.gets(Answered(SubscriptionStatus.UNSURE, silent=True)) == [Subscribe(anew=False)]
        one.gets(Resubscribed())
        one.waits()
        one.gets(self.why("", silent=True))
        assert one.gets(Listened(), Connected("one")) == [Report(LOST)]

    def test_a_listen_that_begins_late_asks_at_once(self) -> None:
        one = DrivenState()
        one.gets(Subscribed())
        one.waits()
        one.gets(self.why("", silent=True))
        one.now += TIMES.late + 1
        one.gets(Listened())
        assert one.state.due == one.now
        assert one.waits() == [Ask()]
        assert one.gets(UNKNOWN) == [Subscribe(anew=True)]
        assert one.gets(Resubscribed(), Connected("one")) == [Report(FORGOTTEN)]

    def test_one_that_believes_to_be_connected(self, one: DrivenState) -> None:
        """The connection may be on its way for seconds; then it is lost."""
        for expected in ([], [], [Subscribe(anew=True)]):
            one.waits()
            assert one.gets(self.why("", connected=True)) == expected
        assert one.now >= 1000 + 4 * TIMES.arrival
        assert one.gets(Resubscribed(), Connected("one")) == [Report(LOST)]

    def test_one_that_was_asked_on_another_connection_may_be_another(self, one: DrivenState) -> None:
        one.waits()
        assert one.gets(UNSURE) == [Subscribe(anew=False)]
        assert one.gets(Resubscribed(), Connected("one")) == [Report(LOST)]

    def test_attempts_are_not_counted_as_questions(self, connected: DrivenState) -> None:
        """However long it was away, it is given the usual time to connect when it is back."""
        connected.gets(Disconnected("one"))
        for _ in range(10):
            connected.waits()
            connected.gets(REFUSED)
        connected.waits()
        connected.gets(REACHED, Resubscribed())
        assert connected.state.due == connected.now + TIMES.arrival


class TestOneThatCanConnectItself:
    """C32: it does so where others would only say that no event arrives."""

    @pytest.fixture
    def other(self) -> DrivenState:
        """It listens, and has subscribed."""
        subscriber = DrivenState()
        subscriber.gets(Listened(), Subscribed(falls_back=True))
        return subscriber

    @staticmethod
    def says(status: SubscriptionStatus = SubscriptionStatus.KNOWN, why: str = "", **more: Any) -> Answered:
        return Answered(status, why, falls_back=True, **more)

    def test_a_refusal_is_found_at_once(self, other: DrivenState) -> None:
        began = other.now
        assert other.waits() == [Ask()]
        assert other.now - began == pytest.approx(TIMES.soon)
        told = other.gets(self.says(why="refused", unreachable=True))
        assert told == [FallBack("refused"), Subscribe(anew=False)]
        assert other.gets(Connected("own", own=True), Resubscribed()) == []
        assert other.state.state is State.CONNECTED and other.state.problem is None

    def test_before_the_program_listens_too(self) -> None:
        other = DrivenState()
        other.gets(Subscribed(falls_back=True))
        other.waits()
        told = other.gets(self.says(unreachable=True))
        assert told == [FallBack(UNEXPLAINED), Subscribe(anew=False)]

    def test_no_answer_is_waited_for_three_seconds(self, other: DrivenState) -> None:
        began, asked = other.now, []
        for _ in range(20):
            assert other.waits() == [Ask()]
            asked.append(round(other.now - began, 6))
            told = other.gets(self.says(why="no answer"))
            if told:
                break
        assert asked == [0.1, 0.4, 1.6, 3.0]
        assert told == [FallBack("no answer"), Subscribe(anew=False)]

    def test_that_it_begins_to_listen_meanwhile_does_not_lengthen_it(self) -> None:
        other = DrivenState()
        other.gets(Subscribed(falls_back=True))
        other.now += 2.95
        other.gets(Listened())
        other.waits()
        assert other.gets(self.says()) == [FallBack(UNEXPLAINED), Subscribe(anew=False)]

    def test_silence_counts_from_listen_on(self) -> None:
        other = DrivenState()
        other.gets(Subscribed(falls_back=True))
        other.waits()
        assert other.gets(self.says(silent=True)) == [] and other.state.due == NEVER
        other.now += 10
        other.gets(Listened())
        began = other.now
        for _ in range(20):
            other.waits()
            told = other.gets(self.says(why="silent", silent=True))
            if told:
                break
        assert other.now - began == pytest.approx(TIMES.warn_after)
        assert told == [FallBack("silent"), Subscribe(anew=False)]

    def test_a_connection_that_is_on_its_way_is_waited_for(self, other: DrivenState) -> None:
        for expected in ([], [], [], [], [Subscribe(anew=True)]):
            other.waits()
            assert other.gets(self.says(connected=True)) == expected
        assert other.now >= 1000 + 4 * TIMES.arrival

    def test_a_service_that_was_restarted_is_told_first(self, other: DrivenState) -> None:
        other.now += 10
        other.waits()
        told = other.gets(self.says(SubscriptionStatus.UNKNOWN))
        assert Subscribe(anew=True) in told
        other.gets(Resubscribed())
        other.waits()
        assert other.gets(self.says()) == []  # the three seconds have begun anew
        told = []
        while not told:
            other.waits()
            told = other.gets(self.says(unreachable=True))
        assert told == [FallBack(UNEXPLAINED), Subscribe(anew=False)]
        assert other.gets(Connected("own", own=True)) == [Report(FORGOTTEN)]

    def test_one_that_may_be_another_service_has_perhaps_lost_events(self, other: DrivenState) -> None:
        other.waits()
        told = other.gets(self.says(SubscriptionStatus.UNSURE, unreachable=True))
        assert told == [FallBack(UNEXPLAINED), Subscribe(anew=False)]
        assert other.gets(Connected("own", own=True)) == [Report(LOST)]

    def test_after_abort_nothing_is_done_until_it_listens(self, other: DrivenState) -> None:
        other.waits()
        other.gets(Paused())
        assert other.gets(self.says(unreachable=True)) == [] and other.state.due == NEVER
        other.gets(Listened())
        other.waits()
        assert other.gets(self.says(unreachable=True)) == [FallBack(UNEXPLAINED), Subscribe(anew=False)]

    def test_one_that_was_reached_before_does_so_too(self, other: DrivenState) -> None:
        other.gets(Connected("one"), Disconnected("one"))
        other.waits()
        other.gets(REACHED, Resubscribed())
        other.waits()
        told = other.gets(self.says(unreachable=True))
        assert told == [FallBack(UNEXPLAINED), Subscribe(anew=False)]
        assert other.gets(Connected("own", own=True)) == [Report(ENDED)]

    def test_its_own_connection_is_made_again_like_any_other(self, other: DrivenState) -> None:
        other.waits()
        other.gets(self.says(unreachable=True), Connected("own", own=True), Resubscribed())
        other.gets(Disconnected("own"))
        assert other.waits() == [Reach()]
        assert other.gets(REACHED) == [Subscribe(anew=True)]
        assert other.gets(Connected("again", own=True)) == [Report(ENDED)]

    def test_an_own_connection_that_is_refused_is_tried_again(self, other: DrivenState) -> None:
        other.waits()
        other.gets(self.says(unreachable=True))
        other.gets(REFUSED)
        assert other.state.state is State.LOST
        assert other.waits() == [Reach()]
