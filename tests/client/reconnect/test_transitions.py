"""What each event makes of a ReconnectState."""

from __future__ import annotations

import pytest
from driven_state import KNOWN, REACHED, REFUSED, TIMES, UNKNOWN, UNSURE, DrivenState

from pyro_events.client.reconnect.events import (
    Answered,
    Ask,
    Closed,
    Complain,
    Connected,
    Disconnected,
    DropConnection,
    Due,
    Failed,
    HangUp,
    Hinted,
    Listened,
    Paused,
    Reach,
    ReconnectEvent,
    Report,
    Resubscribed,
    Subscribe,
    Subscribed,
    TurnGranted,
    Unsubscribed,
    WaitForTurn,
)
from pyro_events.client.reconnect.request_results import FORGOTTEN, LOST
from pyro_events.client.reconnect.state import NEVER, Listening, Stage, State
from pyro_events.client.reconnect.transitions import ENDED, ONCE_MORE


@pytest.fixture
def one() -> DrivenState:
    """It listens, and has subscribed."""
    subscriber = DrivenState()
    subscriber.gets(Listened(), Subscribed())
    return subscriber


@pytest.fixture
def connected(one: DrivenState) -> DrivenState:
    assert one.gets(Connected("one")) == []
    return one


def test_a_first_connection_is_not_a_reconnection(one: DrivenState) -> None:
    assert one.state.state is State.EXPECTED
    assert one.gets(Connected("one")) == []
    assert one.state.state is State.CONNECTED


def test_a_connection_that_is_lost_is_replaced(connected: DrivenState) -> None:
    connected.now += 60
    assert connected.gets(Disconnected("one"), Disconnected("one")) == []
    assert connected.state.due == connected.now + TIMES.first_delay
    assert connected.waits() == [Reach()]
    assert connected.gets(REACHED) == [Subscribe(anew=True)]
    connected.gets(Resubscribed())
    assert connected.state.state is State.EXPECTED
    assert connected.gets(Connected("two")) == [Report(ENDED)]
    assert connected.state.state is State.CONNECTED


