"""The transitions of ReconnectState that follow from requests: their turn, and their results.

Knows: the table at the top of state.py. Must not know: threads, sockets or the clock.

The other transitions are in transitions.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .events import (
    UNEXPLAINED,
    Answered,
    Ask,
    Complain,
    Failed,
    FallBack,
    HangUp,
    Reach,
    ReconnectAction,
    Resubscribed,
    Subscribe,
    SubscriptionStatus,
    TurnGranted,
    Warn,
)
from .state import NEVER, Listening, ReconnectState, Stage, State
from .times import ReconnectTimes

# Why events may have been missed.
LOST: Final = "the connection to the event service was lost"
FORGOTTEN: Final = "the event service did not know this subscriber any more"

Step = tuple[ReconnectState, tuple[ReconnectAction, ...]]


def turn_granted(s: ReconnectState, event: TurnGranted, now: float, t: ReconnectTimes) -> Step:
    if s.stage is not Stage.TURN:
        return s, ()
    s = replace(s, stage=Stage.NONE)
    if now < s.due:
        return s, ()
    begun = replace(s, asked_at=now, asked_with=s.connections, hinted=False)
    if s.state is State.LOST:
        return replace(begun, stage=Stage.REACH), (Reach(),)
    return replace(begun, stage=Stage.ASK), (Ask(),)


def answered(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    if s.stage not in (Stage.REACH, Stage.ASK):
        return s, ()
    s = replace(s, stage=Stage.NONE)
    if s.state is State.LOST:
        return _subscribe(s, True, now, t) if s.due <= now else (s, ())
    if event.status is SubscriptionStatus.REACHED or s.state is State.UNSUBSCRIBED:
        return s, ()
    if s.state is State.EXPECTED:
        return _answered_while_expected(replace(s, falls_back=event.falls_back), event, now, t)
    s = replace(s, questions=0)
    if event.status is SubscriptionStatus.UNKNOWN:
        return _forgotten(s, now, t)
    if event.status is SubscriptionStatus.KNOWN and s.state is State.CONNECTED:
        return replace(s, at=s.at if s.hinted else now + t.silence(s.own)), ()
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
    if s.falls_back:
        if s.listening is Listening.PAUSED:
            return s, ()
        if now >= _falls_back_at(s, event, now, t):
            return _fall_back(s, event, now, t)
    # Questions that are asked early count as none.
    if not s.falls_back or now >= s.expected_since + t.arrival:
        s = replace(s, questions=s.questions + 1)
    if s.falls_back and event.status is SubscriptionStatus.UNKNOWN and s.lost is None:
        s = _given_time(s, now)
    s, warning = _still_expected(s, event, now, t)
    # It believes that it is connected. Its connection may still be on its way to us: with many threads on a
    # slow machine that takes seconds, and to give the connection up then would make it worse.
    vanished = event.connected and s.questions > 2
    if event.status is SubscriptionStatus.KNOWN and not vanished:
        return s, warning
    if event.status is SubscriptionStatus.UNKNOWN and s.listening is Listening.NOT_YET and not s.warned:
        return s, warning  # it may not reach us even when the program listens: check again before saying so
    s = replace(s, lost=s.lost or (FORGOTTEN if event.status is SubscriptionStatus.UNKNOWN else LOST))
    anew = vanished or event.status is SubscriptionStatus.UNKNOWN
    if anew and s.falls_back:
        s = replace(s, expected_since=now)
    s, actions = _subscribe(s, anew, now, t)
    return s, (*warning, *actions)


def _given_time(s: ReconnectState, now: float) -> ReconnectState:
    """The service was restarted before it had said whether it reaches a subscriber that can connect itself:
    what it says within its time from now on decides, and nothing is wrong until then."""
    return replace(s, expected_since=now) if s.listening is Listening.NOW else s


def _fall_back(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    """It connects itself. Where the service knows everything, what waits for it is kept."""
    lost = s.lost or (None if event.status is SubscriptionStatus.KNOWN else LOST)
    s = replace(s, falls_back=False, problem=None, lost=lost, expected_since=now, questions=0)
    s, actions = _subscribe(s, False, now, t)
    return s, (FallBack(event.why or UNEXPLAINED), *actions)


def _falls_back_at(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> float:
    """When to wait no longer for the service to connect. A program that does not listen is silent."""
    if not s.falls_back or event.connected or event.status is SubscriptionStatus.UNKNOWN:
        return NEVER
    if event.unreachable:
        return now
    if event.silent:
        return s.answers_since + t.warn_after if s.listening is Listening.NOW else NEVER
    return s.expected_since + t.warn_after


def _still_expected(s: ReconnectState, event: Answered, now: float, t: ReconnectTimes) -> Step:
    """Wait for a connection, and say why there is none after waiting for long enough."""
    unlistened = s.listening is not Listening.NOW and event.silent
    warn_at = NEVER if s.warned or unlistened or event.connected else s.answers_since + t.warn_after
    waited = now - s.expected_since
    pause = max(t.soon, 3 * waited) if s.falls_back and waited < t.arrival else t.patience(s.questions)
    at = min(now + pause, max(now, warn_at), _falls_back_at(s, event, now, t))
    if now < warn_at:
        problem = event.why or s.problem if s.warned else None
        return replace(s, at=NEVER if unlistened else at, problem=problem), ()
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


def resubscribed(s: ReconnectState, event: Resubscribed, now: float, t: ReconnectTimes) -> Step:
    if s.stage is not Stage.SUBSCRIBE:
        return s, ()
    s = replace(s, stage=Stage.NONE, complaint="")
    if s.state is State.CONNECTED:
        return replace(s, at=s.at if s.hinted else now + t.silence(s.own)), ()
    if s.state is not State.EXPECTED:
        return s, ()  # it was lost meanwhile, or has connected once more
    # When to warn, or to find out whether it has to connect itself, which a warning does not settle.
    warn_at = NEVER if s.warned and not s.falls_back else max(now, s.answers_since + t.warn_after)
    return replace(s, at=min(now + t.patience(s.questions), warn_at)), ()


def failed(s: ReconnectState, event: Failed, now: float, t: ReconnectTimes) -> Step:
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
