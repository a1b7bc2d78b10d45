"""ReconnectState: what a subscriber knows of its connection to the service, and what follows from each event.

Knows: the states, what is remembered in addition, and when something is due. Must not know: threads, sockets
or the clock; the time comes in as an argument, and the result is a list of actions.

A state is what the subscriber believes. There is also at most one request to the service at a time.

    state         event                            next state    what happens
    ------------  -------------------------------  ------------  ------------------------------------------
    UNSUBSCRIBED  Subscribed                       EXPECTED      (CONNECTED where a connection is left over)
    EXPECTED      Connected                        CONNECTED
    EXPECTED      due: Ask -> KNOWN                EXPECTED      wait longer; Warn after `warn_after`
    EXPECTED      due: Ask -> UNSURE               EXPECTED      Subscribe
    EXPECTED      due: Ask -> UNKNOWN              EXPECTED      Subscribe(anew); Warn after `warn_after`
    EXPECTED      due: Ask -> it cannot connect    EXPECTED      FallBack, Subscribe
    CONNECTED     Disconnected, the last one       LOST          wait for the back-off
    CONNECTED     Connected once more              INCOMPLETE
    CONNECTED     due: Ask -> KNOWN                CONNECTED     wait for a heartbeat
    CONNECTED     due: Ask -> UNSURE               CONNECTED     Subscribe
    CONNECTED     due: Ask -> UNKNOWN              EXPECTED      HangUp, Subscribe(anew)
    INCOMPLETE    due: Ask -> KNOWN or UNSURE      CONNECTED     Subscribe
    INCOMPLETE    due: Ask -> UNKNOWN              EXPECTED      HangUp, Subscribe(anew)
    INCOMPLETE    Disconnected, the last one       LOST          wait for the back-off
    LOST          due: Reach -> REACHED            EXPECTED      Subscribe(anew)
    LOST          Connected                        INCOMPLETE
    EXPECTED      Failed, of Subscribe             LOST          wait for the back-off
    CONNECTED     Failed, of Subscribe             INCOMPLETE    wait for the back-off
    any           Failed, of Reach or Ask          the same      wait for the back-off
    any           Unsubscribed                     UNSUBSCRIBED
    any           Closed                           CLOSED

    request       event                            next request
    ------------  -------------------------------  ------------
    NONE          Due                              TURN          (NONE where events came: wait on)
    TURN          TurnGranted                      REACH if LOST, else ASK; NONE if nothing is due any more
    REACH, ASK    Answered                         SUBSCRIBE or NONE, as above
    SUBSCRIBE     Resubscribed                     NONE
    any           Failed                           NONE

A subscriber that can connect itself does so (FallBack) at once when the service says that it cannot, and
otherwise where others Warn. From then on, Subscribe makes a connection where there is none.

Before the program listens, only EXPECTED has anything due: the program does not have to answer the service
yet, but it can already be seen whether the service can reach it. After `abort` nothing is due until the
program listens again.

transitions.py and request_results.py have a function for each event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

NEVER: Final = math.inf


class State(Enum):
    """What a subscriber believes."""

    UNSUBSCRIBED = "it has no subscriptions"
    EXPECTED = "the service has its subscriptions, and is about to connect"
    CONNECTED = "the service is connected"
    INCOMPLETE = "the service is connected, but may not have all subscriptions"
    LOST = "the service has to be told of its subscriptions again"
    CLOSED = "it is closed"


class Stage(Enum):
    """The request that is being made."""

    NONE = "none"
    TURN = "one waits for its turn"
    REACH = "the service is being connected to"
    ASK = "the service is being asked"
    SUBSCRIBE = "the service is being told of all subscriptions"


class Listening(Enum):
    """Whether the program listens."""

    NOT_YET = "not yet"
    NOW = "now"
    PAUSED = "it has, and will again"


@dataclass(frozen=True)
class ReconnectState:
    """One subscriber at one moment.

    connections: the service's connections to us. at: when something is due, if the program listens. lost:
    why events may have been missed, until there is a connection. problem: why the service does not reach
    us, until it does. warned: whether that was logged. falls_back: whether it can connect itself, as far
    as is known. expected_since: since when the service should connect. listened_at: when the program
    began to listen. connected_since: since when it is connected. own: whether the subscriber has made
    that connection. failures: losses and failures in a row. questions: how many in a row have not shown
    that all is well. hinted: a question is due, whatever has arrived. asked_at: when the last request
    began, or should have begun because of a hint. asked_with: the connections that were open then.
    activity: the last known value. complaint: the failure that was logged last.
    """

    state: State = State.UNSUBSCRIBED
    stage: Stage = Stage.NONE
    listening: Listening = Listening.NOT_YET
    connections: frozenset[object] = frozenset()
    at: float = NEVER
    lost: str | None = None
    problem: str | None = None
    falls_back: bool = False
    expected_since: float = 0.0
    listened_at: float = -NEVER
    connected_since: float = 0.0
    own: bool = False
    failures: int = 0
    questions: int = 0
    hinted: bool = False
    asked_at: float = -NEVER
    asked_with: frozenset[object] = frozenset()
    activity: int = 0
    complaint: str = ""
    warned: bool = False

    @property
    def answers_since(self) -> float:
        """Since when the program should answer a service that connects."""
        return max(self.expected_since, self.listened_at)

    @property
    def due(self) -> float:
        """When Due is due; NEVER while a request is being made, or the program does not listen."""
        if self.stage is not Stage.NONE or self.state in (State.UNSUBSCRIBED, State.CLOSED):
            return NEVER
        if self.listening is Listening.NOW:
            return self.at
        early = self.listening is Listening.NOT_YET and self.state is State.EXPECTED
        return self.at if early else NEVER