def test_why_the_service_disconnected_it_is_reported(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"))
    connected.waits()
    connected.gets(REACHED, Resubscribed())
    told = connected.gets(Connected("two", "it was slow", "it has drop-oldest in place of block for 60 s"))
    assert told == [Report(f"{ENDED}: it was slow; it has drop-oldest in place of block for 60 s")]


def test_what_the_service_lost_while_nothing_was_subscribed_is_reported(connected: DrivenState) -> None:
    connected.gets(Unsubscribed(), Disconnected("one"), Subscribed())
    assert connected.gets(Connected("two", "19 events were lost")) == [
        Report(f"{ENDED}: 19 events were lost")
    ]


def test_nothing_is_missed_where_nothing_was_subscribed(connected: DrivenState) -> None:
    connected.gets(Unsubscribed(), Disconnected("one"), Subscribed())
    assert connected.gets(Connected("two", note="it may not block")) == []


def test_a_loss_is_not_forgotten_because_nothing_is_subscribed_for_a_moment(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"), Unsubscribed(), Subscribed())
    assert connected.gets(Connected("two")) == [Report(ENDED)]


def test_attempts_that_fail_are_repeated_more_and_more_rarely(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"))
    pauses, told = [], []
    for _ in range(12):
        before = connected.now
        assert connected.waits() == [Reach()]
        pauses.append(connected.now - before)
        told += connected.gets(REFUSED)
    assert pauses == sorted(pauses) and pauses[-1] == pytest.approx(TIMES.most_delay)
    assert told == [Complain(REFUSED.error)]
    assert connected.gets(Failed(OSError(), "another")) == []  # none was under way
    connected.waits()
    (complaint,) = connected.gets(Failed(OSError(), "another", lasting=True))
    assert isinstance(complaint, Complain)
    assert connected.state.due == pytest.approx(connected.now + TIMES.most_delay * TIMES.lasting)


def test_a_connection_that_keeps_being_lost_is_made_more_and_more_rarely(connected: DrivenState) -> None:
    for number in range(6):
        connected.gets(Disconnected(number or "one"))
        pause = connected.state.due - connected.now
        connected.waits()
        connected.gets(REACHED, Resubscribed(), Connected(number + 1))
    assert pause == pytest.approx(TIMES.most_delay)
    connected.now += TIMES.steady + 1
    connected.gets(Disconnected(6))
    assert connected.state.due == connected.now + TIMES.first_delay


def test_one_that_is_told_of_a_subscription_meanwhile_does_not_know_all(connected: DrivenState) -> None:
    """The program has subscribed to something else before we have come back."""
    connected.gets(Disconnected("one"))
    assert connected.gets(Connected("two")) == [Report(ENDED)]
    assert connected.state.state is State.INCOMPLETE
    assert connected.waits() == [Ask()]
    assert connected.gets(KNOWN) == [Subscribe(anew=False)]
    connected.gets(Resubscribed())
    assert connected.state.state is State.CONNECTED


def test_a_connection_that_comes_while_a_turn_is_waited_for(connected: DrivenState) -> None:
    """What the service has made is not ended by telling it that there is nothing."""
    connected.gets(Disconnected("one"))
    connected.now = connected.state.due
    assert connected.gets(Due(0)) == [WaitForTurn()]
    connected.gets(Connected("two"))
    connected.now += 10
    assert connected.gets(TurnGranted()) == [Ask()]
    assert connected.gets(KNOWN) == [Subscribe(anew=False)]


def test_a_turn_that_is_not_needed_any_more(one: DrivenState) -> None:
    one.now = one.state.due
    assert one.gets(Due(0)) == [WaitForTurn()]
    one.gets(Connected("one"))
    assert one.gets(TurnGranted()) == []
    assert one.state.stage is Stage.NONE and one.state.due == one.now + TIMES.heartbeat


def test_a_connection_that_is_lost_while_the_service_is_told(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"))
    connected.waits()
    connected.gets(REACHED, Connected("two"), Disconnected("two"), Resubscribed())
    assert connected.state.state is State.LOST
    assert connected.waits() == [Reach()]


def test_telling_that_fails(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"))
    connected.waits()
    assert connected.gets(REACHED) == [Subscribe(anew=True)]
    connected.gets(REFUSED)
    assert connected.state.state is State.LOST
    connected.waits()
    connected.gets(REACHED, Connected("two"))
    connected.gets(REFUSED)
    assert connected.state.state is State.INCOMPLETE
    assert connected.waits() == [Ask()]


def test_once_more_may_be_a_stranger_or_a_service_that_does_not_know_all(connected: DrivenState) -> None:
    assert connected.gets(Connected("two")) == [Report(ONCE_MORE)]
    assert connected.waits() == [Ask()]
    assert connected.gets(KNOWN) == [Subscribe(anew=False)]
    connected.gets(Resubscribed(), Disconnected("two"))
    assert connected.state.due <= connected.now + TIMES.hint_every  # one of two that ends is reason to ask
    assert connected.waits() == [Ask()]
    assert connected.gets(UNKNOWN) == [HangUp(frozenset({"one"})), Subscribe(anew=True)]
    assert connected.gets(Resubscribed(), Connected("three")) == [Report(FORGOTTEN)]


def test_what_was_made_while_it_was_asked_is_not_hung_up(connected: DrivenState) -> None:
    connected.waits(TIMES.heartbeat)
    connected.gets(Connected("two"))
    assert connected.gets(UNKNOWN) == [HangUp(frozenset({"one"})), Subscribe(anew=False)]


def test_what_nobody_has_asked_is_no_answer(connected: DrivenState) -> None:
    before = connected.state
    assert connected.gets(UNKNOWN, REACHED, Resubscribed(), TurnGranted()) == []
    assert connected.state == before


def test_whoever_gives_up_a_connection_tells_that_events_may_be_missing(connected: DrivenState) -> None:
    """Also when it was told of the loss before, and has unsubscribed and subscribed in between."""
    connected.gets(Disconnected("one"))
    connected.waits()
    connected.gets(REACHED, Connected("two"), Unsubscribed(), Disconnected("two"), Subscribed(), REFUSED)
    assert connected.state.state is State.LOST
    connected.waits()
    assert connected.gets(REACHED) == [Subscribe(anew=True)]
    assert connected.gets(Resubscribed(), Connected("three")) == [Report(LOST)]


def test_a_connection_ends_the_questions(one: DrivenState) -> None:
    one.waits()
    one.gets(KNOWN, Connected("one"))
    one.activity = 1
    assert one.waits() == []


def test_a_quiet_service_is_asked_and_a_busy_one_is_not(connected: DrivenState) -> None:
    connected.activity = 1
    assert connected.waits() == []
    assert connected.waits() == [Ask()]
    connected.gets(KNOWN)
    assert connected.state.due == connected.now + TIMES.heartbeat
    connected.waits()
    assert connected.gets(UNSURE) == [Subscribe(anew=False)]


def test_silence_is_not_an_answer(connected: DrivenState) -> None:
    """The connection may be as good as before when the service, or the network, is."""
    connected.waits()
    told = connected.gets(REFUSED)
    for _ in range(TIMES.tries - 1):
        assert connected.waits() == [Ask()]
        assert told == []
        told = connected.gets(REFUSED)
    assert told == [Complain(REFUSED.error)]
    assert connected.state.connections == {"one"}
    connected.waits()
    connected.gets(KNOWN)
    assert connected.state.state is State.CONNECTED and not connected.state.questions


@pytest.mark.parametrize("answer", [KNOWN, UNKNOWN])
def test_a_hint_is_reason_to_ask(connected: DrivenState, answer: Answered) -> None:
    connected.activity = 5
    connected.gets(Hinted())
    assert connected.state.due == connected.now
    assert connected.waits() == [Ask()]
    actions = connected.gets(answer)
    assert actions == ([] if answer is KNOWN else [HangUp(frozenset({"one"})), Subscribe(anew=True)])


def test_strangers_cannot_make_it_ask_all_the_time(connected: DrivenState) -> None:
    """A hint is put off and not forgotten: the next one may be the service's."""
    connected.gets(Hinted())
    connected.waits()
    connected.gets(KNOWN, Hinted(), Hinted())
    assert connected.state.due == connected.now + TIMES.hint_every


def test_a_hint_while_the_service_is_asked_or_told_is_not_lost(connected: DrivenState) -> None:
    """The service may have disconnected it after it had read the request."""
    connected.waits()
    connected.gets(Hinted(), KNOWN)
    assert connected.state.due == connected.now + TIMES.hint_every
    assert connected.waits() == [Ask()]
    connected.gets(UNSURE, Hinted(), Hinted(), Resubscribed())
    assert connected.state.due == connected.now + TIMES.hint_every
    assert connected.waits() == [Ask()]
    connected.gets(KNOWN)
    assert connected.state.due == connected.now + TIMES.heartbeat


def test_a_question_is_given_up_when_the_answer_is_overdue(connected: DrivenState) -> None:
    connected.waits()
    assert connected.gets(Hinted()) == []
    connected.now += TIMES.overdue + 0.1
    assert connected.gets(Hinted()) == [DropConnection()]


@pytest.mark.parametrize("event", [Paused(), Closed(), Unsubscribed(), Disconnected("one")])
def test_there_is_nothing_to_hint_at(connected: DrivenState, event: ReconnectEvent) -> None:
    connected.gets(event)
    before = connected.state
    assert connected.gets(Hinted()) == []
    assert connected.state == before


def test_between_abort_and_listen_nothing_is_tried(connected: DrivenState) -> None:
    connected.gets(Paused(), Disconnected("one"))
    assert connected.state.due == NEVER
    connected.gets(Listened())
    assert connected.state.due == connected.now
    assert connected.waits() == [Reach()]


def test_what_was_connected_meanwhile_is_asked_about(connected: DrivenState) -> None:
    connected.gets(Paused(), Listened())
    connected.activity = 5  # at once, whatever comes by the connection
    assert connected.state.due == connected.now
    assert connected.waits() == [Ask()]


@pytest.mark.parametrize("event", [REACHED, KNOWN, UNSURE, UNKNOWN, Resubscribed(), REFUSED])
def test_abort_during_an_attempt(connected: DrivenState, event: ReconnectEvent) -> None:
    """Whatever comes of it, it goes on when the program listens again."""
    connected.waits()
    connected.gets(Paused())
    actions = connected.gets(event)
    assert not [action for action in actions if isinstance(action, Reach | Ask | Subscribe)]
    if connected.state.stage is Stage.NONE:
        connected.gets(Listened())
        assert connected.waits() == [Reach() if event is UNKNOWN else Ask()]


def test_in_a_windows_loop_the_first_connection_begins_it() -> None:
    subscriber = DrivenState()
    subscriber.gets(Subscribed(), Connected("one"))
    assert subscriber.state.listening is Listening.NOW
    subscriber.gets(Disconnected("one"))
    assert subscriber.waits() == [Reach()]


def test_what_it_was_told_when_it_is_closed_means_nothing(connected: DrivenState) -> None:
    connected.gets(Disconnected("one"))
    connected.waits()
    connected.gets(Closed())
    assert connected.gets(REACHED, Resubscribed(), Connected("two"), Listened(), Subscribed()) == []
    assert connected.state.state is State.CLOSED and connected.state.due == NEVER


def test_a_lingering_connection_serves_again(connected: DrivenState) -> None:
    connected.gets(Unsubscribed())
    assert connected.state.due == NEVER
    connected.gets(Subscribed())
    assert connected.state.state is State.CONNECTED


def test_a_connection_of_its_own_does_not_begin_to_listen() -> None:
    """The service answers it before the program listens, and it is judged like any other afterwards."""
    subscriber = DrivenState()
    subscriber.gets(Subscribed(), Connected("one", own=True))
    assert subscriber.state.state is State.CONNECTED
    assert subscriber.state.listening is Listening.NOT_YET and subscriber.state.due == NEVER
    subscriber.gets(Disconnected("one"))
    assert subscriber.state.due == NEVER
    subscriber.gets(Listened())
    assert subscriber.waits() == [Reach()]
