"""The transitions of ReconnectState: for each event, the next state and the actions.

Knows: the table at the top of state.py. Must not know: threads, sockets or the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .events import (
    UNEXPLAINED,
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
    ReconnectAction,
    ReconnectEvent,
    Report,
    Resubscribed,
    Subscribe,
    Subscribed,
    SubscriptionStatus,
    TurnGranted,
    Unsubscribed,
    WaitForTurn,
    Warn,
)
from .state import NEVER, Listening, ReconnectState, Stage, State
from .times import ReconnectTimes

# Why events may have been missed.
ENDED: Final = "the connection from the event service ended"
LOST: Final = "the connection to the event service was lost"
FORGOTTEN: Final = "the event service did not know this subscriber any more"
ONCE_MORE: Final = "the event service connected once more"

Step = tuple[ReconnectState, tuple[ReconnectAction, ...]]


def step(state: ReconnectState, event: ReconnectEvent, now: float, times: ReconnectTimes) -> Step:
    """The next state after an event, and the actions."""
    if state.state is State.CLOSED:
        return state, ()
    return _TRANSITIONS[type(event)](state, event, now, times)


def _subscribed(s: ReconnectState, event: Subscribed, now: float, t: ReconnectTimes) -> Step:
    if s.state is not State.UNSUBSCRIBED:
        return s, ()
    if s.connections:
        return replace(s, state=State.CONNECTED, at=now + t.heartbeat), ()
    expected = replace(
        s, state=State.EXPECTED, at=now + t.arrival, expected_since=now, questions=0, warned=False
    )
    return expected, ()


def _unsubscribed(s: ReconnectState, event: Unsubscribed, now: float, t: ReconnectTimes) -> Step:
    return replace(s, state=State.UNSUBSCRIBED, at=NEVER, hinted=False, problem=None), ()


def _closed(s: ReconnectState, event: Closed, now: float, t: ReconnectTimes) -> Step:
    return replace(s, state=State.CLOSED, stage=Stage.NONE, at=NEVER, connections=frozenset()), ()


def _listened(s: ReconnectState, event: Listened, now: float, t: ReconnectTimes) -> Step:
    before, s = s.listening, replace(s, listening=Listening.NOW)
    if before is Listening.NOW:
        return s, ()
    if s.state is State.EXPECTED:
        late = now - s.expected_since > t.late
        return replace(s, at=now if late else now + t.arrival, expected_since=now, questions=0), ()
    if s.connections and before is Listening.PAUSED:
        return replace(s, at=now, hinted=True), ()  # the service may have disconnected us meanwhile
    return (replace(s, at=now) if s.state is State.LOST else s), ()


def _paused(s: ReconnectState, event: Paused, now: float, t: ReconnectTimes) -> Step:
    return replace(s, listening=Listening.PAUSED), ()


def _connected(s: ReconnectState, event: Connected, now: float, t: ReconnectTimes) -> Step:
    lost = s.lost or (ONCE_MORE if s.connections else None)
    if event.why:
        lost = f"{lost or ENDED}: {event.why}"
    s = replace(
        s,
        listening=Listening.NOW if s.listening is Listening.NOT_YET else s.listening,
        connections=s.connections | {event.connection},
        connected_since=now,
        lost=None,
        problem=None,
        questions=0,
        hinted=False,
        warned=False,
    )
    if s.state is State.EXPECTED:
        s = replace(s, state=State.CONNECTED, at=now + t.heartbeat)
    elif s.state is not State.UNSUBSCRIBED:
        # It may not know everything that was subscribed before.
        at = _not_too_often(s, now, t)
        s = replace(s, state=State.INCOMPLETE, at=at, asked_at=at)
    if lost is None:
        return s, ()
    return s, (Report(f"{lost}; {event.note}" if event.note else lost),)


def _disconnected(s: ReconnectState, event: Disconnected, now: float, t: ReconnectTimes) -> Step:
    if event.connection not in s.connections:
        return s, ()
    s = replace(s, connections=s.connections - {event.connection})
    if s.state is State.UNSUBSCRIBED:
        return s, ()
    if s.connections:
        at = _not_too_often(s, now, t)
        return replace(s, at=min(s.at, at), hinted=True, asked_at=at), ()
    return _lose(s, ENDED, now, t), ()


def _lose(s: ReconnectState, reason: str, now: float, t: ReconnectTimes) -> ReconnectState:
    """The last connection has ended."""
    failures = 0 if now - s.connected_since > t.steady else s.failures + 1
    return replace(
        s,
        state=State.LOST,
        at=now + t.backoff(failures),
        lost=s.lost or reason,
        failures=failures,
        questions=0,
        hinted=False,
    )


def _hinted(s: ReconnectState, event: Hinted, now: float, t: ReconnectTimes) -> Step:
    if s.listening is not Listening.NOW or s.state not in (State.CONNECTED, State.EXPECTED):
        return s, ()
    if s.stage is Stage.ASK and now - s.asked_at > t.overdue:
        return s, (DropConnection(),)
    if s.hinted or s.stage is Stage.TURN:  # then a question is about to be asked
        return s, ()
    at = _not_too_often(s, now, t)
    if s.stage is not Stage.NONE:
        # The service may have read the request under way before it disconnected us, so a question follows it.
        return replace(s, at=at, hinted=True), ()
    return replace(s, at=min(s.at, at), hinted=True, asked_at=at), ()


def _not_too_often(s: ReconnectState, now: float, t: ReconnectTimes) -> float:
    return max(now, s.asked_at + t.hint_every)


def _due(s: ReconnectState, event: Due, now: float, t: ReconnectTimes) -> Step:
    if now < s.due:
        return s, ()
    if s.state is State.CONNECTED and not s.hinted and not s.questions and s.activity != event.activity:
        return replace(s, activity=event.activity, at=now + t.heartbeat), ()
    return replace(s, stage=Stage.TURN, activity=event.activity), (WaitForTurn(),)


def _turn_granted(s: ReconnectState, event: TurnGranted, now: float, t: ReconnectTimes) -> Step:
    if s.stage is not Stage.TURN:
        return s, ()
    s = replace(s, stage=Stage.NONE)
    if now < s.due:
        return s, ()
    begun = replace(s, asked_at=now, asked_with=s.connections, hinted=False)
    if s.state is State.LOST:
        return replace(begun, stage=Stage.REACH), (Reach(),)
    return replace(begun, stage=Stage.ASK), (Ask(),)


def _answered(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    if s.stage not in (Stage.REACH, Stage.ASK):
        return s, ()
    s = replace(s, stage=Stage.NONE)
    if s.state is State.LOST:
        return _subscribe(s, True, now, t) if s.due <= now else (s, ())
    if event.status is SubscriptionStatus.REACHED or s.state is State.UNSUBSCRIBED:
        return s, ()
    if s.state is State.EXPECTED:
        return _answered_while_expected(replace(s, questions=s.questions + 1), event, now, t)
    s = replace(s, questions=0)
    if event.status is SubscriptionStatus.UNKNOWN:
        return _forgotten(s, now, t)
    if event.status is SubscriptionStatus.KNOWN and s.state is State.CONNECTED:
        return replace(s, at=s.at if s.hinted else now + t.heartbeat), ()
    return _subscribe(s, False, now, t)


def _forgotten(s: ReconnectState, now: float, t: ReconnectTimes) -> Step:
    """The service does not use the connections that were open when it was asked."""
    dead = s.asked_with & s.connections
    s = replace(s, connections=s.connections - dead)
    if not s.connections:
        s = replace(s, state=State.LOST, at=now, lost=s.lost or FORGOTTEN)
    s, actions = _subscribe(s, not s.connections, now, t)
    return s, (HangUp(dead), *actions)


def _answered_while_expected(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    s, warning = _still_expected(s, event, now, t)
    # It believes that it is connected. Its connection may still be on its way to us: with many threads on a
    # slow machine that takes seconds, and to give the connection up then would make it worse.
    vanished = event.connected and s.questions > 2
    if event.status is SubscriptionStatus.KNOWN and not vanished:
        return s, warning
    if event.status is SubscriptionStatus.UNKNOWN and s.listening is Listening.NOT_YET and not s.warned:
        return s, warning  # it may not reach us even when the program listens: check again before saying so
    s = replace(s, lost=s.lost or (FORGOTTEN if event.status is SubscriptionStatus.UNKNOWN else LOST))
    s, actions = _subscribe(s, vanished or event.status is SubscriptionStatus.UNKNOWN, now, t)
    return s, (*warning, *actions)


def _still_expected(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    """Wait for a connection, and say why there is none after waiting for long enough."""
    unlistened = s.listening is not Listening.NOW and event.silent
    warn_at = NEVER if s.warned or unlistened or event.connected else s.expected_since + t.warn_after
    at = NEVER if unlistened else min(now + t.patience(s.questions), max(now, warn_at))
    if now < warn_at:
        return replace(s, at=at, problem=event.why or s.problem if s.warned else None), ()
    warned = replace(s, at=now + t.patience(s.questions), warned=True, problem=event.why or UNEXPLAINED)
    return warned, (Warn(event.why),)


def _subscribe(s: ReconnectState, anew: bool, now: float, t: ReconnectTimes) -> Step:
    """Subscribe again if the program listens, otherwise when it does.

    Before the program listens for the first time, the service may be told what it does not know, but not that
    it has to connect again: what waits for the subscriber would be lost.
    """
    if s.listening is Listening.PAUSED or (s.listening is Listening.NOT_YET and anew):
        after = State.INCOMPLETE if s.connections else State.LOST
        return replace(s, state=after, at=now), ()
    if s.state is State.LOST:
        s = replace(s, expected_since=now, questions=0)
    after = State.CONNECTED if s.connections else State.EXPECTED
    lost = s.lost or (LOST if anew else None)
    return replace(s, state=after, stage=Stage.SUBSCRIBE, lost=lost), (Subscribe(anew),)


def _resubscribed(s: ReconnectState, event: Resubscribed, now: float, t: ReconnectTimes) -> Step:
    if s.stage is not Stage.SUBSCRIBE:
        return s, ()
    s = replace(s, stage=Stage.NONE, complaint="")
    if s.state is State.CONNECTED:
        return replace(s, at=s.at if s.hinted else now + t.heartbeat), ()
    if s.state is not State.EXPECTED:
        return s, ()  # it was lost meanwhile, or has connected once more
    warn_at = NEVER if s.warned else max(now, s.expected_since + t.warn_after)
    return replace(s, at=min(now + t.patience(s.questions), warn_at)), ()


def _failed(s: ReconnectState, event: Failed, now: float, t: ReconnectTimes) -> Step:
    if s.stage not in (Stage.REACH, Stage.ASK, Stage.SUBSCRIBE):
        return s, ()
    after = s.state
    if s.stage is Stage.SUBSCRIBE:
        after = {State.EXPECTED: State.LOST, State.CONNECTED: State.INCOMPLETE}.get(after, after)
    s = replace(
        s,
        state=after,
        stage=Stage.NONE,
        at=now + t.backoff(s.failures, event.lasting),
        failures=s.failures + 1,
        questions=s.questions + 1,
    )
    # A service that leaves one question unanswered is busy or restarting.
    patient = after is State.CONNECTED and s.questions < t.tries
    if patient or after is State.UNSUBSCRIBED or event.kind == s.complaint:
        return s, ()
    return replace(s, complaint=event.kind), (Complain(event.error),)


_TRANSITIONS: Final[dict[type, Callable[[ReconnectState, Any, float, ReconnectTimes], Step]]] = {
    Subscribed: _subscribed,
    Unsubscribed: _unsubscribed,
    Listened: _listened,
    Paused: _paused,
    Closed: _closed,
    Connected: _connected,
    Disconnected: _disconnected,
    Hinted: _hinted,
    Due: _due,
    TurnGranted: _turn_granted,
    Answered: _answered,
    Resubscribed: _resubscribed,
    Failed: _failed,
}
