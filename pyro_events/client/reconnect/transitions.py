"""The transitions of ReconnectState: for each event, the next state and the actions.

Knows: the table at the top of state.py. Must not know: threads, sockets or the clock.

What follows from the result of a request is in request_results.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .events import (
    Answered,
    Closed,
    Connected,
    Disconnected,
    DropConnection,
    Due,
    Failed,
    Hinted,
    Listened,
    Paused,
    ReconnectEvent,
    Report,
    Resubscribed,
    Subscribed,
    TurnGranted,
    Unsubscribed,
    WaitForTurn,
)
from .request_results import Step, answered, failed, resubscribed, turn_granted
from .state import NEVER, Listening, ReconnectState, Stage, State
from .times import ReconnectTimes

# Why events may have been missed.
ENDED: Final = "the connection from the event service ended"
ONCE_MORE: Final = "the event service connected once more"


def step(state: ReconnectState, event: ReconnectEvent, now: float, times: ReconnectTimes) -> Step:
    """The next state after an event, and the actions."""
    if state.state is State.CLOSED:
        return state, ()
    return _TRANSITIONS[type(event)](state, event, now, times)


def _subscribed(s: ReconnectState, event: Subscribed, now: float, t: ReconnectTimes) -> Step:
    if s.state is not State.UNSUBSCRIBED:
        return s, ()
    if s.connections:
        return replace(s, state=State.CONNECTED, at=now + t.silence(s.own)), ()
    expected = replace(
        s,
        state=State.EXPECTED,
        at=now + (t.soon if event.falls_back else t.arrival),
        falls_back=event.falls_back,
        expected_since=now,
        questions=0,
        warned=False,
    )
    return expected, ()


def _unsubscribed(s: ReconnectState, event: Unsubscribed, now: float, t: ReconnectTimes) -> Step:
    return replace(s, state=State.UNSUBSCRIBED, at=NEVER, hinted=False, problem=None), ()


def _closed(s: ReconnectState, event: Closed, now: float, t: ReconnectTimes) -> Step:
    return replace(s, state=State.CLOSED, stage=Stage.NONE, at=NEVER, connections=frozenset()), ()


def _listened(s: ReconnectState, event: Listened, now: float, t: ReconnectTimes) -> Step:
    if s.listening is Listening.NOW:
        return s, ()
    before, s = s.listening, replace(s, listening=Listening.NOW, listened_at=now)
    if s.state is State.EXPECTED:
        late = now - s.expected_since > t.late
        pause = 0.0 if late else t.soon if s.falls_back else t.arrival
        return replace(s, at=now + pause, questions=0), ()
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
        listening=Listening.NOW if s.listening is Listening.NOT_YET and not event.own else s.listening,
        connections=s.connections | {event.connection},
        connected_since=now,
        own=event.own,
        lost=None,
        problem=None,
        questions=0,
        hinted=False,
        warned=False,
    )
    if s.state is State.EXPECTED:
        s = replace(s, state=State.CONNECTED, at=now + t.silence(s.own))
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
        return replace(s, activity=event.activity, at=now + t.silence(s.own)), ()
    return replace(s, stage=Stage.TURN, activity=event.activity), (WaitForTurn(),)


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
    TurnGranted: turn_granted,
    Answered: answered,
    Resubscribed: resubscribed,
    Failed: failed,
}
